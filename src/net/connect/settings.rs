//! The settings of TLS towards servers, and the mistakes in their files.

use rustls::pki_types::ServerName;
use std::path::{Path, PathBuf};
use tls::client::Unusable;

/// The settings of TLS towards servers, as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsSettings {
    /// PEM files with the only authorities to trust. Empty for those that the machine trusts.
    pub ca: Vec<PathBuf>,
    /// The certificate for servers that ask for one.
    pub certificate: Option<CertificateFiles>,
    /// The name that servers must prove. Otherwise it is that of the endpoint.
    pub server_name: Option<ServerName<'static>>,
}

/// The files of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CertificateFiles {
    /// The certificate, and those of the authorities between it and the one that servers know.
    pub chain: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// Everyone.
    Public,
    /// Its owner, and the group.
    Private,
}

/// A part of the settings that names a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The file of authorities with this index.
    Authorities(usize),
    /// The chain of the certificate.
    Chain,
    /// The key of the certificate.
    Key,
}

/// A mistake in a file of TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsMistake {
    /// The part that names the file.
    pub part: Part,
    /// The problem.
    pub message: String,
    /// The remedy.
    pub help: String,
}

impl TlsSettings {
    /// Returns the files.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        let pair = self.certificate.iter().flat_map(|pair| [&pair.chain, &pair.key]);
        self.ca.iter().chain(pair).map(PathBuf::as_path)
    }

    /// Returns the mistake in a file whose content cannot be used. `number` is that of the file of authorities.
    pub(super) fn mistake(&self, number: usize, unusable: Unusable) -> TlsMistake {
        let pair = self.certificate.as_ref();
        let (part, path, why, help) = match unusable {
            Unusable::Authorities(why) => {
                let help = "write the authorities that sign the servers' certificates, in PEM";
                (Part::Authorities(number), self.ca.get(number), why, help)
            }
            Unusable::Chain(why) => {
                let help = "write the client's certificate, then those of the authorities between, in PEM";
                (Part::Chain, pair.map(|pair| &pair.chain), why, help)
            }
            Unusable::Key(why) => {
                let help =
                    "write the private key of the client's certificate, in PEM and without a passphrase";
                (Part::Key, pair.map(|pair| &pair.key), why, help)
            }
        };
        let shown = path.map(|path| format!("{}: ", path.display())).unwrap_or_default();
        TlsMistake { part, message: format!("{shown}{why}"), help: help.to_owned() }
    }
}
