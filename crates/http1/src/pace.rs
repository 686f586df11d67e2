//! The size of the pieces in which a body is read, which follows the speed at which they pass.
//!
//! A piece is read when the one before it has been passed on. A peer that takes nothing thus holds one piece, which must
//! be small; and large pieces cost less per byte. A slow peer cannot be told by its first bytes, because the kernels take
//! some hundred KiB for it. So pieces are small until more than that has passed, and again after a pause.

use std::time::Duration;
use tokio::time::Instant;

/// The largest piece that is read into memory, in bytes (docs/performance.md, "reading bodies in pieces").
pub(crate) const LARGEST_READ: usize = 256 * 1024;
/// The largest piece that moves through a pipe, in bytes (docs/performance.md, "in pipes").
pub(crate) const LARGEST_PIPED: usize = 512 * 1024;
/// The size of pieces of a body that may not be taken, in bytes.
const SMALL_PIECE: usize = 32 * 1024;
/// The longest body that is read in one piece in any case, in bytes.
const WHOLE: usize = 64 * 1024;
/// The number of bytes that must pass without a pause before pieces grow.
const PROVEN: usize = 1024 * 1024;
/// The time between two pieces after which their sizes start over.
const PAUSE: Duration = Duration::from_millis(100);

/// The size of the next piece, and the progress that it depends on.
#[derive(Debug)]
pub(crate) struct Pace {
    size: usize,
    /// The number of bytes that passed without a pause.
    passed: usize,
    /// The time of the last piece.
    last: Option<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { size: SMALL_PIECE, passed: 0, last: None }
    }
}

impl Pace {
    /// Returns the size of the next piece of a body, of which `remaining` bytes are to come, and no more than these.
    pub(crate) fn next(&mut self, now: Instant, remaining: usize) -> usize {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) >= PAUSE) {
            *self = Self::default();
        }
        if remaining <= WHOLE { remaining } else { self.size.min(remaining) }
    }

    /// Returns the time until which pieces of at least `bytes` may be awaited: the end of the pause after which sizes start
    /// over. `None` for a peer that is slower.
    pub(crate) fn awaits(&self, bytes: usize) -> Option<Instant> {
        self.last.filter(|_| self.size >= bytes).map(|last| last + PAUSE)
    }

    /// Records that a piece was read.
    pub(crate) fn passed(&mut self, now: Instant, bytes: usize) {
        self.last = Some(now);
        self.passed = self.passed.saturating_add(bytes);
        if self.passed >= PROVEN && bytes >= self.size {
            self.size = (self.size * 2).min(LARGEST_PIPED);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads pieces of a long body with `gap` between them until `bytes` have passed, and returns the last size.
    fn size_after(pace: &mut Pace, now: &mut Instant, bytes: usize, gap: Duration) -> usize {
        let mut passed = 0;
        while passed < bytes {
            let size = pace.next(*now, usize::MAX);
            pace.passed(*now, size);
            passed += size;
            *now += gap;
        }
        pace.next(*now, usize::MAX)
    }

    #[test]
    fn pieces_grow_once_a_peer_has_taken_more_than_the_kernel_holds_for_it() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        assert_eq!(size_after(&mut pace, &mut now, PROVEN - SMALL_PIECE, Duration::ZERO), SMALL_PIECE);
        assert_eq!(size_after(&mut pace, &mut now, PROVEN, Duration::ZERO), LARGEST_PIPED);
        assert_eq!(size_after(&mut pace, &mut now, 100 * PROVEN, PAUSE / 2), LARGEST_PIPED);
    }

    #[test]
    fn pieces_are_small_after_a_pause_and_for_a_slow_peer() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        size_after(&mut pace, &mut now, 2 * PROVEN, Duration::ZERO);
        now += PAUSE;
        assert_eq!(pace.next(now, usize::MAX), SMALL_PIECE);
        assert_eq!(size_after(&mut pace, &mut now, 2 * PROVEN, PAUSE), SMALL_PIECE);
    }

    #[test]
    fn a_short_rest_is_one_piece() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        for (remaining, size) in [(0, 0), (1, 1), (WHOLE, WHOLE), (WHOLE + 1, SMALL_PIECE)] {
            assert_eq!(pace.next(now, remaining), size);
        }
        pace.passed(now, PROVEN);
        assert_eq!(pace.next(now, WHOLE + 1), SMALL_PIECE * 2);
        pace.passed(now, PROVEN);
        assert_eq!(pace.next(now, WHOLE + 1), WHOLE + 1, "what follows is not part of the body");
    }

    /// A peer that sends little at a time gets no larger reads than it fills.
    #[test]
    fn pieces_that_are_not_filled_do_not_grow() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        for _ in 0..10_000 {
            pace.passed(now, SMALL_PIECE - 1);
        }
        assert_eq!(pace.next(now, usize::MAX), SMALL_PIECE);
    }
}
