//! The upstream pool of one worker thread: connections to the store's nodes, which take signed requests only.

use crate::balance::{Balancer, Choice, InFlight, Outcome};
use crate::body::BoxError;
use crate::clock;
use crate::connect::{Connector, Stream};
use crate::endpoint::Endpoint;
use crate::http1::client::{Connection, Exchange, Failure, Patience};
use crate::http1::{Answer, ResponseHead};
use crate::limits::Limits;
use crate::nodes::NodeBoard;
use crate::resign::{Authority, SignedRequest};
use crate::retry::Attempts;
use crate::store::answer_fields::is_wanted;
use bytes::{BufMut, Bytes};
use http_body::{Body, Frame, SizeHint};
use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Instant;

/// MinIO closes a connection after 30 s without a request; ours are not used any more well before.
const MAX_IDLE: Duration = Duration::from_secs(15);
/// However busy, a connection is used for this long: the node's name may lead elsewhere by then.
const MAX_AGE: Duration = Duration::from_mins(5);
/// Idle connections kept per node and worker.
const MAX_IDLE_CONNECTIONS: usize = 512;

/// Connections to every node of the store, of one thread.
#[derive(Debug)]
pub struct Pool {
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
    /// When it is not used any more.
    until: Instant,
}

/// A connection, and who has it.
#[derive(Debug)]
struct Held {
    connection: Connection<Stream>,
    born: Instant,
    /// It has served a request before.
    reused: bool,
    /// What it was chosen for last.
    choice: Choice,
    /// Nobody, while it is idle.
    by: Option<(Rc<Pool>, InFlight)>,
}

/// Says what a connection that could not be made means for the node. Whatever else fails may lack something on this
/// machine that clients have used up, such as file descriptors, or time.
fn of_connect(error: &io::Error) -> Outcome {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable};
    match error.kind() {
        ConnectionRefused | ConnectionReset | HostUnreachable | NetworkUnreachable => Outcome::Failed,
        _ => Outcome::Doubtful,
    }
}

/// Until when a connection is used again that is idle from now on.
fn usable_until(now: Instant, born: Instant) -> Instant {
    (now + MAX_IDLE).min(born + MAX_AGE)
}

/// A connection for one request. It goes from hand to hand, and so do answers with it: all that it has is in its box.
#[derive(Debug)]
pub struct Lease(Box<Held>);

/// Why there is no answer.
#[derive(Debug)]
pub enum SendError {
    /// The connection was an old one that the store had closed: nothing was done, another will serve.
    Stale,
    /// The store could not be reached.
    Unreachable(io::Error),
    /// The store did not answer in time.
    Timeout,
    /// The store broke off before it answered.
    Broken(Failure),
    /// What the store sent is not HTTP/1.1.
    Malformed(Failure),
    /// The client's body could not be read.
    Body(BoxError),
    /// The request cannot be written in HTTP.
    Unsignable,
}

impl SendError {
    /// Says what it means for the node. A request alone convicts no node: a client may have chosen one that every node
    /// fails at.
    pub fn outcome(&self) -> Option<Outcome> {
        match self {
            // The connection was old, the client broke off, or the checkout has reported it.
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
    /// A pool for `endpoints`, which are the nodes of `board`; nothing is connected yet.
    ///
    /// # Errors
    /// When an endpoint speaks TLS and no trusted certificates can be loaded, or its name cannot be a `Host`.
    pub fn new(endpoints: &[Endpoint], limits: &Limits, board: &Arc<NodeBoard>) -> io::Result<Rc<Self>> {
        let node = |endpoint: &Endpoint| {
            let authority = Authority::new(&endpoint.authority()).map_err(|_| {
                io::Error::new(io::ErrorKind::InvalidInput, "the endpoint's name cannot be a Host")
            })?;
            let connector = Connector::new(endpoint.clone(), limits.connect_timeout)?;
            Ok(Node { connector, authority, idle: RefCell::default() })
        };
        let nodes = endpoints.iter().map(node).collect::<io::Result<Vec<_>>>()?;
        let patience = Patience { response: limits.response_timeout, stall: limits.stall_timeout };
        // Threads begin at different nodes.
        let balancer = Balancer::new(Arc::clone(board), fastrand::usize(..));
        Ok(Rc::new(Self { nodes, balancer, patience }))
    }

    /// A connection to the node whose turn it is: an idle one unless a fresh one is wanted, else a new one. Nodes that
    /// cannot be connected to are passed over.
    ///
    /// # Errors
    /// When no node accepts.
    pub async fn checkout(self: &Rc<Self>, attempts: &mut Attempts) -> Result<Lease, SendError> {
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

    /// Tells the balancer what became of a request.
    pub fn report(&self, choice: Choice, outcome: Outcome) {
        if self.balancer.report(choice, outcome, clock::now(), fastrand::f64())
            && let Some(node) = self.nodes.get(choice.node.0)
        {
            node.idle.take();
        }
    }

    /// The attempts at a request to each node that is up, for what each node alone knows.
    pub fn each_node(&self) -> Vec<Attempts> {
        let up = self.balancer.up(clock::now());
        up.into_iter().map(|node| Attempts::at(node, self.nodes.len())).collect()
    }

    /// Leaves a node for another that is up, if there is one and the bounds allow.
    pub fn leave(&self, choice: Choice, attempts: &mut Attempts) -> bool {
        let leaves = attempts.leave(choice.node) && self.balancer.has_another(clock::now(), attempts);
        if leaves {
            self.balancer.board().retried();
        }
        leaves
    }
}

impl Node {
    /// The connection that was used last, so that those not needed age and go.
    fn take_idle(&self, now: Instant) -> Option<Box<Held>> {
        let mut idle = self.idle.borrow_mut();
        if idle.first().is_some_and(|oldest| oldest.until < now) {
            idle.retain(|idle| now <= idle.until);
        }
        while let Some(mut last) = idle.pop() {
            if now <= last.until && last.held.connection.is_ready() {
                return Some(last.held);
            }
        }
        None
    }

    async fn connect(&self, patience: Patience, choice: Choice) -> io::Result<Box<Held>> {
        let stream = self.connector.connect().await?;
        let connection = Connection::new(stream, patience).keeping(is_wanted);
        Ok(Box::new(Held { connection, born: clock::now(), reused: false, choice, by: None }))
    }
}

impl Lease {
    /// The name of the node, which is signed.
    pub fn authority(&self) -> Option<&Authority> {
        let (pool, _) = self.0.by.as_ref()?;
        pool.nodes.get(self.choice().node.0).map(|node| &node.authority)
    }

    /// Which node it leads to.
    pub fn choice(&self) -> Choice {
        self.0.choice
    }

    /// Sends a request and waits for the head of the answer. A body is held back until the store asks for it: so a
    /// request that the store refuses early costs no transfer, and can be sent again.
    pub fn send<B>(&mut self, request: SignedRequest<B>) -> Exchange<'_, Stream, B>
    where
        B: Body<Data = Bytes, Error = BoxError> + Unpin,
    {
        let (method, mut head, body) = request.into_parts();
        let hold = !body.is_end_stream();
        head.put_slice(if hold { b"expect: 100-continue\r\n\r\n" } else { b"\r\n" });
        self.0.connection.send(method, head, body, hold)
    }

    /// What the failure of a request that was sent means.
    pub fn failed(&self, failure: Failure) -> SendError {
        match failure {
            Failure::Silent(_) if self.0.reused => SendError::Stale,
            Failure::Timeout => SendError::Timeout,
            Failure::Body(error) => SendError::Body(error),
            failure @ Failure::Malformed(_) => SendError::Malformed(failure),
            failure => SendError::Broken(failure),
        }
    }

    /// The answer that began with `head`.
    pub fn answered(self, head: ResponseHead) -> Answer<Download> {
        Answer { status: head.status, fields: head.fields, body: Download { lease: Some(self), rest: None } }
    }

    fn give_back(self) {
        let Self(mut held) = self;
        let Some((pool, _turn)) = held.by.take() else { return };
        let Some(node) = pool.nodes.get(held.choice.node.0) else { return };
        let mut idle = node.idle.borrow_mut();
        if held.connection.may_be_kept() && idle.len() < MAX_IDLE_CONNECTIONS {
            held.reused = true;
            let until = usable_until(clock::now(), held.born);
            idle.push(Idle { held, until });
        }
    }
}

/// Gets the rest of an answer that breaks off.
pub trait Continue: fmt::Debug {
    /// Notes how many bytes of the answer were passed on.
    fn advance(&mut self, bytes: usize);

    /// Asks for the rest, of which more may break off.
    fn ask(self: Box<Self>, broken: BrokenOff) -> Asking;
}

/// What broke off.
#[derive(Debug)]
pub struct BrokenOff {
    /// Why.
    pub error: BoxError,
    /// What was chosen for it.
    pub choice: Choice,
}

/// The rest of an answer, with what gets the rest of that.
pub type Continued = (Box<dyn Continue>, Download);

/// A question for the rest of an answer.
pub type Asking = Pin<Box<dyn Future<Output = Result<Continued, BoxError>>>>;

/// What becomes of an answer that breaks off.
enum Rest {
    Known(Box<dyn Continue>),
    Asked(Asking),
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(rest) => rest.fmt(f),
            Self::Asked(_) => f.write_str("Asked"),
        }
    }
}

/// The body of an answer. Read to its end it gives the connection back; dropped before, it ends the connection.
#[derive(Debug)]
pub struct Download {
    lease: Option<Lease>,
    /// In a box, which long answers have.
    rest: Option<Box<Rest>>,
}

impl Download {
    /// Has `rest` asked for what is missing when the answer breaks off.
    pub fn continue_with(&mut self, rest: Box<dyn Continue>) {
        self.rest = Some(Box::new(Rest::Known(rest)));
    }

    fn is_over(&self) -> bool {
        match (&self.lease, self.rest.as_deref()) {
            (Some(lease), _) => lease.0.connection.is_over(),
            (None, rest) => !matches!(rest, Some(Rest::Asked(_))),
        }
    }

    fn give_back(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }

    /// Has the rest asked for, if it can be.
    fn break_off(&mut self, error: BoxError) -> Result<(), BoxError> {
        let choice = self.lease.as_ref().map(Lease::choice);
        match (self.rest.take().map(|rest| *rest), choice) {
            (Some(Rest::Known(rest)), Some(choice)) => {
                // The connection is of no use any more.
                self.give_back();
                self.rest = Some(Box::new(Rest::Asked(rest.ask(BrokenOff { error, choice }))));
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// Goes on with the rest, once it is there.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let Some(Rest::Asked(asking)) = self.rest.as_deref_mut() else { return Poll::Ready(Ok(())) };
        let continued = ready!(asking.as_mut().poll(cx));
        self.rest = None;
        let (rest, mut download) = continued?;
        self.lease = download.lease.take();
        self.continue_with(rest);
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, bytes: usize) {
        if let Some(Rest::Known(rest)) = self.rest.as_deref_mut() {
            rest.advance(bytes);
        }
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        self.give_back();
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
        loop {
            ready!(this.poll_rest(cx))?;
            let Some(lease) = &mut this.lease else { return Poll::Ready(None) };
            let next = match ready!(lease.0.connection.poll_body(cx)) {
                Some(Err(error)) => match this.break_off(error) {
                    Ok(()) => continue,
                    Err(error) => Some(Err(error)),
                },
                Some(Ok(data)) => {
                    this.advance(data.len());
                    Some(Ok(Frame::data(data)))
                }
                None => None,
            };
            // The connection is free for another request while the end of this answer is still being written.
            if this.is_over() {
                this.give_back();
                this.rest = None;
            }
            return Poll::Ready(next);
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.lease {
            Some(lease) => lease.0.connection.left().map_or_else(SizeHint::default, SizeHint::with_exact),
            None if self.is_over() => SizeHint::with_exact(0),
            None => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_this_machine_cannot_make_does_not_convict_the_node() {
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
    fn a_request_alone_does_not_convict_a_node() {
        let eof = || io::Error::from(io::ErrorKind::UnexpectedEof);
        for error in [SendError::Timeout, SendError::Broken(Failure::Silent(eof()))] {
            assert_eq!(error.outcome(), Some(Outcome::Doubtful), "{error}");
        }
        for error in [SendError::Stale, SendError::Body("x".into())] {
            assert_eq!(error.outcome(), None, "{error}");
        }
    }

    #[test]
    fn connections_are_given_up_when_idle_for_long_and_when_old() {
        let now = Instant::now() + 2 * MAX_AGE;
        let usable = |age, idle| now <= usable_until(now - idle, now - age);
        assert!(usable(MAX_IDLE, MAX_IDLE) && usable(MAX_AGE, Duration::ZERO));
        assert!(!usable(MAX_AGE, MAX_IDLE + Duration::from_millis(1)));
        assert!(
            !usable(MAX_AGE + Duration::from_millis(1), Duration::ZERO),
            "it is busy, and old all the same"
        );
    }
}
