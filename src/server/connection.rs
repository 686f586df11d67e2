//! Serves one client's connection.

use crate::bounds::limits::Limits;
use crate::bounds::memory::{MemoryBudget, Payer, Share};
use crate::identify::client::{Connection, ListenerRef, PeerUser};
use crate::proxy::{ClientBody, ClientResponse, ClientResponseBody, Current};
use http1::server::{ConnectionLimits, serve};
use http1::{HeadLimits, Malformed, MemoryUse, PeerState, Request, Service, Socket, Transport};
use proxy_protocol::{Header, ReadError, Versions};
use std::future::Future;
use std::net::IpAddr;
use std::rc::Rc;
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
    match socket {
        Accepted::Tcp(stream, _) => {
            run_over(Socket::from(stream), connection, memory, proxy, limits, stopping).await;
        }
        Accepted::Unix(stream) => run_over(stream, connection, memory, proxy, limits, stopping).await,
    }
}

/// Serves a connection over a stream, like [`run`].
pub(super) async fn run_over<S: Transport>(
    stream: S,
    connection: Connection,
    memory: Memory,
    proxy: Rc<Current>,
    limits: &ConnectionLimits,
    stopping: watch::Receiver<bool>,
) {
    let service = Handler { connection, memory, proxy };
    let ended = serve(stream, &service, limits, stopping).await;
    if let Err(error) = ended {
        tracing::debug!(client = %service.connection, %error, "connection ended");
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
