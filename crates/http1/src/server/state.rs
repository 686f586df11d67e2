//! The state that a connection shares with the body of the request that it serves.

use super::{ConnectionLimits, MAX_SKIPPED};
use crate::body::{BoxError, Broken};
use crate::buffered::Buffered;
use crate::clock;
use crate::decode::Decoded;
use crate::decode::Decoder;
use crate::{Framing, LazyTimer, StallTimer};
use crate::{PeerState, Transport};
use bytes::{Bytes, BytesMut};
use http::Method;
use http_body::{Body, Frame, SizeHint};
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// How often the kernel is asked about a client that has ended its side, or whose bytes are not read.
const ENDED: Duration = Duration::from_millis(200);
/// What is read ahead of a chunked body to see whether it ends there, in bytes.
const MAX_AHEAD: usize = 16 * 1024;

/// A connection's state, which the body of the request and the connection share.
#[derive(Debug)]
pub(super) struct Io<S> {
    pub(super) bytes: Buffered<S>,
    pub(super) decoder: Decoder,
    /// The client waits for `100 Continue`, which has not been asked for.
    waits: bool,
    /// What of `100 Continue` is not yet written.
    interim: BytesMut,
    broken: bool,
    client: ClientEnd,
    pub(super) timer: LazyTimer,
    pub(super) whole: LazyTimer,
    reading: StallTimer,
    writing: StallTimer,
}

/// The client's end of the connection, and what its leaving means for the request.
#[derive(Debug)]
struct ClientEnd {
    /// What the client has done with it, as far as that was looked at.
    state: PeerState,
    /// Everything that the client sent was read.
    at_end: bool,
    /// The body of the request has arrived, and the client sends no more.
    has_arrived: bool,
    /// The request ends when the client has gone, although all of it has arrived.
    gives_up: bool,
}

impl<S: Transport> Io<S> {
    pub(super) fn new(stream: S, limits: &ConnectionLimits) -> Self {
        let now = clock::now();
        Self {
            bytes: Buffered::new(stream),
            decoder: Decoder::new(Framing::Empty),
            waits: false,
            interim: BytesMut::new(),
            broken: false,
            client: ClientEnd { state: PeerState::Open, at_end: false, has_arrived: false, gives_up: true },
            timer: LazyTimer::new(now),
            whole: LazyTimer::new(now + limits.request),
            reading: StallTimer::demanding(limits.stall, limits.rate),
            writing: StallTimer::demanding(limits.stall, limits.rate),
        }
    }

    pub(super) fn begin(&mut self, framing: Framing, waits: bool, method: &Method, limit: Duration) {
        self.decoder = Decoder::new(framing);
        // A client that has begun to send does not wait, and one with nothing to send has sent it all.
        self.waits = waits && self.bytes.unread.is_empty() && !self.decoder.is_over();
        self.client.has_arrived = false;
        self.client.gives_up = matches!(*method, Method::GET | Method::HEAD);
        let now = clock::now();
        self.whole.set(now + limit);
        self.timer.set(now + ENDED);
        self.reading.rest();
        self.writing.rest();
    }

    /// Notes that the answer begins: without its client nothing is left to do.
    pub(super) fn begin_answer(&mut self) {
        self.client.gives_up = true;
    }

    /// What the client has done with its end of the connection, as far as that was looked at.
    pub(super) fn peer(&self) -> PeerState {
        self.client.state
    }

    /// Whether it is known where the next request begins, and there may be one.
    pub(super) fn may_persist(&self) -> bool {
        let small = self.decoder.is_over() || self.decoder.left().is_some_and(|left| left <= MAX_SKIPPED);
        let is_last =
            self.client.state == PeerState::Gone || (self.client.at_end && self.bytes.unread.is_empty());
        !self.broken && !self.waits && small && !is_last
    }

    /// Ready when the request is to be given up: it has had its time, or its client has left before all of it had
    /// arrived, or does not read the answer to a read.
    ///
    /// A client that sends no more may still read (RFC 9112, section 9.6), and what it has asked for is done.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.whole.poll(cx).is_ready() {
            return Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "the request took too long"));
        }
        // Bytes of a body are left to the reader of the body.
        while !self.client.at_end && self.decoder.is_over() && self.bytes.unread.is_empty() {
            match ready!(self.bytes.poll_fill(cx)) {
                Ok(1..) => {}
                Ok(0) => {
                    self.client.at_end = true;
                    self.note_peer(PeerState::Ended);
                }
                Err(_) => {
                    self.client.at_end = true;
                    self.note_peer(PeerState::Gone);
                }
            }
        }
        self.poll_peer(cx)
    }

    /// Asks now and then what the client has done. That does not show in what is read, as long as bytes that it sent
    /// before are not read (a body that nobody wants yet, or the next request), or once all was read.
    fn poll_peer(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        while self.timer.poll(cx).is_ready() {
            self.note_peer(self.bytes.with_stream(S::peer_state));
            let is_over = match self.client.state {
                PeerState::Open => false,
                PeerState::Ended => !self.may_arrive(cx),
                PeerState::Gone => self.client.gives_up || !self.may_arrive(cx),
            };
            if is_over {
                return Poll::Ready(io::ErrorKind::ConnectionAborted.into());
            }
            self.timer.set(clock::now() + ENDED);
        }
        Poll::Pending
    }

    fn note_peer(&mut self, state: PeerState) {
        if self.client.state == PeerState::Open && state == PeerState::Ended {
            self.bytes.with_stream(S::probe_peer);
        }
        self.client.state = self.client.state.max(state);
    }

    /// Whether all of the body may be there, now that the client sends no more.
    fn may_arrive(&mut self, cx: &mut Context<'_>) -> bool {
        if self.client.has_arrived || self.decoder.is_over() {
            return true;
        }
        let arrived = self.bytes.with_stream(S::arrived);
        self.client.has_arrived = match self.decoder.left() {
            Some(left) => left <= (self.bytes.unread.len() as u64).saturating_add(arrived as u64),
            // What is longer is read to its end where it is wanted.
            None if arrived > MAX_AHEAD => return true,
            None => {
                // What cannot be read now was read before.
                let _ = self.bytes.poll_fill(cx);
                self.decoder.ends_within(&self.bytes.unread)
            }
        };
        self.client.has_arrived
    }

    /// Leaves the end of an answer to be written later, if that is all there is to do.
    pub(super) fn leave(&mut self, cx: &Context<'_>, out: &mut BytesMut, data: &mut Bytes) -> bool {
        self.decoder.is_over() && self.interim.is_empty() && self.bytes.leave(cx, out, data)
    }

    /// Lets go of what only messages need.
    pub(super) fn let_go(&mut self) {
        self.bytes.let_go();
        self.reading.rest();
        self.writing.rest();
    }

    /// Writes on what was left to be written and could not be.
    pub(super) fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.bytes.waits() || !self.bytes.owes() {
            return Poll::Ready(Ok(()));
        }
        self.poll_send(cx, &mut BytesMut::new(), &mut Bytes::new())
    }

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
                Poll::Ready(Ok(written)) => self.writing.progress(written),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    if self.writing.poll_stalled(cx) || self.whole.poll(cx).is_ready() {
                        return Poll::Ready(Err(io::Error::new(
                            io::ErrorKind::TimedOut,
                            "the client reads too slowly",
                        )));
                    }
                    return Poll::Pending;
                }
            }
        }
        self.bytes.poll_flush(cx)
    }

    /// What comes next of the request's body; none at its end.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        loop {
            match self.decoder.decode(&mut self.bytes.unread) {
                Ok(Decoded::Data(data)) => {
                    self.waits = false;
                    return Poll::Ready(Some(Ok(data)));
                }
                Ok(Decoded::End) => return Poll::Ready(None),
                Ok(Decoded::More) => {}
                Err(malformed) => return self.break_off(Broken::Malformed(malformed)),
            }
            self.ask_for_body(cx);
            match self.bytes.poll_fill_body(cx, self.decoder.left()) {
                Poll::Ready(Ok(0) | Err(_)) => return self.break_off(Broken::Short),
                Poll::Ready(Ok(read)) => self.reading.progress(read),
                Poll::Pending if self.reading.poll_stalled(cx) || self.whole.poll(cx).is_ready() => {
                    return self.break_off(Broken::Stalled);
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn break_off<T>(&mut self, why: Broken) -> Poll<Option<Result<T, Broken>>> {
        self.broken = true;
        Poll::Ready(Some(Err(why)))
    }

    /// Lets a client that waits for it send its body (RFC 9110, section 10.1.1).
    fn ask_for_body(&mut self, cx: &mut Context<'_>) {
        if self.waits {
            self.waits = false;
            self.interim.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        if !self.interim.is_empty() {
            // An error shows when the body is read.
            let _ = self.bytes.poll_write(cx, &mut self.interim, &mut Bytes::new());
        }
    }

    pub(super) fn poll_skip(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<usize>, Broken>> {
        if self.decoder.is_over() {
            return Poll::Ready(Ok(None));
        }
        match ready!(self.poll_body(cx)) {
            None => Poll::Ready(Ok(None)),
            Some(data) => Poll::Ready(data.map(|data| Some(data.len()))),
        }
    }

    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let filled = self.bytes.poll_fill(cx);
        // A client that is being left may stay for a while, and holds no room for what nobody reads.
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
    pub(super) io: Option<Rc<RefCell<Io<S>>>>,
}

impl<S: Transport> Body for RequestBody<S> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(io) = &self.io else { return Poll::Ready(None) };
        let next = ready!(io.borrow_mut().poll_body(cx));
        Poll::Ready(next.map(|next| next.map(Frame::data).map_err(BoxError::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.io.as_ref().is_none_or(|io| io.borrow().decoder.is_over())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.io {
            None => SizeHint::with_exact(0),
            Some(io) => io.borrow().decoder.left().map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}
