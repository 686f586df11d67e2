//! Room for reading large bodies, over all threads. A read that gets none is small.

use std::sync::atomic::{AtomicUsize, Ordering};

static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// Sets how many bytes there are in all.
pub fn set_limit(bytes: usize) {
    LIMIT.store(bytes, Ordering::Relaxed);
}

/// Returns how many bytes are taken.
pub fn taken() -> usize {
    TAKEN.load(Ordering::Relaxed)
}

/// Room that was taken, until it is dropped.
#[derive(Debug, Default)]
pub struct ReadRoom(usize);

impl ReadRoom {
    /// Makes it `size` bytes, if that is not more than a quarter of what is free, and returns whether it did.
    pub fn resize(&mut self, size: usize) -> bool {
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

    /// Gives all of it back.
    pub fn clear(&mut self) {
        TAKEN.fetch_sub(std::mem::take(&mut self.0), Ordering::Relaxed);
    }
}

impl Drop for ReadRoom {
    fn drop(&mut self) {
        self.clear();
    }
}
