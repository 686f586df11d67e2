//! The stream below the frames: it reads as much as a turn allows, notes what moves, and ends without a reset.

use crate::bounds::{CLOSE, LINGER_PIECE, MAX_LINGER};
use crate::turn::Turn;
use bytes::{Buf, Bytes};
use http1::{LazyTimer, clock};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The end of a stream that the client may still be writing to.
///
/// A socket that is closed while bytes arrive is reset, and the reset overtakes frames that the client has not read: the
/// last responses and the reason for the end. So the server ends its own side, then reads on and drops what comes.
#[derive(Debug)]
struct Lingering {
    deadline: LazyTimer,
    /// The bytes that may still come.
    left: usize,
}

impl Lingering {
    /// Reads and drops what the client sends. Returns `Ready` once it ends its side, sends too much or takes too long.
    fn poll<S: AsyncRead + Unpin>(&mut self, stream: &mut S, turn: &Turn, cx: &mut Context<'_>) -> Poll<()> {
        let mut piece = [0; LINGER_PIECE];
        while self.deadline.poll(cx).is_pending() && self.left > 0 {
            if !turn.may_read() {
                // The rest is read in the next turn, after other connections had theirs.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let mut piece = ReadBuf::new(&mut piece);
            let read = ready!(Pin::new(&mut *stream).poll_read(cx, &mut piece));
            let length = piece.filled().len();
            if read.is_err() || length == 0 {
                break;
            }
            turn.skip(length);
            self.left = self.left.saturating_sub(length);
        }
        Poll::Ready(())
    }
}

/// A client's stream.
#[derive(Debug)]
pub(crate) struct Wire<S> {
    stream: S,
    /// The bytes that were read before the protocol was known.
    read: Bytes,
    turn: Rc<Turn>,
    /// Set once the server has ended its own side.
    lingering: Option<Lingering>,
}

impl<S> Wire<S> {
    pub(crate) fn new(stream: S, read: Bytes, turn: Rc<Turn>) -> Self {
        Self { stream, read, turn, lingering: None }
    }

    fn note(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &polled {
            Poll::Ready(Ok(length)) => self.turn.wrote(Some(*length)),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.turn.wrote(None),
        }
        polled
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.turn.may_read() {
            // The rest is read in the next turn, after other connections had theirs.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = into.filled().len();
        if this.read.is_empty() {
            ready!(Pin::new(&mut this.stream).poll_read(cx, into))?;
        } else {
            let length = this.read.len().min(into.remaining());
            into.put_slice(this.read.get(..length).unwrap_or_default());
            this.read.advance(length);
        }
        this.turn.read(into.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.note(polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.note(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let lingering = match &mut this.lingering {
            Some(lingering) => lingering,
            None => {
                ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
                let deadline = LazyTimer::new(clock::now() + CLOSE);
                this.lingering.insert(Lingering { deadline, left: MAX_LINGER })
            }
        };
        lingering.poll(&mut this.stream, &this.turn, cx).map(Ok)
    }
}
