//! Connects to endpoints, over TCP or TLS.

mod followed;
mod settings;
mod trouble;
mod trust;

pub(crate) use followed::FollowedTls;
pub(crate) use settings::TlsSettings;
pub(crate) use trouble::{Trouble, innermost};

use crate::net::congestion::skip_pacing;
use crate::net::endpoint::Endpoint;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use http1::Socket;
use http1::splice::{Splice, SpliceSocket};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tls::client::ClientTls;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::client::TlsStream;

/// Any error of an exchange.
pub(crate) type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// A connector to one endpoint.
pub(crate) struct Connector {
    endpoint: Endpoint,
    tls: Option<(FollowedTls, ServerName<'static>)>,
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
    ///
    /// # Errors
    /// When the endpoint uses TLS and there is no client of TLS, or its host is not a valid name for a certificate.
    pub(crate) fn new(endpoint: Endpoint, timeout: Duration, tls: &FollowedTls) -> io::Result<Self> {
        let secured = || {
            tls.current().map_err(|why| io::Error::other(format!("{endpoint}: {why}")))?;
            let name = ServerName::try_from(endpoint.host().to_owned()).map_err(|_| {
                io::Error::new(io::ErrorKind::InvalidInput, format!("{endpoint}: not a name for TLS"))
            })?;
            io::Result::Ok((tls.clone(), name))
        };
        let tls = endpoint.tls().then(secured).transpose()?;
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

    /// Sends a request over a new connection, and reads the whole response. Its body may have `limit` bytes.
    ///
    /// # Errors
    /// When there is no connection, or no whole response.
    pub(crate) async fn exchange<B>(
        &self,
        request: Request<B>,
        limit: usize,
    ) -> Result<Response<Bytes>, AnyError>
    where
        B: Body<Data = Bytes, Error: Into<AnyError>> + Send + 'static,
    {
        let (mut sender, connection) = handshake(TokioIo::new(self.connect().await?)).await?;
        // Closes the connection when this future ends.
        let mut running = JoinSet::new();
        running.spawn(connection);
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = match Limited::new(body, limit).collect().await {
            Ok(body) => body.to_bytes(),
            // A server of TLS answers plain HTTP with this status, and its reset can overtake the text.
            Err(_) if parts.status == StatusCode::BAD_REQUEST => Bytes::new(),
            Err(error) => return Err(error),
        };
        Ok(Response::from_parts(parts, body))
    }

    async fn connect_to(&self, address: SocketAddr) -> io::Result<Stream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        skip_pacing(&stream, address.ip());
        self.secure(stream).await
    }

    async fn secure(&self, stream: TcpStream) -> io::Result<Stream> {
        match &self.tls {
            None => Ok(Stream::Plain(stream.into())),
            Some((tls, name)) => {
                let tls = tls.current().map_err(io::Error::other)?;
                let stream = tls.connect(name, stream).await?;
                Ok(Stream::Tls(Box::new(stream), tls))
            }
        }
    }

    /// Returns whether a connection was made with the files of TLS that are in effect, or without TLS.
    pub(crate) fn is_current(&self, secured_by: Option<&Arc<ClientTls>>) -> bool {
        match (&self.tls, secured_by) {
            (Some((tls, _)), Some(used)) => tls.uses(used),
            _ => true,
        }
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) enum Stream {
    /// Plain TCP.
    Plain(Socket),
    /// TLS, with the client that made the connection.
    Tls(Box<TlsStream<TcpStream>>, Arc<ClientTls>),
}

impl Stream {
    /// Returns the client of TLS that made the connection.
    pub(crate) fn secured_by(&self) -> Option<&Arc<ClientTls>> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(_, tls) => Some(tls),
        }
    }
}

impl Splice for Stream {
    fn splice_socket(&self) -> Option<SpliceSocket<'_>> {
        match self {
            Self::Plain(socket) => socket.splice_socket(),
            Self::Tls(..) => None,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Tls(stream, _) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, data),
            Self::Tls(stream, _) => Pin::new(stream).poll_write(cx, data),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, data),
            Self::Tls(stream, _) => Pin::new(stream).poll_write_vectored(cx, data),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_write_vectored(),
            Self::Tls(stream, _) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Self::Tls(stream, _) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(stream, _) => Pin::new(stream).poll_shutdown(cx),
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
        Connector { resolver, ..Connector::new(endpoint, TIMEOUT, &FollowedTls::none()).unwrap() }
    }

    async fn node() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    fn peer(stream: &Stream) -> SocketAddr {
        match stream {
            Stream::Plain(socket) => socket.stream().peer_addr().unwrap(),
            Stream::Tls(..) => panic!("a plain endpoint"),
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
