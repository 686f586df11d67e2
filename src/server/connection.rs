//! Serves one client's connection.

use crate::bounds::limits::Limits;
use crate::bounds::memory::{MemoryBudget, Payer, Share};
use crate::bounds::streams::StreamGuard;
use crate::identify::client::{Connection, ListenerRef, PeerUser};
use crate::proxy::{ClientBody, ClientResponse, ClientResponseBody, Current};
use http1::server::{ConnectionLimits, HandOver, Http2, serve, serve_unless_http2};
use http1::{HeadLimits, Malformed, MemoryUse, PeerState, Request, Service, Socket, Transport};
use http2::{Event, StreamService};
use proxy_protocol::{Header, ReadError, Versions};
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use tls::TlsStream;
use tokio::net::unix::UCred;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;

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

/// Serves a connection until it ends. When the server stops, it ends after the request that is running.
pub(super) async fn run(
    socket: Accepted,
    connection: Connection,
    memory: Memory,
    proxy: Rc<Current>,
    limits: &ConnectionLimits,
    stopping: watch::Receiver<bool>,
) {
    let service = Handler { connection, memory, proxy };
    let ended = match socket {
        Accepted::Tcp(stream, _) => serve_plain(Socket::from(stream), &service, limits, stopping).await,
        Accepted::Unix(stream) => serve_plain(stream, &service, limits, stopping).await,
    };
    note_end(&service, ended);
}

/// Serves a TLS connection, like [`run`], with the protocol that its handshake chose.
pub(super) async fn run_secured<S: Transport>(
    (stream, is_http2): (TlsStream<S>, bool),
    connection: Connection,
    memory: Memory,
    proxy: Rc<Current>,
    limits: &ConnectionLimits,
    stopping: watch::Receiver<bool>,
) {
    let service = Handler { connection, memory, proxy };
    let ended = if is_http2 {
        Box::pin(http2::serve(stream, &service, limits, stopping)).await
    } else {
        serve(stream, &service, limits, stopping).await
    };
    note_end(&service, ended);
}

fn note_end(service: &Handler, ended: io::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(client = %service.connection, %error, "connection ended");
    }
}

/// Serves a connection without TLS. One that no network carries may speak HTTP/2 without having negotiated it.
async fn serve_plain<S: Transport>(
    stream: S,
    service: &Handler,
    limits: &ConnectionLimits,
    stopping: watch::Receiver<bool>,
) -> io::Result<()> {
    let http2 = if service.connection.is_confidential() { Http2::HandOver } else { Http2::Refuse };
    match serve_unless_http2(stream, service, limits, stopping.clone(), http2).await? {
        Some(HandOver { stream, read }) => {
            // Boxed because most connections do not need the memory for it.
            Box::pin(http2::serve_from(read, stream, service, limits, stopping)).await
        }
        None => Ok(()),
    }
}

/// The memory budget of a connection's requests, and the client that pays for it.
pub(super) struct Memory {
    pub(super) budget: MemoryBudget,
    pub(super) payer: Payer,
}

/// Passes a connection's requests to the proxy.
struct Handler {
    connection: Connection,
    memory: Memory,
    proxy: Rc<Current>,
}

impl<B: ClientBody> Service<B> for Handler {
    type Body = ClientResponseBody;
    type Share = Share;

    fn call(&self, request: &Request, body: B) -> impl Future<Output = ClientResponse> {
        self.proxy.proxy().handle(&self.connection, request, body)
    }

    fn share(&self, used_for: MemoryUse) -> Share {
        self.memory.budget.share(self.memory.payer, used_for.into())
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
