//! The parts of a client of TLS, from PEM.

use crate::provider;
use rustls::RootCertStore;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error as TlsError, InconsistentKeys};
use std::fmt;
use std::sync::Arc;

/// Why a PEM text cannot be used. It quotes nothing of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// The authorities, with the reason.
    Authorities(String),
    /// The chain of certificates, with the reason.
    Chain(String),
    /// The private key, with the reason.
    Key(String),
}

/// Authorities that a client trusts.
#[derive(Debug)]
pub struct Authorities(RootCertStore);

impl Default for Authorities {
    fn default() -> Self {
        Self(RootCertStore::empty())
    }
}

impl Authorities {
    /// Adds every certificate of a PEM text.
    ///
    /// # Errors
    /// When there is none, or one cannot be used.
    pub fn add_pem(&mut self, text: &[u8]) -> Result<(), Unusable> {
        for (number, certificate) in
            certificates(text).map_err(Unusable::Authorities)?.into_iter().enumerate()
        {
            self.0.add(certificate).map_err(|error| {
                Unusable::Authorities(format!("its certificate {} cannot be used ({error})", number + 1))
            })?;
        }
        Ok(())
    }

    /// Returns the authorities as rustls takes them.
    pub fn into_store(self) -> RootCertStore {
        self.0
    }
}

/// The certificate that a client shows, with its private key.
pub struct ClientCertificate(Arc<CertifiedKey>);

impl ClientCertificate {
    /// Reads a chain of certificates, the client's own first, and its private key from PEM.
    ///
    /// # Errors
    /// When one of them cannot be used, or they do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, Unusable> {
        let chain = certificates(chain).map_err(Unusable::Chain)?;
        let key = private_key(key).map_err(Unusable::Key)?;
        match CertifiedKey::from_der(chain, key, &provider()) {
            Ok(certified) => Ok(Self(Arc::new(certified))),
            Err(TlsError::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                Err(Unusable::Key("it is not the key of the chain's first certificate".to_owned()))
            }
            Err(TlsError::InvalidCertificate(error)) => {
                Err(Unusable::Chain(format!("its first certificate cannot be used ({error})")))
            }
            Err(_) => Err(Unusable::Key("it is not a private key that TLS can use".to_owned())),
        }
    }

    pub(super) fn into_resolver(self) -> Arc<dyn ResolvesClientCert> {
        Arc::new(SingleCertAndKey::from(self.0))
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificate")
    }
}

fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    // The error is not shown, because it may quote a file that holds something else.
    let read = read.map_err(|_| "it is not valid PEM".to_owned())?;
    if !read.is_empty() {
        return Ok(read);
    }
    let is_key = PrivateKeyDer::from_pem_slice(text).is_ok();
    let instead = if is_key { "a private key and no certificate" } else { "no certificate" };
    Err(format!(
        "it holds {instead} in PEM (-----BEGIN CERTIFICATE-----): convert one in DER with `openssl x509 -inform der`"
    ))
}

fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    if contains(text, b"BEGIN ENCRYPTED PRIVATE KEY") || contains(text, b"Proc-Type: 4,ENCRYPTED") {
        return Err("it is encrypted: write it without a passphrase with `openssl pkey`".to_owned());
    }
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        pem::Error::NoItemsFound if contains(text, b"BEGIN CERTIFICATE") => {
            "it holds a certificate and no private key".to_owned()
        }
        pem::Error::NoItemsFound => "it holds no private key in PEM (-----BEGIN PRIVATE KEY-----)".to_owned(),
        _ => "it is not valid PEM".to_owned(),
    })
}

fn contains(text: &[u8], words: &[u8]) -> bool {
    text.windows(words.len()).any(|window| window == words)
}
