//! The time, read once for all that one event sets off.
//!
//! A request asks for the time a dozen times, mostly to move deadlines that lie far ahead, and each reading takes as
//! long as parsing a header. An event (bytes that arrived, a timer) is dealt with in microseconds, so all that it sets
//! off has the time at which it was first asked for.

use pin_project_lite::pin_project;
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::time::Instant;

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
}

/// The time of the event that is being dealt with; outside of any the time right now. It is never ahead of the clock.
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

pin_project! {
    /// A future to which each of its polls is one event.
    pub struct ByEvents<F> {
        #[pin]
        future: F,
    }
}

/// Runs `future` by events.
pub fn by_events<F: Future>(future: F) -> ByEvents<F> {
    ByEvents { future }
}

impl<F: Future> Future for ByEvents<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let _event = Event::begin();
        self.project().future.poll(cx)
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::pin::pin;
    use std::time::Duration;
    use tokio::time::{advance, sleep};

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
        let size = size_of_val(&future);
        assert_eq!(size_of_val(&by_events(future)), size);
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
