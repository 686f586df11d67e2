//! The TLS of a listener, made of files.

use crate::clients::{Clients, PeerCertificate, RevocationInfo};
use crate::key_pair::{CertificateInfo, KeyPair};
use crate::problem::{Problem, Read};
use crate::provider::provider;
use crate::resolver::Resolver;
use crate::settings::ServerSettings;
use crate::tickets::Tickets;
use rustls::ServerConfig;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// The TLS of a listener. Its threads share it.
///
/// It never changes. When a file changes, the listener gets a new one, whose tickets are new as well.
pub struct ServerTls {
    config: Arc<ServerConfig>,
    resolver: Arc<Resolver>,
    pub(crate) certificates: Vec<CertificateInfo>,
    pub(crate) oddities: Vec<Problem>,
    pub(crate) clients: Option<Clients>,
    /// The SHA-256 of the settings and of all files.
    fingerprint: [u8; 32],
}

impl ServerTls {
    /// Loads all files of the settings with `read`.
    ///
    /// # Errors
    /// All problems with the files at once.
    pub fn load(settings: &ServerSettings, read: &mut Read<'_>) -> Result<Self, Vec<Problem>> {
        let mut digest = Sha256::new();
        digest.update(format!("{settings:?}"));
        let mut seen = |bytes: &[u8]| {
            digest.update(bytes.len().to_le_bytes());
            digest.update(bytes);
        };
        let (mut pairs, mut problems) = (Vec::new(), Vec::new());
        for files in &settings.certificates {
            match KeyPair::load(files, read, &mut seen) {
                Ok(pair) => pairs.push(pair),
                Err(more) => problems.extend(more),
            }
        }
        let clients = match settings.clients.as_ref().map(|auth| Clients::load(auth, read, &mut seen)) {
            None => None,
            Some(Ok(clients)) => Some(clients),
            Some(Err(more)) => {
                problems.extend(more);
                None
            }
        };
        if settings.certificates.is_empty() {
            problems.push(Problem::new(Path::new(""), "no certificate is named", "name the files of one"));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let resolver = Arc::new(Resolver::new(&pairs));
        let config = configure(settings, clients.as_ref(), &resolver).map_err(|error| {
            vec![Problem::new(Path::new(""), format!("TLS cannot be set up: {error}"), "report it")]
        })?;
        let (certificates, oddities): (Vec<_>, Vec<_>) =
            pairs.into_iter().map(|pair| (pair.info, pair.oddities)).unzip();
        Ok(Self {
            config: Arc::new(config),
            resolver,
            certificates,
            oddities: oddities.concat(),
            clients,
            fingerprint: digest.finalize().into(),
        })
    }

    /// Returns whether both were made of the same settings and content. Then the old one is kept: its tickets stay valid.
    pub fn is_like(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }

    /// Returns the facts about the certificates, in the order of the settings.
    pub fn certificates(&self) -> &[CertificateInfo] {
        &self.certificates
    }

    /// Returns the facts about the revocation lists that are in use.
    pub fn revocations(&self) -> &[RevocationInfo] {
        self.clients.as_ref().map_or(&[], |clients| &clients.revocations)
    }

    /// Checks whether the handshake of a client with this certificate, or none, would succeed now. After a reload, and once
    /// a certificate has expired, connections that fail this check must end.
    ///
    /// # Errors
    /// The reason why it would not.
    pub fn recheck(&self, certificate: Option<&PeerCertificate>, now: SystemTime) -> Result<(), String> {
        match (&self.clients, certificate) {
            (Some(clients), certificate) => clients.recheck(certificate, now),
            (None, Some(_)) => Err("the listener no longer asks for client certificates".to_owned()),
            (None, None) => Ok(()),
        }
    }

    /// Returns whether a request for `host` may arrive on a connection that was opened for `server_name`, because a
    /// connection for `host` would get the same certificate. A client that named no host gave nothing to compare.
    ///
    /// `host` has no port. Case, and a dot at the end, do not matter.
    pub fn serves_together(&self, server_name: Option<&str>, host: &str) -> bool {
        server_name.is_none_or(|name| self.resolver.serves_together(name, host))
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("certificates", &self.certificates).finish_non_exhaustive()
    }
}

fn configure(
    settings: &ServerSettings,
    clients: Option<&Clients>,
    resolver: &Arc<Resolver>,
) -> Result<ServerConfig, rustls::Error> {
    let verifier: Arc<dyn ClientCertVerifier> = match clients {
        Some(clients) => clients.verifier.clone(),
        None => WebPkiClientVerifier::no_client_auth(),
    };
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(resolver.clone());
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if settings.http2 {
        config.alpn_protocols.insert(0, b"h2".to_vec());
    }
    // Sessions are kept in tickets alone: they hold as much as a cache would, and need no memory or lock.
    config.ticketer = Arc::new(Tickets::new()?);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}
