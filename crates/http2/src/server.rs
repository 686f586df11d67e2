//! The server's end of a connection.
//!
//! `serve` reads the preface, then runs the connection as one task: `h2` reads frames and opens streams, each stream is a
//! future of its own in a set, and the task polls `h2` and those streams that were woken. So one connection has one
//! share of the thread's time, however many streams it has.

mod memory;

use self::memory::Memory;
use crate::bounds::{
    CLOSE, ERROR_RESETS, FRAME, HEADER_TABLE, PENDING_RESETS, SEND_BUFFER, STOP_GRACE, STREAM_WINDOW, STREAMS,
};
use crate::frames::Violation;
use crate::stream::{self, Opened};
use crate::turn::{OpenBody, Turn};
use crate::wire::Wire;
use crate::{ClosedBy, Event, StreamService};
use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, Stream as _};
use h2::Reason;
use h2::server::{Builder, Connection};
use http1::clock::with_event_clock;
use http1::server::ConnectionLimits;
use http1::server::stopping::{self, Stopping};
use http1::{LazyTimer, StallTimer, clock};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;

/// Serves a connection until its peer or an error ends it, or the server stops: when `stopping` becomes true or its
/// sender is dropped. Streams that are running by then are served to their end, and later ones are refused in a way
/// that tells the client to open them elsewhere.
///
/// # Errors
/// The error that ended the connection, unless the peer left or the server ended it in order.
pub async fn serve<S, H>(
    stream: S,
    service: &H,
    limits: &ConnectionLimits,
    stopping: watch::Receiver<bool>,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    H: StreamService,
{
    serve_from(Bytes::new(), stream, service, limits, stopping).await
}

/// Serves a connection like [`serve`], from whose stream some bytes were read before.
///
/// # Errors
/// Those of [`serve`].
pub async fn serve_from<S, H>(
    read: Bytes,
    stream: S,
    service: &H,
    limits: &ConnectionLimits,
    stopping: watch::Receiver<bool>,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    H: StreamService,
{
    service.record(Event::Connection);
    let turn = Rc::new(Turn::new());
    let wire = Wire::new(stream, read, Rc::clone(&turn));
    let pushed = wire.share();
    let wait = pin!(stopping::wait(stopping.clone()));
    let mut stopping = Stopping::new(stopping, wait);
    let Some(h2) = shake_hands(wire, limits, &turn, &mut stopping).await? else {
        service.record(Event::Closed(ClosedBy::TimedOut));
        return Err(io::Error::new(io::ErrorKind::TimedOut, "the preface took too long"));
    };
    let make_stream = |opened| {
        let serving = with_event_clock(stream::serve(opened, service, limits, Rc::clone(&turn)));
        in_turns(&turn, serving)
    };
    let mut server = Server {
        h2,
        wire: pushed,
        streams: FuturesUnordered::new(),
        make_stream,
        service,
        limits,
        memory: Memory::NONE,
        idle: LazyTimer::new(clock::now() + limits.idle),
        begun: LazyTimer::new(clock::now()),
        write_stall: StallTimer::with_min_rate(limits.stall, limits.rate),
        ending: None,
        turn: &turn,
    };
    let ended = poll_fn(|cx| server.poll(cx, &mut stopping)).await;
    server.finish_streams().await;
    ended
}

/// Polls a stream as often as the turns of its connection allow.
async fn in_turns(turn: &Turn, serving: impl Future<Output = ()>) {
    let mut serving = pin!(serving);
    poll_fn(|cx| {
        if turn.take_stream() {
            return serving.as_mut().poll(cx);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Reads the preface. Returns `None` when it does not come in time.
async fn shake_hands<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    wire: Wire<S>,
    limits: &ConnectionLimits,
    turn: &Turn,
    stopping: &mut Stopping<'_, impl Future<Output = ()>>,
) -> io::Result<Option<Connection<Wire<S>, Bytes>>> {
    let pushed = wire.share();
    let mut handshake = pin!(
        Builder::new()
            .max_concurrent_streams(STREAMS)
            .initial_window_size(STREAM_WINDOW)
            .max_frame_size(FRAME)
            .max_header_list_size(u32::try_from(limits.head.bytes).unwrap_or(u32::MAX))
            .header_table_size(HEADER_TABLE)
            .max_pending_accept_reset_streams(PENDING_RESETS)
            .max_local_error_reset_streams(Some(ERROR_RESETS))
            .max_send_buffer_size(SEND_BUFFER)
            .handshake(wire)
    );
    let mut deadline = LazyTimer::new(clock::now() + limits.header);
    let mut is_stopping = false;
    poll_fn(|cx| {
        turn.begin();
        if !is_stopping && stopping.poll(cx) {
            is_stopping = true;
            deadline.set(clock::now() + STOP_GRACE.min(limits.header));
        }
        match handshake.as_mut().poll(cx) {
            Poll::Ready(shaken) => Poll::Ready(shaken.map(Some).map_err(into_io)),
            Poll::Pending => match pushed.poll_push(cx) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                _ => deadline.poll(cx).map(|()| Ok(None)),
            },
        }
    })
    .await
}

/// The end of a connection, once it has begun.
struct Ending {
    /// The time until which streams are served that the client opened before it knew of the end. One that does not tell
    /// that it knows cannot go on.
    opens_until: Instant,
    /// The time at which it ends.
    deadline: LazyTimer,
    /// Whether streams that are running are not waited for.
    is_abrupt: bool,
}

/// A connection that is being served.
struct Server<'s, S, H: StreamService, M, F> {
    h2: Connection<Wire<S>, Bytes>,
    wire: Wire<S>,
    streams: FuturesUnordered<F>,
    make_stream: M,
    service: &'s H,
    limits: &'s ConnectionLimits,
    memory: Memory<H::Share>,
    /// The end of the time without a stream.
    idle: LazyTimer,
    /// The end of the time for what the client has begun.
    begun: LazyTimer,
    /// The patience for a client that does not take what is written.
    write_stall: StallTimer,
    ending: Option<Ending>,
    turn: &'s Rc<Turn>,
}

impl<S, H, M, F> Server<'_, S, H, M, F>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    H: StreamService,
    M: FnMut(Opened) -> F,
    F: Future<Output = ()>,
{
    /// Takes a turn. Returns `Ready` at the end of the connection.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        stopping: &mut Stopping<'_, impl Future<Output = ()>>,
    ) -> Poll<io::Result<()>> {
        self.turn.begin();
        self.poll_streams(cx);
        if let Poll::Ready(ended) = self.poll_frames(cx) {
            return Poll::Ready(ended);
        }
        if self.poll_reason_to_end(cx, stopping)
            && let Poll::Ready(ended) = self.poll_frames(cx)
        {
            return Poll::Ready(ended);
        }
        self.poll_end(cx)
    }

    /// Begins the end of the connection if there is a reason. Returns whether it did.
    fn poll_reason_to_end(
        &mut self,
        cx: &mut Context<'_>,
        stopping: &mut Stopping<'_, impl Future<Output = ()>>,
    ) -> bool {
        if let Some(closed_by) = self.poll_mistakes(cx) {
            self.end(closed_by);
            return true;
        }
        if self.ending.is_some() {
            return false;
        }
        let reason = if stopping.poll(cx) {
            ClosedBy::Stopping
        } else if self.streams.is_empty() && self.idle.poll(cx).is_ready() {
            ClosedBy::Idle
        } else {
            return false;
        };
        self.end_in_order(reason);
        true
    }

    /// Polls the streams that were woken.
    fn poll_streams(&mut self, cx: &mut Context<'_>) {
        while !self.streams.is_empty() {
            let Poll::Ready(_) = Pin::new(&mut self.streams).poll_next(cx) else { return };
            if self.streams.is_empty() {
                self.idle.set(clock::now() + self.limits.idle);
            }
        }
    }

    /// Reads and writes frames, and begins the streams that the client opens. `h2` wakes the task when a stream has
    /// something to send.
    fn poll_frames(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut has_opened = false;
        let ended = loop {
            let polled = if self.streams.len() < STREAMS as usize {
                self.h2.poll_accept(cx)
            } else {
                self.h2.poll_closed(cx).map(|closed| closed.err().map(Err))
            };
            match polled {
                Poll::Pending => break Poll::Pending,
                Poll::Ready(None) => break Poll::Ready(Ok(())),
                Poll::Ready(Some(Err(error))) => break Poll::Ready(Err(self.failed(error))),
                Poll::Ready(Some(Ok((_, mut respond)))) if self.is_closed_to_streams() => {
                    // The client may open it elsewhere (RFC 9113, section 8.7).
                    respond.send_reset(Reason::REFUSED_STREAM);
                }
                Poll::Ready(Some(Ok((request, respond)))) => {
                    let refused = self.memory.admit_body(&request, &mut self.h2, self.service);
                    let body = (!request.body().is_end_stream()).then(|| OpenBody::new(self.turn));
                    self.streams.push((self.make_stream)(Opened { request, respond, body, refused }));
                    has_opened = true;
                }
            }
        };
        let pushed = self.wire.poll_push(cx);
        if has_opened {
            self.poll_streams(cx);
        }
        if let Poll::Ready(Err(error)) = pushed
            && ended.is_pending()
        {
            return Poll::Ready(Err(error));
        }
        ended
    }

    /// Returns whether the client has had the time to learn that the connection ends.
    fn is_closed_to_streams(&self) -> bool {
        self.ending.as_ref().is_some_and(|ending| clock::now() >= ending.opens_until)
    }

    /// Returns the reason to end the connection at once, if there is one.
    fn poll_mistakes(&mut self, cx: &mut Context<'_>) -> Option<ClosedBy> {
        if self.ending.as_ref().is_some_and(|ending| ending.is_abrupt) {
            return None;
        }
        let (violation, began, unfinished) = {
            let frames = self.turn.frames.borrow();
            (frames.violation(), frames.began(), frames.unfinished_head())
        };
        match violation {
            Some(Violation::Flood) => return Some(ClosedBy::Flood),
            Some(Violation::NoSettings) => return Some(ClosedBy::Protocol),
            None => {}
        }
        if let Some(began) = began {
            self.begun.set(began + self.limits.header);
            if self.begun.poll(cx).is_ready() {
                return Some(ClosedBy::TimedOut);
            }
        }
        let moved = self.turn.take_progress();
        if moved > 0 {
            self.write_stall.progress(moved);
        }
        if self.turn.is_blocked() && self.write_stall.poll_stalled(cx) {
            return Some(ClosedBy::TimedOut);
        }
        let charged = self.memory.charge(unfinished, self.turn, self.service);
        charged.is_err().then_some(ClosedBy::Memory)
    }

    /// Ends a connection whose end takes too long. Streams that are running are waited for, unless it ends at once.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(ending) = &mut self.ending else { return Poll::Pending };
        if !self.streams.is_empty() && !ending.is_abrupt {
            ending.deadline.set(clock::now() + CLOSE);
            return Poll::Pending;
        }
        ending.deadline.poll(cx).map(Ok)
    }

    /// Tells the client to open no more streams. Those that are running are served to their end.
    fn end_in_order(&mut self, closed_by: ClosedBy) {
        self.service.record(Event::Closed(closed_by));
        self.h2.graceful_shutdown();
        self.begin_end(false);
    }

    /// Ends the connection and its streams.
    fn end(&mut self, closed_by: ClosedBy) {
        self.service.record(Event::Closed(closed_by));
        self.h2.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
        self.begin_end(true);
    }

    fn begin_end(&mut self, is_abrupt: bool) {
        let now = clock::now();
        let deadline = LazyTimer::new(now + CLOSE);
        self.ending = Some(Ending { opens_until: now + STOP_GRACE, deadline, is_abrupt });
    }

    /// Records the failure of a connection.
    fn failed(&self, error: h2::Error) -> io::Error {
        if self.ending.is_none() && !error.is_io() && error.is_library() {
            let is_flood = error.reason() == Some(Reason::ENHANCE_YOUR_CALM);
            let closed_by = if is_flood { ClosedBy::Flood } else { ClosedBy::Protocol };
            self.service.record(Event::Closed(closed_by));
        }
        into_io(error)
    }

    /// Serves what goes on without the connection: requests that arrived in full and change something.
    async fn finish_streams(&mut self) {
        poll_fn(|cx| {
            self.turn.begin();
            self.poll_streams(cx);
            if self.streams.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

fn into_io(error: h2::Error) -> io::Error {
    if error.is_io() {
        return error.into_io().unwrap_or_else(|| io::ErrorKind::Other.into());
    }
    io::Error::other(error)
}

#[cfg(test)]
mod tests;
