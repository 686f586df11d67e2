//! Buffers that the connections of a thread share. What a connection cannot finish it copies to a buffer of its own, so
//! that one that waits holds what it needs and no more.

use std::cell::Cell;

thread_local! {
    static READING: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static WRITING: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static JOINING: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A use of a shared buffer. Uses nest: a stream may write an alert while it reads, and joins slices while it writes.
#[derive(Clone, Copy)]
pub(crate) enum Use {
    Reading,
    Writing,
    /// Joining slices to one record.
    Joining,
}

/// Calls `act` with a buffer of at least `size` bytes, whose content is arbitrary.
pub(crate) fn with_scratch<T>(used_for: Use, size: usize, act: impl FnOnce(&mut [u8]) -> T) -> T {
    let buffer = match used_for {
        Use::Reading => &READING,
        Use::Writing => &WRITING,
        Use::Joining => &JOINING,
    };
    // Taken for the call, so that a TLS stream may run over another.
    let mut bytes = buffer.take();
    if bytes.len() < size {
        bytes.resize(size, 0);
    }
    let acted = act(&mut bytes);
    buffer.set(bytes);
    acted
}
