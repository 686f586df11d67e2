//! Timers that cost nothing while bytes flow.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// A deadline that may be moved at any time for the price of a store: the timer behind it is set anew only when it
/// fires too early.
#[derive(Debug)]
pub struct LazyTimer {
    deadline: Instant,
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
        if let Some(sleep) = &mut self.sleep
            && sleep.deadline() > deadline
        {
            sleep.as_mut().reset(deadline);
        }
    }

    /// Ready once the deadline has passed.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        while sleep.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

/// A transfer that moves less than this within its time stands still, in bytes: one byte now and then holds nothing
/// open.
const MIN_PROGRESS: u64 = 1024;

/// Finds out that a transfer stands still.
#[derive(Debug)]
pub struct StallTimer {
    limit: Duration,
    /// Bytes since the time began to run; `None` while it does not.
    moved: Option<u64>,
    timer: Option<LazyTimer>,
}

impl StallTimer {
    /// A timer that allows `limit` without progress.
    pub fn new(limit: Duration) -> Self {
        Self { limit, moved: None, timer: None }
    }

    /// So many bytes moved.
    pub fn progress(&mut self, bytes: usize) {
        if let Some(moved) = &mut self.moved {
            *moved += bytes as u64;
            if *moved >= MIN_PROGRESS {
                self.moved = None;
            }
        }
    }

    /// What was awaited is over: the next wait has all its time again.
    pub fn rest(&mut self) {
        self.moved = None;
    }

    /// Nothing moves; whether that has gone on for too long.
    pub fn poll_stalled(&mut self, cx: &mut Context<'_>) -> bool {
        if self.moved.is_none() {
            let deadline = Instant::now() + self.limit;
            self.timer.get_or_insert_with(|| LazyTimer::new(deadline)).set(deadline);
            self.moved = Some(0);
        }
        self.timer.as_mut().is_some_and(|timer| timer.poll(cx).is_ready())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::time::advance;

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
