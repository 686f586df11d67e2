//! Connects to endpoints, over TCP or TLS.

mod trouble;
mod trust;

pub(crate) use trouble::Trouble;
pub(crate) use trust::Trust;

use crate::net::endpoint::Endpoint;
use http1::Socket;
use rustls::pki_types::ServerName;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A connector to one endpoint.
pub(crate) struct Connector {
    endpoint: Endpoint,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    timeout: Duration,
    resolver: Resolver,
}

/// The source of a name's addresses.
enum Resolver {
    System,
    #[cfg(test)]
    Given(Box<dyn Fn() -> Vec<SocketAddr> + Send + Sync>),
}

impl Resolver {
    async fn resolve(&self, endpoint: &Endpoint) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::System => Ok(lookup_host((endpoint.host(), endpoint.port())).await?.collect()),
            #[cfg(test)]
            Self::Given(addresses) => Ok(addresses()),
        }
    }
}

impl Connector {
    /// Makes a connector to `endpoint`. `timeout` bounds each connection, including name resolution and the TLS handshake.
    /// TLS uses the machine's trusted certificates, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
    ///
    /// # Errors
    /// When the endpoint uses TLS and no certificates can be loaded, or its host is not a valid name for a certificate.
    pub(crate) fn new(endpoint: Endpoint, timeout: Duration) -> io::Result<Self> {
        if !endpoint.tls() {
            return Ok(Self { endpoint, tls: None, timeout, resolver: Resolver::System });
        }
        let trust = Trust::load().map_err(|why| io::Error::other(format!("{endpoint}: {why}")))?;
        Self::trusting(endpoint, timeout, trust)
    }

    /// Makes a connector like [`Connector::new`], which trusts these authorities alone.
    ///
    /// # Errors
    /// When the endpoint uses TLS and its host is not a valid name for a certificate.
    pub(crate) fn trusting(endpoint: Endpoint, timeout: Duration, trust: Trust) -> io::Result<Self> {
        let tls = endpoint.tls().then(|| tls_connector(&endpoint, trust)).transpose()?;
        Ok(Self { endpoint, tls, timeout, resolver: Resolver::System })
    }

    /// Connects. Resolves the name each time and tries its addresses in turn, each for its share of the time that is left.
    ///
    /// # Errors
    /// The error of the last address, or `TimedOut`.
    pub(crate) async fn connect(&self) -> io::Result<Stream> {
        let end = Instant::now() + self.timeout;
        let addresses = timeout_at(end, self.resolver.resolve(&self.endpoint)).await??;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for (tried, address) in addresses.iter().enumerate() {
            let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            let share = end.saturating_duration_since(Instant::now()) / left;
            match timeout(share, self.connect_to(*address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(elapsed) => last = elapsed.into(),
            }
        }
        Err(last)
    }

    async fn connect_to(&self, address: SocketAddr) -> io::Result<Stream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        self.secure(stream).await
    }

    async fn secure(&self, stream: TcpStream) -> io::Result<Stream> {
        match &self.tls {
            None => Ok(Stream::Plain(stream.into())),
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

fn tls_connector(endpoint: &Endpoint, trust: Trust) -> io::Result<(TlsConnector, ServerName<'static>)> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(trust.roots)
        .with_no_client_auth();
    let name = ServerName::try_from(endpoint.host().to_owned()).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("{endpoint}: not a name for TLS"))
    })?;
    Ok((TlsConnector::from(Arc::new(config)), name))
}

/// A connection.
#[derive(Debug)]
pub(crate) enum Stream {
    /// Plain TCP.
    Plain(Socket),
    /// TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, data),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, data),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, data),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, data),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tokio::net::{TcpListener, TcpSocket};

    const TIMEOUT: Duration = Duration::from_secs(2);

    fn connector(addresses: impl Fn() -> Vec<SocketAddr> + Send + Sync + 'static) -> Connector {
        let endpoint = Endpoint::parse("http://store.test:9000").unwrap();
        let resolver = Resolver::Given(Box::new(addresses));
        Connector { resolver, ..Connector::new(endpoint, TIMEOUT).unwrap() }
    }

    async fn node() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    fn peer(stream: &Stream) -> SocketAddr {
        match stream {
            Stream::Plain(socket) => socket.stream().peer_addr().unwrap(),
            Stream::Tls(_) => panic!("a plain endpoint"),
        }
    }

    #[tokio::test]
    async fn names_are_resolved_for_each_connection() {
        let ((_one, first), (_two, second)) = (node().await, node().await);
        let current = Arc::new(Mutex::new(vec![first]));
        let connector = connector({
            let current = Arc::clone(&current);
            move || current.lock().unwrap().clone()
        });
        assert_eq!(peer(&connector.connect().await.unwrap()), first);
        *current.lock().unwrap() = vec![second];
        assert_eq!(peer(&connector.connect().await.unwrap()), second);
        current.lock().unwrap().clear();
        assert_eq!(connector.connect().await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn every_address_is_tried_with_its_share_of_the_time() {
        let (listener, refuses) = node().await;
        drop(listener);
        let (_answers, good) = node().await;
        // A listener with a full queue: further connections are neither accepted nor refused.
        let deaf = TcpSocket::new_v4().unwrap();
        deaf.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let deaf = deaf.listen(1).unwrap();
        let silent = deaf.local_addr().unwrap();
        let mut queued = Vec::new();
        while let Ok(Ok(stream)) = timeout(TIMEOUT / 20, TcpStream::connect(silent)).await {
            queued.push(stream);
        }
        let connected = connector(move || vec![refuses, silent, good]).connect().await;
        assert_eq!(peer(&connected.unwrap()), good);
        let error = connector(move || vec![silent, refuses]).connect().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let error = connector(move || vec![refuses, silent]).connect().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
