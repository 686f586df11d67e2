//! TLS for both ends of a proxy: certificates from files, the names in them, and connections.

pub mod client;
mod names;

pub use names::CertificateNames;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use std::sync::{Arc, OnceLock};

/// Returns the cryptography of everything that speaks TLS.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider())))
}
