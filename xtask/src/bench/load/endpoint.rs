//! The server of a load: its address, and how clients speak TLS with it.

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, HandshakeKind, SignatureScheme, version};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The key exchange that clients offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exchange {
    X25519,
    /// X25519MLKEM768, and X25519 for servers that do not know it.
    PostQuantum,
}

/// A server as clients reach it. Clones share TLS sessions.
#[derive(Clone)]
pub(crate) struct Endpoint {
    address: SocketAddr,
    tls: Option<TlsConnector>,
}

impl Endpoint {
    /// Returns a server without TLS.
    pub(crate) fn plain(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }

    /// Returns a server with TLS, whose clients never resume a session.
    pub(crate) fn tls(address: SocketAddr, exchange: Exchange) -> Self {
        let mut config = client(exchange);
        config.resumption = Resumption::disabled();
        Self { address, tls: Some(Arc::new(config).into()) }
    }

    /// Returns the same server, with sessions of its own that its clients resume.
    pub(crate) fn with_sessions(&self) -> Self {
        let resuming = |connector: &TlsConnector| {
            let mut config = ClientConfig::clone(connector.config());
            config.resumption = Resumption::in_memory_sessions(1);
            Arc::new(config).into()
        };
        Self { address: self.address, tls: self.tls.as_ref().map(resuming) }
    }

    /// Connects and completes the handshake.
    ///
    /// # Errors
    /// The server refuses.
    pub(crate) async fn connect(&self) -> Result<Stream, String> {
        let stream =
            TcpStream::connect(self.address).await.map_err(|error| format!("cannot connect: {error}"))?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let Some(connector) = &self.tls else { return Ok(Stream::Plain(stream)) };
        let name = ServerName::IpAddress(self.address.ip().into());
        let shaken = connector.connect(name, stream).await;
        shaken
            .map(|stream| Stream::Tls(Box::new(stream)))
            .map_err(|error| format!("in the handshake: {error}"))
    }
}

/// A client's stream.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer).await,
            Self::Tls(stream) => stream.read(buffer).await,
        }
    }

    pub(super) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    /// Reports whether the handshake continued an earlier session.
    pub(crate) fn is_resumed(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }
}

/// Returns clients of TLS 1.3 with the cipher that OpenSSL's clients ask for first.
fn client(exchange: Exchange) -> ClientConfig {
    let groups: Vec<&'static dyn SupportedKxGroup> = match exchange {
        Exchange::X25519 => vec![aws_lc_rs::kx_group::X25519],
        Exchange::PostQuantum => vec![aws_lc_rs::kx_group::X25519MLKEM768, aws_lc_rs::kx_group::X25519],
    };
    let provider = CryptoProvider {
        kx_groups: groups,
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384],
        ..aws_lc_rs::default_provider()
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(provider));
    #[expect(clippy::expect_used, reason = "a constant configuration, which the tests use")]
    let builder =
        builder.with_protocol_versions(&[&version::TLS13]).expect("TLS 1.3 with a cipher of TLS 1.3");
    builder.dangerous().with_custom_certificate_verifier(Arc::new(AcceptAll)).with_no_client_auth()
}

/// Accepts all certificates and signatures: a client that verifies them costs more than the server it measures.
#[derive(Debug)]
struct AcceptAll;

impl ServerCertVerifier for AcceptAll {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::RSA_PSS_SHA256]
    }
}
