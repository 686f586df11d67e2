//! Bodies that move from one socket to another within the kernel, through a pipe, without being copied (splice(2)).
//!
//! A source that can, returns the next piece of a body in a [`Pipe`] instead of a buffer ([`SpliceBody`]). Only bodies
//! that nothing inspects and no coding changes move this way: TLS, chunks and checksums need the bytes.
//!
//! A pipe is in use only while it holds bytes. An empty one returns to its thread, and one that still holds bytes is
//! closed, so that no byte of one body can get into another. The number of pipes has a [limit](set_limit), and their
//! bytes are charged to the read budget. When half of the pipes are in use, what a peer does not take at once moves
//! into memory, so that slow peers cannot hold all of them. Without a pipe, bodies are copied.

use crate::pace::LARGEST_PIPED;
use crate::read_budget::ReadShare;
use bytes::{Buf, Bytes};
use http_body::Body;
use http_body_util::combinators::{MapErr, UnsyncBoxBody};
use http_body_util::{Empty, Full};
use rustix::io::{Errno, read, retry_on_intr};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

/// The capacity of a pipe, in bytes. A pipe holds references to the pages of packets, so this means 128 of them.
const CAPACITY: usize = LARGEST_PIPED;
/// The size of a piece if the read budget has no room for more, in bytes.
const REDUCED_PIECE: usize = 64 * 1024;
/// The number of empty pipes that a thread keeps.
const MAX_SPARE: usize = 8;
/// The shortest rest of a body that is spliced, in bytes. Copying less costs no more than the calls.
pub(crate) const MIN_SPLICED: u64 = 64 * 1024;

/// The most pipes of the process.
static LIMIT: AtomicUsize = AtomicUsize::new(128);
/// The pipes that exist, and those of them that hold bytes.
static OPEN: AtomicUsize = AtomicUsize::new(0);
static IN_USE: AtomicUsize = AtomicUsize::new(0);
/// The bytes that were written from pipes to sockets.
static SPLICED: AtomicU64 = AtomicU64::new(0);
/// Whether the kernel, or a filter of system calls, has refused to splice.
static IS_REFUSED: AtomicBool = AtomicBool::new(false);

thread_local! {
    static SPARE: RefCell<Vec<Ends>> = const { RefCell::new(Vec::new()) };
}

/// Sets the most pipes that the process may have. Each takes two file descriptors. None are made with 0.
pub fn set_limit(pipes: usize) {
    LIMIT.store(pipes, Ordering::Relaxed);
}

/// Returns the number of bytes of bodies that this process has spliced.
pub fn spliced() -> u64 {
    SPLICED.load(Ordering::Relaxed)
}

/// Returns the number of pipes that hold bytes.
fn in_use() -> usize {
    IN_USE.load(Ordering::Relaxed)
}

/// A socket whose bytes the kernel can move by itself.
#[derive(Clone, Copy, Debug)]
pub enum SpliceSocket<'s> {
    /// A TCP connection.
    Tcp(&'s TcpStream),
    /// A connection of a unix socket.
    Unix(&'s UnixStream),
}

impl SpliceSocket<'_> {
    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }

    fn poll_ready(&self, interest: Interest, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match (self, interest) {
            (Self::Tcp(stream), Interest::READABLE) => stream.poll_read_ready(cx),
            (Self::Tcp(stream), _) => stream.poll_write_ready(cx),
            (Self::Unix(stream), Interest::READABLE) => stream.poll_read_ready(cx),
            (Self::Unix(stream), _) => stream.poll_write_ready(cx),
        }
    }

    /// Calls `call` once the socket is ready, and again when it is ready after `WouldBlock`.
    fn poll_io(
        &self,
        interest: Interest,
        cx: &mut Context<'_>,
        mut call: impl FnMut() -> rustix::io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_ready(interest, cx))?;
            let call = || Ok(retry_on_intr(&mut call)?);
            let called = match self {
                Self::Tcp(stream) => stream.try_io(interest, call),
                Self::Unix(stream) => stream.try_io(interest, call),
            };
            match called {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                called => return Poll::Ready(called),
            }
        }
    }
}

/// A stream whose bytes the kernel may move by itself, if they are a socket's bytes as they are.
pub trait Splice {
    /// Returns the socket; `None` if the stream's bytes are not the socket's, as with TLS.
    fn splice_socket(&self) -> Option<SpliceSocket<'_>> {
        None
    }
}

/// A body whose pieces may move within the kernel.
pub trait SpliceBody: Body {
    /// Moves the next piece of the body into a pipe. Returns `None` if the next piece, or the end, must be read as a
    /// frame.
    ///
    /// # Errors
    /// When the body breaks off, as in [`Body::poll_frame`].
    fn poll_splice(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Pipe>, Self::Error>> {
        let _ = cx;
        Poll::Ready(Ok(None))
    }
}

// Bodies of http-body-util are always read.
impl<D: Buf> SpliceBody for Empty<D> {}
impl<D: Buf> SpliceBody for Full<D> {}
impl<D: Buf, E> SpliceBody for UnsyncBoxBody<D, E> {}
impl<B: Body, E, F: FnMut(B::Error) -> E> SpliceBody for MapErr<B, F> {}
impl<B: Body + ?Sized> SpliceBody for Pin<Box<B>> {}

impl<B: SpliceBody + Unpin + ?Sized> SpliceBody for &mut B {
    fn poll_splice(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Pipe>, B::Error>> {
        (**self).poll_splice(cx)
    }
}

/// The two ends of a pipe.
struct Ends {
    read: OwnedFd,
    write: OwnedFd,
}

impl Ends {
    /// Makes a pipe, unless there are too many.
    fn make() -> Option<Self> {
        let limit = LIMIT.load(Ordering::Relaxed);
        if OPEN.fetch_add(1, Ordering::Relaxed) < limit
            && let Ok((read, write)) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)
        {
            // With a smaller pipe, pieces are smaller.
            let _ = fcntl_setpipe_size(&write, CAPACITY);
            return Some(Self { read, write });
        }
        OPEN.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A pipe with bytes of a body.
pub struct Pipe {
    /// `None` only while it is dropped.
    ends: Option<Ends>,
    /// The number of bytes that it holds.
    held: usize,
    /// The share of the read budget for them.
    share: ReadShare,
}

/// The outcome of reading into a pipe.
#[derive(Debug)]
pub(crate) enum Filled {
    /// Bytes were read.
    Piece(Pipe),
    /// The peer has ended its side.
    End,
    /// No pipe can be had.
    Unavailable,
}

impl Pipe {
    /// Returns an empty pipe.
    fn take() -> Option<Self> {
        if IS_REFUSED.load(Ordering::Relaxed) {
            return None;
        }
        let ends = SPARE.with_borrow_mut(Vec::pop).or_else(Ends::make)?;
        IN_USE.fetch_add(1, Ordering::Relaxed);
        Some(Self { ends: Some(ends), held: 0, share: ReadShare::default() })
    }

    /// Moves up to `most` bytes from a socket into a pipe.
    pub(crate) fn poll_fill(
        socket: SpliceSocket<'_>,
        cx: &mut Context<'_>,
        most: usize,
    ) -> Poll<io::Result<Filled>> {
        // A pipe is taken only when there is something to read.
        ready!(socket.poll_ready(Interest::READABLE, cx))?;
        let Some(mut pipe) = Self::take().filter(|_| most > 0) else {
            return Poll::Ready(Ok(Filled::Unavailable));
        };
        let sizes = [most, most.min(REDUCED_PIECE)];
        let Some(most) = sizes.into_iter().find(|size| pipe.share.resize(*size)) else {
            return Poll::Ready(Ok(Filled::Unavailable));
        };
        let Some(ends) = &pipe.ends else { return Poll::Ready(Ok(Filled::Unavailable)) };
        let call = || splice(socket.fd(), None, &ends.write, None, most, SpliceFlags::NONBLOCK);
        match ready!(socket.poll_io(Interest::READABLE, cx, call)) {
            Ok(0) => Poll::Ready(Ok(Filled::End)),
            Ok(read) => {
                pipe.held = read;
                pipe.share.shrink(read);
                Poll::Ready(Ok(Filled::Piece(pipe)))
            }
            Err(error) if is_refusal(&error) => {
                IS_REFUSED.store(true, Ordering::Relaxed);
                Poll::Ready(Ok(Filled::Unavailable))
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Moves some of its bytes to a socket, and returns their number.
    fn poll_empty(&mut self, socket: SpliceSocket<'_>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(ends) = &self.ends else { return Poll::Ready(Err(io::ErrorKind::WriteZero.into())) };
        let call = || splice(&ends.read, None, socket.fd(), None, self.held, SpliceFlags::NONBLOCK);
        let written = ready!(socket.poll_io(Interest::WRITABLE, cx, call))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.held = self.held.saturating_sub(written);
        SPLICED.fetch_add(written as u64, Ordering::Relaxed);
        Poll::Ready(Ok(written))
    }

    /// Moves its bytes into memory, with their share of the read budget.
    fn spill(mut self) -> io::Result<Bytes> {
        let mut bytes = vec![0; self.held];
        let mut at = 0;
        while let (Some(room @ [_, ..]), Some(ends)) = (bytes.get_mut(at..), &self.ends) {
            match retry_on_intr(|| read(&ends.read, &mut *room))? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                length => at += length,
            }
        }
        self.held = 0;
        Ok(Bytes::from_owner(Spilled { bytes, _share: std::mem::take(&mut self.share) }))
    }

    /// Returns the number of bytes that it holds.
    pub fn held(&self) -> usize {
        self.held
    }
}

/// Bytes that were in a pipe.
struct Spilled {
    bytes: Vec<u8>,
    _share: ReadShare,
}

impl AsRef<[u8]> for Spilled {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe").field("held", &self.held).finish_non_exhaustive()
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        IN_USE.fetch_sub(1, Ordering::Relaxed);
        let ends = self.ends.take().filter(|_| self.held == 0);
        // While the thread ends, there are no spare pipes any more.
        let _ = SPARE.try_with(|spare| {
            let spare = &mut *spare.borrow_mut();
            spare.extend(ends.filter(|_| spare.len() < MAX_SPARE));
        });
    }
}

/// Writes some of what `pipe` holds, and returns the number of bytes. An emptied pipe is dropped. If pipes are scarce
/// and the peer takes nothing, or if the socket takes no pipe, the bytes move to `rest`.
pub(crate) fn poll_write_pipe(
    socket: Option<SpliceSocket<'_>>,
    cx: &mut Context<'_>,
    pipe: &mut Option<Pipe>,
    rest: &mut Bytes,
) -> Poll<io::Result<usize>> {
    let Some(mut piece) = pipe.take() else { return Poll::Ready(Ok(0)) };
    let polled = match socket {
        Some(socket) => piece.poll_empty(socket, cx),
        None => Poll::Ready(Err(Errno::INVAL.into())),
    };
    match polled {
        Poll::Ready(Err(error)) if is_refusal(&error) => {
            *rest = piece.spill()?;
            Poll::Ready(Ok(0))
        }
        Poll::Pending if in_use() > LIMIT.load(Ordering::Relaxed) / 2 => {
            *rest = piece.spill()?;
            Poll::Pending
        }
        polled => {
            *pipe = Some(piece).filter(|piece| piece.held > 0);
            polled
        }
    }
}

/// Returns whether an error says that the system does not splice these sockets, rather than that a peer is gone.
fn is_refusal(error: &io::Error) -> bool {
    let number = error.raw_os_error();
    [Errno::INVAL, Errno::NOSYS, Errno::PERM, Errno::OPNOTSUPP]
        .iter()
        .any(|it| Some(it.raw_os_error()) == number)
}

#[cfg(test)]
mod tests;
