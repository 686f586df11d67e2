//! The budget of mints, which all sessions share.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// A budget that spaces mints and limits the time of each. Sessions take turns in the order in which they ask.
#[derive(Debug)]
pub(crate) struct MintBudget {
    next: Mutex<Instant>,
    per_second: AtomicU32,
    timeout_millis: AtomicU64,
}

impl MintBudget {
    /// Allows `per_second` mints a second, each of which may take `timeout`.
    pub(crate) fn new(per_second: u32, timeout: Duration) -> Self {
        let budget = Self {
            next: Mutex::new(Instant::now()),
            per_second: AtomicU32::default(),
            timeout_millis: AtomicU64::default(),
        };
        budget.set(per_second, timeout);
        budget
    }

    /// Sets the limits of mints that begin from now on.
    pub(crate) fn set(&self, per_second: u32, timeout: Duration) {
        self.per_second.store(per_second.max(1), Ordering::Relaxed);
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.timeout_millis.store(millis, Ordering::Relaxed);
    }

    /// Waits until a mint may begin.
    pub(super) async fn take(&self) {
        // The lock is held during the wait, which queues waiters in the order of arrival.
        let mut next = self.next.lock().await;
        sleep_until(*next).await;
        *next = Instant::now() + Duration::from_secs(1) / self.per_second.load(Ordering::Relaxed);
    }

    /// Returns how long a mint may take.
    pub(super) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_millis.load(Ordering::Relaxed))
    }
}
