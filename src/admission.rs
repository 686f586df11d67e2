//! Admission: how many requests of a mapping run at once, how many wait for how long, how many begin in a second, and
//! how many bodies without a length are held.

use crate::limits::{Limits, PART_SIZE};
use crate::refusal::{Refusal, Rule};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, TryAcquireError};
use tokio::time::{Instant, timeout};

/// The bounds of one mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    running: usize,
    waiting: usize,
    wait: Duration,
    per_second: Option<NonZeroU32>,
    bodies: usize,
}

impl Bounds {
    /// What `limits` say of a mapping.
    pub fn of(limits: &Limits) -> Self {
        Self {
            running: limits.requests_per_mapping,
            waiting: limits.queue_per_mapping,
            wait: limits.queue_timeout,
            per_second: limits.requests_per_second,
            bodies: bodies(limits.upload_buffer),
        }
    }
}

/// Half of all that have room: however slowly one mapping's clients send, it does not have the room of all others.
fn bodies(upload_buffer: u64) -> usize {
    let half = (upload_buffer / PART_SIZE).div_ceil(2);
    usize::try_from(half).unwrap_or(usize::MAX).clamp(1, Semaphore::MAX_PERMITS)
}

/// Admits one mapping's requests.
#[derive(Debug)]
pub struct Admission {
    bounds: Bounds,
    running: Arc<Semaphore>,
    /// The places to wait in.
    places: Semaphore,
    rate: Option<Rate>,
    bodies: Semaphore,
    epoch: Instant,
}

/// A request's leave to run, until it is dropped.
#[derive(Debug)]
pub struct Permit(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Admission {
    /// Within `bounds`.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            running: Arc::new(Semaphore::new(bounds.running)),
            places: Semaphore::new(bounds.waiting),
            rate: bounds.per_second.map(Rate::new),
            bodies: Semaphore::new(bounds.bodies),
            epoch: Instant::now(),
        }
    }

    /// The bounds.
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Admits a request, when it is its turn. Leaving while it waits gives its place up.
    ///
    /// # Errors
    /// When there are too many requests a second, too many that wait, or when its turn does not come in time.
    pub async fn admit(&self) -> Result<Permit, Refusal> {
        if let Some(rate) = &self.rate {
            rate.take(self.epoch.elapsed()).map_err(too_fast)?;
        }
        match Arc::clone(&self.running).try_acquire_owned() {
            Ok(permit) => Ok(Permit(permit)),
            Err(TryAcquireError::NoPermits) => Box::pin(self.wait()).await,
            Err(TryAcquireError::Closed) => Err(full()),
        }
    }

    /// Waits until the mapping may hold one more body without a length, which it may until this is dropped.
    pub async fn hold_body(&self) -> Option<SemaphorePermit<'_>> {
        // It fails if the semaphore is closed, which it never is.
        self.bodies.acquire().await.ok()
    }

    async fn wait(&self) -> Result<Permit, Refusal> {
        let _place = self.places.try_acquire().map_err(|_| full())?;
        match timeout(self.bounds.wait, Arc::clone(&self.running).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Permit(permit)),
            Ok(Err(_)) => Err(full()),
            Err(_) => Err(refusal(
                Rule::QueueTimeout,
                "too many requests are running: this one waited its time for its turn",
                Duration::from_secs(1),
            )),
        }
    }
}

fn full() -> Refusal {
    let message = "too many requests are running and waiting: slow down";
    refusal(Rule::QueueFull, message, Duration::from_secs(1))
}

fn too_fast(retry_after: Duration) -> Refusal {
    refusal(Rule::RateLimited, "too many requests a second: slow down", retry_after)
}

fn refusal(rule: Rule, message: &str, retry_after: Duration) -> Refusal {
    let mut refusal = Refusal::new(rule, message);
    // Retry-After knows whole seconds.
    refusal.retry_after = Some(retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0));
    refusal
}

/// A token bucket that holds one second's tokens, as a single number: when it would be full again (GCRA). Time is an
/// argument.
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

    /// Takes a token, or says how long there is none.
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
        Bounds { running, waiting, wait: Duration::from_secs(10), per_second, bodies: 1 }
    }

    async fn refused(admission: &Admission) -> (Rule, Option<u64>) {
        let refusal = admission.admit().await.unwrap_err();
        (refusal.rule, refusal.retry_after)
    }

    #[tokio::test(start_paused = true)]
    async fn the_queue_is_bounded_in_length_and_time() {
        let admission = Arc::new(Admission::new(bounds(2, 1, 0)));
        let (first, _second) = (admission.admit().await.unwrap(), admission.admit().await.unwrap());
        let start = Instant::now();
        let waiting = tokio::spawn({
            let admission = Arc::clone(&admission);
            async move { admission.admit().await.map_err(|refusal| refusal.rule) }
        });
        tokio::task::yield_now().await;
        assert_eq!(refused(&admission).await, (Rule::QueueFull, Some(1)));
        assert!(start.elapsed().is_zero(), "the one too many does not wait");

        drop(first);
        let third = waiting.await.unwrap().unwrap();
        assert_eq!(refused(&admission).await, (Rule::QueueTimeout, Some(1)));
        assert_eq!(start.elapsed().as_secs(), 10);
        drop(third);
        assert!(admission.admit().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_while_waiting_leaves_nothing_behind() {
        let admission = Arc::new(Admission::new(bounds(1, 8, 0)));
        let only = admission.admit().await.unwrap();
        for _ in 0..10 {
            let mut waiting = JoinSet::new();
            for _ in 0..8 {
                let admission = Arc::clone(&admission);
                waiting.spawn(async move { admission.admit().await.is_ok() });
            }
            tokio::task::yield_now().await;
            assert_eq!(admission.places.available_permits(), 0);
            waiting.shutdown().await;
            assert_eq!(admission.places.available_permits(), 8);
        }
        drop(only);
        assert_eq!(admission.running.available_permits(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_holds_so_many_requests_and_no_more() {
        let admission = Admission::new(bounds(100, 0, 5));
        for _ in 0..5 {
            assert!(admission.admit().await.is_ok());
        }
        assert_eq!(refused(&admission).await, (Rule::RateLimited, Some(1)));
        tokio::time::advance(Duration::from_millis(200)).await;
        assert!(admission.admit().await.is_ok());
        assert_eq!(refused(&admission).await, (Rule::RateLimited, Some(1)));
    }

    #[test]
    fn a_mapping_holds_half_of_the_bodies() {
        let mib = 1 << 20;
        for (buffer, most) in [(8, 1), (16, 1), (24, 2), (32, 2), (256, 16)] {
            assert_eq!(bodies(buffer * mib), most, "{buffer} MiB");
        }
    }

    proptest! {
        /// However requests come, there are never more than the rate and one burst.
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
