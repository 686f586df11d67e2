//! Catches panics, counts them, and logs them without their message.

use std::future::{Future, poll_fn};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

static COUNT: AtomicU64 = AtomicU64::new(0);

/// Installs a panic hook that counts panics and logs their place. It leaves out the message, which may contain data of a
/// request.
pub(crate) fn watch() {
    panic::set_hook(Box::new(note));
}

fn note(panic: &PanicHookInfo<'_>) {
    COUNT.fetch_add(1, Ordering::Relaxed);
    let place = panic.location().map_or_else(|| "unknown".to_owned(), ToString::to_string);
    tracing::error!(place, "a panic: this is a mistake in scopegate, please report it");
}

/// Returns the number of panics so far.
pub(crate) fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

/// Runs a future, and catches a panic in it. The future is borrowed and stores its result itself: moving either would
/// copy some 2 KiB each time (docs/performance.md, "futures and responses are lent instead of moved").
pub(crate) async fn catch_panic(mut future: Pin<&mut impl Future<Output = ()>>) {
    poll_fn(|cx| {
        let polled = panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        // A future that panicked is in an unknown state: it is not polled again.
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
    async fn panics_are_caught_counted_and_logged_without_their_message() {
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
        catch_panic(pin!(async {
            handler.await;
            answers.push("of one that panicked");
        }))
        .await;
        catch_panic(pin!(async { answers.push("of another") })).await;
        assert_eq!(answers, ["of another"]);
        assert!(count() > counted && Arc::strong_count(&held) == 1);
        let logged = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(logged.contains("src/telemetry/panics.rs:") && !logged.contains("hush"), "{logged}");
    }
}
