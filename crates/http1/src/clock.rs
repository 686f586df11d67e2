//! The time, read once for all that one event sets off, and the one alarm of all that waits for a time.
//!
//! A request asks for the time a dozen times, mostly to move deadlines that lie far ahead, and each reading takes as
//! long as parsing a header. An event (bytes that arrived, a timer) is dealt with in microseconds, so all that it sets
//! off has the time at which it was first asked for.
//!
//! A task waits for several deadlines at once, and those of a connection to the store go from task to task with it. To
//! enter a timer of tokio's for each, with each request, takes longer than all that is done with the time. A task that
//! runs by events has one, for the earliest of all deadlines.

use pin_project_lite::pin_project;
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};

#[derive(Clone, Copy)]
enum Reading {
    /// No event is being dealt with.
    Outside,
    /// It has not been asked for.
    Unread,
    Read(Instant),
}

thread_local! {
    static READING: Cell<Reading> = const { Cell::new(Reading::Outside) };
    /// The earliest deadline that is waited for since the event began.
    static EARLIEST: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The time of the event that is being dealt with; outside of any the time right now. It is never ahead of the clock.
#[inline]
pub fn now() -> Instant {
    match READING.get() {
        Reading::Read(now) => now,
        Reading::Outside => Instant::now(),
        Reading::Unread => {
            let now = Instant::now();
            READING.set(Reading::Read(now));
            now
        }
    }
}

/// Has the task whose event is being dealt with polled again at `deadline`, or before. It is false outside of any.
#[inline]
pub fn wake_by(deadline: Instant) -> bool {
    if matches!(READING.get(), Reading::Outside) {
        return false;
    }
    EARLIEST.set(Some(EARLIEST.get().map_or(deadline, |earliest| earliest.min(deadline))));
    true
}

/// Polls what a task waits for beside its work. A task that has had its share of a turn would be told `Pending`, and
/// never be woken: it is not entered then.
pub fn poll_untaxed<F: Future + Unpin>(future: F, cx: &mut Context<'_>) -> Poll<F::Output> {
    Pin::new(&mut unconstrained(future)).poll(cx)
}

/// What wakes a task for the earliest of its deadlines.
#[derive(Default)]
struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Sets it to `deadline`, unless it is going to ring before: deadlines are moved far more often than they pass.
    fn set(&mut self, deadline: Instant, cx: &mut Context<'_>) {
        let now = now();
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(now)));
        if sleep.deadline() > now && sleep.deadline() <= deadline {
            return;
        }
        sleep.as_mut().reset(deadline);
        if poll_untaxed(sleep.as_mut(), cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}

pin_project! {
    /// A future to which each of its polls is one event.
    pub struct ByEvents<F> {
        #[pin]
        future: F,
        alarm: Alarm,
    }
}

/// Runs `future` by events.
pub fn by_events<F: Future>(future: F) -> ByEvents<F> {
    ByEvents { future, alarm: Alarm::default() }
}

impl<F: Future> Future for ByEvents<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _event = Event::begin();
        let polled = this.future.poll(cx);
        if let Some(deadline) = EARLIEST.take().filter(|_| polled.is_pending()) {
            this.alarm.set(deadline, cx);
        }
        polled
    }
}

/// Ends with the poll, also when that panics.
struct Event;

impl Event {
    fn begin() -> Self {
        READING.set(Reading::Unread);
        Self
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        READING.set(Reading::Outside);
        EARLIEST.set(None);
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
    async fn an_event_has_one_time_and_the_next_another() {
        let start = Instant::now();
        by_events(async {
            // As though it took long: the clock moves on within one poll.
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
        assert_eq!(now(), Instant::now(), "outside of events it is the clock's");
    }

    /// Idle connections are futures of this kind: an async function would hold what it runs twice.
    #[test]
    fn it_takes_no_room() {
        let future = async {
            let held = vec![0_u8; 100];
            std::future::pending::<()>().await;
            drop(held);
        };
        let size = size_of_val(&future) + size_of::<usize>();
        assert_eq!(size_of_val(&by_events(future)), size);
    }

    #[tokio::test(start_paused = true)]
    async fn the_earliest_deadline_wakes() {
        let start = Instant::now();
        let any = |seconds: &'static [u32]| {
            let deadlines = seconds.iter().map(move |seconds| start + STEP * *seconds);
            poll_fn(move |_| {
                let over = deadlines.clone().any(|deadline| now() >= deadline);
                if !over {
                    assert!(deadlines.clone().all(wake_by));
                }
                if over { Poll::Ready(start.elapsed().as_secs()) } else { Poll::Pending }
            })
        };
        by_events(async {
            assert_eq!(any(&[3, 1, 2]).await, 1);
            // What is waited for is given up, and moved, both ways.
            assert!(timeout(STEP, any(&[9])).await.is_err());
            assert_eq!(any(&[4]).await, 4);
            assert!(timeout(STEP, any(&[6])).await.is_err());
            assert_eq!(any(&[8, 9]).await, 8);
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_has_had_its_share_is_woken_all_the_same() {
        let start = Instant::now();
        let waits = by_events(poll_fn(|cx| {
            while coop::has_budget_remaining() {
                let _ = pin!(coop::consume_budget()).poll(cx);
            }
            if now() < start + STEP && wake_by(start + STEP) { Poll::Pending } else { Poll::Ready(()) }
        }));
        assert!(timeout(2 * STEP, waits).await.is_ok());
        assert_eq!(start.elapsed(), STEP);
    }

    #[test]
    fn outside_of_events_nobody_is_woken() {
        assert!(!wake_by(Instant::now()));
    }

    #[test]
    fn a_panic_ends_its_event() {
        let panics = std::panic::catch_unwind(|| {
            let _event = Event::begin();
            now();
            panic!("scripted");
        });
        assert!(panics.is_err() && matches!(READING.get(), Reading::Outside));
    }
}
