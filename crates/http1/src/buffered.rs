//! A buffered stream: reads into one buffer, and writes head and body without copying them together unless they are
//! small or deferred.
//!
//! **Reading.** Bytes that were read and not consumed are in `unread`. The buffer behind it has a [`BufferKind`]:
//!
//! | kind | holds | released by |
//! |---|---|---|
//! | `None` | nothing: an idle connection owns no buffer | |
//! | `Small` | what was read through the thread's scratch block, copied to fit | `drop_buffer`; also `release_buffer` if the connection shares its buffer |
//! | `Large` | a read of a body of its own, up to 256 KiB, charged to the read budget | `release_buffer`, `drop_buffer` |
//!
//! Bodies are read in pieces whose size follows the speed at which they pass (`Pace`).
//!
//! Neither releases a buffer that still holds unread bytes; `discard` drops those too.
//!
//! **Writing.** A message is either written directly with `poll_write`, or handed over with `defer_write`:
//!
//! | deferred | pending bytes | meaning | leaves the state by |
//! |---|---|---|---|
//! | `None` | none | nothing to write | `defer_write` → `Queued` |
//! | `Queued` | some | the outbox flushes it at the end of the turn | flush → `None` or `Failed` |
//! | `None` | some | the peer did not take all of it; the task was woken | `poll_write`, called until nothing is pending |
//! | `Failed` | any | the flush failed; the task was woken | `poll_write` returns the error |
//!
//! `has_pending_write` is true in the last three, `is_deferred` in `Queued` alone. No message is written or deferred
//! before the one ahead of it is gone.

use crate::clock;
use crate::low_water::{self, LowWater};
use crate::outbox::{self, DeferredWrite};
use crate::pace::{LARGEST_READ, Pace};
use crate::read_budget::ReadShare;
use crate::splice::{self, Filled, MIN_SPLICED, Pipe, Splice};
use bytes::{Buf, Bytes, BytesMut};
use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;

/// The size of a read while little is expected, such as a head, in bytes.
const SMALL_READ: usize = 16 * 1024;
/// The longest message whose head and body are copied together, in bytes: the kernel takes one piece faster than two
/// (docs/performance.md, "a small response's head and body are copied together").
pub(crate) const MAX_JOINED: usize = 4 * 1024;
/// The longest message that is deferred, in bytes. A client that reads slowly makes the proxy hold this much.
const MAX_DEFERRED: usize = 16 * 1024;
/// The number of spare buffers per thread. Responses that are read at the same time mostly end before the next is read.
const MAX_SPARE: usize = 4;

thread_local! {
    /// The buffer that idle connections read into. Bytes are copied from here to a buffer that fits them.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SMALL_READ].into());
    /// Small buffers that connections share, so that they stay in the nearest cache (docs/performance.md, "the
    /// connections of a thread share the buffer for reading responses").
    static SPARE: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// A stream with the bytes that were read from it and not consumed, and those that wait to be written to it.
#[derive(Debug)]
pub(crate) struct Buffered<S> {
    shared: Rc<RefCell<Shared<S>>>,
    pub(crate) unread: BytesMut,
    buffer: BufferKind,
    /// Whether small buffers return to the thread's spare ones between messages.
    shares_buffer: bool,
    /// The size of the next piece of a body.
    pace: Pace,
    /// The bytes for which the kernel wakes the task.
    low_water: LowWater,
    /// The share of the read budget behind a large buffer.
    read_share: ReadShare,
}

/// The kind of the buffer behind the unread bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BufferKind {
    None,
    Small,
    Large,
}

/// The part of a connection that the outbox writes to.
#[derive(Debug)]
pub(crate) struct Shared<S> {
    stream: S,
    /// The deferred message, as far as it is not written.
    head: BytesMut,
    body: Bytes,
    deferred: Deferred,
    /// The task that deferred a message last. It is kept because the next message is mostly from the same task, and
    /// cloning a waker costs an atomic operation.
    waker: Waker,
    /// Whether any of the deferred message was written.
    has_started: bool,
}

/// The outbox's progress with a deferred message.
#[derive(Debug)]
enum Deferred {
    /// Nothing is queued.
    None,
    /// The outbox has not flushed it yet.
    Queued,
    /// The flush failed.
    Failed(io::Error),
}

impl<S: AsyncRead + AsyncWrite + Splice + Unpin + 'static> Buffered<S> {
    pub(crate) fn new(stream: S) -> Self {
        let shared = Shared {
            stream,
            head: BytesMut::new(),
            body: Bytes::new(),
            deferred: Deferred::None,
            waker: Waker::noop().clone(),
            has_started: false,
        };
        Self {
            shared: Rc::new(RefCell::new(shared)),
            unread: BytesMut::new(),
            buffer: BufferKind::None,
            shares_buffer: false,
            pace: Pace::default(),
            low_water: LowWater::default(),
            read_share: ReadShare::default(),
        }
    }

    /// Shares small buffers with the other connections of the thread.
    pub(crate) fn with_shared_buffer(self) -> Self {
        Self { shares_buffer: true, ..self }
    }

    pub(crate) fn with_stream<T>(&self, act: impl FnOnce(&S) -> T) -> T {
        act(&self.shared.borrow().stream)
    }

    /// Returns the stream and the bytes that were read from it and not consumed; `None` while the outbox holds it.
    pub(crate) fn into_parts(self) -> Option<(S, BytesMut)> {
        let shared = Rc::try_unwrap(self.shared).ok()?;
        Some((shared.into_inner().stream, self.unread))
    }

    /// Reads what has arrived, up to 16 KiB. Returns 0 at the peer's end.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.lower_low_water();
        SCRATCH.with_borrow_mut(|scratch| {
            let mut into = ReadBuf::new(scratch);
            ready!(Pin::new(&mut self.shared.borrow_mut().stream).poll_read(cx, &mut into))?;
            if self.buffer == BufferKind::None && !into.filled().is_empty() {
                self.buffer = BufferKind::Small;
                if self.shares_buffer {
                    self.unread = SPARE.with_borrow_mut(Vec::pop).unwrap_or_default();
                }
            }
            self.unread.extend_from_slice(into.filled());
            Poll::Ready(Ok(into.filled().len()))
        })
    }

    /// Prepares for reading the body of another message.
    pub(crate) fn begin_body(&mut self) {
        self.pace = Pace::default();
    }

    /// Reads a piece of a body of which `remaining` bytes are expected, if that is known. Returns 0 at the peer's end.
    pub(crate) fn poll_fill_body(
        &mut self,
        cx: &mut Context<'_>,
        remaining: Option<u64>,
    ) -> Poll<io::Result<usize>> {
        self.lower_low_water();
        let expected = remaining.map_or(usize::MAX, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let expected = expected.min(LARGEST_READ);
        let free = self.unread.capacity() - self.unread.len();
        if expected <= SMALL_READ && free < expected {
            return self.poll_fill(cx);
        }
        let mut size = self.pace.next(clock::now(), expected);
        if free < size && !self.read_share.resize(size) {
            // Many large bodies are being read: this one is read in small pieces.
            size = SMALL_READ.min(expected);
        }
        if free < size {
            if self.buffer == BufferKind::Small {
                self.release_buffer();
            }
            self.make_room(size);
            self.buffer = BufferKind::Large;
        }
        let stream = &mut self.shared.borrow_mut().stream;
        let length = ready!(poll_read_buf(Pin::new(stream), cx, &mut self.unread))?;
        self.pace.passed(clock::now(), length);
        Poll::Ready(Ok(length))
    }

    /// Makes room for a read of `size` bytes and no more: `reserve` alone would double the buffer.
    fn make_room(&mut self, size: usize) {
        // The old buffer is used again once everything read into it has been passed on.
        if !self.unread.try_reclaim(size) {
            let mut buffer = BytesMut::with_capacity(self.unread.len() + size);
            buffer.extend_from_slice(&self.unread);
            self.unread = buffer;
        }
    }

    /// Moves a piece of a body of which `remaining` bytes are expected into a pipe.
    pub(crate) fn poll_fill_pipe(
        &mut self,
        cx: &mut Context<'_>,
        remaining: u64,
    ) -> Poll<io::Result<Filled>> {
        if remaining < MIN_SPLICED || !self.unread.is_empty() {
            return Poll::Ready(Ok(Filled::Unavailable));
        }
        self.drop_buffer();
        let shared = self.shared.borrow();
        let Some(socket) = shared.stream.splice_socket() else {
            return Poll::Ready(Ok(Filled::Unavailable));
        };
        let remaining = usize::try_from(remaining).unwrap_or(usize::MAX);
        let size = self.pace.next(clock::now(), remaining);
        let filled = Pipe::poll_fill(socket, cx, size);
        let left = match &filled {
            Poll::Ready(Ok(Filled::Piece(pipe))) => {
                self.pace.passed(clock::now(), pipe.held());
                remaining - pipe.held()
            }
            _ => remaining,
        };
        match self.pace.awaits(low_water::RAISED) {
            // The end of a body, and what follows it, must not wait.
            Some(deadline) if left >= low_water::RAISED => {
                if filled.is_pending() {
                    self.low_water.raise(socket, deadline, cx);
                }
            }
            _ => self.low_water.lower(socket),
        }
        filled
    }

    /// Makes the kernel report every byte, as is needed wherever bytes are not spliced.
    fn lower_low_water(&mut self) {
        if self.low_water.is_raised()
            && let Some(socket) = self.shared.borrow().stream.splice_socket()
        {
            self.low_water.lower(socket);
        }
    }

    /// Returns whether a pipe can be written now: the stream is a socket, and nothing else is to be written first.
    pub(crate) fn takes_pipes(&self) -> bool {
        !self.has_pending_write() && self.shared.borrow().stream.splice_socket().is_some()
    }

    /// Writes some of what `pipe` holds, and returns the number of bytes. Bytes that cannot stay in the pipe move to
    /// `rest`, and are written like any others.
    pub(crate) fn poll_write_pipe(
        &mut self,
        cx: &mut Context<'_>,
        pipe: &mut Option<Pipe>,
        rest: &mut Bytes,
    ) -> Poll<io::Result<usize>> {
        splice::poll_write_pipe(self.shared.borrow().stream.splice_socket(), cx, pipe, rest)
    }

    /// Drops a buffer that should not outlast its message: a large one, however little of it is in use, and a shared
    /// one.
    pub(crate) fn release_buffer(&mut self) {
        if self.shares_buffer || self.buffer == BufferKind::Large {
            self.drop_buffer();
        }
    }

    /// Drops the buffer, unless it holds unread bytes.
    pub(crate) fn drop_buffer(&mut self) {
        if !self.unread.is_empty() || self.buffer == BufferKind::None {
            return;
        }
        self.read_share.clear();
        let unread = std::mem::take(&mut self.unread);
        let kind = std::mem::replace(&mut self.buffer, BufferKind::None);
        if self.shares_buffer && kind == BufferKind::Small {
            SPARE.with_borrow_mut(|spare| {
                if spare.len() < MAX_SPARE {
                    spare.push(unread);
                }
            });
        }
    }

    /// Drops the unread bytes and the buffer.
    pub(crate) fn discard(&mut self) {
        self.unread.clear();
        self.drop_buffer();
    }

    /// Drops the waker of the last deferred message, which keeps its task alive.
    pub(crate) fn clear_waker(&mut self) {
        self.shared.borrow_mut().waker.clone_from(Waker::noop());
    }

    /// Returns whether the peer has neither closed nor sent anything, as an idle connection should be.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut into = ReadBuf::new(&mut byte);
        let mut cx = Context::from_waker(Waker::noop());
        let stream = &mut self.shared.borrow_mut().stream;
        self.unread.is_empty() && Pin::new(stream).poll_read(&mut cx, &mut into).is_pending()
    }

    /// Hands a small message over to the outbox. Returns whether it was taken, and both parts are empty then.
    /// Otherwise nothing is lost, but the body may have moved to the end of the head.
    ///
    /// The task is woken only if the message cannot be sent in full; it then calls [`Self::poll_write`] for the rest.
    pub(crate) fn defer_write(&self, cx: &Context<'_>, head: &mut BytesMut, body: &mut Bytes) -> bool {
        if head.len() + body.len() > MAX_DEFERRED || self.has_pending_write() {
            return false;
        }
        if head.len() + body.len() <= MAX_JOINED {
            // Copied now and not at the flush, while both are in the cache (docs/performance.md, "a small response is
            // copied together when it is left with the outbox").
            head.extend_from_slice(&std::mem::take(body));
        }
        if !outbox::defer_write(&self.shared) {
            return false;
        }
        let mut shared = self.shared.borrow_mut();
        (shared.head, shared.body) = (std::mem::take(head), std::mem::take(body));
        (shared.deferred, shared.has_started) = (Deferred::Queued, false);
        shared.waker.clone_from(cx.waker());
        true
    }

    /// Returns whether a message waits for the outbox to flush it.
    pub(crate) fn is_deferred(&self) -> bool {
        matches!(self.shared.borrow().deferred, Deferred::Queued)
    }

    /// Returns whether any of the last deferred message has been written.
    pub(crate) fn has_started(&self) -> bool {
        self.shared.borrow().has_started
    }

    /// Returns whether a deferred message is not fully written, or its error has not been reported.
    pub(crate) fn has_pending_write(&self) -> bool {
        let shared = self.shared.borrow();
        !shared.is_empty() || !matches!(shared.deferred, Deferred::None)
    }

    /// Returns the number of deferred bytes that are not written.
    pub(crate) fn pending_bytes(&self) -> usize {
        let shared = self.shared.borrow();
        shared.head.len() + shared.body.len()
    }

    /// Writes some of the deferred message if there is one, else of `head`, else of `body`; each shrinks by what was
    /// written. Returns the number of bytes written, 0 when all are empty.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        head: &mut BytesMut,
        body: &mut Bytes,
    ) -> Poll<io::Result<usize>> {
        let shared = &mut *self.shared.borrow_mut();
        if let Deferred::Failed(error) = std::mem::replace(&mut shared.deferred, Deferred::None) {
            return Poll::Ready(Err(error));
        }
        if shared.is_empty() {
            poll_write(&mut shared.stream, cx, head, body)
        } else {
            shared.poll_write_pending(cx)
        }
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.shared.borrow_mut().stream).poll_flush(cx)
    }

    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.shared.borrow_mut().stream).poll_shutdown(cx)
    }
}

impl<S: AsyncWrite + Unpin> Shared<S> {
    fn is_empty(&self) -> bool {
        self.head.is_empty() && self.body.is_empty()
    }

    fn poll_write_pending(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let written = ready!(poll_write(&mut self.stream, cx, &mut self.head, &mut self.body))?;
        self.has_started = true;
        if self.is_empty() {
            // An idle connection owns no buffer.
            (self.head, self.body) = (BytesMut::new(), Bytes::new());
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush_pending(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            ready!(self.poll_write_pending(cx))?;
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }
}

impl<S: AsyncWrite + Unpin> DeferredWrite for RefCell<Shared<S>> {
    fn flush(&self) {
        let shared = &mut *self.borrow_mut();
        let Deferred::Queued = std::mem::replace(&mut shared.deferred, Deferred::None) else { return };
        match shared.poll_flush_pending(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => return,
            Poll::Ready(Err(error)) => shared.deferred = Deferred::Failed(error),
            Poll::Pending => {}
        }
        shared.waker.wake_by_ref();
    }
}

/// Writes some of `head`, then of `body`; both shrink by what was written. Returns the number of bytes written, 0 when
/// both are empty.
fn poll_write(
    stream: &mut (impl AsyncWrite + Unpin),
    cx: &mut Context<'_>,
    head: &mut BytesMut,
    body: &mut Bytes,
) -> Poll<io::Result<usize>> {
    let stream = Pin::new(stream);
    let written = match (head.is_empty(), body.is_empty()) {
        (true, true) => return Poll::Ready(Ok(0)),
        (false, true) => ready!(stream.poll_write(cx, head))?,
        (true, false) => ready!(stream.poll_write(cx, body))?,
        (false, false) => ready!(stream.poll_write_vectored(cx, &[IoSlice::new(head), IoSlice::new(body)]))?,
    };
    if written == 0 {
        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
    }
    let of_head = written.min(head.len());
    head.advance(of_head);
    body.advance(written - of_head);
    Poll::Ready(Ok(written))
}

#[cfg(test)]
impl<S> Buffered<S> {
    /// Returns whether it holds the waker of a task.
    pub(crate) fn has_waker(&self) -> bool {
        !self.shared.borrow().waker.data().is_null()
    }
}

/// Returns the number of spare buffers of this thread.
#[cfg(test)]
pub(crate) fn spare_buffers() -> usize {
    SPARE.with_borrow(Vec::len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::RunningGuard;
    use tokio::io::{AsyncReadExt, duplex};
    use tokio::runtime::{Builder, LocalOptions};
    use tokio::task::{spawn_local, yield_now};

    fn defer(bytes: &Buffered<tokio::io::DuplexStream>, head: &mut BytesMut) -> bool {
        bytes.defer_write(&Context::from_waker(Waker::noop()), head, &mut Bytes::new())
    }

    /// The memory for a slow client is bounded, and no message overtakes the one before it.
    #[test]
    fn long_and_second_messages_are_not_deferred() {
        let runtime = Builder::new_current_thread().build_local(LocalOptions::default()).unwrap();
        runtime.block_on(async {
            spawn_local(outbox::run());
            yield_now().await;
            let _two = (RunningGuard::new(), RunningGuard::new());
            let (mut client, server) = duplex(1024);
            let bytes = Buffered::new(server);

            let mut long = BytesMut::from(&*vec![b'l'; MAX_DEFERRED + 1]);
            assert!(!defer(&bytes, &mut long));
            assert_eq!(long.len(), MAX_DEFERRED + 1);

            let mut first = BytesMut::from(&*vec![b'f'; MAX_DEFERRED]);
            assert!(defer(&bytes, &mut first) && bytes.is_deferred());
            yield_now().await;
            assert!(!bytes.is_deferred() && bytes.has_pending_write(), "the client has not read it all");
            let mut second = BytesMut::from("second");
            assert!(!defer(&bytes, &mut second));
            assert_eq!(second, "second");
            let mut read = [0; 1024];
            client.read_exact(&mut read).await.unwrap();
            assert_eq!(read, [b'f'; 1024]);
        });
    }
}
