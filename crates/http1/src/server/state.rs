//! The state that a connection shares with the body of the request it serves.

use super::{ConnectionLimits, MAX_DRAINED};
use crate::body::{BoxError, Broken};
use crate::buffered::Buffered;
use crate::decode::{Decoded, Decoder};
use crate::splice::{Filled, Pipe, SpliceBody};
use crate::{Framing, LazyTimer, PeerState, StallTimer, Transport, clock};
use bytes::{Bytes, BytesMut};
use http::Method;
use http_body::{Body, Frame, SizeHint};
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// The interval at which the kernel is asked for the state of a client whose bytes are not being read.
const PEER_CHECK: Duration = Duration::from_millis(200);
/// The most that is read ahead of a chunked body to see whether it ends there, in bytes.
const MAX_AHEAD: usize = 16 * 1024;

/// The state of a connection.
#[derive(Debug)]
pub(super) struct State<S> {
    pub(super) bytes: Buffered<S>,
    pub(super) decoder: Decoder,
    /// Whether the client waits for a `100 Continue` that has not been sent.
    awaits_continue: bool,
    /// The unwritten rest of a `100 Continue`.
    interim: BytesMut,
    /// Whether reading the body failed, so that the start of the next request is unknown.
    is_broken: bool,
    client: ClientEnd,
    /// While waiting for a head, the end of the wait; while serving a request, the next check of the peer.
    pub(super) timer: LazyTimer,
    pub(super) request_deadline: LazyTimer,
    read_stall: StallTimer,
    write_stall: StallTimer,
}

/// The client's end of the connection, and the consequences of its leaving for the request.
#[derive(Debug)]
struct ClientEnd {
    /// The state of the client when it was last looked at.
    state: PeerState,
    /// Whether everything that the client sent has been read.
    at_end: bool,
    /// Whether the body of the request has arrived in full. Only known once the client sends no more.
    body_arrived: bool,
    /// Whether a client that is gone ends the request even if all of it has arrived.
    abandon_when_gone: bool,
}

impl<S: Transport> State<S> {
    pub(super) fn new(stream: S, limits: &ConnectionLimits) -> Self {
        let now = clock::now();
        Self {
            bytes: Buffered::new(stream),
            decoder: Decoder::new(Framing::Empty),
            awaits_continue: false,
            interim: BytesMut::new(),
            is_broken: false,
            client: ClientEnd {
                state: PeerState::Open,
                at_end: false,
                body_arrived: false,
                abandon_when_gone: true,
            },
            timer: LazyTimer::new(now),
            request_deadline: LazyTimer::new(now + limits.request),
            read_stall: StallTimer::with_min_rate(limits.stall, limits.rate),
            write_stall: StallTimer::with_min_rate(limits.stall, limits.rate),
        }
    }

    /// Prepares for the body of a request.
    pub(super) fn begin_request(
        &mut self,
        framing: Framing,
        expects_continue: bool,
        method: &Method,
        limit: Duration,
    ) {
        self.decoder = Decoder::new(framing);
        self.bytes.begin_body();
        // A client that has begun to send its body does not wait.
        self.awaits_continue = expects_continue && self.bytes.unread.is_empty() && !self.decoder.is_done();
        self.client.body_arrived = false;
        self.client.abandon_when_gone = matches!(*method, Method::GET | Method::HEAD);
        let now = clock::now();
        self.request_deadline.set(now + limit);
        self.timer.set(now + PEER_CHECK);
        self.read_stall.reset();
        self.write_stall.reset();
    }

    /// Records that the response begins: from here on, all work depends on the client.
    pub(super) fn begin_response(&mut self) {
        self.client.abandon_when_gone = true;
    }

    /// Returns the state of the client when it was last looked at.
    pub(super) fn peer(&self) -> PeerState {
        self.client.state
    }

    /// Returns whether another request may follow, and its start is known.
    pub(super) fn may_persist(&self) -> bool {
        let is_short =
            self.decoder.is_done() || self.decoder.remaining().is_some_and(|bytes| bytes <= MAX_DRAINED);
        let is_last =
            self.client.state == PeerState::Gone || (self.client.at_end && self.bytes.unread.is_empty());
        !self.is_broken && !self.awaits_continue && is_short && !is_last
    }

    /// Returns `Ready` when the request must be abandoned: its time is up, its client left before all of it had
    /// arrived, or its client is gone and would not read the response.
    ///
    /// A client that merely stopped sending may still read (RFC 9112, section 9.6), so its request is served.
    pub(super) fn poll_abandoned(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.request_deadline.poll(cx).is_ready() {
            return Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "the request took too long"));
        }
        // The bytes of a body are left to the reader of the body.
        while !self.client.at_end && self.decoder.is_done() && self.bytes.unread.is_empty() {
            match ready!(self.bytes.poll_fill(cx)) {
                Ok(1..) => {}
                Ok(0) => {
                    self.client.at_end = true;
                    self.record_peer(PeerState::Ended);
                }
                Err(_) => {
                    self.client.at_end = true;
                    self.record_peer(PeerState::Gone);
                }
            }
        }
        self.poll_peer(cx)
    }

    /// Asks the kernel for the state of the client at intervals. Reads do not show it while earlier bytes are unread
    /// (a body that is not wanted yet, or the next request), nor once everything has been read.
    fn poll_peer(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        while self.timer.poll(cx).is_ready() {
            self.record_peer(self.bytes.with_stream(S::peer_state));
            let is_abandoned = match self.client.state {
                PeerState::Open => false,
                PeerState::Ended => !self.body_may_arrive(cx),
                PeerState::Gone => self.client.abandon_when_gone || !self.body_may_arrive(cx),
            };
            if is_abandoned {
                return Poll::Ready(io::ErrorKind::ConnectionAborted.into());
            }
            self.timer.set(clock::now() + PEER_CHECK);
        }
        Poll::Pending
    }

    fn record_peer(&mut self, state: PeerState) {
        if self.client.state == PeerState::Open && state == PeerState::Ended {
            self.bytes.with_stream(S::probe_peer);
        }
        self.client.state = self.client.state.max(state);
    }

    /// Returns whether all of the body may have arrived, now that the client sends no more.
    fn body_may_arrive(&mut self, cx: &mut Context<'_>) -> bool {
        if self.client.body_arrived || self.decoder.is_done() {
            return true;
        }
        let arrived = self.bytes.with_stream(S::arrived);
        self.client.body_arrived = match self.decoder.remaining() {
            Some(bytes) => bytes <= (self.bytes.unread.len() as u64).saturating_add(arrived as u64),
            // More has arrived than is read ahead. Reading the body finds its end.
            None if arrived > MAX_AHEAD => return true,
            None => {
                // Pending and errors change nothing: what has been read decides.
                let _ = self.bytes.poll_fill(cx);
                self.decoder.ends_within(&self.bytes.unread)
            }
        };
        self.client.body_arrived
    }

    /// Defers the end of a response, if there is nothing else to do on the connection. Returns whether it did.
    pub(super) fn defer_write(&mut self, cx: &Context<'_>, out: &mut BytesMut, data: &mut Bytes) -> bool {
        self.decoder.is_done() && self.interim.is_empty() && self.bytes.defer_write(cx, out, data)
    }

    /// Drops the buffers and timers that only messages need.
    pub(super) fn drop_buffers(&mut self) {
        self.bytes.drop_buffer();
        self.read_stall.reset();
        self.write_stall.reset();
    }

    /// Writes the rest of a deferred response that the outbox could not send in full.
    pub(super) fn poll_deferred(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.bytes.is_deferred() || !self.bytes.has_pending_write() {
            return Poll::Ready(Ok(()));
        }
        self.poll_send(cx, &mut BytesMut::new(), &mut Bytes::new())
    }

    /// Writes all of `out`, then of `data`, and flushes them.
    pub(super) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut BytesMut,
        data: &mut Bytes,
    ) -> Poll<io::Result<()>> {
        if !self.interim.is_empty() {
            let mut all = std::mem::take(&mut self.interim);
            all.unsplit(std::mem::take(out));
            *out = all;
        }
        loop {
            match self.bytes.poll_write(cx, out, data) {
                Poll::Ready(Ok(0)) => break,
                Poll::Ready(Ok(written)) => self.write_stall.progress(written),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return self.poll_unread(cx),
            }
        }
        self.bytes.poll_flush(cx)
    }

    /// Writes all that `pipe` holds. Bytes that cannot stay in the pipe pass through `rest`.
    pub(super) fn poll_send_pipe(
        &mut self,
        cx: &mut Context<'_>,
        pipe: &mut Option<Pipe>,
        rest: &mut Bytes,
    ) -> Poll<io::Result<()>> {
        while pipe.is_some() {
            match self.bytes.poll_write_pipe(cx, pipe, rest) {
                Poll::Ready(Ok(written)) => self.write_stall.progress(written),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return self.poll_unread(cx),
            }
        }
        self.poll_send(cx, &mut BytesMut::new(), rest)
    }

    /// Returns an error once the client has taken nothing for too long.
    fn poll_unread(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.write_stall.poll_stalled(cx) || self.request_deadline.poll(cx).is_ready() {
            let why = "the client reads too slowly";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)));
        }
        Poll::Pending
    }

    /// Reads the next piece of the request's body. Returns `None` at its end.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        loop {
            match self.decoder.decode(&mut self.bytes.unread) {
                Ok(Decoded::Data(data)) => {
                    self.awaits_continue = false;
                    return Poll::Ready(Some(Ok(data)));
                }
                Ok(Decoded::End) => return Poll::Ready(None),
                Ok(Decoded::NeedMore) => {}
                Err(malformed) => return self.fail(Broken::Malformed(malformed)),
            }
            self.send_continue(cx);
            match self.bytes.poll_fill_body(cx, self.decoder.remaining()) {
                Poll::Ready(Ok(0) | Err(_)) => return self.fail(Broken::Short),
                Poll::Ready(Ok(read)) => self.read_stall.progress(read),
                Poll::Pending if self.is_unsent(cx) => return self.fail(Broken::Stalled),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Moves the next piece of the request's body into a pipe, unless it must be read.
    fn poll_splice(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Pipe>, Broken>> {
        let Decoder::Length(remaining @ 1..) = self.decoder else { return Poll::Ready(Ok(None)) };
        self.send_continue(cx);
        let why = match self.bytes.poll_fill_pipe(cx, remaining) {
            Poll::Ready(Ok(Filled::Piece(pipe))) => {
                self.decoder.pass(pipe.held());
                self.read_stall.progress(pipe.held());
                return Poll::Ready(Ok(Some(pipe)));
            }
            Poll::Ready(Ok(Filled::Unavailable)) => return Poll::Ready(Ok(None)),
            Poll::Ready(Ok(Filled::End) | Err(_)) => Broken::Short,
            Poll::Pending if self.is_unsent(cx) => Broken::Stalled,
            Poll::Pending => return Poll::Pending,
        };
        self.is_broken = true;
        Poll::Ready(Err(why))
    }

    /// Returns whether the client has sent nothing of the request's body for too long.
    fn is_unsent(&mut self, cx: &mut Context<'_>) -> bool {
        self.read_stall.poll_stalled(cx) || self.request_deadline.poll(cx).is_ready()
    }

    fn fail<T>(&mut self, why: Broken) -> Poll<Option<Result<T, Broken>>> {
        self.is_broken = true;
        Poll::Ready(Some(Err(why)))
    }

    /// Sends `100 Continue` to a client that waits for it (RFC 9110, section 10.1.1).
    fn send_continue(&mut self, cx: &mut Context<'_>) {
        if self.awaits_continue {
            self.awaits_continue = false;
            self.interim.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        if !self.interim.is_empty() {
            // An error shows when the body is read.
            let _ = self.bytes.poll_write(cx, &mut self.interim, &mut Bytes::new());
        }
    }

    /// Reads and drops a piece of the request's body, and returns its length; `None` at the end.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<usize>, Broken>> {
        if self.decoder.is_done() {
            return Poll::Ready(Ok(None));
        }
        match ready!(self.poll_body(cx)) {
            None => Poll::Ready(Ok(None)),
            Some(data) => Poll::Ready(data.map(|data| Some(data.len()))),
        }
    }

    /// Reads and drops whatever arrives, and returns its length; 0 at the client's end or when the timer fires.
    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let filled = self.bytes.poll_fill(cx);
        // A lingering connection may last for a while, and holds no buffer meanwhile.
        self.bytes.discard();
        match filled {
            Poll::Pending => self.timer.poll(cx).map(|()| Ok(0)),
            ready @ Poll::Ready(_) => ready,
        }
    }
}

/// The body of a client's request.
#[derive(Debug)]
pub struct RequestBody<S> {
    /// `None` for a request without a body.
    pub(super) state: Option<Rc<RefCell<State<S>>>>,
}

impl<S: Transport> Body for RequestBody<S> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(state) = &self.state else { return Poll::Ready(None) };
        let next = ready!(state.borrow_mut().poll_body(cx));
        Poll::Ready(next.map(|next| next.map(Frame::data).map_err(BoxError::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.state.as_ref().is_none_or(|state| state.borrow().decoder.is_done())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            None => SizeHint::with_exact(0),
            Some(state) => {
                state.borrow().decoder.remaining().map_or_else(SizeHint::default, SizeHint::with_exact)
            }
        }
    }
}

impl<S: Transport> SpliceBody for RequestBody<S> {
    fn poll_splice(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Pipe>, BoxError>> {
        let Some(state) = &self.state else { return Poll::Ready(Ok(None)) };
        state.borrow_mut().poll_splice(cx).map_err(BoxError::from)
    }
}
