//! The parts of a client of TLS, from files.

use crate::clients::add_authority;
use crate::key_pair::{CertificateInfo, KeyPair};
use crate::pem;
use crate::problem::{FileKind, Problem, Read};
use crate::settings::KeyPairFiles;
use rustls::RootCertStore;
use rustls::client::ResolvesClientCert;
use rustls::sign::SingleCertAndKey;
use std::path::Path;
use std::sync::Arc;

/// Authorities that a client trusts.
#[derive(Debug)]
pub struct Authorities(RootCertStore);

impl Default for Authorities {
    fn default() -> Self {
        Self(RootCertStore::empty())
    }
}

impl Authorities {
    /// Adds every certificate in a file.
    ///
    /// # Errors
    /// When the file cannot be read, holds no certificate, or one that cannot be used.
    pub fn add(&mut self, file: &Path, read: &mut Read<'_>) -> Result<(), Problem> {
        for der in pem::certificates(file, &read(file, FileKind::Public)?)? {
            add_authority(file, der, &mut self.0)?;
        }
        Ok(())
    }

    /// Returns the authorities as rustls takes them.
    pub fn into_store(self) -> RootCertStore {
        self.0
    }
}

/// The certificate that a client shows, with its private key.
#[derive(Debug)]
pub struct ClientCertificate(KeyPair);

impl ClientCertificate {
    /// Loads a chain of certificates, the client's own first, and its private key.
    ///
    /// # Errors
    /// When one of them cannot be used, or they do not belong together.
    pub fn load(files: &KeyPairFiles, read: &mut Read<'_>) -> Result<Self, Vec<Problem>> {
        // What is odd about a server's certificate is normal for a client's.
        KeyPair::load(files, read, &mut |_| {}).map(Self)
    }

    pub(super) fn into_parts(self) -> (Arc<dyn ResolvesClientCert>, CertificateInfo) {
        let KeyPair { certified, info, oddities: _ } = self.0;
        (Arc::new(SingleCertAndKey::from(certified)), info)
    }
}
