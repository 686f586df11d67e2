//! One client's connection.

use crate::client::Client;
use crate::generation::Current;
use crate::http1::server::{ConnectionLimits, RequestBody, Service, serve};
use crate::http1::{HeadLimits, Malformed, Request, Transport};
use crate::limits::Limits;
use crate::proxy::{Answer, AnswerBody};
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
    pub(super) fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(_, address) => Some(*address),
            Self::Unix(_) => None,
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
            request: limits.request_timeout,
        }
    }
}

/// Serves a connection to its end; when the server stops, to the end of the request that runs.
pub(super) async fn run(
    peer: Peer,
    client: Client,
    proxy: Rc<Current>,
    limits: &ConnectionLimits,
    stopping: watch::Receiver<bool>,
) {
    let service = Handler { client, proxy };
    let ended = match peer {
        Peer::Tcp(stream, _) => serve(Socket::from(stream), &service, limits, stopping).await,
        Peer::Unix(stream) => serve(stream, &service, limits, stopping).await,
    };
    if let Err(error) = ended {
        tracing::debug!(%client, %error, "connection ended");
    }
}

/// The proxy, for one client.
struct Handler {
    client: Client,
    proxy: Rc<Current>,
}

impl<S: Transport> Service<S> for Handler {
    type Body = AnswerBody;

    fn call(&self, request: &Request, body: RequestBody<S>) -> impl Future<Output = Answer> {
        self.proxy.proxy().handle(&self.client, request, body)
    }

    fn refuse(&self, malformed: &Malformed) -> Answer {
        self.proxy.proxy().refuse_malformed(&self.client, malformed)
    }
}
