//! The server's end of a connection.
//!
//! `serve` reads the preface, then runs the connection as one task: `h2` reads frames and opens streams, each stream is a
//! future of its own in a set, and the task polls `h2` and those streams that were woken. So one connection has one
//! share of the thread's time, however many streams it has.

mod memory;

use self::memory::Memory;
use crate::bounds::{
    CLOSE, ERROR_RESETS, FRAME, HEADER_TABLE, PENDING_RESETS, SEND_BUFFER, STREAM_WINDOW,
    STREAMS,
};
use crate::frames::Violation;
use crate::stream::{self, Opened};
use crate::turn::Turn;
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
    let Some(h2) = shake_hands(wire, limits, &turn).await? else {
        service.record(Event::Closed(ClosedBy::TimedOut));
        return Err(io::Error::new(io::ErrorKind::TimedOut, "the preface took too long"));
    };
    let wait = pin!(stopping::wait(stopping.clone()));
    let mut stopping = Stopping::new(stopping, wait);
    let make_stream = |opened| {
        let turn = Rc::clone(&turn);
        async move {
            let mut serving = pin!(with_event_clock(stream::serve(opened, service, limits, Rc::clone(&turn))));
            poll_fn(|cx| {
                if turn.take_stream() {
                    return serving.as_mut().poll(cx);
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
        }
    };
    let mut server = Server {
        h2,
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
    let served = poll_fn(|cx| server.poll(cx, &mut stopping)).await;
    server.finish_streams().await;
    served
}

/// Reads the preface. Returns `None` when it does not come in time.
async fn shake_hands<S: AsyncRead + AsyncWrite + Unpin>(
    wire: Wire<S>,
    limits: &ConnectionLimits,
    turn: &Turn,
) -> io::Result<Option<Connection<Wire<S>, Bytes>>> {
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
    poll_fn(|cx| {
        turn.begin();
        match handshake.as_mut().poll(cx) {
            Poll::Ready(shaken) => Poll::Ready(shaken.map(Some).map_err(into_io)),
            Poll::Pending => deadline.poll(cx).map(|()| Ok(None)),
        }
    })
    .await
}

/// The end of a connection, once it has begun.
struct Ending {
    /// The time at which it ends if it has no streams. Streams that are running move it.
    deadline: LazyTimer,
    /// Whether streams that are running are not waited for.
    is_abrupt: bool,
}

/// A connection that is being served.
struct Server<'s, S, H: StreamService, M, F> {
    h2: Connection<Wire<S>, Bytes>,
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
    S: AsyncRead + AsyncWrite + Unpin,
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
        if let Some(closed_by) = self.poll_mistakes(cx) {
            self.end(closed_by, Reason::ENHANCE_YOUR_CALM);
            return self.poll_frames(cx);
        }
        if self.ending.is_none() && stopping.poll(cx) {
            self.end_in_order(ClosedBy::Stopping);
            return self.poll_frames(cx);
        }
        self.poll_end(cx)
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
                Poll::Ready(Some(Ok((request, respond)))) => {
                    let refused = self.memory.admit_body(&request, &mut self.h2, self.service);
                    self.streams.push((self.make_stream)(Opened { request, respond, refused }));
                    has_opened = true;
                }
            }
        };
        if has_opened {
            self.poll_streams(cx);
        }
        ended
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

    /// Ends a connection that has been idle for too long, or whose end takes too long.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let is_idle = self.streams.is_empty();
        match &mut self.ending {
            None if is_idle && self.idle.poll(cx).is_ready() => {
                self.end_in_order(ClosedBy::Idle);
                self.poll_frames(cx)
            }
            None => Poll::Pending,
            Some(ending) if !is_idle && !ending.is_abrupt => {
                ending.deadline.set(clock::now() + CLOSE);
                Poll::Pending
            }
            Some(ending) => ending.deadline.poll(cx).map(Ok),
        }
    }

    /// Tells the client to open no more streams. Those that are running are served to their end.
    fn end_in_order(&mut self, closed_by: ClosedBy) {
        self.service.record(Event::Closed(closed_by));
        self.h2.graceful_shutdown();
        self.ending = Some(Ending { deadline: LazyTimer::new(clock::now() + CLOSE), is_abrupt: false });
    }

    /// Ends the connection and its streams.
    fn end(&mut self, closed_by: ClosedBy, reason: Reason) {
        self.service.record(Event::Closed(closed_by));
        self.h2.abrupt_shutdown(reason);
        self.ending = Some(Ending { deadline: LazyTimer::new(clock::now() + CLOSE), is_abrupt: true });
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
