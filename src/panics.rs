//! Panics: contained to what they happened in, counted, and logged without what they say.

use std::future::{Future, poll_fn};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

static COUNT: AtomicU64 = AtomicU64::new(0);

/// From now on a panic is counted, and logged with its place alone: its message may hold what was being worked on.
pub fn watch() {
    panic::set_hook(Box::new(note));
}

fn note(panic: &PanicHookInfo<'_>) {
    COUNT.fetch_add(1, Ordering::Relaxed);
    let place = panic.location().map_or_else(|| "unknown".to_owned(), ToString::to_string);
    tracing::error!(place, "a panic: this is a mistake in scopegate, please report it");
}

/// Panics so far.
pub fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

/// Runs a future so that its panic ends it alone. What comes of it is the future's to put somewhere, where it is not
/// if it panicked; and the future is lent. Either would be copied with all of its room, each time on its way.
pub async fn contain(mut future: Pin<&mut impl Future<Output = ()>>) {
    poll_fn(|cx| {
        let polled = panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        // What it left half done goes with it: it is not polled again.
        polled.unwrap_or(Poll::Ready(()))
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::pin::pin;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_panic_ends_its_future_is_counted_and_does_not_say_what_it_held() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        let _logging = tracing::subscriber::set_default(subscriber);
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            note(panic);
            before(panic);
        }));
        let counted = count();
        let held = Arc::new(());
        let handler = async {
            let _held = Arc::clone(&held);
            tokio::task::yield_now().await;
            assert!(count() == u64::MAX, "{}", "hush");
        };
        let mut answers = Vec::new();
        contain(pin!(async {
            handler.await;
            answers.push("of one that panicked");
        }))
        .await;
        contain(pin!(async { answers.push("of another") })).await;
        assert_eq!(answers, ["of another"]);
        assert!(count() > counted && Arc::strong_count(&held) == 1);
        let logged = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(logged.contains("src/panics.rs:") && !logged.contains("hush"), "{logged}");
    }
}
