//! The timeline of a build without the cargo feature `otlp`, in which no request is traced. Its types have no values.

use super::wait::Wait;
use http::StatusCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The timeline of a request that is traced.
#[derive(Debug)]
pub(crate) enum Timeline {}

/// The value of `traceparent` that the store receives.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ParentHeader {}

impl ParentHeader {
    /// Returns the value.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match *self {}
    }
}

impl Timeline {
    /// Returns the ids of the trace and of the request's span, as text.
    pub(crate) fn ids(&self) -> (String, String) {
        match *self {}
    }

    /// Notes that the request has waited since then.
    pub(super) fn waited(&self, _wait: Wait, _since: Instant, _took: Duration) {
        match *self {}
    }

    /// Notes that the request is sent to a node. Returns the number of the step.
    pub(super) fn sends(&self, _node: Option<&Arc<str>>) -> Option<usize> {
        match *self {}
    }

    /// Notes the end of an exchange.
    pub(super) fn ends(&self, _number: usize, _answer: Option<StatusCode>) {
        match *self {}
    }

    /// Returns the header by which the store learns of the trace.
    pub(super) fn header(&self, _number: usize) -> Option<ParentHeader> {
        match *self {}
    }
}
