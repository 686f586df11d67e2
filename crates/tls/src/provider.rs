//! The cryptography behind TLS, chosen in this file and in Cargo.toml alone.

use rustls::Error;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::ProducesTickets;
use std::sync::{Arc, LazyLock};

static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));

/// Returns the crypto provider of the process. Everything that builds a configuration of rustls names it: rustls itself
/// panics when it has to choose one.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::clone(&PROVIDER)
}

/// Makes a ticketer with keys of its own. A key encrypts tickets for six hours, and decrypts them for six more.
pub(crate) fn ticketer() -> Result<Arc<dyn ProducesTickets>, Error> {
    aws_lc_rs::Ticketer::new()
}
