//! Connections to an endpoint, over TCP or TLS.

use crate::endpoint::Endpoint;
use rustls::RootCertStore;
use rustls::pki_types::ServerName;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Connects to one endpoint.
pub struct Connector {
    endpoint: Endpoint,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    timeout: Duration,
}

impl Connector {
    /// A connector to `endpoint`, with `timeout` for each connection including its name's resolution and its
    /// handshake. For TLS the machine's trusted certificates are loaded (`SSL_CERT_FILE` and `SSL_CERT_DIR` name
    /// others).
    ///
    /// # Errors
    /// When TLS is wanted and no certificates can be loaded, or the host is no name that a certificate could be for.
    pub fn new(endpoint: Endpoint, timeout: Duration) -> io::Result<Self> {
        let tls = endpoint.tls().then(|| tls_connector(&endpoint)).transpose()?;
        Ok(Self { endpoint, tls, timeout })
    }

    /// Connects. Names are resolved anew each time, and every address is tried in its turn.
    ///
    /// # Errors
    /// What was wrong with the last address, or `TimedOut`.
    pub async fn connect(&self) -> io::Result<Stream> {
        timeout(self.timeout, self.connect_any()).await?
    }

    async fn connect_any(&self) -> io::Result<Stream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in lookup_host((self.endpoint.host(), self.endpoint.port())).await? {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return self.secure(stream).await;
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn secure(&self, stream: TcpStream) -> io::Result<Stream> {
        match &self.tls {
            None => Ok(Stream::Plain(stream)),
            Some((connector, name)) => {
                connector.connect(name.clone(), stream).await.map(|stream| Stream::Tls(Box::new(stream)))
            }
        }
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

fn tls_connector(endpoint: &Endpoint) -> io::Result<(TlsConnector, ServerName<'static>)> {
    let mut roots = RootCertStore::empty();
    let loaded = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(loaded.certs);
    if added == 0 {
        let why = loaded.errors.first().map(ToString::to_string).unwrap_or_default();
        return Err(io::Error::other(format!(
            "{endpoint}: this machine has no trusted certificates: install ca-certificates or set SSL_CERT_FILE {why}"
        )));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(endpoint.host().to_owned()).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("{endpoint}: not a name for TLS"))
    })?;
    Ok((TlsConnector::from(Arc::new(config)), name))
}

/// A connection.
#[derive(Debug)]
pub enum Stream {
    /// Over TCP.
    Plain(TcpStream),
    /// Over TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, data),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, data),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, data),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, data),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
