//! A connection's bytes: read into one buffer, written without being copied together unless they are few and left with
//! the outbox.

use crate::outbox::{self, Sender};
use crate::read_budget::ReadRoom;
use bytes::{Buf, Bytes, BytesMut};
use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;

/// What is read at once while little is expected, such as a head.
const SMALL_READ: usize = 16 * 1024;
/// The most that is read at once.
const LARGE_READ: usize = 256 * 1024;
/// The longest message of which head and body are copied together, in bytes: the kernel takes one piece faster than
/// two.
pub(crate) const MAX_JOINED: usize = 4 * 1024;
/// The longest message that is left with the outbox, in bytes: so much may wait for each client that reads slowly.
const MAX_LEFT: usize = 16 * 1024;

thread_local! {
    // An idle connection owns no buffer: what arrives is read here and copied to what fits it.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SMALL_READ].into());
    /// Room for answers of the store, which is used by one after the other and stays in the nearest cache.
    static SPARE: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// Answers that are read at the same time mostly come to their end before the next is read.
const MAX_SPARE: usize = 4;

/// A stream with what was read from it and not yet used, and what has to be written to it.
#[derive(Debug)]
pub(crate) struct Buffered<S> {
    wire: Rc<RefCell<Wire<S>>>,
    pub(crate) unread: BytesMut,
    /// The size of the next large read: it grows while reads fill it.
    large: usize,
    /// What holds `unread`.
    room: Room,
    /// Whether it has no room of its own between messages, but shares it with others on this thread.
    shares: bool,
    /// What it has of the room for large reads.
    taken: ReadRoom,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Nothing,
    /// That of a read into the thread's block, or more of them.
    Small,
    /// That of a read of its own, or what is left of it.
    Large,
}

/// What a connection shares with the outbox.
#[derive(Debug)]
pub(crate) struct Wire<S> {
    stream: S,
    /// What was left with the outbox and is not yet written.
    head: BytesMut,
    body: Bytes,
    left: Left,
    /// Who left it last, and is woken when not all could be sent: mostly the same, whose waker is kept then.
    waker: Waker,
    /// Any of it was written.
    has_begun: bool,
}

/// How far the outbox has come with what was left with it.
#[derive(Debug)]
enum Left {
    /// There is nothing, or no more is to be expected of it.
    Nothing,
    /// Its turn has not come.
    Waiting,
    Failed(io::Error),
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Buffered<S> {
    pub(crate) fn new(stream: S) -> Self {
        let wire = Wire {
            stream,
            head: BytesMut::new(),
            body: Bytes::new(),
            left: Left::Nothing,
            waker: Waker::noop().clone(),
            has_begun: false,
        };
        Self {
            wire: Rc::new(RefCell::new(wire)),
            unread: BytesMut::new(),
            large: SMALL_READ,
            room: Room::Nothing,
            shares: false,
            taken: ReadRoom::default(),
        }
    }

    /// The same, sharing its room with others.
    pub(crate) fn sharing(self) -> Self {
        Self { shares: true, ..self }
    }

    pub(crate) fn with_stream<T>(&self, act: impl FnOnce(&S) -> T) -> T {
        act(&self.wire.borrow().stream)
    }

    /// Reads what is there, up to a head's size. 0 is the peer's end.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut into = ReadBuf::new(scratch);
            ready!(Pin::new(&mut self.wire.borrow_mut().stream).poll_read(cx, &mut into))?;
            if self.room == Room::Nothing && !into.filled().is_empty() {
                self.room = Room::Small;
                if self.shares {
                    self.unread = SPARE.with_borrow_mut(Vec::pop).unwrap_or_default();
                }
            }
            self.unread.extend_from_slice(into.filled());
            Poll::Ready(Ok(into.filled().len()))
        })
    }

    /// Reads as much of a body as is worth one read; `left` bytes of it are expected, if that is known.
    pub(crate) fn poll_fill_body(
        &mut self,
        cx: &mut Context<'_>,
        left: Option<u64>,
    ) -> Poll<io::Result<usize>> {
        let expected = left.map_or(LARGE_READ, |left| usize::try_from(left).unwrap_or(LARGE_READ));
        let free = self.unread.capacity() - self.unread.len();
        if expected <= SMALL_READ && free < expected {
            return self.poll_fill(cx);
        }
        let mut size = self.large.min(expected);
        if free < size && !self.taken.resize(size) {
            // Many large bodies are under way: this one goes in small pieces.
            size = SMALL_READ.min(expected);
        }
        if free < size {
            if self.room == Room::Small {
                self.rest();
            }
            // Room that was large before is used again, once all that was read into it has been passed on.
            self.unread.reserve(size);
            self.room = Room::Large;
        }
        let stream = &mut self.wire.borrow_mut().stream;
        let length = ready!(poll_read_buf(Pin::new(stream), cx, &mut self.unread))?;
        if length >= self.large {
            self.large = (self.large * 2).min(LARGE_READ);
        }
        Poll::Ready(Ok(length))
    }

    /// Lets go of the room that a body was read into, which is large, however little of it was left unused; and of
    /// what is shared.
    pub(crate) fn rest(&mut self) {
        if self.shares || self.room == Room::Large {
            self.let_go();
        }
    }

    /// Lets go of all room, unless something is in it.
    pub(crate) fn let_go(&mut self) {
        if !self.unread.is_empty() || self.room == Room::Nothing {
            return;
        }
        self.taken.clear();
        let unread = std::mem::take(&mut self.unread);
        let room = std::mem::replace(&mut self.room, Room::Nothing);
        if self.shares && room == Room::Small {
            SPARE.with_borrow_mut(|spare| {
                if spare.len() < MAX_SPARE {
                    spare.push(unread);
                }
            });
        }
    }

    /// Lets go of all room and of what is in it.
    pub(crate) fn discard(&mut self) {
        self.unread.clear();
        self.let_go();
    }

    /// Forgets who left a message last, so that their task is not held by it.
    pub(crate) fn forget(&mut self) {
        self.wire.borrow_mut().waker.clone_from(Waker::noop());
    }

    /// Whether the peer has neither closed nor sent anything, as an idle connection should be.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut into = ReadBuf::new(&mut byte);
        let mut cx = Context::from_waker(Waker::noop());
        let stream = &mut self.wire.borrow_mut().stream;
        self.unread.is_empty() && Pin::new(stream).poll_read(&mut cx, &mut into).is_pending()
    }

    /// Leaves a small message with the outbox, if nothing is to be written before it, and says whether it did: then
    /// both are empty, and else a small one may have become all head. The task that leaves one is woken only if it cannot be
    /// sent at once, to [`Self::poll_write`] the rest.
    pub(crate) fn leave(&self, cx: &Context<'_>, head: &mut BytesMut, body: &mut Bytes) -> bool {
        if head.len() + body.len() > MAX_LEFT || self.owes() {
            return false;
        }
        if head.len() + body.len() <= MAX_JOINED {
            // Now, and not when they are sent: both have just been looked at.
            head.extend_from_slice(&std::mem::take(body));
        }
        if !outbox::leave(&self.wire) {
            return false;
        }
        let mut wire = self.wire.borrow_mut();
        (wire.head, wire.body) = (std::mem::take(head), std::mem::take(body));
        (wire.left, wire.has_begun) = (Left::Waiting, false);
        wire.waker.clone_from(cx.waker());
        true
    }

    /// Whether something is left with the outbox whose turn has not come.
    pub(crate) fn waits(&self) -> bool {
        matches!(self.wire.borrow().left, Left::Waiting)
    }

    /// Whether what was left with the outbox last has been written in part at least.
    pub(crate) fn has_begun(&self) -> bool {
        self.wire.borrow().has_begun
    }

    /// Whether what was left with the outbox is not yet written.
    pub(crate) fn owes(&self) -> bool {
        let wire = self.wire.borrow();
        !wire.is_empty() || !matches!(wire.left, Left::Nothing)
    }

    /// Returns how many bytes are left to be written.
    pub(crate) fn left(&self) -> usize {
        let wire = self.wire.borrow();
        wire.head.len() + wire.body.len()
    }

    /// Writes some of what was left, then of `head`, then of `body`; all shrink by what was written. Ready with the
    /// bytes written, 0 when all are empty.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        head: &mut BytesMut,
        body: &mut Bytes,
    ) -> Poll<io::Result<usize>> {
        let wire = &mut *self.wire.borrow_mut();
        if let Left::Failed(error) = std::mem::replace(&mut wire.left, Left::Nothing) {
            return Poll::Ready(Err(error));
        }
        if wire.is_empty() { poll_write(&mut wire.stream, cx, head, body) } else { wire.poll_left(cx) }
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire.borrow_mut().stream).poll_flush(cx)
    }

    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire.borrow_mut().stream).poll_shutdown(cx)
    }
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    fn is_empty(&self) -> bool {
        self.head.is_empty() && self.body.is_empty()
    }

    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let written = ready!(poll_write(&mut self.stream, cx, &mut self.head, &mut self.body))?;
        self.has_begun = true;
        if self.is_empty() {
            // An idle connection owns no buffer.
            (self.head, self.body) = (BytesMut::new(), Bytes::new());
        }
        Poll::Ready(Ok(written))
    }

    fn poll_send_off(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            ready!(self.poll_left(cx))?;
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }
}

impl<S: AsyncWrite + Unpin> Sender for RefCell<Wire<S>> {
    fn send_off(&self) {
        let wire = &mut *self.borrow_mut();
        let Left::Waiting = std::mem::replace(&mut wire.left, Left::Nothing) else { return };
        match wire.poll_send_off(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => return,
            Poll::Ready(Err(error)) => wire.left = Left::Failed(error),
            Poll::Pending => {}
        }
        wire.waker.wake_by_ref();
    }
}

/// Writes some of `head`, then of `body`; both shrink by what was written. Ready with the bytes written, 0 when both
/// are empty.
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
    /// Whether it holds the task of who left a message last.
    pub(crate) fn remembers(&self) -> bool {
        !self.wire.borrow().waker.data().is_null()
    }
}

/// How many rooms are shared on this thread and not used.
#[cfg(test)]
pub(crate) fn spare_rooms() -> usize {
    SPARE.with_borrow(Vec::len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::UnderWay;
    use tokio::io::{AsyncReadExt, duplex};
    use tokio::runtime::{Builder, LocalOptions};
    use tokio::task::{spawn_local, yield_now};

    fn leave(bytes: &Buffered<tokio::io::DuplexStream>, head: &mut BytesMut) -> bool {
        bytes.leave(&Context::from_waker(Waker::noop()), head, &mut Bytes::new())
    }

    /// A client that reads slowly has so much wait for it, and no message takes the place of one that it has not read.
    #[test]
    fn what_is_long_and_what_comes_second_is_not_left() {
        let runtime = Builder::new_current_thread().build_local(LocalOptions::default()).unwrap();
        runtime.block_on(async {
            spawn_local(outbox::run());
            yield_now().await;
            let _two = (UnderWay::begin(), UnderWay::begin());
            let (mut client, server) = duplex(1024);
            let bytes = Buffered::new(server);

            let mut long = BytesMut::from(&*vec![b'l'; MAX_LEFT + 1]);
            assert!(!leave(&bytes, &mut long));
            assert_eq!(long.len(), MAX_LEFT + 1);

            let mut first = BytesMut::from(&*vec![b'f'; MAX_LEFT]);
            assert!(leave(&bytes, &mut first) && bytes.waits());
            yield_now().await;
            assert!(!bytes.waits() && bytes.owes(), "the client has not read it all");
            let mut second = BytesMut::from("second");
            assert!(!leave(&bytes, &mut second));
            assert_eq!(second, "second");
            let mut read = [0; 1024];
            client.read_exact(&mut read).await.unwrap();
            assert_eq!(read, [b'f'; 1024]);
        });
    }
}
