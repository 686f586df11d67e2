//! The server's end of a connection: reads one request after the other, and responds to each before it looks at the
//! next.
//!
//! `serve` runs a connection: `head_wait` waits for a head, `serve_request` parses it and calls the service, `respond` writes
//! the response (`encode`), `drain_body` reads what the service left of the body. `state` is what the connection and
//! the body of its current request share.

mod encode;
mod head_wait;
mod respond;
mod state;
pub mod stopping;

use self::head_wait::{HeadWait, Next, WaitMode};
use self::state::State;
use self::stopping::Stopping;
use crate::memory::Charge;
use crate::outbox::RunningGuard;
use crate::{
    Framing, HeadLimits, Malformed, MemoryShare, MemoryUse, PeerState, Reason, RequestHead, Service,
    Transport, clock,
};
use bytes::{Bytes, BytesMut};
use http::{Method, Version};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::Instant;

pub use self::state::RequestBody;

/// Bounds on a connection.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Bounds on the head of a request.
    pub head: HeadLimits,
    /// The time from the first byte of a head to its last.
    pub header: Duration,
    /// The time without a request.
    pub idle: Duration,
    /// The time a body may stand still, or be slower than `rate`, in either direction.
    pub stall: Duration,
    /// The minimum rate of a body, in bytes per second.
    pub rate: u32,
    /// The time for a request as a whole.
    pub request: Duration,
}

/// The most that is read of a request's body after its response so that the connection can persist, in bytes.
const MAX_DRAINED: u64 = 16 * 1024 * 1024;
/// The most that is read after the last response, in bytes. A client that goes on sending must see the response
/// before a reset (RFC 9112, section 9.6).
const MAX_LINGER: u64 = 64 * 1024 * 1024;
/// The time for reading after the last response, in total and between two reads.
const LINGER: Duration = Duration::from_secs(30);
const LINGER_PAUSE: Duration = Duration::from_secs(5);

/// The first head of a connection that speaks HTTP/2 without having negotiated it (RFC 9113, section 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";

/// What a connection does that begins with the preface of HTTP/2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http2 {
    /// It is handed over to a codec of HTTP/2.
    HandOver,
    /// It is refused.
    Refuse,
}

/// A connection that begins with the preface of HTTP/2.
#[derive(Debug)]
pub struct HandOver<S> {
    /// The stream.
    pub stream: S,
    /// The bytes that were read from it, from the preface on.
    pub read: Bytes,
}

/// Serves a connection until its peer or an error ends it, or the server stops: when `stopping` becomes true or its
/// sender is dropped. A request that is running by then is served to its end. HTTP/2 is refused.
///
/// # Errors
/// The error that ended the connection, unless the peer left between two requests or `stopping` ended it.
pub fn serve<S, H>(
    stream: S,
    service: &H,
    limits: &ConnectionLimits,
    stopping: watch::Receiver<bool>,
) -> impl Future<Output = io::Result<()>>
where
    S: Transport,
    H: Service<RequestBody<S>>,
{
    let mut connection = Connection::new(stream, limits, Http2::Refuse);
    async move { connection.serve_to_end(service, stopping).await.map(drop) }
}

/// Serves a connection like [`serve`], or returns it if it begins with the preface of HTTP/2 and is to be handed over.
///
/// # Errors
/// Those of [`serve`].
pub fn serve_unless_http2<S, H>(
    stream: S,
    service: &H,
    limits: &ConnectionLimits,
    stopping: watch::Receiver<bool>,
    http2: Http2,
) -> impl Future<Output = io::Result<Option<HandOver<S>>>>
where
    S: Transport,
    H: Service<RequestBody<S>>,
{
    let mut connection = Connection::new(stream, limits, http2);
    async move {
        match connection.serve_to_end(service, stopping).await? {
            Served::Http1 => Ok(None),
            Served::Http2 => Ok(connection.hand_over()),
        }
    }
}

/// Creates a future in its box. `Box::pin` would create its 2 KiB on the stack and copy them (docs/performance.md, "a
/// request's future is created in its box").
fn box_in_place<F: Future>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    Box::into_pin(Box::write(Box::new_uninit(), make()))
}

struct Connection<'l, S, M> {
    state: Rc<RefCell<State<S>>>,
    limits: &'l ConnectionLimits,
    /// Whether it has had no request yet.
    is_first: bool,
    /// Whether it is handed over if its first head is the preface of HTTP/2.
    may_be_http2: bool,
    /// The memory for a long head, or for a response that is not read.
    charge: Charge<M>,
    idle_deadline: Instant,
}

/// The end of a connection after its last request.
enum Ending {
    /// The client may still be sending.
    Linger,
    Shutdown,
    /// It had no request and goes on in HTTP/2.
    Http2,
}

/// The protocol that a connection turned out to speak.
enum Served {
    Http1,
    Http2,
}

/// An error that ends a connection.
#[derive(Debug)]
enum Ended {
    Io(io::Error),
    /// The client sent an invalid request, and gets a response that says so.
    Malformed(Malformed),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Malformed> for Ended {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// The facts about a request that its response depends on.
struct ResponseContext {
    method: Method,
    version: Version,
    keep_alive: bool,
}

impl ResponseContext {
    /// The context of a response to a message that could not be read as a request.
    const UNREAD: Self = Self { method: Method::GET, version: Version::HTTP_11, keep_alive: false };
}

impl<'l, S: Transport, M: MemoryShare> Connection<'l, S, M> {
    fn new(stream: S, limits: &'l ConnectionLimits, http2: Http2) -> Self {
        Self {
            state: Rc::new(RefCell::new(State::new(stream, limits))),
            limits,
            is_first: true,
            may_be_http2: http2 == Http2::HandOver,
            charge: Charge::NONE,
            idle_deadline: clock::now() + limits.idle,
        }
    }

    async fn serve_to_end(
        &mut self,
        service: &impl Service<RequestBody<S>, Share = M>,
        stopping: watch::Receiver<bool>,
    ) -> io::Result<Served> {
        let wait = pin!(stopping::wait(stopping.clone()));
        let mut stopping = Stopping::new(stopping, wait);
        let served = self.serve(service, &mut stopping).await;
        if served.is_err() && self.state.borrow().bytes.is_deferred() {
            // The response before the failure is valid and is sent in any case.
            let _ = self.send(&mut BytesMut::new(), Bytes::new()).await;
        }
        served
    }

    async fn serve(
        &mut self,
        service: &impl Service<RequestBody<S>, Share = M>,
        stopping: &mut Stopping<'_, impl Future<Output = ()>>,
    ) -> io::Result<Served> {
        match self.serve_requests(service, stopping).await {
            Ok(Ending::Http2) => return Ok(Served::Http2),
            Ok(Ending::Shutdown) => self.shutdown().await,
            Ok(Ending::Linger) => self.linger().await,
            Err(Ended::Malformed(malformed)) => {
                box_in_place(|| self.refuse(&malformed, service)).await?;
                self.linger().await
            }
            Err(Ended::Io(error)) => Err(error),
        }
        .map(|()| Served::Http1)
    }

    /// Returns the stream of a connection whose first head is the preface of HTTP/2.
    fn hand_over(self) -> Option<HandOver<S>> {
        let state = Rc::try_unwrap(self.state).ok()?.into_inner();
        let (stream, after) = state.bytes.into_parts()?;
        Some(HandOver { stream, read: [HTTP2_PREFACE, &after].concat().into() })
    }

    /// Serves requests until the last.
    async fn serve_requests(
        &mut self,
        service: &impl Service<RequestBody<S>, Share = M>,
        stopping: &mut Stopping<'_, impl Future<Output = ()>>,
    ) -> Result<Ending, Ended> {
        loop {
            let head = match self.next_head(service, stopping, WaitMode::Idle).await? {
                Next::Head(head) => head,
                Next::End => return Ok(Ending::Shutdown),
                Next::NotYet => continue,
            };
            // Boxed so that an idle connection does not hold the memory for a request.
            if let Some(ending) = box_in_place(|| self.serve_busy(head, service, stopping)).await? {
                return Ok(ending);
            }
        }
    }

    /// Serves requests as long as each comes soon after the last response. Returns `None` when the next one does not.
    async fn serve_busy(
        &mut self,
        mut head: Bytes,
        service: &impl Service<RequestBody<S>, Share = M>,
        stopping: &mut Stopping<'_, impl Future<Output = ()>>,
    ) -> Result<Option<Ending>, Ended> {
        let mut is_pipelined = false;
        loop {
            self.finish_response(is_pipelined).await?;
            if self.may_be_http2 && head == HTTP2_PREFACE {
                return Ok(Some(Ending::Http2));
            }
            self.may_be_http2 = false;
            if !self.serve_request(head, service, stopping).await? {
                return Ok(Some(Ending::Linger));
            }
            is_pipelined = !self.state.borrow().bytes.unread.is_empty();
            self.idle_deadline = clock::now() + self.limits.idle;
            head = match self.next_head(service, stopping, WaitMode::Busy).await? {
                Next::Head(head) => head,
                Next::NotYet => return Ok(None),
                Next::End => return Ok(Some(Ending::Shutdown)),
            };
        }
    }

    /// Waits for the next request's head.
    async fn next_head(
        &mut self,
        service: &impl Service<RequestBody<S>, Share = M>,
        stopping: &mut Stopping<'_, impl Future<Output = ()>>,
        mode: WaitMode,
    ) -> Result<Next, Ended> {
        let is_first = std::mem::take(&mut self.is_first);
        let mut wait = HeadWait::begin(&mut *self.state.borrow_mut(), mode, self.idle_deadline, is_first);
        self.charge.release();
        let (state, charge, limits) = (&self.state, &mut self.charge, self.limits);
        let share = |used_for| service.share(used_for);
        poll_fn(|cx| {
            let state = &mut *state.borrow_mut();
            ready!(poll_pending_response(cx, state, |bytes| {
                charge.grow_to(MemoryUse::Response, bytes, share).is_ok()
            }))?;
            let charge_head = |bytes| charge.grow_to(MemoryUse::Head, bytes, share).map_err(|_| HEADS_FULL);
            if let Poll::Ready(next) = wait.poll_read_head(cx, state, limits, charge_head) {
                return Poll::Ready(next);
            }
            if let Poll::Ready(next) = wait.poll_shutdown(cx, state, stopping) {
                return Poll::Ready(Ok(next));
            }
            wait.poll_deadline(cx, state)
        })
        .await
    }

    /// Serves a request, and returns whether the connection persists.
    async fn serve_request(
        &mut self,
        head: Bytes,
        service: &impl Service<RequestBody<S>, Share = M>,
        stopping: &Stopping<'_, impl Future<Output = ()>>,
    ) -> Result<bool, Ended> {
        let RequestHead { request, version, framing, keep_alive, expects_continue } =
            RequestHead::parse(head, self.limits.head)?;
        let running = RunningGuard::new();
        self.state.borrow_mut().begin_request(
            framing,
            expects_continue,
            &request.method,
            self.limits.request,
        );
        let mut context = ResponseContext { method: request.method.clone(), version, keep_alive };
        let body = RequestBody { state: (framing != Framing::Empty).then(|| Rc::clone(&self.state)) };
        let mut response = {
            let mut call = pin!(service.call(&request, body));
            poll_fn(|cx| match call.as_mut().poll(cx) {
                Poll::Ready(response) => Poll::Ready(Ok(response)),
                Poll::Pending => self.state.borrow_mut().poll_abandoned(cx).map(Err),
            })
            .await?
        };
        let peer = {
            let state = &mut *self.state.borrow_mut();
            context.keep_alive &= !stopping.is_stopping() && state.may_persist();
            state.begin_response();
            state.peer()
        };
        if peer != PeerState::Open {
            service.note_peer(&mut response, peer);
        }
        let responded = self.respond(&context, &mut response).await;
        if responded.is_err() {
            service.note_peer(&mut response, PeerState::Gone);
        }
        let persists = responded?;
        // For the service the request is over, whatever its client still has to send.
        drop((response, running));
        Ok(persists && self.drain_body().await?)
    }

    /// Waits until a response is written that could not be sent at once. A pipelined request yields first, so that a
    /// client that sends many ahead takes turns with the others.
    async fn finish_response(&self, is_pipelined: bool) -> io::Result<()> {
        let is_pending = self.state.borrow().bytes.has_pending_write();
        if is_pending || is_pipelined {
            yield_now().await;
        }
        if is_pending { self.send(&mut BytesMut::new(), Bytes::new()).await } else { Ok(()) }
    }

    /// Responds to a message that is not a valid request.
    async fn refuse(
        &self,
        malformed: &Malformed,
        service: &impl Service<RequestBody<S>, Share = M>,
    ) -> io::Result<bool> {
        self.respond(&ResponseContext::UNREAD, &mut service.refuse(malformed)).await
    }

    /// Reads the rest of a small body. Returns whether the next request begins right after it.
    async fn drain_body(&self) -> io::Result<bool> {
        if self.state.borrow().decoder.is_done() {
            return Ok(true);
        }
        self.state.borrow_mut().request_deadline.set(Instant::now() + LINGER);
        let mut drained = 0;
        loop {
            let data = poll_fn(|cx| self.state.borrow_mut().poll_drain(cx)).await;
            match data {
                Ok(None) => return Ok(true),
                Ok(Some(length)) => drained += length as u64,
                Err(_) => return Ok(false),
            }
            if drained > MAX_DRAINED {
                return Ok(false);
            }
        }
    }

    /// Ends the connection without a reset, which would overtake the response.
    async fn linger(&self) -> io::Result<()> {
        self.state.borrow_mut().bytes.discard();
        self.shutdown().await?;
        let end = Instant::now() + LINGER;
        let mut read = 0;
        while read < MAX_LINGER && Instant::now() < end {
            self.state.borrow_mut().timer.set(end.min(Instant::now() + LINGER_PAUSE));
            let length = poll_fn(|cx| self.state.borrow_mut().poll_discard(cx)).await?;
            if length == 0 {
                break;
            }
            read += length as u64;
        }
        Ok(())
    }

    async fn shutdown(&self) -> io::Result<()> {
        self.send(&mut BytesMut::new(), Bytes::new()).await?;
        poll_fn(|cx| self.state.borrow_mut().bytes.poll_shutdown(cx)).await
    }
}

const HEADS_FULL: Malformed =
    Malformed::new(Reason::OutOfMemory, "too much memory is in use for requests' heads: try again later");

/// Writes the pending part of the last response. `charge` takes memory for what the client does not read, and returns
/// whether there was enough.
fn poll_pending_response<S: Transport>(
    cx: &mut Context<'_>,
    state: &mut State<S>,
    charge: impl FnOnce(usize) -> bool,
) -> Poll<io::Result<()>> {
    let polled = state.poll_deferred(cx);
    if polled.is_pending() && !charge(state.bytes.pending_bytes()) {
        return Poll::Ready(Err(io::ErrorKind::OutOfMemory.into()));
    }
    polled
}

#[cfg(test)]
mod tests;
