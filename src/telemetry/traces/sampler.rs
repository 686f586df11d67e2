//! Decides which requests are traced: as the client's trace says, within a limit, else a fraction.
//!
//! Any client can claim that it records each of its traces, so such claims have a limit per second for the whole process.

use crate::config::Sampling;
use crate::trace::parent::TraceParent;
use std::sync::atomic::{AtomicU64, Ordering};

/// The part of a window that counts.
const COUNT: u64 = u32::MAX as u64;

/// The decision on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is traced.
    Traced,
    /// It is not traced.
    Untraced,
    /// It is not traced, although the client's trace asks for it.
    OverLimit,
}

/// The sampler of a configuration.
#[derive(Debug)]
pub(super) struct Sampler {
    sampling: Sampling,
    /// The current second in the upper half, and in the lower one the traces of clients that were continued in it.
    window: AtomicU64,
}

impl Sampler {
    /// Makes a sampler that has continued no trace.
    pub(super) fn new(sampling: Sampling) -> Self {
        Self { sampling, window: AtomicU64::new(0) }
    }

    /// Returns whether the traces of clients are continued.
    pub(super) fn follows_clients(&self) -> bool {
        self.sampling.parents.is_some()
    }

    /// Decides on a request. `draw` is a random number below 1, `second` the time since any fixed one.
    pub(super) fn decide(&self, parent: Option<&TraceParent<'_>>, draw: f64, second: u32) -> Decision {
        match (parent, self.sampling.parents) {
            (Some(parent), Some(_)) if !parent.is_sampled => Decision::Untraced,
            (Some(_), Some(limit)) if self.takes_one(limit, second) => Decision::Traced,
            (Some(_), Some(_)) => Decision::OverLimit,
            _ if draw < self.sampling.fraction => Decision::Traced,
            _ => Decision::Untraced,
        }
    }

    /// Takes one of the places of this second.
    fn takes_one(&self, limit: u64, second: u32) -> bool {
        let current = u64::from(second) << 32;
        let taken = self.window.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |window| {
            // Threads may disagree on the second for a moment. It never goes back.
            let (second, count) = (window & !COUNT, window & COUNT);
            let (second, count) = if second < current { (current, 0) } else { (second, count) };
            (count < limit).then_some(second | (count + 1))
        });
        taken.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};
    use http1::Fields;

    fn fields(flags: &str) -> Fields {
        let text = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
        let field = (HeaderName::from_static("traceparent"), HeaderValue::from_str(&text).unwrap());
        [field].into_iter().collect()
    }

    #[test]
    fn the_parent_decides_before_the_fraction() {
        let (yes, no) = (fields("01"), fields("00"));
        let (yes, no) = (TraceParent::of(&yes), TraceParent::of(&no));
        for (fraction, parents, parent, draw, expected) in [
            (0.0, Some(1), None, 0.0, Decision::Untraced),
            (0.5, Some(1), None, 0.49, Decision::Traced),
            (0.5, Some(1), None, 0.5, Decision::Untraced),
            (1.0, Some(1), None, 0.999_999, Decision::Traced),
            (0.0, Some(1), yes, 0.9, Decision::Traced),
            (1.0, Some(1), no, 0.0, Decision::Untraced),
            (0.0, None, yes, 0.0, Decision::Untraced),
            (1.0, None, no, 0.9, Decision::Traced),
        ] {
            let sampler = Sampler::new(Sampling { fraction, parents });
            let decision = sampler.decide(parent.as_ref(), draw, 7);
            assert_eq!(decision, expected, "{fraction} {parents:?} {parent:?} {draw}");
        }
    }

    /// Clients that claim to record every trace get as many as the limit allows, not the fraction in addition.
    #[test]
    fn claims_of_clients_have_a_limit() {
        let yes = fields("01");
        let parent = TraceParent::of(&yes);
        let sampler = Sampler::new(Sampling { fraction: 1.0, parents: Some(3) });
        let traced = |second| {
            let decisions = (0..1000).map(|_| sampler.decide(parent.as_ref(), 0.0, second));
            decisions.filter(|decision| *decision == Decision::Traced).count()
        };
        assert_eq!([traced(5), traced(5), traced(6), traced(5), traced(6), traced(9)], [3, 0, 3, 0, 0, 3]);
        assert_eq!(sampler.decide(parent.as_ref(), 0.0, 9), Decision::OverLimit);
        assert_eq!(sampler.decide(None, 0.0, 9), Decision::Traced);
    }

    #[test]
    fn the_limit_holds_for_all_threads_together() {
        let sampler = Sampler::new(Sampling { fraction: 0.0, parents: Some(1000) });
        let taken = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        taken.fetch_add(u64::from(sampler.takes_one(1000, 1)), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(taken.into_inner(), 1000);
    }
}
