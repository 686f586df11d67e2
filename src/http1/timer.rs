//! Timers that cost nothing while bytes flow.

use crate::clock;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};

/// A deadline that may be moved at any time for the price of a store: the timer behind it is set anew only when it
/// fires too early.
#[derive(Debug)]
pub struct LazyTimer {
    deadline: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
    /// Who is woken when it fires.
    waker: Option<Waker>,
}

impl LazyTimer {
    /// A timer for `deadline`.
    pub fn new(deadline: Instant) -> Self {
        Self { deadline, sleep: None, waker: None }
    }

    /// Moves the deadline.
    pub fn set(&mut self, deadline: Instant) {
        self.deadline = deadline;
        if let Some(sleep) = &mut self.sleep
            && sleep.deadline() > deadline
        {
            sleep.as_mut().reset(deadline);
            self.waker = None;
        }
    }

    /// Ready once the deadline has passed.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        // Whoever asks again before it can have fired need not have it look.
        let is_set = self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if is_set && clock::now() < sleep.deadline() {
            return Poll::Pending;
        }
        while poll_untaxed(sleep.as_mut(), cx).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
        if !is_set {
            self.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

/// Polls what a task waits for beside its work. A task that has had its share of a turn would be told `Pending`, and
/// never be woken: it is not entered then.
pub(super) fn poll_untaxed<F: Future + Unpin>(future: F, cx: &mut Context<'_>) -> Poll<F::Output> {
    Pin::new(&mut unconstrained(future)).poll(cx)
}

/// A transfer that moves less than this within its time stands still, in bytes: one byte now and then holds nothing
/// open.
const MIN_PROGRESS: u64 = 1024;

/// Finds out that a transfer stands still. Only the time in which its peer is awaited counts.
#[derive(Debug)]
pub struct StallTimer {
    limit: Duration,
    /// Bytes that moved, and time that was waited, since the last real progress.
    moved: u64,
    waited: Duration,
    /// Since when it waits.
    since: Option<Instant>,
    timer: Option<LazyTimer>,
}

impl StallTimer {
    /// A timer that allows `limit` without progress.
    pub fn new(limit: Duration) -> Self {
        Self { limit, moved: 0, waited: Duration::ZERO, since: None, timer: None }
    }

    /// So many bytes moved.
    pub fn progress(&mut self, bytes: usize) {
        let Some(since) = self.since.take() else { return };
        self.waited += since.elapsed();
        self.moved += bytes as u64;
        if self.moved >= MIN_PROGRESS {
            self.rest();
        }
    }

    /// What was awaited is over: the next wait has all its time again.
    pub fn rest(&mut self) {
        (self.moved, self.waited, self.since) = (0, Duration::ZERO, None);
    }

    /// Nothing moves; whether that has gone on for too long.
    pub fn poll_stalled(&mut self, cx: &mut Context<'_>) -> bool {
        if self.since.is_none() {
            let now = Instant::now();
            let deadline = now + self.limit.saturating_sub(self.waited);
            self.timer.get_or_insert_with(|| LazyTimer::new(deadline)).set(deadline);
            self.since = Some(now);
        }
        self.timer.as_mut().is_some_and(|timer| timer.poll(cx).is_ready())
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
