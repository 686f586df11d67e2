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

    /// Returns what exceeds `size` bytes.
    pub(crate) fn shrink(&mut self, size: usize) {
        let less = self.0.saturating_sub(size);
        TAKEN.fetch_sub(less, Ordering::Relaxed);
        self.0 -= less;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_grows_and_shrinks() {
        let mut share = ReadShare::default();
        assert!(share.resize(1000) && share.resize(10));
        assert_eq!(share.0, 1000);
        for (size, left) in [(2000, 1000), (1000, 1000), (10, 10), (0, 0)] {
            share.shrink(size);
            assert_eq!(share.0, left, "{size}");
        }
    }
}
