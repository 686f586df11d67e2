//! The upstream pool of one worker thread: connections to the store's nodes, which take signed requests only.

use crate::body::{BoxError, Gate, StallTimer, UploadBody};
use crate::connect::Connector;
use crate::endpoint::Endpoint;
use crate::limits::Limits;
use crate::resign::{Authority, SignedRequest};
use bytes::Bytes;
use http::header::EXPECT;
use http::{HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// MinIO closes a connection after 30 s without a request; ours are not used any more well before.
const MAX_IDLE: Duration = Duration::from_secs(15);
/// Idle connections kept per node and worker.
const MAX_IDLE_CONNECTIONS: usize = 512;
/// How long a node that refused a connection is passed over while there are others.
const DOWN: Duration = Duration::from_secs(2);
/// How long a store may take to ask for a body before it is sent unasked (RFC 9110, section 10.1.1).
const CONTINUE_WAIT: Duration = Duration::from_secs(1);
/// What a connection may buffer of what a node sends.
const MAX_BUFFER: usize = 64 * 1024;

/// Connections to every node of the store, of one thread. `B` is the body of the clients' requests.
pub struct Pool<B> {
    nodes: Vec<Node<B>>,
    turn: Cell<usize>,
    stall: Duration,
    response: Duration,
}

struct Node<B> {
    connector: Connector,
    authority: Authority,
    idle: RefCell<Vec<Idle<B>>>,
    down_until: Cell<Option<Instant>>,
}

struct Idle<B> {
    sender: SendRequest<UploadBody<B>>,
    since: Instant,
}

/// A connection for one request.
pub struct Lease<B> {
    pool: Rc<Pool<B>>,
    node: usize,
    sender: SendRequest<UploadBody<B>>,
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
    Broken(hyper::Error),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale => f.write_str("the connection was closed"),
            Self::Unreachable(error) => write!(f, "no node can be reached: {error}"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Broken(error) => match std::error::Error::source(error) {
                Some(cause) => write!(f, "{error}: {cause}"),
                None => error.fmt(f),
            },
        }
    }
}

impl<B> Pool<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + 'static,
{
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
        let (stall, response) = (limits.stall_timeout, limits.response_timeout);
        // Threads begin at different nodes.
        let turn = Cell::new(fastrand::usize(..));
        Ok(Rc::new(Self { nodes, turn, stall, response }))
    }

    /// A connection to one of the nodes: an idle one unless `fresh`, else a new one to the first that accepts.
    ///
    /// # Errors
    /// When no node accepts.
    pub async fn checkout(self: &Rc<Self>, fresh: bool) -> Result<Lease<B>, SendError> {
        let first = self.turn.get();
        self.turn.set(first.wrapping_add(1));
        let order = (0..self.nodes.len()).map(|step| first.wrapping_add(step) % self.nodes.len());
        if !fresh {
            for index in order.clone() {
                while let Some(mut sender) = self.nodes.get(index).and_then(Node::take_idle) {
                    // Given back a moment ago, it is ready as soon as its task was polled once more.
                    if sender.is_ready() || sender.ready().await.is_ok() {
                        return Ok(Lease { pool: Rc::clone(self), node: index, sender, reused: true });
                    }
                }
            }
        }
        let mut last = io::Error::other("no node is configured");
        for down in [false, true] {
            for index in order.clone() {
                let Some(node) = self.nodes.get(index).filter(|node| node.is_down() == down) else {
                    continue;
                };
                match node.connect().await {
                    Ok(sender) => {
                        return Ok(Lease { pool: Rc::clone(self), node: index, sender, reused: false });
                    }
                    Err(error) => last = error,
                }
            }
        }
        Err(SendError::Unreachable(last))
    }
}

impl<B> Node<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + 'static,
{
    /// The connection that was used last, so that those not needed age and go.
    fn take_idle(&self) -> Option<SendRequest<UploadBody<B>>> {
        let mut idle = self.idle.borrow_mut();
        if idle.first().is_some_and(|oldest| oldest.since.elapsed() > MAX_IDLE) {
            idle.retain(|idle| idle.since.elapsed() <= MAX_IDLE && !idle.sender.is_closed());
        }
        while let Some(Idle { sender, .. }) = idle.pop() {
            if !sender.is_closed() {
                return Some(sender);
            }
        }
        None
    }

    fn is_down(&self) -> bool {
        self.down_until.get().is_some_and(|until| Instant::now() < until)
    }

    async fn connect(&self) -> io::Result<SendRequest<UploadBody<B>>> {
        let connected = self.connector.connect().await;
        self.down_until.set(connected.is_err().then(|| Instant::now() + DOWN));
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_BUFFER)
            .handshake(TokioIo::new(connected?))
            .await
            .map_err(io::Error::other)?;
        // Its end, good or bad, shows in what is sent over it.
        tokio::task::spawn_local(async move {
            let _ = connection.await;
        });
        Ok(sender)
    }
}

impl<B> Lease<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + 'static,
{
    /// The name of the node, which is signed.
    pub fn authority(&self) -> Option<&Authority> {
        self.pool.nodes.get(self.node).map(|node| &node.authority)
    }

    /// Sends a request and waits for the head of the answer. A body behind a gate is held back until the store asks
    /// for it.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(
        mut self,
        request: SignedRequest<UploadBody<B>>,
    ) -> Result<Response<Download<B>>, SendError> {
        let mut request = request.into_inner();
        let upload = request.body().upload();
        let over = EndGate(request.body().gate());
        if let Some(gate) = over.0.clone() {
            request.headers_mut().insert(EXPECT, HeaderValue::from_static("100-continue"));
            hyper::ext::on_informational(&mut request, move |informational| {
                if informational.status() == StatusCode::CONTINUE {
                    gate.open();
                }
            });
        }
        let limit = self.pool.response;
        let mut answer = pin!(self.sender.send_request(request));
        if let Some(gate) = &over.0 {
            if let Ok(early) = timeout(CONTINUE_WAIT, &mut answer).await {
                return self.answered(early, over);
            }
            gate.open();
        }
        loop {
            match timeout(limit, &mut answer).await {
                Ok(answer) => return self.answered(answer, over),
                Err(_) if upload.last_moved().elapsed() < limit => {}
                Err(_) => return Err(SendError::Timeout),
            }
        }
    }

    fn answered(
        self,
        answer: hyper::Result<Response<Incoming>>,
        over: EndGate,
    ) -> Result<Response<Download<B>>, SendError> {
        let stall = StallTimer::new(self.pool.stall);
        match answer {
            Ok(response) => Ok(response.map(|body| Download { body, lease: Some(self), stall, over })),
            Err(_) if self.reused => Err(SendError::Stale),
            Err(error) => Err(SendError::Broken(error)),
        }
    }
}

impl<B> Lease<B> {
    fn give_back(self) {
        let Some(node) = self.pool.nodes.get(self.node) else { return };
        let mut idle = node.idle.borrow_mut();
        if !self.sender.is_closed() && idle.len() < MAX_IDLE_CONNECTIONS {
            idle.push(Idle { sender: self.sender, since: Instant::now() });
        }
    }
}

/// Ends an upload together with the exchange: dropped on every way out.
struct EndGate(Option<Arc<Gate>>);

impl Drop for EndGate {
    fn drop(&mut self) {
        if let Some(gate) = &self.0 {
            gate.end();
        }
    }
}

/// The body of an answer. Read to its end it gives the connection back; dropped before, it ends the connection.
pub struct Download<B> {
    body: Incoming,
    lease: Option<Lease<B>>,
    stall: StallTimer,
    over: EndGate,
}

impl<B> Download<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + 'static,
{
    fn give_back(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
        self.over = EndGate(None);
    }
}

impl<B> Drop for Download<B> {
    fn drop(&mut self) {
        // Without a body there is nothing to be read to its end.
        if self.body.is_end_stream()
            && let Some(lease) = self.lease.take()
        {
            lease.give_back();
        }
    }
}

impl<B> Body for Download<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + 'static,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        if polled.is_pending() && this.stall.poll_stalled(cx) {
            return Poll::Ready(Some(Err(crate::body::Broken::Stalled.into())));
        }
        match ready!(polled) {
            Some(Ok(frame)) => {
                this.stall.progress();
                if this.body.is_end_stream() {
                    this.give_back();
                }
                // The store's trailers are not passed on.
                Poll::Ready(frame.into_data().ok().map(|data| Ok(Frame::data(data))))
            }
            Some(Err(error)) => Poll::Ready(Some(Err(error.into()))),
            None => {
                this.give_back();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
