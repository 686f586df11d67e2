//! One client's connection.

use crate::client::{Client, ListenerId};
use crate::http1::server::{ConnectionLimits, RequestBody, Service, serve};
use crate::http1::{HeadLimits, Malformed, PeerState, Request, Transport};
use crate::limits::Limits;
use crate::memory::{MemoryBudget, Payer, Share, Use};
use crate::proxy::{Answer, AnswerBody, Current};
use crate::socket::Socket;
use std::future::Future;
use std::net::IpAddr;
use std::rc::Rc;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;

/// An accepted connection.
pub(super) enum Peer {
    Tcp(TcpStream, IpAddr),
    Unix(UnixStream),
}

impl Peer {
    /// Identifies the client behind it.
    pub(super) fn client(&self, listener: ListenerId) -> Client {
        match self {
            Self::Tcp(_, address) => Client::identify(Some(*address), listener),
            Self::Unix(stream) => Client::of_user(stream.peer_cred().ok().map(|peer| peer.uid()), listener),
        }
    }
}

impl ConnectionLimits {
    /// What `limits` say of a connection.
    pub(super) fn of(limits: &Limits) -> Self {
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

/// Serves a connection to its end; when the server stops, to the end of the request that runs.
pub(super) async fn run(
    peer: Peer,
    client: Client,
    memory: Memory,
    proxy: Rc<Current>,
    limits: &ConnectionLimits,
    stopping: watch::Receiver<bool>,
) {
    let service = Handler { client, memory, proxy };
    let ended = match peer {
        Peer::Tcp(stream, _) => serve(Socket::from(stream), &service, limits, stopping).await,
        Peer::Unix(stream) => serve(stream, &service, limits, stopping).await,
    };
    if let Err(error) = ended {
        tracing::debug!(%client, %error, "connection ended");
    }
}

/// The memory that a connection's requests may take, and for whom.
pub(super) struct Memory {
    pub(super) budget: MemoryBudget,
    pub(super) payer: Payer,
}

/// The proxy, for one client.
struct Handler {
    client: Client,
    memory: Memory,
    proxy: Rc<Current>,
}

impl<S: Transport> Service<S> for Handler {
    type Body = AnswerBody;

    fn call(&self, request: &Request, body: RequestBody<S>) -> impl Future<Output = Answer> {
        self.proxy.proxy().handle(&self.client, request, body)
    }

    fn share(&self, used_for: Use) -> Share {
        self.memory.budget.share(self.memory.payer, used_for)
    }

    fn refuse(&self, malformed: &Malformed) -> Answer {
        self.proxy.proxy().refuse_malformed(&self.client, malformed)
    }

    fn note_peer(&self, answer: &mut Answer, peer: PeerState) {
        answer.body.note_peer(peer);
    }
}
