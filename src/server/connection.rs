//! Serves one client's connection.

use super::tls_connections::Registered;
use crate::bounds::connections::ConnectionGuard;
use crate::bounds::limits::Limits;
use crate::bounds::memory::{MemoryBudget, Payer, Share};
use crate::bounds::streams::StreamGuard;
use crate::identify::client::{Connection, ListenerRef, PeerUser};
use crate::proxy::{ClientBody, ClientResponse, ClientResponseBody, Current};
use http1::server::{ConnectionLimits, HandOver, Http2, serve, serve_unless_http2};
use http1::{HeadLimits, Malformed, MemoryUse, PeerState, Request, Service, Transport};
use http2::{Event, StreamService};
use proxy_protocol::{Header, ReadError, Versions};
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use tls::TlsStream;
use tokio::net::unix::UCred;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{mpsc, watch};

/// The socket of an accepted connection.
pub(super) enum Accepted {
    Tcp(TcpStream, IpAddr),
    Unix(UnixStream),
}

impl Accepted {
    /// Collects the facts about the connection.
    pub(super) fn connection(&self, listener: ListenerRef) -> Connection {
        match self {
            Self::Tcp(_, address) => Connection::tcp(*address, listener),
            Self::Unix(stream) => {
                let user = |process: UCred| PeerUser { uid: process.uid(), gid: process.gid() };
                Connection::unix(stream.peer_cred().ok().map(user), listener)
            }
        }
    }
}

impl Accepted {
    /// Reads the PROXY header at the beginning of the connection, and nothing more.
    pub(super) async fn read_proxy_header(&mut self, versions: Versions) -> Result<Header, ReadError> {
        match self {
            Self::Tcp(stream, _) => proxy_protocol::read(stream, versions).await,
            Self::Unix(stream) => proxy_protocol::read(stream, versions).await,
        }
    }
}

impl From<&Limits> for ConnectionLimits {
    fn from(limits: &Limits) -> Self {
        Self {
            head: HeadLimits { bytes: limits.header_bytes, fields: limits.headers },
            header: limits.header_timeout,
            idle: limits.idle_timeout,
            stall: limits.stall_timeout,
            rate: limits.minimum_rate,
            request: limits.request_timeout,
        }
    }
}

/// An accepted connection that is counted, before its first request.
pub(super) struct Counted {
    pub(super) connection: Connection,
    pub(super) guard: ConnectionGuard,
    pub(super) limits: ConnectionLimits,
    pub(super) current: Rc<Current>,
    pub(super) stopping: watch::Receiver<bool>,
    /// Held until the connection ends, so that the worker notices when all are closed.
    pub(super) open: mpsc::Sender<()>,
}

/// Serves a connection without TLS until it ends. When the server stops, it ends after the request that is running. A
/// connection that no network carries may speak HTTP/2 without having negotiated it.
///
/// An `async` function would hold its arguments twice, in each idle connection (docs/performance.md, "the future of a
/// connection holds everything once").
pub(super) fn serve_plain<S: Transport>(stream: S, counted: Counted) -> impl Future<Output = ()> {
    let (handler, limits, stopping) = Handler::new(counted);
    let http2 = if handler.connection.is_confidential() { Http2::HandOver } else { Http2::Refuse };
    async move {
        let served = serve_unless_http2(stream, &handler, &limits, stopping.clone(), http2).await;
        let ended = match served {
            Ok(Some(HandOver { stream, read })) => {
                // Boxed because most connections do not need the memory for it.
                Box::pin(http2::serve_from(read, stream, &handler, &limits, stopping)).await
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        handler.note_end(ended);
    }
}

/// Serves a TLS connection, like [`serve_plain`], with the protocol that its handshake chose. `registered` is dropped when
/// the connection has ended.
pub(super) fn serve_secured<S: Transport>(
    (stream, is_http2): (TlsStream<S>, bool),
    counted: Counted,
    registered: Registered,
) -> impl Future<Output = ()> {
    let (handler, limits, stopping) = Handler::new(counted);
    async move {
        let ended = if is_http2 {
            Box::pin(http2::serve(stream, &handler, &limits, stopping)).await
        } else {
            serve(stream, &handler, &limits, stopping).await
        };
        handler.note_end(ended);
        drop(registered);
    }
}

/// The maximum size of a request's head from a client that no mapping admits, in bytes. The request is refused anyway.
const STRANGERS_HEAD: usize = 4096;

/// Passes a connection's requests to the proxy.
struct Handler {
    connection: Connection,
    /// The memory for the requests, and the client that pays for it.
    memory: MemoryBudget,
    payer: Payer,
    proxy: Rc<Current>,
    /// Returned when the connection ends: its count, and its part of the open connections of the worker.
    _held: (ConnectionGuard, mpsc::Sender<()>),
}

impl Handler {
    /// Makes the handler of a connection. Clients without a mapping have less memory and a lower limit.
    fn new(counted: Counted) -> (Self, ConnectionLimits, watch::Receiver<bool>) {
        let Counted { connection, guard, mut limits, current, stopping, open } = counted;
        let payer = if guard.is_known() {
            Payer::Client(guard.client())
        } else {
            limits.head.bytes = limits.head.bytes.min(STRANGERS_HEAD);
            Payer::Strangers
        };
        let memory = current.shared().memory.clone();
        let handler = Self { connection, memory, payer, proxy: current, _held: (guard, open) };
        (handler, limits, stopping)
    }

    fn note_end(&self, ended: io::Result<()>) {
        if let Err(error) = ended {
            tracing::debug!(client = %self.connection, %error, "connection ended");
        }
    }
}

impl<B: ClientBody> Service<B> for Handler {
    type Body = ClientResponseBody;
    type Share = Share;

    fn call(&self, request: &Request, body: B) -> impl Future<Output = ClientResponse> {
        self.proxy.proxy().handle(&self.connection, request, body)
    }

    fn share(&self, used_for: MemoryUse) -> Share {
        self.memory.share(self.payer, used_for.into())
    }

    fn refuse(&self, malformed: &Malformed) -> ClientResponse {
        self.proxy.proxy().refuse_malformed(&self.connection, malformed)
    }

    fn note_peer(&self, answer: &mut ClientResponse, peer: PeerState) {
        answer.body.note_peer(peer);
    }
}

impl StreamService for Handler {
    type Place = StreamGuard;

    fn scheme(&self) -> &'static str {
        self.connection.scheme()
    }

    fn place(&self) -> Option<StreamGuard> {
        let limit = self.proxy.proxy().limits().connections_per_client;
        self.proxy.shared().metrics.streams.admit(self.connection.key(), limit)
    }

    fn record(&self, event: Event) {
        self.proxy.shared().metrics.http2.record(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http1::Socket;

    /// Returns the size of what a function returns.
    fn size_of_result<A, R>(_: impl Fn(A) -> R) -> usize {
        size_of::<R>()
    }

    /// Bounds the memory of an idle connection.
    #[test]
    fn connection_futures_are_small() {
        let plain = size_of_result(|(stream, counted): (Socket, _)| serve_plain(stream, counted));
        let secured = size_of_result(|(stream, counted, registered): (TlsStream<Socket>, _, _)| {
            serve_secured((stream, false), counted, registered)
        });
        assert!(plain <= 1152 && secured <= 1152, "{plain} and {secured} bytes");
    }
}
