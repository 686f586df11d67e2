//! Counts of the load.

use std::collections::BTreeMap;
use std::time::Duration;

/// How many failures are kept. All of them are counted.
const KEPT_FAILURES: usize = 20;

/// The requests of one or more threads.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) kinds: BTreeMap<&'static str, Kind>,
    pub(crate) failed: u64,
    /// The first failures in order of time.
    pub(crate) failures: Vec<Failure>,
}

/// A request without the expected response.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Failure {
    /// Since the start of the load.
    pub(crate) after: Duration,
    pub(crate) what: String,
}

/// The requests of one kind.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(crate) struct Kind {
    pub(crate) requests: u64,
    pub(crate) body_bytes: u64,
    /// The sum over all requests.
    pub(crate) time: Duration,
    pub(crate) slowest: Duration,
}

impl Tally {
    /// Counts a request with the bytes of its body, or with its failure.
    pub(crate) fn count(&mut self, kind: &'static str, took: Duration, result: Result<u64, Failure>) {
        let of_kind = self.kinds.entry(kind).or_default();
        of_kind.requests += 1;
        of_kind.time += took;
        of_kind.slowest = of_kind.slowest.max(took);
        match result {
            Ok(bytes) => of_kind.body_bytes += bytes,
            Err(failure) => {
                self.failed += 1;
                self.failures.push(failure);
                self.failures.truncate(KEPT_FAILURES);
            }
        }
    }

    /// Adds the counts of another thread.
    pub(crate) fn add(&mut self, other: Self) {
        for (name, kind) in other.kinds {
            let sum = self.kinds.entry(name).or_default();
            sum.requests += kind.requests;
            sum.body_bytes += kind.body_bytes;
            sum.time += kind.time;
            sum.slowest = sum.slowest.max(kind.slowest);
        }
        self.failed += other.failed;
        self.failures.extend(other.failures);
        self.failures.sort();
        self.failures.truncate(KEPT_FAILURES);
    }

    pub(crate) fn requests(&self) -> u64 {
        self.kinds.values().map(|kind| kind.requests).sum()
    }

    pub(crate) fn body_bytes(&self) -> u64 {
        self.kinds.values().map(|kind| kind.body_bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_the_counts_of_threads() {
        let second = Duration::from_secs(1);
        let mut all = Tally::default();
        let failure = |after| Failure { after: Duration::from_secs(after), what: "403".to_owned() };
        for thread in 0..30 {
            let mut one = Tally::default();
            one.count("GET", second, Ok(10));
            one.count("GET", 2 * second, Err(failure(30 - thread)));
            all.add(one);
        }
        let expected = Kind { requests: 60, body_bytes: 300, time: 90 * second, slowest: 2 * second };
        assert_eq!(all.kinds["GET"], expected);
        assert_eq!((all.requests(), all.body_bytes(), all.failed), (60, 300, 30));
        assert_eq!(all.failures, (1..=20).map(failure).collect::<Vec<_>>());
    }
}
