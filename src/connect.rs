//! Connections to an endpoint, over TCP or TLS.

mod trouble;
mod trust;

pub use trouble::Trouble;
pub use trust::Trust;

use crate::endpoint::Endpoint;
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

/// Connects to one endpoint.
pub struct Connector {
    endpoint: Endpoint,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    timeout: Duration,
    resolver: Resolver,
}

/// Where a name's addresses come from.
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
    /// A connector to `endpoint`, with `timeout` for each connection including its name's resolution and its
    /// handshake. For TLS the machine's trusted certificates are loaded (`SSL_CERT_FILE` and `SSL_CERT_DIR` name
    /// others).
    ///
    /// # Errors
    /// When TLS is wanted and no certificates can be loaded, or the host is no name that a certificate could be for.
    pub fn new(endpoint: Endpoint, timeout: Duration) -> io::Result<Self> {
        let tls = endpoint.tls().then(|| tls_connector(&endpoint)).transpose()?;
        Ok(Self { endpoint, tls, timeout, resolver: Resolver::System })
    }

    /// Connects. Names are resolved each time, and every address is tried in its turn: one that does not answer
    /// leaves the others their part of the time.
    ///
    /// # Errors
    /// What was wrong with the last address, or `TimedOut`.
    pub async fn connect(&self) -> io::Result<Stream> {
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

fn tls_connector(endpoint: &Endpoint) -> io::Result<(TlsConnector, ServerName<'static>)> {
    let trust = Trust::load().map_err(|why| io::Error::other(format!("{endpoint}: {why}")))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
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
pub enum Stream {
    /// Over TCP.
    Plain(Socket),
    /// Over TLS.
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
    async fn a_name_that_leads_elsewhere_is_followed_with_the_next_connection() {
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
    async fn every_address_is_tried_and_none_takes_the_time_of_the_others() {
        let (listener, refuses) = node().await;
        drop(listener);
        let (_answers, good) = node().await;
        // Its queue is full: what more comes is neither accepted nor refused.
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
