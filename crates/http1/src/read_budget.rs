//! The process-wide budget for the buffers that large bodies are read into. A read that gets no share is small.

use std::sync::atomic::{AtomicUsize, Ordering};

static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// Sets the size of the budget, in bytes.
pub fn set_limit(bytes: usize) {
    LIMIT.store(bytes, Ordering::Relaxed);
}

/// Returns the number of bytes that are taken.
pub fn taken() -> usize {
    TAKEN.load(Ordering::Relaxed)
}

/// A share of the budget, returned when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct ReadShare(usize);

impl ReadShare {
    /// Grows the share to `size` bytes, if that takes at most a quarter of what is free. Returns whether it did.
    pub(crate) fn resize(&mut self, size: usize) -> bool {
        if size <= self.0 {
            return true;
        }
        let more = size - self.0;
        let before = TAKEN.fetch_add(more, Ordering::Relaxed);
        if more > LIMIT.load(Ordering::Relaxed).saturating_sub(before) / 4 {
            TAKEN.fetch_sub(more, Ordering::Relaxed);
            return false;
        }
        self.0 = size;
        true
    }

    /// Returns the whole share.
    pub(crate) fn clear(&mut self) {
        TAKEN.fetch_sub(std::mem::take(&mut self.0), Ordering::Relaxed);
    }
}

impl Drop for ReadShare {
    fn drop(&mut self) {
        self.clear();
    }
}
