//! The time, read once for all that one event sets off.
//!
//! A request asks for the time a dozen times, mostly to move deadlines that lie far ahead, and each reading takes as
//! long as parsing a header. An event (bytes that arrived, a timer) is dealt with in microseconds, so all that it sets
//! off has the time at which it was first asked for.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
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

/// Runs a future, to which each of its polls is one event.
pub async fn by_events<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let _event = Event::begin();
        future.as_mut().poll(cx)
    })
    .await
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
                std::task::Poll::Ready(())
            })
            .await;
            assert_eq!((first, now()), (start, start));
            sleep(STEP).await;
            assert!(now() > first);
        })
        .await;
        assert_eq!(now(), Instant::now(), "outside of events it is the clock's");
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
