//! A stream that plays a peer: it delivers an input in pieces of any size and records what is written to it.

use fastrand::Rng;
use http1::Transport;
use http1::splice::Splice;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::{Builder, Runtime};

/// How a peer's bytes arrive.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace {
    /// All at once.
    Whole,
    /// In pieces.
    Pieces,
    /// In pieces, with reads in between that are pending.
    Halting,
}

/// What a peer does after its last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It closes the connection.
    Closes,
    /// It keeps the connection open.
    Waits,
}

pub(super) struct Script {
    /// The result of each read; nothing is a pending read.
    pieces: VecDeque<Option<Vec<u8>>>,
    end: End,
    /// Whether nothing arrives before something was written.
    answers: bool,
    /// Wakes the reader that waits for that write.
    reader: Option<Waker>,
    sent: Rc<RefCell<Vec<u8>>>,
}

impl Script {
    /// Returns a peer that sends `input` at once.
    pub(super) fn new(input: &[u8], pace: Pace, end: End) -> Self {
        let pieces = match pace {
            // An empty read would mean the end.
            Pace::Whole if input.is_empty() => VecDeque::new(),
            Pace::Whole => VecDeque::from([Some(input.to_vec())]),
            Pace::Pieces | Pace::Halting => cut(input, matches!(pace, Pace::Halting)),
        };
        Self { pieces, end, answers: false, reader: None, sent: Rc::default() }
    }

    /// Returns a peer that sends `input` after it received something.
    pub(super) fn answering(input: &[u8], pace: Pace, end: End) -> Self {
        Self { answers: true, ..Self::new(input, pace, end) }
    }

    /// Returns the record of everything written to it.
    pub(super) fn sent(&self) -> Rc<RefCell<Vec<u8>>> {
        Rc::clone(&self.sent)
    }
}

/// Splits an input into pieces, always in the same way.
pub(super) fn cut(mut input: &[u8], halting: bool) -> VecDeque<Option<Vec<u8>>> {
    let mut hasher = DefaultHasher::new();
    (input, halting).hash(&mut hasher);
    let mut rng = Rng::with_seed(hasher.finish());
    let most = [1, 3, 40, 400][rng.usize(..4)];
    let mut pieces = VecDeque::new();
    while !input.is_empty() {
        let (piece, rest) = input.split_at(rng.usize(1..=most.min(input.len())));
        pieces.push_back(Some(piece.to_vec()));
        if halting && rng.u32(..4) == 0 {
            pieces.push_back(None);
        }
        input = rest;
    }
    pieces
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.answers && self.sent.borrow().is_empty() {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        match self.pieces.pop_front() {
            Some(Some(mut piece)) => {
                let rest = piece.split_off(piece.len().min(into.remaining()));
                into.put_slice(&piece);
                if !rest.is_empty() {
                    self.pieces.push_front(Some(rest));
                }
                Poll::Ready(Ok(()))
            }
            Some(None) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None if self.end == End::Closes => Poll::Ready(Ok(())),
            None => Poll::Pending,
        }
    }
}

impl AsyncWrite for Script {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.sent.borrow_mut().extend_from_slice(bytes);
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Splice for Script {}

impl Transport for Script {}

thread_local! {
    // The clock is paused and advances to the next timer when every task waits.
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
}

pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.with(|runtime| runtime.block_on(future))
}
