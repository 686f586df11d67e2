//! Reports an input whose check does not end.

use std::process;
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// How long one input may take. Inputs are small, but the build may be unoptimized and the machine busy.
const LIMIT: Duration = Duration::from_secs(20);

type Running = Mutex<Option<(Instant, Vec<u8>)>>;

/// The input that is being checked, shared with the watching thread.
pub(super) struct Watch(Arc<Running>);

impl Watch {
    /// Starts the watching thread, which ends when this is dropped.
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
