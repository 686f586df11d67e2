//! The future of a response: sends a request and awaits the head of its response.
//!
//! | stage | the body | left by |
//! |---|---|---|
//! | `HoldBody` | held back | `100 Continue`, or a second without one → `SendBody` |
//! | `SendBody` | sent as it comes | its end → `Sent` |
//! | `Sent` | sent in full | |
//!
//! Throughout, the head of a response ends the sending. The deadline runs while the server has all that it waits for: it
//! starts over whenever something was sent, and stands still while the body of the request is awaited.

use super::{Connection, Failure, HEAD};
use crate::buffered::Buffered;
use crate::decode::Decoder;
use crate::head::HeadScan;
use crate::splice::{MIN_SPLICED, Pipe, Splice, SpliceBody};
use crate::{Malformed, ResponseHead, clock};
use bytes::{Buf, Bytes, BytesMut};
use http::{Method, StatusCode};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite};

/// The most interim responses to one request.
const MAX_INTERIM: u32 = 16;

/// The future that sends a request and resolves to the head of the response. Handwritten because an `async` function
/// would store its arguments twice (docs/performance.md, "the exchange with the store is a future that holds
/// everything once").
#[derive(Debug)]
pub struct ResponseFuture<'c, S, B> {
    connection: &'c mut Connection<S>,
    method: Method,
    body: B,
    sending: Sending,
    scan: HeadScan,
    interim: u32,
    /// Whether everything available was sent, and the rest of the body has not come yet.
    is_starved: bool,
}

/// The progress of sending a request.
#[derive(Debug)]
struct Sending {
    /// The unwritten rest of the head, and of the current piece of the body.
    head: BytesMut,
    data: Bytes,
    /// A piece of the body that moves within the kernel.
    pipe: Option<Pipe>,
    stage: Stage,
    /// A failed write. The response that may explain it is awaited, and nothing more is sent.
    error: Option<io::Error>,
    has_started: bool,
    /// Whether the beginning was handed to the outbox, which may not have sent it yet.
    was_deferred: bool,
    /// Whether everything written has been flushed.
    is_flushed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    HoldBody,
    SendBody,
    Sent,
}

impl Sending {
    fn release_body(&mut self) {
        if self.stage == Stage::HoldBody {
            self.stage = Stage::SendBody;
        }
    }

    fn is_written(&self) -> bool {
        self.head.is_empty() && self.data.is_empty() && self.pipe.is_none()
    }

    /// Returns whether everything available of the body was sent, and more is to come.
    fn awaits_body(&self) -> bool {
        self.stage == Stage::SendBody && self.is_written() && self.is_flushed && self.error.is_none()
    }

    /// Returns whether the write may be deferred: it is the first, and nothing will follow soon.
    fn may_defer(&self) -> bool {
        !self.has_started && self.stage != Stage::SendBody
    }

    fn is_done(&self) -> bool {
        self.stage == Stage::Sent && self.is_written() && self.error.is_none()
    }

    /// Takes the next piece of the body in a pipe, or as data if it must be read.
    fn poll_piece<S, B>(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut B,
        bytes: &Buffered<S>,
    ) -> Result<bool, Failure<B::Error>>
    where
        S: AsyncRead + AsyncWrite + Splice + Unpin + 'static,
        B: SpliceBody<Data = Bytes> + Unpin,
    {
        let is_long = body.size_hint().exact().is_some_and(|length| length >= MIN_SPLICED);
        if is_long && self.has_started && bytes.takes_pipes() {
            match body.poll_splice(cx).map_err(Failure::Body) {
                Poll::Pending => return Ok(false),
                Poll::Ready(piece) => self.pipe = piece?,
            }
        }
        if self.pipe.is_some() { Ok(true) } else { self.poll_body(cx, body) }
    }

    /// Takes the next piece of the body, and returns whether the body had one or ended.
    fn poll_body<B>(&mut self, cx: &mut Context<'_>, body: &mut B) -> Result<bool, Failure<B::Error>>
    where
        B: SpliceBody<Data = Bytes> + Unpin,
    {
        match Pin::new(body).poll_frame(cx) {
            Poll::Pending => return Ok(false),
            Poll::Ready(None) => self.stage = Stage::Sent,
            Poll::Ready(Some(Err(error))) => return Err(Failure::Body(error)),
            Poll::Ready(Some(Ok(frame))) => self.data = frame.into_data().unwrap_or_default(),
        }
        Ok(true)
    }
}

impl<'c, S, B> ResponseFuture<'c, S, B>
where
    S: AsyncRead + AsyncWrite + Splice + Unpin + 'static,
    B: SpliceBody<Data = Bytes> + Unpin,
{
    pub(super) fn new(
        connection: &'c mut Connection<S>,
        method: Method,
        head: BytesMut,
        body: B,
        hold_body: bool,
    ) -> Self {
        let sending = Sending {
            head,
            data: Bytes::new(),
            pipe: None,
            stage: if hold_body { Stage::HoldBody } else { Stage::SendBody },
            error: None,
            has_started: false,
            was_deferred: false,
            is_flushed: false,
        };
        Self { connection, method, body, sending, scan: HeadScan::default(), interim: 0, is_starved: false }
    }

    fn poll_response(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, Failure<B::Error>>> {
        loop {
            while let Poll::Ready(head) = self.poll_head(cx)? {
                if !head.status.is_informational() {
                    return Poll::Ready(Ok(head));
                }
                self.take_interim(head.status)?;
            }
            if self.poll_sending(cx)?.is_ready() && self.sending.stage != Stage::HoldBody {
                self.restart_deadline();
            }
            let is_starved = self.sending.awaits_body() && !self.connection.bytes.has_pending_write();
            if std::mem::replace(&mut self.is_starved, is_starved) && !is_starved {
                self.restart_deadline();
            }
            // The body of the request is late, not the server. That body has a stall timer of its own.
            if is_starved {
                return Poll::Pending;
            }
            ready!(self.connection.deadline.poll(cx));
            if self.sending.stage != Stage::HoldBody {
                return Poll::Ready(Err(Failure::Timeout));
            }
            self.sending.release_body();
            self.restart_deadline();
        }
    }

    fn restart_deadline(&mut self) {
        self.connection.deadline.set(clock::now() + self.connection.patience);
    }

    /// Counts an interim response.
    fn take_interim(&mut self, status: StatusCode) -> Result<(), Failure<B::Error>> {
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(malformed("it switches protocols unasked"));
        }
        self.interim += 1;
        if self.interim > MAX_INTERIM {
            return Err(malformed("too many interim responses"));
        }
        if status == StatusCode::CONTINUE {
            self.sending.release_body();
            self.restart_deadline();
        }
        self.scan = HeadScan::default();
        Ok(())
    }

    /// Reads the head of a response, interim or not.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, Failure<B::Error>>> {
        let bytes = &mut self.connection.bytes;
        let has_started = self.sending.has_started && (!self.sending.was_deferred || bytes.has_started());
        loop {
            if let Some((start, end)) = self.scan.find(&bytes.unread, HEAD).map_err(Failure::Malformed)? {
                let mut head = bytes.unread.split_to(end);
                head.advance(start);
                if !has_started {
                    return Poll::Ready(Err(malformed("it arrived before the request was sent")));
                }
                let head = ResponseHead::parse(head.freeze(), &self.method, HEAD, self.connection.keep_field);
                return Poll::Ready(head.map_err(Failure::Malformed));
            }
            let is_silent = bytes.unread.is_empty();
            let ended = match ready!(bytes.poll_fill(cx)) {
                Ok(0) => io::ErrorKind::UnexpectedEof.into(),
                Ok(_) => continue,
                Err(error) => error,
            };
            return Poll::Ready(Err(if is_silent { Failure::Silent(ended) } else { Failure::Broken(ended) }));
        }
    }

    /// Continues sending. Returns `Ready` if something was sent, `Pending` if nothing can be sent or nothing is left.
    fn poll_sending(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure<B::Error>>> {
        let Self { connection, sending, body, .. } = self;
        let bytes = &mut connection.bytes;
        let mut has_moved = false;
        while sending.error.is_none() && !bytes.is_deferred() {
            if sending.is_written() && !bytes.has_pending_write() {
                if sending.stage != Stage::SendBody || !sending.poll_piece(cx, body, bytes)? {
                    break;
                }
                continue;
            }
            // An available first piece of the body is sent together with the head.
            if sending.data.is_empty() && sending.stage == Stage::SendBody && !sending.has_started {
                sending.poll_body(cx, body)?;
            }
            if sending.may_defer() && bytes.defer_write(cx, &mut sending.head, &mut sending.data) {
                (sending.has_started, sending.was_deferred, has_moved) = (true, true, true);
                break;
            }
            let written = match &mut sending.pipe {
                pipe @ Some(_) => bytes.poll_write_pipe(cx, pipe, &mut sending.data),
                None => bytes.poll_write(cx, &mut sending.head, &mut sending.data),
            };
            match written {
                Poll::Pending => break,
                Poll::Ready(Ok(_)) => (sending.has_started, has_moved) = (true, true),
                Poll::Ready(Err(error)) => sending.error = Some(error),
            }
        }
        sending.is_flushed = bytes.poll_flush(cx).is_ready();
        if sending.is_flushed && has_moved { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

fn malformed<E>(why: &'static str) -> Failure<E> {
    Failure::Malformed(Malformed::syntax(why))
}

impl<S, B> Future for ResponseFuture<'_, S, B>
where
    S: AsyncRead + AsyncWrite + Splice + Unpin + 'static,
    B: SpliceBody<Data = Bytes> + Unpin,
{
    type Output = Result<ResponseHead, Failure<B::Error>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let head = ready!(this.poll_response(cx))?;
        let connection = &mut *this.connection;
        connection.persists =
            head.keep_alive && this.sending.is_done() && !connection.bytes.has_pending_write();
        connection.decoder = Decoder::new(head.framing);
        connection.bytes.begin_body();
        connection.stall.reset();
        if connection.decoder.is_done() {
            connection.release();
        }
        Poll::Ready(Ok(head))
    }
}
