//! A connection's bytes: read into one buffer, written without being copied together.

use bytes::{Buf, Bytes, BytesMut};
use std::cell::RefCell;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::yield_now;
use tokio_util::io::poll_read_buf;

/// What is read at once while little is expected, such as a head.
const SMALL_READ: usize = 16 * 1024;
/// The most that is read at once.
const LARGE_READ: usize = 256 * 1024;

thread_local! {
    // An idle connection owns no buffer: what arrives is read here and copied to what fits it.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SMALL_READ].into());
}

/// Lets all else that has arrived be dealt with, before a message is begun to be sent.
///
/// Sending wakes the peer, and waking a core that has gone to sleep takes longer than most of what is done here for a
/// request. On a busy thread the messages of one turn go out one right after the other: the first wakes, and the
/// others find their peers awake.
pub(super) async fn others_first() {
    yield_now().await;
}

/// Has the task polled again once all else that has arrived was dealt with.
pub(super) fn poll_after_others<T>(cx: &mut Context<'_>) -> Poll<T> {
    // A first poll is what asks for it.
    let _ = pin!(yield_now()).poll(cx);
    Poll::Pending
}

/// A stream between a client and the proxy.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + 'static {
    /// Has the peer see a failure when this is dropped, where an orderly end would look like the end of a body.
    fn reset_when_dropped(&self) {}
}

impl Transport for TcpStream {
    fn reset_when_dropped(&self) {
        // An error leaves an orderly end, which is all that can be had then.
        let _ = socket2::SockRef::from(self).set_linger(Some(Duration::ZERO));
    }
}

impl Transport for UnixStream {}

#[cfg(test)]
impl Transport for tokio::io::DuplexStream {}

/// A stream with what was read from it and not yet used.
#[derive(Debug)]
pub(super) struct Buffered<S> {
    stream: S,
    pub(super) unread: BytesMut,
    /// The size of the next large read: it grows while reads fill it.
    large: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Buffered<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, unread: BytesMut::new(), large: SMALL_READ }
    }

    pub(super) fn get_ref(&self) -> &S {
        &self.stream
    }

    /// Reads what is there, up to a head's size. 0 is the peer's end.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut into = ReadBuf::new(scratch);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut into))?;
            self.unread.extend_from_slice(into.filled());
            Poll::Ready(Ok(into.filled().len()))
        })
    }

    /// Reads as much of a body as is worth one read; `left` bytes of it are expected, if that is known.
    pub(super) fn poll_fill_body(
        &mut self,
        cx: &mut Context<'_>,
        left: Option<u64>,
    ) -> Poll<io::Result<usize>> {
        let expected = left.map_or(LARGE_READ, |left| usize::try_from(left).unwrap_or(LARGE_READ));
        if expected <= SMALL_READ && self.unread.capacity() < expected {
            return self.poll_fill(cx);
        }
        self.unread.reserve(self.large.min(expected));
        let length = ready!(poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.unread))?;
        if length >= self.large {
            self.large = (self.large * 2).min(LARGE_READ);
        }
        Poll::Ready(Ok(length))
    }

    /// Whether the peer has neither closed nor sent anything, as an idle connection should be.
    pub(super) fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut into = ReadBuf::new(&mut byte);
        let mut cx = Context::from_waker(Waker::noop());
        self.unread.is_empty() && Pin::new(&mut self.stream).poll_read(&mut cx, &mut into).is_pending()
    }

    /// Writes some of `head`, then of `body`; both shrink by what was written. Ready with the bytes written, 0 when
    /// both are empty.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        head: &mut BytesMut,
        body: &mut Bytes,
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.stream);
        let written = match (head.is_empty(), body.is_empty()) {
            (true, true) => return Poll::Ready(Ok(0)),
            (false, true) => ready!(stream.poll_write(cx, head))?,
            (true, false) => ready!(stream.poll_write(cx, body))?,
            (false, false) => {
                ready!(stream.poll_write_vectored(cx, &[IoSlice::new(head), IoSlice::new(body)]))?
            }
        };
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        let of_head = written.min(head.len());
        head.advance(of_head);
        body.advance(written - of_head);
        Poll::Ready(Ok(written))
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
