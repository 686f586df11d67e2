//! The upstream pool of one worker thread: connections to the store's nodes, which take signed requests only.

use crate::body::BoxError;
use crate::connect::{Connector, Stream};
use crate::endpoint::Endpoint;
use crate::http1::ResponseHead;
use crate::http1::client::{Connection, Failure, Patience};
use crate::limits::Limits;
use crate::resign::{Authority, SignedRequest};
use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Instant;

/// MinIO closes a connection after 30 s without a request; ours are not used any more well before.
const MAX_IDLE: Duration = Duration::from_secs(15);
/// Idle connections kept per node and worker.
const MAX_IDLE_CONNECTIONS: usize = 512;
/// How long a node that refused a connection is passed over while there are others.
const DOWN: Duration = Duration::from_secs(2);

/// Connections to every node of the store, of one thread.
#[derive(Debug)]
pub struct Pool {
    nodes: Vec<Node>,
    turn: Cell<usize>,
    patience: Patience,
}

#[derive(Debug)]
struct Node {
    connector: Connector,
    authority: Authority,
    idle: RefCell<Vec<Idle>>,
    down_until: Cell<Option<Instant>>,
}

#[derive(Debug)]
struct Idle {
    connection: Box<Connection<Stream>>,
    since: Instant,
}

/// A connection for one request.
#[derive(Debug)]
pub struct Lease {
    pool: Rc<Pool>,
    node: usize,
    connection: Box<Connection<Stream>>,
    reused: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum SendError {
    /// The connection was an old one that the store had closed: nothing was done, another will serve.
    Stale,
    /// The store could not be reached.
    Unreachable(io::Error),
    /// The store did not answer in time.
    Timeout,
    /// The store broke off, or what it sent is not HTTP.
    Broken(Failure),
    /// The client's body could not be read.
    Body(BoxError),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale => f.write_str("the connection was closed"),
            Self::Unreachable(error) => write!(f, "no node can be reached: {error}"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Broken(failure) => failure.fmt(f),
            Self::Body(error) => error.fmt(f),
        }
    }
}

impl Pool {
    /// A pool for `endpoints`; nothing is connected yet.
    ///
    /// # Errors
    /// When an endpoint speaks TLS and no trusted certificates can be loaded, or its name cannot be a `Host`.
    pub fn new(endpoints: &[Endpoint], limits: &Limits) -> io::Result<Rc<Self>> {
        let node = |endpoint: &Endpoint| {
            let authority = Authority::new(&endpoint.authority()).map_err(|_| {
                io::Error::new(io::ErrorKind::InvalidInput, "the endpoint's name cannot be a Host")
            })?;
            let connector = Connector::new(endpoint.clone(), limits.connect_timeout)?;
            Ok(Node { connector, authority, idle: RefCell::default(), down_until: Cell::new(None) })
        };
        let nodes = endpoints.iter().map(node).collect::<io::Result<Vec<_>>>()?;
        let patience = Patience { response: limits.response_timeout, stall: limits.stall_timeout };
        // Threads begin at different nodes.
        let turn = Cell::new(fastrand::usize(..));
        Ok(Rc::new(Self { nodes, turn, patience }))
    }

    /// A connection to one of the nodes: an idle one unless `fresh`, else a new one to the first that accepts.
    ///
    /// # Errors
    /// When no node accepts.
    pub async fn checkout(self: &Rc<Self>, fresh: bool) -> Result<Lease, SendError> {
        let first = self.turn.get();
        self.turn.set(first.wrapping_add(1));
        let order = (0..self.nodes.len()).map(|step| first.wrapping_add(step) % self.nodes.len());
        let lease = |node, connection, reused| Lease { pool: Rc::clone(self), node, connection, reused };
        if !fresh {
            for index in order.clone() {
                if let Some(connection) = self.nodes.get(index).and_then(Node::take_idle) {
                    return Ok(lease(index, connection, true));
                }
            }
        }
        let mut last = io::Error::other("no node is configured");
        for down in [false, true] {
            for index in order.clone() {
                let Some(node) = self.nodes.get(index).filter(|node| node.is_down() == down) else {
                    continue;
                };
                match node.connect(self.patience).await {
                    Ok(connection) => return Ok(lease(index, connection, false)),
                    Err(error) => last = error,
                }
            }
        }
        Err(SendError::Unreachable(last))
    }
}

impl Node {
    /// The connection that was used last, so that those not needed age and go.
    fn take_idle(&self) -> Option<Box<Connection<Stream>>> {
        let mut idle = self.idle.borrow_mut();
        if idle.first().is_some_and(|oldest| oldest.since.elapsed() > MAX_IDLE) {
            idle.retain(|idle| idle.since.elapsed() <= MAX_IDLE);
        }
        while let Some(Idle { mut connection, .. }) = idle.pop() {
            if connection.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    fn is_down(&self) -> bool {
        self.down_until.get().is_some_and(|until| Instant::now() < until)
    }

    async fn connect(&self, patience: Patience) -> io::Result<Box<Connection<Stream>>> {
        let connected = self.connector.connect().await;
        self.down_until.set(connected.is_err().then(|| Instant::now() + DOWN));
        Ok(Box::new(Connection::new(connected?, patience)))
    }
}

impl Lease {
    /// The name of the node, which is signed.
    pub fn authority(&self) -> Option<&Authority> {
        self.pool.nodes.get(self.node).map(|node| &node.authority)
    }

    /// Sends a request and waits for the head of the answer. A body is held back until the store asks for it: so a
    /// request that the store refuses early costs no transfer, and can be sent again.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send<B>(mut self, request: SignedRequest<B>) -> Result<Response<Download>, SendError>
    where
        B: Body<Data = Bytes, Error = BoxError> + Unpin,
    {
        let mut request = request.into_inner();
        let hold = !request.body().is_end_stream();
        let head = write_head(&request, hold);
        let (method, patience) = (request.method().clone(), self.pool.patience);
        match self.connection.send(&method, head, request.body_mut(), hold, patience).await {
            Ok(head) => Ok(self.answered(head)),
            Err(Failure::Silent(_)) if self.reused => Err(SendError::Stale),
            Err(Failure::Timeout) => Err(SendError::Timeout),
            Err(Failure::Body(error)) => Err(SendError::Body(error)),
            Err(failure) => Err(SendError::Broken(failure)),
        }
    }

    fn answered(self, head: ResponseHead) -> Response<Download> {
        let mut response = Response::new(Download { lease: Some(self) });
        *response.status_mut() = head.status;
        *response.headers_mut() = head.headers;
        response
    }

    fn give_back(self) {
        let Some(node) = self.pool.nodes.get(self.node) else { return };
        let mut idle = node.idle.borrow_mut();
        if self.connection.may_be_kept() && idle.len() < MAX_IDLE_CONNECTIONS {
            idle.push(Idle { connection: self.connection, since: Instant::now() });
        }
    }
}

fn write_head<B>(request: &Request<B>, hold: bool) -> BytesMut {
    let mut head = BytesMut::with_capacity(2048);
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    for part in [request.method().as_str(), " ", target, " HTTP/1.1\r\n"] {
        head.extend_from_slice(part.as_bytes());
    }
    for (name, value) in request.headers() {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    head.extend_from_slice(if hold { b"expect: 100-continue\r\n\r\n" } else { b"\r\n" });
    head
}

/// The body of an answer. Read to its end it gives the connection back; dropped before, it ends the connection.
#[derive(Debug)]
pub struct Download {
    lease: Option<Lease>,
}

impl Download {
    fn is_over(&self) -> bool {
        self.lease.as_ref().is_none_or(|lease| lease.connection.is_over())
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let Some(lease) = &mut this.lease else { return Poll::Ready(None) };
        let next = ready!(lease.connection.poll_body(cx));
        // The connection is free for another request while the end of this answer is still being written.
        if this.is_over()
            && let Some(lease) = this.lease.take()
        {
            lease.give_back();
        }
        Poll::Ready(next.map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.lease {
            None => SizeHint::with_exact(0),
            Some(lease) => lease.connection.left().map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}
