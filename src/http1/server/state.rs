//! The state that a connection shares with the body of the request that it serves.

use super::{ConnectionLimits, MAX_SKIPPED};
use crate::body::{BoxError, Broken};
use crate::clock;
use crate::http1::chunked::Decoded;
use crate::http1::decode::Decoder;
use crate::http1::io::{Buffered, Transport};
use crate::http1::{Framing, LazyTimer, StallTimer};
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// How often a client is asked whether it has gone, while bytes that it sent are not read.
const ENDED: Duration = Duration::from_millis(200);

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
    pub(super) timer: LazyTimer,
    pub(super) whole: LazyTimer,
    reading: StallTimer,
    writing: StallTimer,
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
            timer: LazyTimer::new(now),
            whole: LazyTimer::new(now + limits.request),
            reading: StallTimer::demanding(limits.stall, limits.rate),
            writing: StallTimer::demanding(limits.stall, limits.rate),
        }
    }

    pub(super) fn begin(&mut self, framing: Framing, waits: bool, limit: Duration) {
        self.decoder = Decoder::new(framing);
        // Whoever has begun to send does not wait, and who has nothing to send has sent it all.
        self.waits = waits && self.bytes.unread.is_empty() && !self.decoder.is_over();
        let now = clock::now();
        self.whole.set(now + limit);
        self.timer.set(now + ENDED);
        self.reading.rest();
        self.writing.rest();
    }

    /// Whether it is known where the next request begins.
    pub(super) fn may_persist(&self) -> bool {
        let small = self.decoder.is_over() || self.decoder.left().is_some_and(|left| left <= MAX_SKIPPED);
        !self.broken && !self.waits && small
    }

    /// Ready when the client has gone, or the request has had its time.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.whole.poll(cx).is_ready() {
            return Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "the request took too long"));
        }
        // Bytes of a body are left to whoever reads the body.
        while self.decoder.is_over() && self.bytes.unread.is_empty() {
            match ready!(self.bytes.poll_fill(cx)) {
                Ok(0) => return Poll::Ready(io::ErrorKind::ConnectionAborted.into()),
                Ok(_) => {}
                Err(error) => return Poll::Ready(error),
            }
        }
        self.poll_ended(cx)
    }

    /// Asks now and then whether the client has gone. Its end does not show in what is read, as long as bytes that it
    /// sent before are not read: a body that nobody wants yet, or the next request.
    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        while self.timer.poll(cx).is_ready() {
            if self.bytes.with_stream(S::has_ended) {
                return Poll::Ready(io::ErrorKind::ConnectionAborted.into());
            }
            self.timer.set(clock::now() + ENDED);
        }
        Poll::Pending
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
