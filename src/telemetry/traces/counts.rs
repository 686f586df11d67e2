//! Counts of spans, for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// A reason why spans did not reach the collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// As many requests as may wait to be sent were waiting.
    QueueFull,
    /// The collector could not be reached, or did not accept them after all attempts.
    ExportFailed,
    /// The collector accepted the message without them.
    Rejected,
    /// The process ended before they were sent.
    Shutdown,
}

impl Dropped {
    /// All reasons.
    pub(crate) const ALL: [Self; 4] = [Self::QueueFull, Self::ExportFailed, Self::Rejected, Self::Shutdown];

    /// Returns the name in metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::ExportFailed => "export_failed",
            Self::Rejected => "rejected",
            Self::Shutdown => "shutdown",
        }
    }
}

/// Counts of spans and of attempts to send them.
#[derive(Debug, Default)]
pub(crate) struct TraceCounts {
    exported: AtomicU64,
    dropped: [AtomicU64; Dropped::ALL.len()],
    failures: AtomicU64,
    over_limit: AtomicU64,
}

impl TraceCounts {
    /// Returns the number of spans that the collector accepted.
    pub(crate) fn exported(&self) -> u64 {
        self.exported.load(Ordering::Relaxed)
    }

    /// Returns the number of spans that were dropped, by reason.
    pub(crate) fn dropped(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Dropped::ALL.iter().zip(&self.dropped).map(|(why, count)| (why.name(), count.load(Ordering::Relaxed)))
    }

    /// Returns the number of failed attempts to send spans.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Returns the number of requests whose clients recorded a trace that was not continued.
    pub(crate) fn over_limit(&self) -> u64 {
        self.over_limit.load(Ordering::Relaxed)
    }
}

#[cfg(feature = "otlp")]
impl TraceCounts {
    /// Counts spans that the collector accepted.
    pub(super) fn count_exported(&self, spans: u64) {
        self.exported.fetch_add(spans, Ordering::Relaxed);
    }

    /// Counts spans that were dropped.
    pub(super) fn count_dropped(&self, why: Dropped, spans: u64) {
        if let Some(count) = self.dropped.get(why as usize) {
            count.fetch_add(spans, Ordering::Relaxed);
        }
    }

    /// Counts a failed attempt.
    pub(super) fn count_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request whose client recorded a trace that is not continued.
    pub(super) fn count_over_limit(&self) {
        self.over_limit.fetch_add(1, Ordering::Relaxed);
    }
}
