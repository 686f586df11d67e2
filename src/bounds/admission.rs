//! Admission control for one mapping: how many requests run at once, how many wait and for how long, and how many start
//! per second.
//!
//! Running and waiting requests are divided among the mapping's clients (see [`places`](crate::bounds::places)).

use crate::bounds::limits::Limits;
use crate::bounds::places::{Holder, Place, Places, Size};
use crate::identify::client::ClientKey;
use crate::refusal::{Refusal, Rule};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// The limits of one mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    running: usize,
    waiting: usize,
    wait: Duration,
    per_second: Option<NonZeroU32>,
}

impl Bounds {
    /// Returns the part of `limits` that applies to each mapping.
    pub(crate) fn of(limits: &Limits) -> Self {
        Self {
            running: limits.requests_per_mapping,
            waiting: limits.queue_per_mapping,
            wait: limits.queue_timeout,
            per_second: limits.requests_per_second,
        }
    }
}

/// The admission control of one mapping.
#[derive(Debug)]
pub(crate) struct Admission {
    bounds: Bounds,
    running: Arc<Places>,
    rate: Option<Rate>,
    epoch: Instant,
}

/// A permit to run, which is given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit(#[expect(dead_code, reason = "held for its drop")] Place);

impl From<Place> for Permit {
    fn from(place: Place) -> Self {
        Self(place)
    }
}

impl Admission {
    /// Makes an admission control with these bounds.
    pub(crate) fn new(bounds: Bounds) -> Self {
        let size = Size { places: bounds.running, grouped: false, queue: bounds.waiting };
        Self {
            bounds,
            running: Places::new(size),
            rate: bounds.per_second.map(Rate::new),
            epoch: Instant::now(),
        }
    }

    /// Returns the bounds.
    pub(crate) fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Returns the number of running requests.
    pub(crate) fn running(&self) -> usize {
        self.running.taken()
    }

    /// Returns the number of queued requests.
    pub(crate) fn queued(&self) -> usize {
        self.running.waiting()
    }

    /// Counts a request against the rate of the mapping.
    ///
    /// # Errors
    /// When too many requests start per second.
    pub(crate) fn begin(&self) -> Result<(), Refusal> {
        self.rate.as_ref().map_or(Ok(()), |rate| rate.take(self.epoch.elapsed()).map_err(too_fast))
    }

    /// Waits until a request of `client` may run. Dropping the future leaves the queue.
    ///
    /// # Errors
    /// When too many requests start per second, when the queue is full, or when the wait takes too long.
    pub(crate) async fn admit(&self, client: ClientKey) -> Result<Permit, Refusal> {
        self.begin()?;
        let holder = Holder { group: 0, client };
        match self.running.try_take(holder) {
            Some(place) => Ok(Permit(place)),
            None => Box::pin(self.wait(holder)).await,
        }
    }

    async fn wait(&self, holder: Holder) -> Result<Permit, Refusal> {
        match timeout(self.bounds.wait, self.running.take(holder)).await {
            Ok(place) => place.map(Permit).ok_or_else(full),
            Err(_) => Err(refusal(
                Rule::QueueTimeout,
                "too many requests of this mapping are running, and none ended in time to run this one: try again later",
                Duration::from_secs(1),
            )),
        }
    }
}

/// Returns the refusal of a request that finds the queue full.
pub(crate) fn full() -> Refusal {
    let message = "too many requests of this mapping are running and waiting: slow down";
    refusal(Rule::QueueFull, message, Duration::from_secs(1))
}

fn too_fast(retry_after: Duration) -> Refusal {
    refusal(Rule::RateLimited, "too many requests per second: slow down", retry_after)
}

fn refusal(rule: Rule, message: &str, retry_after: Duration) -> Refusal {
    let mut refusal = Refusal::new(rule, message);
    // Retry-After takes whole seconds: round up.
    refusal.retry_after = Some(retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0));
    refusal
}

/// A token bucket that holds the tokens of one second. Its only state is the time at which it is full again (GCRA).
#[derive(Debug)]
struct Rate {
    interval: u64,
    /// Nanoseconds since the epoch.
    full_at: AtomicU64,
}

const SECOND: u64 = 1_000_000_000;

impl Rate {
    fn new(per_second: NonZeroU32) -> Self {
        Self { interval: SECOND / u64::from(per_second.get()), full_at: AtomicU64::new(0) }
    }

    /// Takes a token, or returns the time until there is one.
    fn take(&self, now: Duration) -> Result<(), Duration> {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let take = |full_at: u64| {
            let next = full_at.max(now).saturating_add(self.interval);
            (next <= now.saturating_add(SECOND)).then_some(next)
        };
        match self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(_) => Ok(()),
            Err(full_at) => {
                let next = full_at.saturating_add(self.interval);
                Err(Duration::from_nanos(next.saturating_sub(now.saturating_add(SECOND))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::task::JoinSet;

    fn bounds(running: usize, waiting: usize, per_second: u32) -> Bounds {
        let per_second = NonZeroU32::new(per_second);
        Bounds { running, waiting, wait: Duration::from_secs(10), per_second }
    }

    const ONE: ClientKey = ClientKey::User(Some(1));

    async fn refused(admission: &Admission) -> (Rule, Option<u64>) {
        let refusal = admission.admit(ONE).await.unwrap_err();
        (refusal.rule, refusal.retry_after)
    }

    #[tokio::test(start_paused = true)]
    async fn the_queue_is_bounded_in_length_and_time() {
        let admission = Arc::new(Admission::new(bounds(2, 1, 0)));
        let (first, _second) = (admission.admit(ONE).await.unwrap(), admission.admit(ONE).await.unwrap());
        let start = Instant::now();
        let waiting = tokio::spawn({
            let admission = Arc::clone(&admission);
            async move { admission.admit(ONE).await.map_err(|refusal| refusal.rule) }
        });
        tokio::task::yield_now().await;
        assert_eq!(refused(&admission).await, (Rule::QueueFull, Some(1)));
        assert!(start.elapsed().is_zero(), "a request that finds the queue full does not wait");

        drop(first);
        let third = waiting.await.unwrap().unwrap();
        assert_eq!(refused(&admission).await, (Rule::QueueTimeout, Some(1)));
        assert_eq!(start.elapsed().as_secs(), 10);
        drop(third);
        assert!(admission.admit(ONE).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_leaves_while_it_waits_leaves_nothing_behind() {
        let admission = Arc::new(Admission::new(bounds(1, 8, 0)));
        let only = admission.admit(ONE).await.unwrap();
        for _ in 0..10 {
            let mut waiting = JoinSet::new();
            for _ in 0..6 {
                let admission = Arc::clone(&admission);
                waiting.spawn(async move { admission.admit(ONE).await.is_ok() });
            }
            tokio::task::yield_now().await;
            assert_eq!(admission.running.waiting(), 6);
            waiting.shutdown().await;
            assert_eq!(admission.running.waiting(), 0);
        }
        drop(only);
        assert_eq!(admission.running.taken(), 0);
    }

    /// A second client runs at once although the first fills the mapping and its queue.
    #[tokio::test(start_paused = true)]
    async fn one_client_does_not_take_the_places_of_the_others() {
        let admission = Arc::new(Admission::new(bounds(16, 16, 0)));
        let mut hostile = JoinSet::new();
        for _ in 0..100 {
            let admission = Arc::clone(&admission);
            hostile.spawn(async move {
                let permit = admission.admit(ONE).await;
                if permit.is_ok() {
                    tokio::time::sleep(Duration::from_hours(6)).await;
                }
            });
        }
        tokio::task::yield_now().await;
        assert_eq!(admission.running.taken(), 12);
        let start = Instant::now();
        assert!(admission.admit(ClientKey::User(Some(2))).await.is_ok());
        assert!(start.elapsed().is_zero());
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_bounds_the_requests_of_a_second() {
        let admission = Admission::new(bounds(100, 0, 5));
        for _ in 0..5 {
            assert!(admission.admit(ONE).await.is_ok());
        }
        assert_eq!(refused(&admission).await, (Rule::RateLimited, Some(1)));
        tokio::time::advance(Duration::from_millis(200)).await;
        assert!(admission.admit(ONE).await.is_ok());
        assert_eq!(refused(&admission).await, (Rule::RateLimited, Some(1)));
    }

    proptest! {
        /// At any spacing of requests, no more pass than the rate and one burst allow.
        #[test]
        fn a_rate_holds(per_second in 1..1000_u32, gaps in prop::collection::vec(0..50_000_u64, 1..2000)) {
            let rate = Rate::new(NonZeroU32::new(per_second).unwrap());
            let (mut now, mut taken) = (Duration::ZERO, 0_u64);
            for gap in gaps {
                now += Duration::from_micros(gap);
                match rate.take(now) {
                    Ok(()) => taken += 1,
                    Err(wait) => prop_assert!(!wait.is_zero() && wait <= Duration::from_secs(1)),
                }
            }
            let most = (now.as_secs_f64() + 1.0) * f64::from(per_second) * 1.001 + 1.0;
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let taken = taken as f64;
            prop_assert!(taken <= most, "{taken} of {most}");
        }
    }
}
