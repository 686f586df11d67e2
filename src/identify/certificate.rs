//! Client certificates: the names in one that an authority of the listener vouches for.

use tls::CertificateNames;

/// The names in a client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    names: CertificateNames,
}

impl Certificate {
    /// Makes the certificate with these names. Its chain was verified before.
    pub fn new(names: CertificateNames) -> Self {
        Self { names }
    }

    /// Returns the names.
    pub fn names(&self) -> &CertificateNames {
        &self.names
    }
}
