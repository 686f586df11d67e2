//! The spans of one request that is over, as they wait to be sent.

use crate::trace::parent::{SpanId, TraceId};
use crate::trace::timeline::Step;
use http::StatusCode;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// The spans of a request that is over: the request itself and its steps.
#[derive(Debug)]
pub(super) struct RequestSpans {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
    pub(super) parent: Option<SpanId>,
    pub(super) state: Option<Box<str>>,
    /// When the request was over, by the wall clock.
    pub(super) end: SystemTime,
    pub(super) start: Instant,
    pub(super) total: Duration,
    pub(super) steps: Vec<Step>,
    pub(super) omitted: u32,
    pub(super) operation: Option<&'static str>,
    pub(super) method: Box<str>,
    pub(super) scheme: &'static str,
    pub(super) path: Box<str>,
    pub(super) client: Option<IpAddr>,
    pub(super) listener: Box<str>,
    pub(super) mapping: Option<Box<str>>,
    pub(super) bucket: Option<Box<str>>,
    pub(super) key: Option<Box<str>>,
    pub(super) request_id: Box<str>,
    pub(super) upstream_id: Option<Box<str>>,
    pub(super) status: Option<StatusCode>,
    pub(super) rule: Option<&'static str>,
    pub(super) cut: Option<&'static str>,
    pub(super) store_code: Option<Box<str>>,
    pub(super) received: u64,
    pub(super) sent: u64,
}

impl RequestSpans {
    /// Returns the number of spans.
    pub(super) fn count(&self) -> u64 {
        1 + self.steps.len() as u64
    }

    /// Returns the wall clock's time of an instant, in nanoseconds since 1970.
    pub(super) fn nanoseconds_at(&self, instant: Instant) -> u64 {
        let since = instant.saturating_duration_since(self.start);
        let begin = self.end.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let at = (begin + since).saturating_sub(self.total);
        u64::try_from(at.as_nanos()).unwrap_or(u64::MAX)
    }
}
