//! A clock that is read once per poll, and one timer per task.
//!
//! A request asks for the time a dozen times, and reading the clock costs as much as parsing a header field: [`now`]
//! returns the same instant for the whole poll of a task. Registering a tokio timer costs more than everything else
//! that is done with the time: a task keeps one [`Sleep`], for the earliest deadline that was asked for in the poll. Both
//! hold only within [`with_event_clock`]; elsewhere `now` reads the clock and callers need timers of their own.
//! The gains are in docs/performance.md, "a task has one timer for all of its deadlines" and the paragraph on
//! reading the clock.

use pin_project_lite::pin_project;
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};

#[derive(Clone, Copy)]
enum CachedNow {
    /// No poll is running under [`with_event_clock`].
    None,
    /// The clock has not been read in this poll.
    Stale,
    At(Instant),
}

thread_local! {
    static CACHED_NOW: Cell<CachedNow> = const { Cell::new(CachedNow::None) };
    /// The earliest wake-up requested in this poll.
    static EARLIEST: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Returns the time of the current poll, or the time right now outside [`with_event_clock`]. It is never ahead of the
/// clock.
#[inline]
pub fn now() -> Instant {
    match CACHED_NOW.get() {
        CachedNow::At(now) => now,
        CachedNow::None => Instant::now(),
        CachedNow::Stale => {
            let now = Instant::now();
            CACHED_NOW.set(CachedNow::At(now));
            now
        }
    }
}

/// Requests that the current task be polled by `deadline`. Returns `false` outside [`with_event_clock`], where nothing
/// would wake the task.
#[inline]
pub fn request_wakeup_by(deadline: Instant) -> bool {
    if matches!(CACHED_NOW.get(), CachedNow::None) {
        return false;
    }
    EARLIEST.set(Some(EARLIEST.get().map_or(deadline, |earliest| earliest.min(deadline))));
    true
}

/// Polls `future` outside tokio's cooperative budget. A task that has used up its budget would get `Pending` without its
/// waker being registered, and would sleep past its deadline.
pub fn poll_unbudgeted<F: Future + Unpin>(future: F, cx: &mut Context<'_>) -> Poll<F::Output> {
    Pin::new(&mut unconstrained(future)).poll(cx)
}

/// The timer that wakes a task for the earliest of its deadlines.
#[derive(Default)]
struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Makes sure the task is woken by `deadline`. A timer that fires earlier is left alone: deadlines move far more often
    /// than they pass, and an early wake-up only costs a poll.
    fn set(&mut self, deadline: Instant, cx: &mut Context<'_>) {
        let now = now();
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(now)));
        if sleep.deadline() > now && sleep.deadline() <= deadline {
            return;
        }
        sleep.as_mut().reset(deadline);
        if poll_unbudgeted(sleep.as_mut(), cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}

pin_project! {
    /// The future returned by [`with_event_clock`].
    pub struct WithEventClock<F> {
        #[pin]
        future: F,
        alarm: Alarm,
    }
}

/// Runs `future` with the event clock: each of its polls sees one time.
pub fn with_event_clock<F: Future>(future: F) -> WithEventClock<F> {
    WithEventClock { future, alarm: Alarm::default() }
}

impl<F: Future> Future for WithEventClock<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _scope = EventScope::enter();
        let polled = this.future.poll(cx);
        if let Some(deadline) = EARLIEST.take().filter(|_| polled.is_pending()) {
            this.alarm.set(deadline, cx);
        }
        polled
    }
}

/// The scope of one poll. Dropping it ends the scope, also when the poll panics. A task may poll futures that have
/// scopes of their own, each with its own waker: they share the time, and their deadlines are kept apart.
struct EventScope {
    /// The time of the scope around this one.
    outer_now: CachedNow,
    /// The earliest wake-up that was requested in the scope around this one.
    outer_earliest: Option<Instant>,
}

impl EventScope {
    fn enter() -> Self {
        let outer_now = CACHED_NOW.get();
        if matches!(outer_now, CachedNow::None) {
            CACHED_NOW.set(CachedNow::Stale);
        }
        Self { outer_now, outer_earliest: EARLIEST.take() }
    }
}

impl Drop for EventScope {
    fn drop(&mut self) {
        if matches!(self.outer_now, CachedNow::None) {
            CACHED_NOW.set(CachedNow::None);
        }
        EARLIEST.set(self.outer_earliest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::pin::pin;
    use std::time::Duration;
    use tokio::task::coop;
    use tokio::time::{advance, sleep, timeout};

    const STEP: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_poll_sees_one_time_and_the_next_poll_a_later_one() {
        let start = Instant::now();
        with_event_clock(async {
            // The clock advances within one poll, as if the poll took long.
            let mut moving = pin!(advance(STEP));
            let first = now();
            poll_fn(|cx| {
                let _ = moving.as_mut().poll(cx);
                Poll::Ready(())
            })
            .await;
            assert_eq!((first, now()), (start, start));
            sleep(STEP).await;
            assert!(now() > first);
        })
        .await;
        assert_eq!(now(), Instant::now(), "outside the event clock");
    }

    /// Every idle connection is one of these futures. An async function would store the inner future twice.
    #[test]
    fn the_wrapper_adds_one_pointer() {
        let future = async {
            let held = vec![0_u8; 100];
            std::future::pending::<()>().await;
            drop(held);
        };
        let size = size_of_val(&future) + size_of::<usize>();
        assert_eq!(size_of_val(&with_event_clock(future)), size);
    }

    #[tokio::test(start_paused = true)]
    async fn wakes_for_the_earliest_deadline() {
        let start = Instant::now();
        let any = |seconds: &'static [u32]| {
            let deadlines = seconds.iter().map(move |seconds| start + STEP * *seconds);
            poll_fn(move |_| {
                let over = deadlines.clone().any(|deadline| now() >= deadline);
                if !over {
                    assert!(deadlines.clone().all(request_wakeup_by));
                }
                if over { Poll::Ready(start.elapsed().as_secs()) } else { Poll::Pending }
            })
        };
        with_event_clock(async {
            assert_eq!(any(&[3, 1, 2]).await, 1);
            // Deadlines are dropped, and move both ways.
            assert!(timeout(STEP, any(&[9])).await.is_err());
            assert_eq!(any(&[4]).await, 4);
            assert!(timeout(STEP, any(&[6])).await.is_err());
            assert_eq!(any(&[8, 9]).await, 8);
        })
        .await;
    }

    /// A connection polls the futures of its streams within its own scope.
    #[tokio::test(start_paused = true)]
    async fn scopes_within_a_scope_share_the_time_and_keep_their_deadlines() {
        let start = Instant::now();
        let until = |seconds: u32| {
            poll_fn(move |_| {
                let deadline = start + STEP * seconds;
                if now() < deadline && request_wakeup_by(deadline) { Poll::Pending } else { Poll::Ready(()) }
            })
        };
        with_event_clock(async {
            let first = now();
            // The deadline of the outer scope is not that of the inner, and is not lost when the inner one ends.
            let (mut outer, mut inner) = (until(3), Box::pin(with_event_clock(until(1))));
            poll_fn(|cx| {
                let (outer, inner) = (Pin::new(&mut outer).poll(cx), inner.as_mut().poll(cx));
                assert!(outer.is_pending() && inner.is_pending());
                assert_eq!(EARLIEST.get(), Some(start + 3 * STEP));
                assert_eq!(now(), first);
                Poll::Ready(())
            })
            .await;
            inner.await;
            assert_eq!(start.elapsed(), STEP);
            outer.await;
        })
        .await;
        assert_eq!(start.elapsed(), 3 * STEP);
        assert!(matches!(CACHED_NOW.get(), CachedNow::None) && EARLIEST.get().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn wakes_a_task_without_budget() {
        let start = Instant::now();
        let waits = with_event_clock(poll_fn(|cx| {
            while coop::has_budget_remaining() {
                let _ = pin!(coop::consume_budget()).poll(cx);
            }
            if now() < start + STEP && request_wakeup_by(start + STEP) {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        }));
        assert!(timeout(2 * STEP, waits).await.is_ok());
        assert_eq!(start.elapsed(), STEP);
    }

    #[test]
    fn refuses_wakeups_outside_the_event_clock() {
        assert!(!request_wakeup_by(Instant::now()));
    }

    #[test]
    fn a_panic_ends_the_scope() {
        let panics = std::panic::catch_unwind(|| {
            let _scope = EventScope::enter();
            now();
            panic!("scripted");
        });
        assert!(panics.is_err() && matches!(CACHED_NOW.get(), CachedNow::None));
    }
}
