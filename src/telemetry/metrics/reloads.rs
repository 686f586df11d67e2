//! Reloads of the configuration: how many took effect, and what is wrong with the last one that did not.

use super::samples::{counter, gauge};
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// Reloads of the configuration, by result.
#[derive(Debug, Default)]
pub(crate) struct Reloads {
    ok: AtomicU64,
    failed: AtomicU64,
    last_success: AtomicU64,
    /// The last configuration, if it was rejected. Nothing on the way of a request takes this lock.
    rejected: Mutex<Option<Arc<Rejected>>>,
}

/// A configuration that was rejected.
#[derive(Debug)]
pub(crate) struct Rejected {
    /// The time at which it was read.
    pub at: SystemTime,
    /// What is wrong with it, as in the log.
    pub mistakes: Vec<String>,
}

impl Reloads {
    /// Records that a configuration took effect at `now`, at startup or by a reload.
    pub(crate) fn took_effect(&self, now: SystemTime, reloaded: bool) {
        self.ok.fetch_add(u64::from(reloaded), Ordering::Relaxed);
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.last_success.store(seconds, Ordering::Relaxed);
        *self.lock() = None;
    }

    /// Records that a configuration was rejected at `now` and the previous one stays in effect.
    pub(crate) fn failed(&self, now: SystemTime, mistakes: Vec<String>) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        *self.lock() = Some(Arc::new(Rejected { at: now, mistakes }));
    }

    /// Returns how many reloads took effect, and how many were rejected.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.ok.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }

    /// Returns when the configuration in effect took effect.
    pub(crate) fn last_success(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.last_success.load(Ordering::Relaxed))
    }

    /// Returns the last configuration, if it was rejected.
    pub(crate) fn rejected(&self) -> Option<Arc<Rejected>> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Rejected>>> {
        self.rejected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Encodes the metrics.
    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (ok, failed) = self.counts();
        let help = "Reloads of the configuration, by result";
        let mut family = encoder.encode_descriptor("config_reloads", help, None, MetricType::Counter)?;
        for (result, count) in [("ok", ok), ("failed", failed)] {
            counter(&mut family.encode_family(&[("result", result)])?, count)?;
        }
        let help = "Whether the last reload of the configuration succeeded";
        gauge(encoder, "config_last_reload_successful", help, u64::from(self.rejected().is_none()))?;
        let help = "Time of the last successful load of the configuration, in seconds since 1970";
        let since = self.last_success.load(Ordering::Relaxed);
        gauge(encoder, "config_last_reload_success_timestamp_seconds", help, since)
    }
}
