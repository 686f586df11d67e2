//! Counts of verified credentials, and of failures by cause.

use super::failure::Cause;
use crate::identify::identity::Scheme;
use std::sync::atomic::{AtomicU64, Ordering};

/// The number of results: success, and each cause of a failure.
const RESULTS: usize = 1 + Cause::ALL.len();

/// Counts of requests with credentials, by scheme and result.
#[derive(Debug)]
pub(crate) struct AuthenticationCounts([[AtomicU64; RESULTS]; Scheme::ALL.len()]);

impl Default for AuthenticationCounts {
    fn default() -> Self {
        Self(std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0))))
    }
}

impl AuthenticationCounts {
    /// Counts a request with credentials. `failure` is `None` if they verified.
    pub(crate) fn count(&self, scheme: Scheme, failure: Option<Cause>) {
        let result = failure.map_or(0, |cause| 1 + cause as usize);
        if let Some(count) = self.0.get(scheme as usize).and_then(|results| results.get(result)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns every count that is not zero, with the names of its scheme and its result.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let results = || std::iter::once("ok").chain(Cause::ALL.into_iter().map(Cause::name));
        Scheme::ALL
            .into_iter()
            .zip(&self.0)
            .flat_map(move |(scheme, counts)| {
                results()
                    .zip(counts)
                    .map(move |(result, count)| (scheme.name(), result, count.load(Ordering::Relaxed)))
            })
            .filter(|(_, _, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_counted_by_scheme() {
        let counts = AuthenticationCounts::default();
        counts.count(Scheme::Basic, None);
        counts.count(Scheme::Bearer, Some(Cause::Malformed));
        counts.count(Scheme::Bearer, Some(Cause::Malformed));
        let all: Vec<_> = counts.all().collect();
        assert_eq!(all, [("basic", "ok", 1), ("bearer", "malformed", 2)]);
        for (at, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, at, "counts index by the number of a cause");
        }
    }
}
