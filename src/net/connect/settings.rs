//! The settings of TLS towards servers.

use rustls::pki_types::ServerName;
use std::path::{Path, PathBuf};
use tls::KeyPairFiles;

/// The settings of TLS towards servers, as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsSettings {
    /// PEM files with the only authorities to trust. Empty for those that the machine trusts.
    pub ca: Vec<PathBuf>,
    /// The certificate for servers that ask for one.
    pub certificate: Option<KeyPairFiles>,
    /// The name that servers must prove. Otherwise it is that of the endpoint.
    pub server_name: Option<ServerName<'static>>,
}

impl TlsSettings {
    /// Returns the files.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        let pair = self.certificate.iter().flat_map(|pair| [&pair.chain, &pair.key]);
        self.ca.iter().chain(pair).map(PathBuf::as_path)
    }
}
