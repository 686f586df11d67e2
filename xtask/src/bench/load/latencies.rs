//! Latencies of responses.

use std::time::Duration;

/// Latencies, the shortest first.
#[derive(Debug)]
pub(crate) struct Latencies(Vec<Duration>);

impl From<Vec<Duration>> for Latencies {
    fn from(mut took: Vec<Duration>) -> Self {
        took.sort_unstable();
        Self(took)
    }
}

impl Latencies {
    /// Returns the time within which this part of the responses arrived.
    pub(crate) fn quantile(&self, part: f64) -> Duration {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index into a list of about 100,000"
        )]
        let place = ((self.0.len() as f64 * part).ceil() as usize).saturating_sub(1);
        self.0.get(place).or(self.0.last()).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_measured_values_as_quantiles() {
        let latencies = Latencies::from((1..=200).rev().map(Duration::from_millis).collect::<Vec<_>>());
        assert_eq!(latencies.quantile(0.5), Duration::from_millis(100));
        assert_eq!(latencies.quantile(0.99), Duration::from_millis(198));
        assert_eq!(latencies.quantile(1.0), Duration::from_millis(200));
        assert_eq!(Latencies::from(Vec::new()).quantile(0.5), Duration::ZERO);
    }
}
