//! A limit on how often something happens.

use tokio::time::Instant;

/// A number of events that are allowed at once, and a number each second after that.
#[derive(Debug)]
pub(crate) struct Rate {
    burst: u32,
    per_second: u32,
    /// The events that are allowed now.
    left: u32,
    since: Instant,
}

impl Rate {
    pub(crate) fn new((burst, per_second): (u32, u32), now: Instant) -> Self {
        Self { burst, per_second, left: burst, since: now }
    }

    /// Counts an event, and returns whether it is allowed.
    pub(crate) fn allows(&mut self, now: Instant) -> bool {
        if self.left == 0 {
            let seconds = now.saturating_duration_since(self.since).as_secs();
            self.left = u64::from(self.per_second).saturating_mul(seconds).min(self.burst.into()) as u32;
            self.since = now;
        }
        let allows = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allows
    }
}
