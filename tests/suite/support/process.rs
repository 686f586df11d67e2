//! Child processes that do not outlive a test, and waiting with a time-out.

use std::{
    process::Child,
    thread,
    time::{Duration, Instant},
};

/// How long a server may take to start or stop. Only a broken one takes this long.
const PATIENCE: Duration = Duration::from_mins(1);

/// A child process, killed on drop.
pub(crate) struct Killed(pub(crate) Child);

impl Killed {
    /// Kills the process and waits for its end.
    pub(crate) fn kill(&mut self) {
        let _gone_already = self.0.kill();
        let _reaped = self.0.wait();
    }

    /// Returns whether the process has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Polls every few milliseconds until there is a result or the time is over.
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
