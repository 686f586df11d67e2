//! The wall clock: expirations and signatures are told in its time.

use std::time::SystemTime;

/// The wall clock, replaceable in tests.
#[derive(Clone, Copy, Debug)]
pub struct WallClock(fn() -> SystemTime);

impl WallClock {
    /// The machine's clock.
    pub const SYSTEM: Self = Self(SystemTime::now);

    /// Makes a clock that shows the time that `now` returns.
    pub const fn new(now: fn() -> SystemTime) -> Self {
        Self(now)
    }

    /// Reads the clock.
    pub fn now(self) -> SystemTime {
        (self.0)()
    }
}
