//! A connection to the store: one request at a time, its answer read while its body is still being sent.

use super::{Framing, HeadLimits, LazyTimer, Malformed, ResponseHead, StallTimer};
use crate::body::{BoxError, Broken};
use crate::buffered::Buffered;
use crate::clock;
use crate::decode::{Decoded, Decoder};
use crate::head::HeadScan;
use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode};
use http_body::Body;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// Bounds on a store's head: MinIO sends user metadata of 2 KiB and some dozen fields.
const HEAD: HeadLimits = HeadLimits { bytes: 64 * 1024, fields: 200 };
/// Interim answers to one request.
const MAX_INTERIM: u32 = 16;
/// How long a store may take to ask for a body before it is sent unasked (RFC 9110, section 10.1.1).
const CONTINUE_WAIT: Duration = Duration::from_secs(1);

/// A connection to a node.
#[derive(Debug)]
pub struct Connection<S> {
    bytes: Buffered<S>,
    decoder: Decoder,
    /// Whether it may serve another request once the answer was read.
    persists: bool,
    /// For the head of an answer, while the store has everything that it waits for.
    patience: Duration,
    deadline: LazyTimer,
    stall: StallTimer,
    keep: fn(&[u8]) -> bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Failure<E> {
    /// The connection ended, and not one byte of an answer had come.
    Silent(io::Error),
    /// The connection broke within the answer's head.
    Broken(io::Error),
    /// What came is no answer.
    Malformed(Malformed),
    /// Nothing came in time.
    Timeout,
    /// The request's own body could not be read.
    Body(E),
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(error) => write!(f, "the connection ended without an answer: {error}"),
            Self::Broken(error) => write!(f, "the connection ended within the answer's head: {error}"),
            Self::Malformed(malformed) => write!(f, "the answer is not HTTP/1.1: {malformed}"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Body(error) => write!(f, "the request's body: {error}"),
        }
    }
}

/// How long to wait for an answer.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For its head, while the store has everything that it waits for.
    pub response: Duration,
    /// Between parts of its body.
    pub stall: Duration,
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Connection<S> {
    /// A connection over `stream`.
    pub fn new(stream: S, patience: Patience) -> Self {
        Self {
            bytes: Buffered::new(stream).sharing(),
            decoder: Decoder::new(Framing::Empty),
            persists: true,
            patience: patience.response,
            deadline: LazyTimer::new(clock::now() + patience.response),
            stall: StallTimer::new(patience.stall),
            keep: |_| true,
        }
    }

    /// Of answers' fields only those that `keep` names are kept, and the length.
    #[must_use]
    pub fn keeping(self, keep: fn(&[u8]) -> bool) -> Self {
        Self { keep, ..self }
    }

    /// Whether it can take a request: the last answer was read to its end and nothing has come since.
    pub fn is_ready(&mut self) -> bool {
        self.may_be_kept() && self.bytes.is_quiet()
    }

    /// Whether it can serve another request, as far as is known.
    pub fn may_be_kept(&self) -> bool {
        self.persists && self.decoder.is_over() && self.bytes.unread.is_empty()
    }

    /// Sends a request, whose `head` is complete and lasts to its empty line, and reads the head of the answer. With
    /// `hold` the body is held back until the store asks for it or has had a second to. An answer that comes while
    /// the body is being sent ends the sending.
    pub fn send<B>(&mut self, method: Method, head: BytesMut, body: B, hold: bool) -> Exchange<'_, S, B>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        // Only an answer that was read whole makes it good for another.
        self.persists = false;
        self.deadline.set(clock::now() + if hold { CONTINUE_WAIT } else { self.patience });
        let stage = if hold { Stage::Waiting } else { Stage::Body };
        let sending = Sending {
            head,
            data: Bytes::new(),
            stage,
            error: None,
            begun: false,
            was_left: false,
            flushed: false,
        };
        let scan = HeadScan::default();
        Exchange { connection: self, method, body, sending, scan, interim: 0, starved: false }
    }

    fn poll_head<E>(
        &mut self,
        cx: &mut Context<'_>,
        scan: &mut HeadScan,
        method: &Method,
        begun: bool,
    ) -> Poll<Result<ResponseHead, Failure<E>>> {
        loop {
            match scan.find(&self.bytes.unread, HEAD) {
                Ok(Some((start, end))) => {
                    let mut head = self.bytes.unread.split_to(end);
                    bytes::Buf::advance(&mut head, start);
                    if !begun {
                        return Poll::Ready(Err(Failure::Malformed(Malformed::syntax(
                            "it came before the request",
                        ))));
                    }
                    return Poll::Ready(
                        ResponseHead::parse(head.freeze(), method, HEAD, self.keep)
                            .map_err(Failure::Malformed),
                    );
                }
                Ok(None) => {}
                Err(malformed) => return Poll::Ready(Err(Failure::Malformed(malformed))),
            }
            let silent = self.bytes.unread.is_empty();
            let ended = match self.bytes.poll_fill(cx) {
                Poll::Ready(Ok(0)) => io::ErrorKind::UnexpectedEof.into(),
                Poll::Ready(Ok(_)) => continue,
                Poll::Ready(Err(error)) => error,
                Poll::Pending => return Poll::Pending,
            };
            return Poll::Ready(Err(if silent { Failure::Silent(ended) } else { Failure::Broken(ended) }));
        }
    }

    /// Sends on. Ready each time something moved, pending when nothing can or nothing is left.
    fn poll_sending<B>(
        &mut self,
        cx: &mut Context<'_>,
        sending: &mut Sending,
        body: &mut B,
    ) -> Poll<Result<(), Failure<B::Error>>>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let mut moved = false;
        loop {
            // After a failed write the answer that may explain it is awaited, and nothing more is sent.
            if sending.error.is_some() || self.bytes.waits() {
                break;
            }
            if sending.head.is_empty() && sending.data.is_empty() && !self.bytes.owes() {
                if sending.stage != Stage::Body {
                    break;
                }
                match Pin::new(&mut *body).poll_frame(cx) {
                    Poll::Pending => break,
                    Poll::Ready(None) => sending.stage = Stage::Sent,
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(Failure::Body(error))),
                    Poll::Ready(Some(Ok(frame))) => sending.data = frame.into_data().unwrap_or_default(),
                }
                continue;
            }
            // A body that is there goes out together with the head.
            if sending.data.is_empty() && sending.stage == Stage::Body && !sending.begun {
                match Pin::new(&mut *body).poll_frame(cx) {
                    Poll::Pending => {}
                    Poll::Ready(None) => sending.stage = Stage::Sent,
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(Failure::Body(error))),
                    Poll::Ready(Some(Ok(frame))) => sending.data = frame.into_data().unwrap_or_default(),
                }
            }
            if sending.may_wait() && self.bytes.leave(cx, &mut sending.head, &mut sending.data) {
                (sending.begun, sending.was_left, moved) = (true, true, true);
                break;
            }
            match self.bytes.poll_write(cx, &mut sending.head, &mut sending.data) {
                Poll::Pending => break,
                Poll::Ready(Ok(_)) => (sending.begun, moved) = (true, true),
                Poll::Ready(Err(error)) => sending.error = Some(error),
            }
        }
        sending.flushed = self.bytes.poll_flush(cx).is_ready();
        if sending.flushed && moved { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// What comes next of the answer's body; none at its end.
    pub fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        loop {
            match self.decoder.decode(&mut self.bytes.unread) {
                Ok(Decoded::Data(data)) => {
                    if self.decoder.is_over() {
                        self.rest();
                    }
                    return Poll::Ready(Some(Ok(data)));
                }
                Ok(Decoded::End) => {
                    self.rest();
                    return Poll::Ready(None);
                }
                Ok(Decoded::More) => {}
                Err(malformed) => return self.break_off(Broken::Malformed(malformed).into()),
            }
            match self.bytes.poll_fill_body(cx, self.decoder.left()) {
                Poll::Ready(Ok(0)) => return self.break_off(Broken::Short.into()),
                Poll::Ready(Ok(read)) => self.stall.progress(read),
                Poll::Ready(Err(error)) => return self.break_off(error.into()),
                Poll::Pending if self.stall.poll_stalled(cx) => {
                    return self.break_off(Broken::Stalled.into());
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Lets go of what only a message needs, at an answer's end.
    fn rest(&mut self) {
        self.bytes.rest();
        self.bytes.forget();
        self.stall.rest();
    }

    fn break_off(&mut self, why: BoxError) -> Poll<Option<Result<Bytes, BoxError>>> {
        self.persists = false;
        Poll::Ready(Some(Err(why)))
    }

    /// Whether the answer's body has ended.
    pub fn is_over(&self) -> bool {
        self.decoder.is_over()
    }

    /// The bytes of the answer's body that are to come, where that is known.
    pub fn left(&self) -> Option<u64> {
        self.decoder.left()
    }
}

/// A request under way, whose answer's head is awaited. It is written as it is, and not as an `async` function, so that
/// it holds each value once.
///
/// It fails when there is no answer.
#[derive(Debug)]
pub struct Exchange<'c, S, B> {
    connection: &'c mut Connection<S>,
    method: Method,
    body: B,
    sending: Sending,
    scan: HeadScan,
    interim: u32,
    /// Everything there is was sent, and the rest of the body has not come yet.
    starved: bool,
}

impl<S, B> Exchange<'_, S, B>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    B: Body<Data = Bytes> + Unpin,
{
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, Failure<B::Error>>> {
        let connection = &mut *self.connection;
        loop {
            let begun = self.sending.begun && (!self.sending.was_left || connection.bytes.has_begun());
            match connection.poll_head(cx, &mut self.scan, &self.method, begun) {
                Poll::Ready(Ok(head)) if head.status == StatusCode::SWITCHING_PROTOCOLS => {
                    let why = Malformed::syntax("it switches protocols unasked");
                    return Poll::Ready(Err(Failure::Malformed(why)));
                }
                Poll::Ready(Ok(head)) if head.status.is_informational() => {
                    self.interim += 1;
                    if self.interim > MAX_INTERIM {
                        let why = Malformed::syntax("too many interim answers");
                        return Poll::Ready(Err(Failure::Malformed(why)));
                    }
                    if head.status == StatusCode::CONTINUE {
                        self.sending.release();
                        connection.deadline.set(clock::now() + connection.patience);
                    }
                    self.scan = HeadScan::default();
                    continue;
                }
                Poll::Ready(head) => return Poll::Ready(head),
                Poll::Pending => {}
            }
            match connection.poll_sending(cx, &mut self.sending, &mut self.body) {
                Poll::Ready(Ok(())) if self.sending.stage == Stage::Waiting => {}
                Poll::Ready(Ok(())) => connection.deadline.set(clock::now() + connection.patience),
                Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                Poll::Pending => {}
            }
            let starved = self.sending.waits_for_body() && !connection.bytes.owes();
            if std::mem::replace(&mut self.starved, starved) && !starved {
                connection.deadline.set(clock::now() + connection.patience);
            }
            // The client is late, not the store. The body has a stall timer of its own.
            if starved {
                return Poll::Pending;
            }
            if connection.deadline.poll(cx).is_pending() {
                return Poll::Pending;
            }
            if self.sending.stage != Stage::Waiting {
                return Poll::Ready(Err(Failure::Timeout));
            }
            self.sending.release();
            connection.deadline.set(clock::now() + connection.patience);
        }
    }
}

impl<S, B> Future for Exchange<'_, S, B>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    B: Body<Data = Bytes> + Unpin,
{
    type Output = Result<ResponseHead, Failure<B::Error>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let head = ready!(this.poll_answer(cx))?;
        let connection = &mut *this.connection;
        connection.persists = head.keep_alive && this.sending.is_done() && !connection.bytes.owes();
        connection.decoder = Decoder::new(head.framing);
        connection.stall.rest();
        if connection.decoder.is_over() {
            connection.rest();
        }
        Poll::Ready(Ok(head))
    }
}

/// How far a request was sent.
#[derive(Debug)]
struct Sending {
    head: BytesMut,
    data: Bytes,
    stage: Stage,
    error: Option<io::Error>,
    begun: bool,
    /// Its beginning was left with the outbox.
    was_left: bool,
    /// What was written is with the store.
    flushed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The body is held back.
    Waiting,
    Body,
    Sent,
}

impl Sending {
    fn release(&mut self) {
        if self.stage == Stage::Waiting {
            self.stage = Stage::Body;
        }
    }

    /// Whether all that came of the body was written, and more is to come.
    fn waits_for_body(&self) -> bool {
        let nothing_left = self.head.is_empty() && self.data.is_empty() && self.flushed;
        self.stage == Stage::Body && nothing_left && self.error.is_none()
    }

    /// Whether nothing else is to be sent soon.
    fn may_wait(&self) -> bool {
        !self.begun && self.stage != Stage::Body
    }

    fn is_done(&self) -> bool {
        self.stage == Stage::Sent && self.head.is_empty() && self.data.is_empty() && self.error.is_none()
    }
}

#[cfg(test)]
mod tests;
