//! The certificates of the proxies: self-signed, because no client of the benchmark verifies them.

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The kind of a certificate's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    /// ECDSA with P-256.
    Ecdsa,
    /// RSA with 2048 bits.
    Rsa,
}

/// A certificate and its key.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// Both in one file, as HAProxy reads them.
    pub(crate) both: PathBuf,
}

/// One certificate of each kind, in files that last as long as this.
pub(crate) struct Certificates {
    ecdsa: Pair,
    rsa: Pair,
    _folder: TempDir,
}

impl Certificates {
    /// Makes the keys and certificates.
    ///
    /// # Errors
    /// A file cannot be written, or a key cannot be made.
    pub(crate) fn create() -> Result<Self, String> {
        let folder = TempDir::new().map_err(|error| format!("cannot create a temporary folder: {error}"))?;
        let pair = |kind| Pair::create(folder.path(), kind);
        Ok(Self { ecdsa: pair(KeyKind::Ecdsa)?, rsa: pair(KeyKind::Rsa)?, _folder: folder })
    }

    /// Returns the certificate of a kind.
    pub(crate) fn of(&self, kind: KeyKind) -> &Pair {
        match kind {
            KeyKind::Ecdsa => &self.ecdsa,
            KeyKind::Rsa => &self.rsa,
        }
    }
}

impl Pair {
    fn create(folder: &Path, kind: KeyKind) -> Result<Self, String> {
        let (name, algorithm) = match kind {
            KeyKind::Ecdsa => ("ecdsa", &PKCS_ECDSA_P256_SHA256),
            KeyKind::Rsa => ("rsa", &PKCS_RSA_SHA256),
        };
        let failed = |error: rcgen::Error| format!("cannot create a certificate: {error}");
        let key = KeyPair::generate_for(algorithm).map_err(failed)?;
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate =
            CertificateParams::new(names).and_then(|params| params.self_signed(&key)).map_err(failed)?;
        let (certificate, key) = (certificate.pem(), key.serialize_pem());
        Ok(Self {
            certificate: write(folder, &format!("{name}.crt"), &certificate)?,
            key: write(folder, &format!("{name}.key"), &key)?,
            both: write(folder, &format!("{name}.pem"), &format!("{certificate}{key}"))?,
        })
    }
}

/// Writes a file that only this user can read, as a proxy may demand of a key.
fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf, String> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;

    let path = folder.join(name);
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map(|()| path.clone()).map_err(|error| format!("cannot write {}: {error}", path.display()))
}
