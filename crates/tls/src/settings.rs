//! What an operator configures about the TLS of a listener.

use std::path::{Path, PathBuf};

/// The files of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPairFiles {
    /// The certificate in PEM, followed by those of its intermediate authorities.
    pub chain: PathBuf,
    /// Its private key in PEM.
    pub key: PathBuf,
}

/// The client certificates that a listener accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAuth {
    /// Files with certificates of authorities in PEM.
    pub authorities: Vec<PathBuf>,
    /// Files with certificate revocation lists, in PEM or DER.
    pub revocations: Vec<PathBuf>,
    /// Whether a client must present a certificate.
    pub is_required: bool,
}

/// The TLS settings of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// Its certificates. The first is the one for clients that name no host or an unknown one.
    pub certificates: Vec<KeyPairFiles>,
    /// The client certificates that it accepts, if it asks for any.
    pub clients: Option<ClientAuth>,
    /// Whether it offers HTTP/2.
    pub http2: bool,
}

impl ServerSettings {
    /// Returns all files, in the order of the settings.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let pairs = self.certificates.iter().flat_map(|pair| [&pair.chain, &pair.key]);
        let clients = self.clients.iter().flat_map(|auth| auth.authorities.iter().chain(&auth.revocations));
        pairs.chain(clients).map(PathBuf::as_path)
    }
}
