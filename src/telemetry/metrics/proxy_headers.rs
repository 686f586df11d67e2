//! Counts of connections that ended because of their PROXY header.

use super::add;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use proxy_protocol::{ReadError, Reason};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The interval between log lines about the same failure. Anyone who reaches the listener can cause one.
const QUIET: Duration = Duration::from_secs(10);

/// The reason why a connection ended before its first request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFailure {
    /// The peer is not one of those that send PROXY headers.
    UntrustedPeer,
    /// The connection does not begin with a header.
    Missing,
    /// The listener does not accept the version.
    Version,
    /// The header breaks the protocol.
    Malformed,
    /// The header does not have its checksum.
    Checksum,
    /// The peer closed the connection before the header was complete.
    Closed,
    /// The header did not arrive in time.
    Timeout,
}

impl HeaderFailure {
    /// All reasons.
    pub(crate) const ALL: [Self; 7] = [
        Self::UntrustedPeer,
        Self::Missing,
        Self::Version,
        Self::Malformed,
        Self::Checksum,
        Self::Closed,
        Self::Timeout,
    ];

    /// Returns the name in metrics and in the log.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::UntrustedPeer => "untrusted-peer",
            Self::Missing => "missing",
            Self::Version => "version",
            Self::Malformed => "malformed",
            Self::Checksum => "checksum",
            Self::Closed => "closed",
            Self::Timeout => "timeout",
        }
    }
}

impl From<&ReadError> for HeaderFailure {
    fn from(error: &ReadError) -> Self {
        match error {
            ReadError::Invalid(invalid) => match invalid.reason {
                Reason::Missing => Self::Missing,
                Reason::Version => Self::Version,
                Reason::Malformed => Self::Malformed,
                Reason::Checksum => Self::Checksum,
            },
            ReadError::Ended | ReadError::Io(_) => Self::Closed,
        }
    }
}

/// The counts, by reason.
#[derive(Debug, Default)]
pub(crate) struct HeaderCounts {
    failed: [AtomicU64; HeaderFailure::ALL.len()],
    told: Mutex<[Option<Instant>; HeaderFailure::ALL.len()]>,
}

impl HeaderCounts {
    /// Counts a failure, and returns whether the log should tell of it.
    pub(crate) fn failed(&self, failure: HeaderFailure, now: Instant) -> bool {
        add(&self.failed, failure as usize, 1);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(told) = told.get_mut(failure as usize) else { return false };
        let is_due = told.is_none_or(|told| now.saturating_duration_since(told) >= QUIET);
        if is_due {
            *told = Some(now);
        }
        is_due
    }

    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Connections closed because of their PROXY header, by reason";
        let mut family =
            encoder.encode_descriptor("proxy_headers_refused", help, None, MetricType::Counter)?;
        for (failure, count) in HeaderFailure::ALL.into_iter().zip(&self.failed) {
            let labels = [("reason", failure.name())];
            super::samples::counter(&mut family.encode_family(&labels)?, count.load(Ordering::Relaxed))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_is_counted_and_one_in_ten_seconds_is_told() {
        let counts = HeaderCounts::default();
        let start = Instant::now();
        let failed = |failure, seconds| counts.failed(failure, start + Duration::from_secs(seconds));
        assert!(failed(HeaderFailure::Missing, 0) && failed(HeaderFailure::Closed, 0));
        assert!(!failed(HeaderFailure::Missing, 9));
        assert!(failed(HeaderFailure::Missing, 10) && !failed(HeaderFailure::Missing, 19));
        let count = |failure: HeaderFailure| counts.failed[failure as usize].load(Ordering::Relaxed);
        assert_eq!((count(HeaderFailure::Missing), count(HeaderFailure::Closed)), (4, 1));
        for (at, failure) in HeaderFailure::ALL.into_iter().enumerate() {
            assert_eq!(failure as usize, at);
        }
    }
}
