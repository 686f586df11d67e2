//! The client's end of a connection: one request at a time. The response is read while the request's body is still being
//! sent.

mod response_future;

pub use self::response_future::ResponseFuture;

use crate::body::{BoxError, Broken};
use crate::buffered::Buffered;
use crate::decode::{Decoded, Decoder};
use crate::splice::{Filled, Pipe, Splice, SpliceBody};
use crate::{Framing, HeadLimits, LazyTimer, Malformed, StallTimer, clock};
use bytes::{Bytes, BytesMut};
use http::Method;
use std::fmt;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// Bounds on the head of a response. MinIO sends up to 2 KiB of user metadata and a few dozen fields.
const HEAD: HeadLimits = HeadLimits { bytes: 64 * 1024, fields: 200 };
/// The time a server has to ask for a body before it is sent anyway (RFC 9110, section 10.1.1).
const CONTINUE_WAIT: Duration = Duration::from_secs(1);

/// A connection to a server.
#[derive(Debug)]
pub struct Connection<S> {
    bytes: Buffered<S>,
    decoder: Decoder,
    /// Whether the connection may serve another request once the response is read.
    persists: bool,
    /// The time for the head of a response, while the server waits for nothing.
    patience: Duration,
    deadline: LazyTimer,
    stall: StallTimer,
    keep_field: fn(&[u8]) -> bool,
}

/// The reason there is no response.
#[derive(Debug)]
pub enum Failure<E> {
    /// The connection ended before the first byte of a response.
    Silent(io::Error),
    /// The connection broke within the head of the response.
    Broken(io::Error),
    /// The response is malformed.
    Malformed(Malformed),
    /// No response arrived in time.
    Timeout,
    /// The body of the request failed.
    Body(E),
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(error) => write!(f, "the connection ended without a response: {error}"),
            Self::Broken(error) => write!(f, "the connection ended within the head of the response: {error}"),
            Self::Malformed(malformed) => write!(f, "the response is not valid HTTP/1.1: {malformed}"),
            Self::Timeout => f.write_str("no response in time"),
            Self::Body(error) => write!(f, "the body of the request: {error}"),
        }
    }
}

/// How long to wait for a response.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The time for its head, while the server waits for nothing.
    pub response: Duration,
    /// The time between pieces of its body.
    pub stall: Duration,
}

impl<S: AsyncRead + AsyncWrite + Splice + Unpin + 'static> Connection<S> {
    /// Makes a connection over `stream`.
    pub fn new(stream: S, patience: Patience) -> Self {
        Self {
            bytes: Buffered::new(stream).with_shared_buffer(),
            decoder: Decoder::new(Framing::Empty),
            persists: true,
            patience: patience.response,
            deadline: LazyTimer::new(clock::now() + patience.response),
            stall: StallTimer::new(patience.stall),
            keep_field: |_| true,
        }
    }

    /// Keeps only the fields of responses whose name `keep` accepts, and `Content-Length`.
    #[must_use]
    pub fn with_field_filter(self, keep: fn(&[u8]) -> bool) -> Self {
        Self { keep_field: keep, ..self }
    }

    /// Returns whether the connection can take a request: the last response was read to its end, and nothing has arrived
    /// since.
    pub fn is_ready(&mut self) -> bool {
        self.is_reusable() && self.bytes.is_quiet()
    }

    /// Returns whether the connection can serve another request, as far as is known without looking at the stream.
    pub fn is_reusable(&self) -> bool {
        self.persists && self.decoder.is_done() && self.bytes.unread.is_empty()
    }

    /// Sends a request, whose `head` must be complete with its empty line. The future reads the head of the response.
    ///
    /// With `hold_body` the body is held back until the server asks for it, or for one second. A response that
    /// arrives while the body is being sent ends the sending.
    pub fn send<B>(
        &mut self,
        method: Method,
        head: BytesMut,
        body: B,
        hold_body: bool,
    ) -> ResponseFuture<'_, S, B>
    where
        B: SpliceBody<Data = Bytes> + Unpin,
    {
        // Until the response has been read to its end, the connection cannot be used for another request.
        self.persists = false;
        self.deadline.set(clock::now() + if hold_body { CONTINUE_WAIT } else { self.patience });
        ResponseFuture::new(self, method, head, body, hold_body)
    }

    /// Reads the next piece of the response's body. Returns `None` at its end.
    pub fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        loop {
            match self.decoder.decode(&mut self.bytes.unread) {
                Ok(Decoded::Data(data)) => {
                    if self.decoder.is_done() {
                        self.release();
                    }
                    return Poll::Ready(Some(Ok(data)));
                }
                Ok(Decoded::End) => {
                    self.release();
                    return Poll::Ready(None);
                }
                Ok(Decoded::NeedMore) => {}
                Err(malformed) => return self.fail(Broken::Malformed(malformed).into()),
            }
            match self.bytes.poll_fill_body(cx, self.decoder.remaining()) {
                Poll::Ready(Ok(0)) => return self.fail(Broken::Short.into()),
                Poll::Ready(Ok(read)) => self.stall.progress(read),
                Poll::Ready(Err(error)) => return self.fail(error.into()),
                Poll::Pending if self.stall.poll_stalled(cx) => {
                    return self.fail(Broken::Stalled.into());
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Moves the next piece of the response's body into a pipe. Returns `None` if it must be read by
    /// [`Self::poll_body`].
    ///
    /// # Errors
    /// When the body breaks off or stalls.
    pub fn poll_splice(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Pipe>, BoxError>> {
        let Decoder::Length(remaining @ 1..) = self.decoder else { return Poll::Ready(Ok(None)) };
        let why: BoxError = match self.bytes.poll_fill_pipe(cx, remaining) {
            Poll::Ready(Ok(Filled::Piece(pipe))) => {
                self.decoder.pass(pipe.held());
                self.stall.progress(pipe.held());
                if self.decoder.is_done() {
                    self.release();
                }
                return Poll::Ready(Ok(Some(pipe)));
            }
            Poll::Ready(Ok(Filled::Unavailable)) => return Poll::Ready(Ok(None)),
            Poll::Ready(Ok(Filled::End)) => Broken::Short.into(),
            Poll::Ready(Err(error)) => error.into(),
            Poll::Pending if self.stall.poll_stalled(cx) => Broken::Stalled.into(),
            Poll::Pending => return Poll::Pending,
        };
        self.persists = false;
        Poll::Ready(Err(why))
    }

    /// Releases what only a message needs, at the end of a response.
    fn release(&mut self) {
        self.bytes.release_buffer();
        self.bytes.clear_waker();
        self.stall.reset();
    }

    fn fail(&mut self, why: BoxError) -> Poll<Option<Result<Bytes, BoxError>>> {
        self.persists = false;
        Poll::Ready(Some(Err(why)))
    }

    /// Returns whether the response's body has ended.
    pub fn is_body_done(&self) -> bool {
        self.decoder.is_done()
    }

    /// Returns the number of bytes of the response's body that are to come, if it is known.
    pub fn remaining(&self) -> Option<u64> {
        self.decoder.remaining()
    }
}

#[cfg(test)]
mod tests;
