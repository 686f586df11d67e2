//! The stream below the frames: it reads as much as a turn allows, gathers what is written in a turn, notes what moves, and
//! ends without a reset.
//!
//! **Writing.** `h2` writes and flushes each frame of data by itself. That would cost a system call for each, and over TLS
//! two records, since a frame of 16 KiB is nine bytes longer than a record. So frames are gathered, and the server calls
//! [`Wire::poll_push`] whenever `h2` has written what it could.

use crate::bounds::{CLOSE, GATHER, LINGER_PIECE, MAX_LINGER};
use crate::turn::Turn;
use bytes::{Buf, Bytes};
use http1::{LazyTimer, clock};
use std::cell::{Cell, RefCell};
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

/// Bytes that were written and wait for the stream below. Empty, they hold no memory.
#[derive(Debug, Default)]
struct Gathered {
    bytes: Vec<u8>,
    sent: usize,
}

thread_local! {
    /// The buffer that the connections of this thread gather in, one after the other.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Gathered {
    fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    fn extend(&mut self, bytes: &[u8]) {
        if self.bytes.capacity() == 0 {
            self.bytes = SPARE.take();
        }
        // A client that never takes everything would otherwise let the buffer grow by all that it takes.
        self.bytes.drain(..std::mem::take(&mut self.sent));
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes all bytes to `stream`, and notes each write.
    fn poll_send<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        turn: &Turn,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.len() > 0 {
            let rest = self.bytes.get(self.sent..).unwrap_or_default();
            match Pin::new(&mut *stream).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(length)) => {
                    turn.wrote(Some(length));
                    self.sent += length;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    turn.wrote(None);
                    return Poll::Pending;
                }
            }
        }
        let mut spare = std::mem::take(self).bytes;
        spare.clear();
        SPARE.set(spare);
        Poll::Ready(Ok(()))
    }
}

/// A client's stream, which the server and `h2` share.
#[derive(Debug)]
pub(crate) struct Wire<S>(Rc<RefCell<Shared<S>>>);

#[derive(Debug)]
struct Shared<S> {
    stream: S,
    /// The bytes that were read before the protocol was known.
    read: Bytes,
    gathered: Gathered,
    turn: Rc<Turn>,
    /// Set once the server has ended its own side.
    lingering: Option<Lingering>,
}

impl<S> Wire<S> {
    pub(crate) fn new(stream: S, read: Bytes, turn: Rc<Turn>) -> Self {
        let gathered = Gathered::default();
        Self(Rc::new(RefCell::new(Shared { stream, read, gathered, turn, lingering: None })))
    }

    /// Returns another handle to the same stream.
    pub(crate) fn share(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    /// Sends what was gathered. The client may not take all of it now.
    pub(crate) fn poll_push(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().poll_push(cx)
    }
}

impl<S: AsyncWrite + Unpin> Shared<S> {
    fn poll_push(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.gathered.len() > 0 {
            ready!(self.gathered.poll_send(&mut self.stream, &self.turn, cx))?;
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self.0.borrow_mut();
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
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self.0.borrow_mut();
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        if this.gathered.len() > 0 && this.gathered.len() + total > GATHER {
            ready!(this.gathered.poll_send(&mut this.stream, &this.turn, cx))?;
        }
        for slice in slices {
            this.gathered.extend(slice);
        }
        Poll::Ready(Ok(total))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Does nothing: [`Wire::poll_push`] sends the frames of a turn together.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self.0.borrow_mut();
        let lingering = if let Some(lingering) = &mut this.lingering {
            lingering
        } else {
            ready!(this.poll_push(cx))?;
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            let deadline = LazyTimer::new(clock::now() + CLOSE);
            this.lingering.insert(Lingering { deadline, left: MAX_LINGER })
        };
        lingering.poll(&mut this.stream, &this.turn, cx).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sent_bytes_are_not_kept() {
        let mut gathered = Gathered::default();
        for _ in 0..1000 {
            gathered.extend(&[0; 1000]);
            gathered.sent += 999;
        }
        assert_eq!((gathered.len(), gathered.bytes.len()), (1000, 1999));
    }
}
