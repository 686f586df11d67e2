//! Tells of an input that does not end.

use std::process;
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// Every input is small, and its time is that of an unoptimised build on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

type Running = Mutex<Option<(Instant, Vec<u8>)>>;

/// What runs right now, where another thread sees it.
pub(super) struct Watch(Arc<Running>);

impl Watch {
    /// Starts the thread; it ends with this.
    pub(super) fn start(name: &'static str) -> Self {
        let running = Arc::<Running>::default();
        let watched = Arc::downgrade(&running);
        thread::spawn(move || watch(name, &watched));
        Self(running)
    }

    pub(super) fn begin(&self, input: &[u8]) {
        *self.0.lock().unwrap() = Some((Instant::now(), input.to_vec()));
    }

    pub(super) fn end(&self) {
        *self.0.lock().unwrap() = None;
    }
}

fn watch(name: &str, watched: &Weak<Running>) {
    while let Some(running) = watched.upgrade() {
        if let Some((begun, input)) = &*running.lock().unwrap()
            && begun.elapsed() > LIMIT
        {
            eprintln!("{name}: no end after {LIMIT:?} with input b\"{}\"", input.escape_ascii());
            process::abort();
        }
        drop(running);
        thread::sleep(Duration::from_millis(500));
    }
}
