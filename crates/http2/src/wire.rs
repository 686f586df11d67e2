//! The stream below the frames: it reads as much as a turn allows, gathers what is written in a turn, notes what moves, and
//! ends without a reset.
//!
//! **Writing.** `h2` writes and flushes each frame of data by itself. That would cost a system call for each, and over TLS
//! two records, since a frame of 16 KiB is nine bytes longer than a record. So frames are gathered, and the server calls
//! [`Wire::poll_push`] whenever `h2` has written what it could. Few bytes are left with the thread's [`outbox`], as in
//! HTTP/1.1.

use crate::bounds::{CLOSE, DEFERRED, GATHER, LINGER_PIECE, MAX_LINGER};
use crate::gathered::Gathered;
use crate::turn::Turn;
use bytes::{Buf, Bytes};
use http1::outbox::{self, DeferredWrite};
use http1::{LazyTimer, clock};
use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
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

/// A client's stream, which the server and `h2` share.
#[derive(Debug)]
pub(crate) struct Wire<S>(Rc<Shared<S>>);

/// The part of it that the outbox writes to.
#[derive(Debug)]
struct Shared<S>(RefCell<State<S>>);

#[derive(Debug)]
struct State<S> {
    stream: S,
    /// The bytes that were read before the protocol was known.
    read: Bytes,
    gathered: Gathered,
    deferred: Deferred,
    /// The task to wake if the outbox cannot send everything.
    waker: Waker,
    turn: Rc<Turn>,
    /// Set once the server has ended its own side.
    lingering: Option<Lingering>,
}

/// The outbox's progress with what was gathered.
#[derive(Debug)]
enum Deferred {
    /// Nothing is queued.
    None,
    /// The outbox has not sent it yet.
    Queued,
    /// It could not be sent.
    Failed(io::Error),
}

impl<S> Wire<S> {
    pub(crate) fn new(stream: S, read: Bytes, turn: Rc<Turn>) -> Self {
        let state = State {
            stream,
            read,
            gathered: Gathered::default(),
            deferred: Deferred::None,
            waker: Waker::noop().clone(),
            turn,
            lingering: None,
        };
        Self(Rc::new(Shared(RefCell::new(state))))
    }

    /// Returns another handle to the same stream.
    pub(crate) fn share(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<S: AsyncWrite + Unpin + 'static> Wire<S> {
    /// Sends what was gathered, or leaves it with the outbox. `Pending` if the client does not take all of it now.
    pub(crate) fn poll_push(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.0.borrow_mut();
        match std::mem::replace(&mut state.deferred, Deferred::None) {
            Deferred::Failed(error) => return Poll::Ready(Err(error)),
            Deferred::Queued => {
                state.deferred = Deferred::Queued;
                state.waker.clone_from(cx.waker());
                return Poll::Ready(Ok(()));
            }
            Deferred::None => {}
        }
        let is_small = (1..=DEFERRED).contains(&state.gathered.len()) && !state.turn.is_blocked();
        drop(state);
        let is_deferred = is_small && outbox::defer_write(&self.0);
        let state = &mut *self.0.0.borrow_mut();
        if is_deferred {
            state.deferred = Deferred::Queued;
            state.waker.clone_from(cx.waker());
            return Poll::Ready(Ok(()));
        }
        state.poll_push(cx)
    }
}

impl<S: AsyncWrite + Unpin> DeferredWrite for Shared<S> {
    fn flush(&self) {
        let state = &mut *self.0.borrow_mut();
        let Deferred::Queued = std::mem::replace(&mut state.deferred, Deferred::None) else { return };
        match state.poll_push(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => return,
            Poll::Ready(Err(error)) => state.deferred = Deferred::Failed(error),
            Poll::Pending => {}
        }
        state.waker.wake_by_ref();
    }
}

impl<S: AsyncWrite + Unpin> State<S> {
    fn poll_push(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.gathered.len() > 0 {
            ready!(self.gathered.poll_send(&mut self.stream, &self.turn, cx))?;
        }
        self.turn.settle();
        Pin::new(&mut self.stream).poll_flush(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self.0.0.borrow_mut();
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
        let this = &mut *self.0.0.borrow_mut();
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        if this.gathered.len() > 0 && this.gathered.len() + total > GATHER {
            ready!(this.gathered.poll_send(&mut this.stream, &this.turn, cx))?;
        }
        for slice in slices {
            this.gathered.extend(slice, &this.turn);
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
        let this = &mut *self.0.0.borrow_mut();
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
    use http1::outbox::RunningGuard;
    use std::future::poll_fn;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, DuplexStream, duplex};
    use tokio::runtime::{Builder, LocalOptions};
    use tokio::task::{spawn_local, yield_now};
    use tokio::time::timeout;

    /// Runs a test on a thread that serves several requests and runs its outbox.
    fn on_a_busy_worker(test: impl Future<Output = ()>) {
        let _two = (RunningGuard::new(), RunningGuard::new());
        let runtime =
            Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap();
        runtime.block_on(async {
            spawn_local(outbox::run());
            timeout(Duration::from_mins(1), test).await.expect("the test hangs");
        });
    }

    /// Returns a wire on which `length` bytes were written and pushed, and its other end with room for `room` bytes.
    async fn pushed(length: usize, room: usize) -> (Wire<DuplexStream>, DuplexStream) {
        let (near, far) = duplex(room);
        let mut wire = Wire::new(near, Bytes::new(), Rc::new(Turn::new()));
        let bytes = vec![b'x'; length];
        assert_eq!(poll_fn(|cx| Pin::new(&mut wire).poll_write(cx, &bytes)).await.unwrap(), length);
        poll_fn(|cx| wire.poll_push(cx)).await.unwrap();
        (wire, far)
    }

    /// Returns whether a byte has arrived.
    async fn has_arrived(far: &mut DuplexStream) -> bool {
        poll_fn(|cx| {
            let mut byte = [0];
            let polled = Pin::new(&mut *far).poll_read(cx, &mut ReadBuf::new(&mut byte));
            Poll::Ready(polled.is_ready())
        })
        .await
    }

    #[test]
    fn few_bytes_leave_at_the_end_of_the_turn() {
        on_a_busy_worker(async {
            let (_wire, mut far) = pushed(DEFERRED, 1 << 20).await;
            assert!(!has_arrived(&mut far).await, "the turn goes on");
            yield_now().await;
            assert!(has_arrived(&mut far).await);
            let (_wire, mut far) = pushed(DEFERRED + 1, 1 << 20).await;
            assert!(has_arrived(&mut far).await, "many bytes leave at once");
        });
    }

    #[test]
    fn the_task_is_woken_for_what_the_client_does_not_take_at_once() {
        on_a_busy_worker(async {
            let (wire, mut far) = pushed(1000, 100).await;
            let pushing = spawn_local(async move {
                poll_fn(|cx| {
                    let pushed = wire.poll_push(cx);
                    if wire.0.0.borrow().gathered.len() > 0 { Poll::Pending } else { pushed }
                })
                .await
            });
            let mut read = vec![0; 1000];
            far.read_exact(&mut read).await.unwrap();
            pushing.await.unwrap().unwrap();
        });
    }

    #[test]
    fn an_error_of_the_outbox_shows_in_the_next_push() {
        on_a_busy_worker(async {
            let (wire, far) = pushed(10, 100).await;
            drop(far);
            yield_now().await;
            let error = poll_fn(|cx| wire.poll_push(cx)).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        });
    }
}
