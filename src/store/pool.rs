//! The connection pool of one worker thread. It sends signed requests and nothing else.

mod download;

use super::balance::{Balancer, Choice, InFlight, Outcome};
use super::nodes::NodeBoard;
use super::response_fields::is_wanted;
use super::retry::Attempts;
use crate::bounds::limits::Limits;
use crate::net::connect::{Connector, FollowedTls, Stream};
use crate::net::endpoint::Endpoint;
use crate::outgoing::upload_error::UploadError;
use crate::resign::{Authority, SignedRequest};
use crate::trace::timeline::ParentHeader;
use bytes::{BufMut, Bytes};
use http1::client::{Connection, Failure, Patience, ResponseFuture};
use http1::splice::SpliceBody;
use http1::{Response, ResponseHead, clock};
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tls::client::ClientTls;
use tokio::time::Instant;

pub(crate) use download::{Asking, BrokenOff, Continue, Continued, Download};

/// The time after which an idle connection is not used again. MinIO closes it after 30 s.
const MAX_IDLE: Duration = Duration::from_secs(15);
/// The time after which even a busy connection is not used again, because the node's name may have a new address.
const MAX_AGE: Duration = Duration::from_mins(5);
/// The maximum number of idle connections per node and worker.
const MAX_IDLE_CONNECTIONS: usize = 512;

/// The connections of one thread to the nodes of the store.
#[derive(Debug)]
pub(crate) struct Pool {
    nodes: Vec<Node>,
    balancer: Rc<Balancer>,
    patience: Patience,
}

#[derive(Debug)]
struct Node {
    connector: Connector,
    authority: Authority,
    idle: RefCell<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    held: Box<Held>,
    /// When it is no longer used.
    until: Instant,
}

/// A connection and the request that uses it.
#[derive(Debug)]
struct Held {
    connection: Connection<Stream>,
    /// The client of TLS that made it.
    secured_by: Option<Arc<ClientTls>>,
    born: Instant,
    /// Whether it has carried a request before.
    reused: bool,
    /// The choice of its node for the latest request.
    choice: Choice,
    /// The request that uses it, with the pool that takes it back; `None` while idle.
    by: Option<(Rc<Pool>, InFlight)>,
}

/// Returns what a failed connection attempt says about the node. Other errors may have a cause on this machine, such
/// as a lack of file descriptors.
fn of_connect(error: &io::Error) -> Outcome {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable};
    match error.kind() {
        ConnectionRefused | ConnectionReset | HostUnreachable | NetworkUnreachable => Outcome::Failed,
        _ => Outcome::Doubtful,
    }
}

/// Returns the time until which a connection that becomes idle now may be used again.
fn usable_until(now: Instant, born: Instant) -> Instant {
    (now + MAX_IDLE).min(born + MAX_AGE)
}

/// A connection reserved for one request. Boxed because it is moved often, alone and within responses.
#[derive(Debug)]
pub(crate) struct Lease(Box<Held>);

/// The reason a request has no response.
#[derive(Debug)]
pub enum SendError {
    /// The store had closed the idle connection. Nothing was executed, and a new connection will do.
    Stale,
    /// No connection to any node succeeded.
    Unreachable(io::Error),
    /// The store did not respond in time.
    Timeout,
    /// The store closed the connection before it responded.
    Broken(Failure<UploadError>),
    /// The store's response is not HTTP/1.1.
    Malformed(Failure<UploadError>),
    /// The client's body could not be read.
    Body(UploadError),
    /// The request cannot be written in HTTP.
    Unsignable,
}

impl SendError {
    /// Returns what the error says about the node. A failed request alone ejects no node, because a client may send
    /// requests that fail at every node.
    pub fn outcome(&self) -> Option<Outcome> {
        match self {
            // The connection had been closed, the client's body failed, or `checkout` has reported the outcome.
            Self::Stale | Self::Body(_) | Self::Unreachable(_) | Self::Unsignable => None,
            Self::Timeout | Self::Broken(_) | Self::Malformed(_) => Some(Outcome::Doubtful),
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale => f.write_str("the connection was closed"),
            Self::Unreachable(error) => write!(f, "no node can be reached: {error}"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Broken(failure) | Self::Malformed(failure) => failure.fmt(f),
            Self::Body(error) => error.fmt(f),
            Self::Unsignable => f.write_str("the request cannot be written in HTTP"),
        }
    }
}

impl Pool {
    /// Makes a pool for `endpoints`, which are the nodes of `board`. No connection is opened yet.
    ///
    /// # Errors
    /// When an endpoint uses TLS and no trusted certificates can be loaded, or its name is not a valid `Host`.
    pub(crate) fn new(
        (endpoints, tls): (&[Endpoint], &FollowedTls),
        limits: &Limits,
        board: &Arc<NodeBoard>,
    ) -> io::Result<Rc<Self>> {
        let node = |endpoint: &Endpoint| {
            let authority = Authority::new(&endpoint.authority()).map_err(|_| {
                io::Error::new(io::ErrorKind::InvalidInput, "the endpoint's name is not a valid Host")
            })?;
            let connector = Connector::new(endpoint.clone(), limits.connect_timeout, tls)?;
            Ok(Node { connector, authority, idle: RefCell::default() })
        };
        let nodes = endpoints.iter().map(node).collect::<io::Result<Vec<_>>>()?;
        let patience = Patience { response: limits.response_timeout, stall: limits.stall_timeout };
        // Random, so that threads start with different nodes.
        let balancer = Balancer::new(Arc::clone(board), fastrand::usize(..));
        Ok(Rc::new(Self { nodes, balancer, patience }))
    }

    /// Returns a connection to the node that the balancer picks: an idle one if the attempts allow it, otherwise a
    /// new one. Skips nodes that cannot be connected to.
    ///
    /// # Errors
    /// When no node accepts a connection.
    pub(crate) async fn checkout(self: &Rc<Self>, attempts: &mut Attempts) -> Result<Lease, SendError> {
        let mut last = None;
        while let Some(turn) = self.balancer.pick(clock::now(), attempts) {
            let Some(node) = self.nodes.get(turn.choice().node.0) else { break };
            let idle = if attempts.want_fresh() { None } else { node.take_idle(clock::now()) };
            if let Some(held) = idle {
                return Ok(self.lend(held, turn));
            }
            match Box::pin(node.connect(self.patience, turn.choice())).await {
                Ok(held) => return Ok(self.lend(held, turn)),
                Err(error) => last = Some(error),
            }
            self.report(turn.choice(), last.as_ref().map_or(Outcome::Failed, of_connect));
            attempts.unreachable(turn.choice().node);
        }
        Err(SendError::Unreachable(last.unwrap_or_else(|| io::Error::other("no node is configured"))))
    }

    fn lend(self: &Rc<Self>, mut held: Box<Held>, turn: InFlight) -> Lease {
        held.choice = turn.choice();
        held.by = Some((Rc::clone(self), turn));
        Lease(held)
    }

    /// Reports the outcome of a request to the balancer.
    pub(crate) fn report(&self, choice: Choice, outcome: Outcome) {
        if self.balancer.report(choice, outcome, clock::now(), fastrand::f64())
            && let Some(node) = self.nodes.get(choice.node.0)
        {
            node.idle.take();
        }
    }

    /// Returns attempts for each node that is up, for a request that must be sent to every node.
    pub(crate) fn each_node(&self) -> Vec<Attempts> {
        let up = self.balancer.up(clock::now());
        up.into_iter().map(|node| Attempts::at(node, self.nodes.len())).collect()
    }

    /// Excludes a node that failed at a request. Returns whether the request may move to another node that is up, which
    /// counts as a retry.
    pub(crate) fn exclude(&self, choice: Choice, attempts: &mut Attempts) -> bool {
        let moves = attempts.exclude(choice.node) && self.balancer.has_another(clock::now(), attempts);
        if moves {
            self.balancer.board().retried();
        }
        moves
    }
}

impl Node {
    /// Takes the connection that was used last, so that surplus connections expire.
    fn take_idle(&self, now: Instant) -> Option<Box<Held>> {
        let mut idle = self.idle.borrow_mut();
        if idle.first().is_some_and(|oldest| oldest.until < now) {
            idle.retain(|idle| now <= idle.until);
        }
        while let Some(mut last) = idle.pop() {
            if now <= last.until && self.is_current(&last.held) && last.held.connection.is_ready() {
                return Some(last.held);
            }
        }
        None
    }

    /// Returns whether a connection was made with the files of TLS that are in effect. Another one shows a certificate that
    /// was replaced, or trusts an authority that was removed.
    fn is_current(&self, held: &Held) -> bool {
        self.connector.is_current(held.secured_by.as_ref())
    }

    async fn connect(&self, patience: Patience, choice: Choice) -> io::Result<Box<Held>> {
        let stream = self.connector.connect().await?;
        let secured_by = stream.secured_by().cloned();
        let connection = Connection::new(stream, patience).with_field_filter(is_wanted);
        Ok(Box::new(Held { connection, secured_by, born: clock::now(), reused: false, choice, by: None }))
    }
}

impl Lease {
    /// Returns the name of the node, which is signed.
    pub(crate) fn authority(&self) -> Option<&Authority> {
        let (pool, _) = self.0.by.as_ref()?;
        pool.nodes.get(self.choice().node.0).map(|node| &node.authority)
    }

    /// Returns the choice of the connection's node.
    pub(crate) fn choice(&self) -> Choice {
        self.0.choice
    }

    /// Sends a request and waits for the head of the response. The body is held back until the store asks for it, so
    /// that a request that the store refuses early costs no transfer and can be sent again. `parent` tells the store the
    /// place in a trace. It is not signed, because it says nothing about the request.
    pub(crate) fn send<B>(
        &mut self,
        request: SignedRequest<B>,
        parent: Option<ParentHeader>,
    ) -> ResponseFuture<'_, Stream, B>
    where
        B: SpliceBody<Data = Bytes, Error = UploadError> + Unpin,
    {
        let (method, mut head, body) = request.into_parts();
        let hold = !body.is_end_stream();
        if let Some(parent) = parent {
            head.put_slice(b"traceparent: ");
            head.put_slice(parent.as_bytes());
            head.put_slice(b"\r\n");
        }
        head.put_slice(if hold { b"expect: 100-continue\r\n\r\n" } else { b"\r\n" });
        self.0.connection.send(method, head, body, hold)
    }

    /// Classifies the failure of a request that was sent.
    pub(crate) fn failed(&self, failure: Failure<UploadError>) -> SendError {
        match failure {
            Failure::Silent(_) if self.0.reused => SendError::Stale,
            Failure::Timeout => SendError::Timeout,
            Failure::Body(error) => SendError::Body(error),
            failure @ Failure::Malformed(_) => SendError::Malformed(failure),
            failure => SendError::Broken(failure),
        }
    }

    /// Returns the response that begins with `head`. Its body holds the connection.
    pub(crate) fn answered(self, head: ResponseHead) -> Response<Download> {
        Response { status: head.status, fields: head.fields, body: Download::new(self) }
    }

    fn give_back(self) {
        let Self(mut held) = self;
        let Some((pool, _turn)) = held.by.take() else { return };
        let Some(node) = pool.nodes.get(held.choice.node.0) else { return };
        let mut idle = node.idle.borrow_mut();
        if held.connection.is_reusable() && node.is_current(&held) && idle.len() < MAX_IDLE_CONNECTIONS {
            held.reused = true;
            let until = usable_until(clock::now(), held.born);
            idle.push(Idle { held, until });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_connect_errors_eject_no_node() {
        let refused = io::Error::from_raw_os_error(111);
        assert_eq!(of_connect(&refused), Outcome::Failed, "{refused}");
        for (number, why) in
            [(24, "no file descriptor"), (99, "no port"), (105, "no buffer"), (12, "no memory")]
        {
            assert_eq!(of_connect(&io::Error::from_raw_os_error(number)), Outcome::Doubtful, "{why}");
        }
        assert_eq!(of_connect(&io::ErrorKind::TimedOut.into()), Outcome::Doubtful);
    }

    #[test]
    fn failed_requests_alone_eject_no_node() {
        let eof = || io::Error::from(io::ErrorKind::UnexpectedEof);
        for error in [SendError::Timeout, SendError::Broken(Failure::Silent(eof()))] {
            assert_eq!(error.outcome(), Some(Outcome::Doubtful), "{error}");
        }
        for error in [SendError::Stale, SendError::Body(UploadError::Body("x".into()))] {
            assert_eq!(error.outcome(), None, "{error}");
        }
    }

    #[test]
    fn idle_and_old_connections_are_not_reused() {
        let now = Instant::now() + 2 * MAX_AGE;
        let usable = |age, idle| now <= usable_until(now - idle, now - age);
        assert!(usable(MAX_IDLE, MAX_IDLE) && usable(MAX_AGE, Duration::ZERO));
        assert!(!usable(MAX_AGE, MAX_IDLE + Duration::from_millis(1)));
        assert!(
            !usable(MAX_AGE + Duration::from_millis(1), Duration::ZERO),
            "a busy connection becomes too old as well"
        );
    }
}
