//! Child processes that do not outlive a test, and waiting that ends.

use std::{
    process::Child,
    thread,
    time::{Duration, Instant},
};

/// How long a server may take to start or to stop. Only a broken one needs it.
const PATIENCE: Duration = Duration::from_mins(1);

/// A child that is killed when it is dropped.
pub(crate) struct Killed(pub(crate) Child);

impl Killed {
    /// Kills it and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        let _gone_already = self.0.kill();
        let _reaped = self.0.wait();
    }

    /// Whether it ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Asks again and again, a few milliseconds apart, until there is an answer or patience ends.
pub(crate) fn wait_for<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        let answer = ask();
        if answer.is_some() || start.elapsed() > PATIENCE {
            return answer;
        }
        thread::sleep(Duration::from_millis(10));
    }
}
