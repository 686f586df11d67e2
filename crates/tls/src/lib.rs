//! TLS for both ends of a proxy: certificates from files, the names in them, and connections.

mod names;

pub use names::CertificateNames;
