//! Timers that cost next to nothing while bytes flow.

use crate::clock::{self, poll_unbudgeted};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// A deadline that is moved by a single store. Under the [event clock](crate::clock) the task's own timer serves it.
#[derive(Debug)]
pub struct LazyTimer {
    deadline: Instant,
    /// A timer of its own, used outside the event clock.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl LazyTimer {
    /// Makes a timer for `deadline`.
    pub fn new(deadline: Instant) -> Self {
        Self { deadline, sleep: None }
    }

    /// Moves the deadline.
    #[inline]
    pub fn set(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// Returns `Ready` once the deadline has passed; otherwise makes sure the task is woken for it.
    #[inline]
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if clock::now() >= self.deadline {
            return Poll::Ready(());
        }
        if clock::request_wakeup_by(self.deadline) {
            return Poll::Pending;
        }
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(self.deadline)));
        if sleep.deadline() != self.deadline {
            sleep.as_mut().reset(self.deadline);
        }
        poll_unbudgeted(sleep.as_mut(), cx)
    }
}

/// The number of bytes a peer must move within the limit of [`StallTimer::new`], so that an occasional byte does not
/// keep a connection open.
const MIN_PROGRESS: u64 = 1024;

/// A detector of transfers that stand still or are slower than a minimum rate. Only time spent waiting for the peer
/// counts.
///
/// The peer has a credit of time. Waiting uses it up, and each byte earns the time that a byte takes at the minimum
/// rate. A peer at that rate goes on forever; one that sends nothing lasts for the whole credit.
#[derive(Debug)]
pub struct StallTimer {
    /// The whole credit, in milliseconds.
    limit: u32,
    /// The minimum rate, in bytes per second.
    rate: u32,
    /// Boxed because most messages never wait, and there is one per connection.
    wait: Option<Box<StallWait>>,
}

#[derive(Debug)]
struct StallWait {
    credit: Duration,
    /// The start of the current wait.
    since: Option<Instant>,
    timer: LazyTimer,
}

impl StallTimer {
    /// Makes a timer that tolerates `limit` without noticeable progress.
    pub fn new(limit: Duration) -> Self {
        let rate = MIN_PROGRESS.div_ceil(limit.as_secs().max(1));
        Self::with_min_rate(limit, u32::try_from(rate).unwrap_or(1))
    }

    /// Makes a timer that tolerates `limit` below `rate` bytes per second.
    pub fn with_min_rate(limit: Duration, rate: u32) -> Self {
        let limit = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX);
        Self { limit, rate: rate.max(1), wait: None }
    }

    /// Records that `bytes` moved.
    #[inline]
    pub fn progress(&mut self, bytes: usize) {
        let limit = self.limit();
        let Some(wait) = &mut self.wait else { return };
        let waited = wait.since.take().map_or(Duration::ZERO, |since| since.elapsed());
        // Bytes that arrive after the credit ran out earn nothing.
        let Some(left) = wait.credit.checked_sub(waited) else {
            wait.credit = Duration::ZERO;
            return;
        };
        let earned = (bytes as u64).saturating_mul(1_000_000) / u64::from(self.rate);
        wait.credit = left.saturating_add(Duration::from_micros(earned)).min(limit);
    }

    /// Starts over: the next wait has the whole credit.
    #[inline]
    pub fn reset(&mut self) {
        self.wait = None;
    }

    /// Records that nothing moves, and returns whether the credit is used up.
    #[inline]
    pub fn poll_stalled(&mut self, cx: &mut Context<'_>) -> bool {
        let limit = self.limit();
        let wait = self.wait.get_or_insert_with(|| Box::new(StallWait::new(limit)));
        if wait.since.is_none() {
            let now = Instant::now();
            wait.timer.set(now + wait.credit);
            wait.since = Some(now);
        }
        wait.timer.poll(cx).is_ready()
    }

    #[inline]
    fn limit(&self) -> Duration {
        Duration::from_millis(u64::from(self.limit))
    }
}

impl StallWait {
    fn new(credit: Duration) -> Self {
        Self { credit, since: None, timer: LazyTimer::new(Instant::now()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::pin::pin;
    use tokio::task::coop;
    use tokio::time::{advance, timeout};

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn deadlines_move_both_ways() {
        let start = Instant::now();
        let mut timer = LazyTimer::new(start + LIMIT);
        assert!(poll_fn(|cx| Poll::Ready(timer.poll(cx))).await.is_pending());
        timer.set(start + 2 * LIMIT);
        poll_fn(|cx| timer.poll(cx)).await;
        assert_eq!(start.elapsed(), 2 * LIMIT);
        timer.set(Instant::now() + 3 * LIMIT);
        timer.set(Instant::now() + LIMIT);
        poll_fn(|cx| timer.poll(cx)).await;
        assert_eq!(start.elapsed(), 3 * LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn fires_for_a_task_without_budget() {
        let start = Instant::now();
        let mut timer = LazyTimer::new(start + LIMIT);
        let fires = poll_fn(|cx| {
            while coop::has_budget_remaining() {
                let _ = pin!(coop::consume_budget()).poll(cx);
            }
            timer.poll(cx)
        });
        assert!(timeout(2 * LIMIT, fires).await.is_ok());
        assert_eq!(start.elapsed(), LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn only_waiting_counts() {
        let mut timer = StallTimer::new(LIMIT);
        for _ in 0..5 {
            assert!(!poll_fn(|cx| Poll::Ready(timer.poll_stalled(cx))).await);
            timer.progress(1);
            advance(LIMIT * 2).await;
        }
        assert!(!poll_fn(|cx| Poll::Ready(timer.poll_stalled(cx))).await);
        advance(LIMIT).await;
        assert!(poll_fn(|cx| Poll::Ready(timer.poll_stalled(cx))).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickle_is_a_stall_and_a_flow_is_not() {
        for (bytes, stalls) in [(0, true), (60, true), (200, false), (100_000, false)] {
            let mut timer = StallTimer::new(LIMIT);
            let mut stalled = false;
            for _ in 0..30 {
                stalled |= poll_fn(|cx| Poll::Ready(timer.poll_stalled(cx))).await;
                advance(Duration::from_secs(1)).await;
                timer.progress(bytes);
            }
            assert_eq!(stalled, stalls, "{bytes} bytes a second");
        }
    }

    /// Returns for how many of 1000 seconds a peer that moves `bytes` a second lasts.
    async fn lasts(limit: Duration, rate: u32, bytes: usize) -> u32 {
        let mut timer = StallTimer::with_min_rate(limit, rate);
        for second in 0..1000 {
            if poll_fn(|cx| Poll::Ready(timer.poll_stalled(cx))).await {
                return second;
            }
            advance(Duration::from_secs(1)).await;
            timer.progress(bytes);
        }
        1000
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_at_the_minimum_rate_goes_on_and_a_slower_one_does_not() {
        for (bytes, seconds) in [
            (0, 10..=10),
            (20, 10..=11),
            (512, 19..=21),
            (1000, 300..=500),
            (1024, 1000..=1000),
            (1 << 20, 1000..=1000),
        ] {
            let lasted = lasts(LIMIT, 1024, bytes).await;
            assert!(seconds.contains(&lasted), "{bytes} bytes a second: {lasted}");
        }
    }

    /// A burst earns no more than the whole credit.
    #[tokio::test(start_paused = true)]
    async fn a_burst_does_not_excuse_a_long_pause() {
        let mut timer = StallTimer::with_min_rate(LIMIT, 1024);
        assert!(!poll_fn(|cx| Poll::Ready(timer.poll_stalled(cx))).await);
        timer.progress(1 << 30);
        assert!(!poll_fn(|cx| Poll::Ready(timer.poll_stalled(cx))).await);
        advance(LIMIT).await;
        assert!(poll_fn(|cx| Poll::Ready(timer.poll_stalled(cx))).await);
    }
}
