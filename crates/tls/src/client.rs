//! TLS as a client: whom it trusts, which certificate it shows, and which name it expects of a server.

mod material;
mod verifier;

pub use material::{Authorities, ClientCertificate};
pub use verifier::UnknownAuthority;

use crate::key_pair::CertificateInfo;
use crate::problem::Problem;
use crate::provider;
use crate::warnings::check_validity;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use verifier::Verifier;

/// TLS as a client. Sessions that it resumes are its own, so one made of other authorities resumes none of them.
pub struct ClientTls {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
    certificate: Option<CertificateInfo>,
}

impl ClientTls {
    /// Makes a client that trusts `authorities` alone. It shows `certificate` to servers that ask for one, and expects
    /// `server_name` of every server, or the name that it connects to.
    ///
    /// # Errors
    /// When there is no authority.
    pub fn new(
        authorities: RootCertStore,
        certificate: Option<ClientCertificate>,
        server_name: Option<ServerName<'static>>,
    ) -> Result<Self, String> {
        let provider = provider();
        let webpki =
            WebPkiServerVerifier::builder_with_provider(Arc::new(authorities), Arc::clone(&provider));
        let webpki = webpki.build().map_err(|error| error.to_string())?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            // "Dangerous" is a verifier that accepts more. This one passes every decision on, and explains a refusal.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier::new(webpki)));
        let (mut config, certificate) = match certificate.map(ClientCertificate::into_parts) {
            None => (builder.with_no_client_auth(), None),
            Some((resolver, info)) => (builder.with_client_cert_resolver(resolver), Some(info)),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), server_name, certificate })
    }

    /// Returns the facts about the certificate that it shows.
    pub fn certificate(&self) -> Option<&CertificateInfo> {
        self.certificate.as_ref()
    }

    /// Returns what an operator must know about that certificate: that it has expired or will soon.
    pub fn warning(&self, now: SystemTime) -> Option<Problem> {
        check_validity(self.certificate()?, now)
    }

    /// Secures a connection to the server `name`.
    ///
    /// # Errors
    /// When the handshake fails. The error holds that of rustls, or an [`UnknownAuthority`].
    pub async fn connect<S>(&self, name: &ServerName<'static>, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = self.server_name.as_ref().unwrap_or(name).clone();
        let connected = TlsConnector::from(Arc::clone(&self.config)).connect(name, stream).await;
        connected.map_err(UnknownAuthority::unwrapped)
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
