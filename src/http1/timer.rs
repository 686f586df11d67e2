//! Timers that cost nothing while bytes flow.

use crate::clock::{self, poll_untaxed};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// A deadline that may be moved at any time for the price of a store: whoever runs the task by events wakes it.
#[derive(Debug)]
pub struct LazyTimer {
    deadline: Instant,
    /// Where nobody does.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl LazyTimer {
    /// A timer for `deadline`.
    pub fn new(deadline: Instant) -> Self {
        Self { deadline, sleep: None }
    }

    /// Moves the deadline.
    pub fn set(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// Ready once the deadline has passed.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if clock::now() >= self.deadline {
            return Poll::Ready(());
        }
        if clock::wake_by(self.deadline) {
            return Poll::Pending;
        }
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(self.deadline)));
        if sleep.deadline() != self.deadline {
            sleep.as_mut().reset(self.deadline);
        }
        poll_untaxed(sleep.as_mut(), cx)
    }
}

/// A transfer that moves less than this within its time stands still, in bytes: one byte now and then holds nothing
/// open.
const MIN_PROGRESS: u64 = 1024;

/// Finds out that a transfer stands still. Only the time in which its peer is awaited counts.
#[derive(Debug)]
pub struct StallTimer {
    limit: Duration,
    /// In a box, which a message has that was waited for: most are not, and connections are many.
    wait: Option<Box<StallWait>>,
}

#[derive(Debug)]
struct StallWait {
    /// Bytes that moved, and time that was waited, since the last real progress.
    moved: u64,
    waited: Duration,
    /// Since when it waits.
    since: Option<Instant>,
    timer: LazyTimer,
}

impl StallTimer {
    /// A timer that allows `limit` without progress.
    pub fn new(limit: Duration) -> Self {
        Self { limit, wait: None }
    }

    /// So many bytes moved.
    pub fn progress(&mut self, bytes: usize) {
        let Some(wait) = &mut self.wait else { return };
        let Some(since) = wait.since.take() else { return };
        wait.waited += since.elapsed();
        wait.moved += bytes as u64;
        if wait.moved >= MIN_PROGRESS {
            (wait.moved, wait.waited) = (0, Duration::ZERO);
        }
    }

    /// What was awaited is over: the next wait has all its time again.
    pub fn rest(&mut self) {
        self.wait = None;
    }

    /// Nothing moves; whether that has gone on for too long.
    pub fn poll_stalled(&mut self, cx: &mut Context<'_>) -> bool {
        let wait = self.wait.get_or_insert_with(|| Box::new(StallWait::begin()));
        if wait.since.is_none() {
            let now = Instant::now();
            wait.timer.set(now + self.limit.saturating_sub(wait.waited));
            wait.since = Some(now);
        }
        wait.timer.poll(cx).is_ready()
    }
}

impl StallWait {
    fn begin() -> Self {
        Self { moved: 0, waited: Duration::ZERO, since: None, timer: LazyTimer::new(Instant::now()) }
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
    async fn a_deadline_moves_both_ways() {
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
    async fn a_task_that_has_had_its_share_is_woken_all_the_same() {
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
    async fn a_trickle_is_a_stall_and_a_flow_is_none() {
        for (bytes, stalls) in [(0, true), (90, true), (200, false), (100_000, false)] {
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
}
