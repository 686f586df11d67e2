//! The share of a turn of the runtime that one connection may take, and what moved over its wire.

use crate::bounds::{MIN_KEPT, TURN_BYTES, TURN_STREAMS};
use crate::frames::Frames;
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// What a connection, its wire and its streams share.
#[derive(Debug)]
pub(crate) struct Turn {
    /// The bytes that may still be read in this turn.
    bytes: Cell<usize>,
    /// The streams that may still be polled in this turn.
    streams: Cell<u32>,
    pub(crate) frames: RefCell<Frames>,
    /// The bytes of responses that were handed to the connection since it last had nothing to write.
    handed: Cell<usize>,
    /// The long ones among those pieces, as far as the wire has not seen them. It keeps them instead of copying them.
    pieces: RefCell<Vec<Bytes>>,
    /// The bytes that were written since then.
    written: Cell<usize>,
    /// The bytes that were written since [`Self::take_progress`].
    progress: Cell<usize>,
    /// Whether the client did not take the last write.
    is_blocked: Cell<bool>,
    /// The number of requests whose body is not read to its end.
    bodies: Cell<usize>,
}

impl Turn {
    pub(crate) fn new() -> Self {
        Self {
            bytes: Cell::new(TURN_BYTES),
            streams: Cell::new(TURN_STREAMS),
            frames: RefCell::new(Frames::new()),
            handed: Cell::new(0),
            pieces: RefCell::default(),
            written: Cell::new(0),
            progress: Cell::new(0),
            is_blocked: Cell::new(false),
            bodies: Cell::new(0),
        }
    }

    /// Returns whether a request has a body that is not read to its end.
    pub(crate) fn has_bodies(&self) -> bool {
        self.bodies.get() > 0
    }

    /// Begins a turn.
    pub(crate) fn begin(&self) {
        self.bytes.set(TURN_BYTES);
        self.streams.set(TURN_STREAMS);
    }

    /// Returns whether the connection may read more in this turn.
    pub(crate) fn may_read(&self) -> bool {
        self.bytes.get() > 0
    }

    /// Notes bytes that arrived and are not looked at.
    pub(crate) fn skip(&self, bytes: usize) {
        self.bytes.set(self.bytes.get().saturating_sub(bytes));
    }

    /// Notes bytes that arrived.
    pub(crate) fn read(&self, bytes: &[u8]) {
        self.skip(bytes.len());
        self.frames.borrow_mut().follow(bytes);
    }

    /// Takes a poll of a stream, if there is one left in this turn.
    pub(crate) fn take_stream(&self) -> bool {
        let left = self.streams.get();
        self.streams.set(left.saturating_sub(1));
        left > 0
    }

    /// Notes bytes of a response that are handed to the connection.
    pub(crate) fn hand(&self, piece: &Bytes) {
        self.handed.set(self.handed.get().saturating_add(piece.len()));
        if piece.len() >= MIN_KEPT {
            self.pieces.borrow_mut().push(piece.clone());
        }
    }

    /// Returns `bytes` without copying them if they are part of a piece of a response.
    pub(crate) fn kept(&self, bytes: &[u8]) -> Option<Bytes> {
        if bytes.len() < MIN_KEPT {
            return None;
        }
        let range = bytes.as_ptr_range();
        let mut pieces = self.pieces.borrow_mut();
        let found = pieces.iter().position(|piece| {
            let piece = piece.as_ptr_range();
            piece.start <= range.start && range.end <= piece.end
        })?;
        let piece = pieces.get(found)?;
        let kept = piece.slice_ref(bytes);
        if piece.as_ptr_range().end == range.end {
            // The order stays: the connection mostly sends the first of them next.
            pieces.remove(found);
        }
        Some(kept)
    }

    /// Notes a write; `None` if the client took nothing.
    pub(crate) fn wrote(&self, bytes: Option<usize>) {
        self.is_blocked.set(bytes.is_none());
        let bytes = bytes.unwrap_or_default();
        self.written.set(self.written.get().saturating_add(bytes));
        self.progress.set(self.progress.get().saturating_add(bytes));
    }

    /// Returns whether the client does not take what is written.
    pub(crate) fn is_blocked(&self) -> bool {
        self.is_blocked.get()
    }

    /// Returns the number of bytes that were written since the last call.
    pub(crate) fn take_progress(&self) -> usize {
        self.progress.take()
    }

    /// Notes that the client has taken everything that the connection could write.
    pub(crate) fn settle(&self) {
        self.handed.set(0);
        self.written.set(0);
        // What is left belongs to streams that were reset.
        self.pieces.take();
    }

    /// Returns the number of bytes of responses that the client does not take.
    pub(crate) fn unsent(&self) -> usize {
        if self.is_blocked() { self.handed.get().saturating_sub(self.written.get()) } else { 0 }
    }
}

/// Counts the body of a request until it is dropped.
#[derive(Debug)]
pub(crate) struct OpenBody(Rc<Turn>);

impl OpenBody {
    pub(crate) fn new(turn: &Rc<Turn>) -> Self {
        turn.bodies.set(turn.bodies.get() + 1);
        Self(Rc::clone(turn))
    }
}

impl Drop for OpenBody {
    fn drop(&mut self) {
        self.0.bodies.set(self.0.bodies.get() - 1);
    }
}
