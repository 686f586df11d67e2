//! The wall clock, which expirations and signatures refer to.

use std::time::SystemTime;

/// The wall clock, replaceable in tests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WallClock(fn() -> SystemTime);

impl WallClock {
    /// The machine's clock.
    pub(crate) const SYSTEM: Self = Self(SystemTime::now);

    /// Returns a clock that shows the time that `now` returns.
    #[cfg(test)]
    pub(crate) const fn new(now: fn() -> SystemTime) -> Self {
        Self(now)
    }

    /// Reads the clock.
    pub(crate) fn now(self) -> SystemTime {
        (self.0)()
    }
}
