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
            let earned = u32::try_from(seconds).unwrap_or(u32::MAX).saturating_mul(self.per_second);
            self.left = earned.min(self.burst);
            self.since = now;
        }
        let allows = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_is_allowed_and_then_a_number_each_second() {
        let start = Instant::now();
        let mut rate = Rate::new((5, 2), start);
        let allowed = |rate: &mut Rate, now| (0..100).take_while(|_| rate.allows(now)).count();
        for (seconds, expected) in [(0, 5), (0, 0), (1, 2), (2, 2), (60, 5)] {
            assert_eq!(allowed(&mut rate, start + Duration::from_secs(seconds)), expected, "{seconds}");
        }
    }
}
