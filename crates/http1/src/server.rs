//! A client's connection: requests are read one after the other, each is answered before the next is looked at.

mod encode;
mod respond;
mod state;
mod stopping;

use self::state::Io;
use self::stopping::Stopping;
use crate::Reason;
use crate::clock;
use crate::head::HeadScan;
use crate::outbox::UnderWay;
use crate::{
    Framing, HeadLimits, Malformed, MemoryShare, MemoryUse, PeerState, RequestHead, Service, Transport,
};
use bytes::{Bytes, BytesMut};
use http::{Method, Version};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::Instant;

pub use self::state::RequestBody;

/// Bounds on a connection.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Of a request's head.
    pub head: HeadLimits,
    /// The time for a head once it has begun.
    pub header: Duration,
    /// The time without a request.
    pub idle: Duration,
    /// The time a body may stand still, or be slower than `rate`, in either direction.
    pub stall: Duration,
    /// The lowest rate of a body, in bytes per second.
    pub rate: u32,
    /// The time for a request as a whole.
    pub request: Duration,
}

/// A head that came whole is counted as memory if it is longer, in bytes. One that is not yet whole is counted always.
const UNCOUNTED_HEAD: usize = 4096;

/// What is left of a request's body after its answer and is read so that the connection can go on, in bytes.
const MAX_SKIPPED: u64 = 16 * 1024 * 1024;
/// What is read of a client that sends on after the last answer, so that it sees the answer before a reset
/// (RFC 9112, section 9.6): in bytes, in all and at most between two of its sendings.
const MAX_LINGER: u64 = 64 * 1024 * 1024;
const LINGER: Duration = Duration::from_secs(30);
const LINGER_PAUSE: Duration = Duration::from_secs(5);

/// How long a connection may take to send its first request once the server stops: its client could not know.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// A connection keeps the room for a request for this long after an answer: on a busy one the next is there before.
const BUSY: Duration = Duration::from_millis(100);

/// Serves a connection to its end: the peer's, an error's, or after the running request once `stopping` says true or
/// cannot be told any more.
///
/// # Errors
/// What ended it, when that was neither the peer between two requests nor `stopping`.
pub async fn serve<S, H>(
    stream: S,
    service: &H,
    limits: &ConnectionLimits,
    stopping: watch::Receiver<bool>,
) -> io::Result<()>
where
    S: Transport,
    H: Service<RequestBody<S>>,
{
    let wait = pin!(stopping::wait(stopping.clone()));
    let mut stopping = Stopping::new(stopping, wait);
    let mut connection = Connection {
        io: Rc::new(RefCell::new(Io::new(stream, limits))),
        limits,
        first: true,
        held: None,
        idle_until: clock::now() + limits.idle,
    };
    let served = connection.serve(service, &mut stopping).await;
    if served.is_err() && connection.io.borrow().bytes.waits() {
        // The answer before what went wrong is good.
        let _ = connection.send(&mut BytesMut::new(), Bytes::new()).await;
    }
    served
}

/// A future in a box, made where it stays: `Box::pin` makes it on the stack and copies some kilobytes.
fn boxed<F: Future>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    Box::into_pin(Box::write(Box::new_uninit(), make()))
}

/// Takes so much memory for what a connection holds.
fn hold<B, H: Service<B>>(
    held: &mut Option<Box<Held<H::Share>>>,
    service: &H,
    used_for: MemoryUse,
    bytes: usize,
) -> Result<(), Ended> {
    if held.as_ref().is_some_and(|held| held.used_for != used_for) {
        *held = None;
    }
    let held = held.get_or_insert_with(|| Box::new(Held { used_for, share: service.share(used_for) }));
    let full =
        Malformed::new(Reason::OutOfMemory, "too much memory is in use for requests' heads: try again");
    held.share.grow_to(bytes).map_err(|_| full.into())
}

/// Memory that a connection holds for its client.
struct Held<M> {
    used_for: MemoryUse,
    share: M,
}

struct Connection<'l, S, M> {
    io: Rc<RefCell<Io<S>>>,
    limits: &'l ConnectionLimits,
    first: bool,
    /// What a long head or an answer that is not read takes.
    held: Option<Box<Held<M>>>,
    /// When it has been without a request for too long.
    idle_until: Instant,
}

/// How a request is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// As one that may be there any moment.
    Busy,
    /// Until the connection has had its time.
    Idle,
}

enum Next {
    Head(Bytes),
    /// None came soon.
    Idle,
    Over,
}

/// What becomes of a connection after its requests.
enum After {
    Lingering,
    Over,
}

/// Why there are no more requests, where that is not as it should be.
#[derive(Debug)]
enum Ended {
    Io(io::Error),
    /// What came is no request.
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

/// What an answer has to know of its request.
struct Exchange {
    method: Method,
    version: Version,
    keep_alive: bool,
}

impl Exchange {
    /// Of what could not be read as a request.
    const UNREAD: Self = Self { method: Method::GET, version: Version::HTTP_11, keep_alive: false };
}

impl<S: Transport, M: MemoryShare> Connection<'_, S, M> {
    async fn serve(
        &mut self,
        service: &impl Service<RequestBody<S>, Share = M>,
        stopping: &mut Stopping<'_, impl Future<Output = ()>>,
    ) -> io::Result<()> {
        match self.requests(service, stopping).await {
            Ok(After::Over) => self.shutdown().await,
            Ok(After::Lingering) => self.linger().await,
            Err(Ended::Malformed(malformed)) => {
                boxed(|| self.refuse(&malformed, service)).await?;
                self.linger().await
            }
            Err(Ended::Io(error)) => Err(error),
        }
    }

    /// Has requests answered to the last.
    async fn requests(
        &mut self,
        service: &impl Service<RequestBody<S>, Share = M>,
        stopping: &mut Stopping<'_, impl Future<Output = ()>>,
    ) -> Result<After, Ended> {
        loop {
            let head = match self.next_head(service, stopping, Wait::Idle).await? {
                Next::Head(head) => head,
                Next::Over => return Ok(After::Over),
                Next::Idle => continue,
            };
            // In a box of its own, so that an idle connection does not hold its room.
            if let Some(after) = boxed(|| self.busy(head, service, stopping)).await? {
                return Ok(after);
            }
        }
    }

    /// Has requests answered, as long as each comes soon after the last. `None` when the next does not: it may still come.
    async fn busy(
        &mut self,
        mut head: Bytes,
        service: &impl Service<RequestBody<S>, Share = M>,
        stopping: &mut Stopping<'_, impl Future<Output = ()>>,
    ) -> Result<Option<After>, Ended> {
        let mut ahead = false;
        loop {
            self.answered(ahead).await?;
            if !self.exchange(head, service, stopping).await? {
                return Ok(Some(After::Lingering));
            }
            ahead = !self.io.borrow().bytes.unread.is_empty();
            self.idle_until = clock::now() + self.limits.idle;
            head = match self.next_head(service, stopping, Wait::Busy).await? {
                Next::Head(head) => head,
                Next::Idle => return Ok(None),
                Next::Over => return Ok(Some(After::Over)),
            };
        }
    }

    /// The next request's head. Waiting for its first byte, the connection holds no buffer.
    async fn next_head(
        &mut self,
        service: &impl Service<RequestBody<S>, Share = M>,
        stopping: &mut Stopping<'_, impl Future<Output = ()>>,
        wait: Wait,
    ) -> Result<Next, Ended> {
        let first = std::mem::take(&mut self.first);
        let mut stopped = false;
        let mut scan = HeadScan::default();
        let mut begun = false;
        let idle_until = self.idle_until;
        let until = match wait {
            Wait::Busy => idle_until.min(clock::now() + BUSY),
            Wait::Idle => idle_until,
        };
        {
            let io = &mut *self.io.borrow_mut();
            match wait {
                Wait::Busy => io.bytes.rest(),
                Wait::Idle => io.let_go(),
            }
            io.timer.set(until);
        }
        self.held = None;
        let (io, memory) = (&self.io, &mut self.held);
        poll_fn(|cx| {
            let io = &mut *io.borrow_mut();
            match io.poll_sent(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending => {
                    if hold(memory, service, MemoryUse::Response, io.bytes.left()).is_err() {
                        return Poll::Ready(Err(io::Error::from(io::ErrorKind::OutOfMemory).into()));
                    }
                    return Poll::Pending;
                }
            }
            loop {
                match scan.find(&io.bytes.unread, self.limits.head) {
                    Ok(Some((start, end))) => {
                        let mut head = io.bytes.unread.split_to(end);
                        bytes::Buf::advance(&mut head, start);
                        if head.len() > UNCOUNTED_HEAD {
                            hold(memory, service, MemoryUse::Head, head.len())?;
                        }
                        return Poll::Ready(Ok(Next::Head(head.freeze())));
                    }
                    Ok(None) if io.bytes.unread.is_empty() => {}
                    Ok(None) => hold(memory, service, MemoryUse::Head, io.bytes.unread.capacity())?,
                    Err(malformed) => return Poll::Ready(Err(malformed.into())),
                }
                if !begun && !io.bytes.unread.is_empty() {
                    begun = true;
                    io.timer.set(clock::now() + self.limits.header);
                }
                match io.bytes.poll_fill(cx) {
                    Poll::Ready(Ok(0)) if begun => {
                        return Poll::Ready(Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()));
                    }
                    Poll::Ready(Ok(0)) => return Poll::Ready(Ok(Next::Over)),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                    Poll::Pending => break,
                }
            }
            if !begun && !stopped && stopping.poll(cx) {
                if !first {
                    return Poll::Ready(Ok(Next::Over));
                }
                stopped = true;
                io.timer.set(Instant::now() + STOP_GRACE);
            }
            match io.timer.poll(cx) {
                Poll::Ready(()) if begun => {
                    let late = Malformed::new(Reason::HeadTimeout, "the request's head took too long");
                    Poll::Ready(Err(late.into()))
                }
                Poll::Ready(()) if !stopped && until < idle_until => Poll::Ready(Ok(Next::Idle)),
                Poll::Ready(()) => Poll::Ready(Ok(Next::Over)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Has a request answered, and says whether the connection persists.
    async fn exchange(
        &mut self,
        head: Bytes,
        service: &impl Service<RequestBody<S>, Share = M>,
        stopping: &Stopping<'_, impl Future<Output = ()>>,
    ) -> Result<bool, Ended> {
        let RequestHead { request, version, framing, keep_alive, expects_continue } =
            RequestHead::parse(head, self.limits.head)?;
        let under_way = UnderWay::begin();
        self.io.borrow_mut().begin(framing, expects_continue, &request.method, self.limits.request);
        let mut exchange = Exchange { method: request.method.clone(), version, keep_alive };
        let body = RequestBody { io: (framing != Framing::Empty).then(|| Rc::clone(&self.io)) };
        let mut answer = {
            let mut answering = pin!(service.call(&request, body));
            poll_fn(|cx| match answering.as_mut().poll(cx) {
                Poll::Ready(answer) => Poll::Ready(Ok(answer)),
                Poll::Pending => self.io.borrow_mut().poll_gone(cx).map(Err),
            })
            .await?
        };
        let peer = {
            let io = &mut *self.io.borrow_mut();
            exchange.keep_alive &= !stopping.is_over() && io.may_persist();
            io.begin_answer();
            io.peer()
        };
        if peer != PeerState::Open {
            service.note_peer(&mut answer, peer);
        }
        let responded = self.respond(&exchange, &mut answer).await;
        if responded.is_err() {
            service.note_peer(&mut answer, PeerState::Gone);
        }
        let persists = responded?;
        // Its account and its leave to run end here, whatever its client still has to send.
        drop((answer, under_way));
        Ok(persists && self.skip_rest().await?)
    }

    /// Waits until what was left to be sent is sent. A client that has sent its next request `ahead` of the answer
    /// takes turns with the others.
    async fn answered(&self, ahead: bool) -> io::Result<()> {
        let owes = self.io.borrow().bytes.owes();
        if owes || ahead {
            yield_now().await;
        }
        if owes { self.send(&mut BytesMut::new(), Bytes::new()).await } else { Ok(()) }
    }

    /// Answers what is no request.
    async fn refuse(
        &self,
        malformed: &Malformed,
        service: &impl Service<RequestBody<S>, Share = M>,
    ) -> io::Result<bool> {
        self.respond(&Exchange::UNREAD, &mut service.refuse(malformed)).await
    }

    /// Reads what is left of a small body. A client that waits for `100 Continue` may send it or not: nobody knows
    /// what comes next then.
    async fn skip_rest(&self) -> io::Result<bool> {
        if self.io.borrow().decoder.is_over() {
            return Ok(true);
        }
        self.io.borrow_mut().whole.set(Instant::now() + LINGER);
        let mut skipped = 0;
        loop {
            let data = poll_fn(|cx| self.io.borrow_mut().poll_skip(cx)).await;
            match data {
                Ok(None) => return Ok(true),
                Ok(Some(length)) => skipped += length as u64,
                Err(_) => return Ok(false),
            }
            if skipped > MAX_SKIPPED {
                return Ok(false);
            }
        }
    }

    /// Ends the connection without a reset that would take the answer with it.
    async fn linger(&self) -> io::Result<()> {
        self.io.borrow_mut().bytes.discard();
        self.shutdown().await?;
        let end = Instant::now() + LINGER;
        let mut read = 0;
        while read < MAX_LINGER && Instant::now() < end {
            self.io.borrow_mut().timer.set(end.min(Instant::now() + LINGER_PAUSE));
            let length = poll_fn(|cx| self.io.borrow_mut().poll_discard(cx)).await?;
            if length == 0 {
                break;
            }
            read += length as u64;
        }
        Ok(())
    }

    async fn shutdown(&self) -> io::Result<()> {
        self.send(&mut BytesMut::new(), Bytes::new()).await?;
        poll_fn(|cx| self.io.borrow_mut().bytes.poll_shutdown(cx)).await
    }
}

#[cfg(test)]
mod tests;
