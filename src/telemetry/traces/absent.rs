//! Traces in a build without the cargo feature `otlp`: no request is traced. The types have no values.

use super::counts::TraceCounts;
use crate::config::Traces;
use crate::trace::timeline::Timeline;
use http1::Request;
use std::future::Ready;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Decides which requests are traced.
#[derive(Debug)]
pub(crate) enum Tracer {}

/// A request that is traced.
#[derive(Debug)]
pub(crate) enum Traced {}

impl Tracer {
    /// Returns that nothing is traced.
    ///
    /// # Errors
    /// When there are settings. A configuration with them is not valid in this build.
    pub(crate) fn follow(
        settings: Option<&Traces>,
        _before: Option<&Arc<Self>>,
        _counts: &Arc<TraceCounts>,
    ) -> io::Result<Option<Arc<Self>>> {
        match settings {
            None => Ok(None),
            Some(_) => Err(io::Error::other("this scopegate was built without traces")),
        }
    }

    /// Decides on a request that has arrived.
    pub(crate) fn begin(self: &Arc<Self>, _request: Option<&Request>) -> Option<(Traced, Box<Timeline>)> {
        match **self {}
    }

    /// Waits until all spans are sent.
    pub(crate) fn flush(&self, _patience: Duration) -> Ready<()> {
        match *self {}
    }
}

impl Traced {
    /// Notes the store's id of the request.
    pub(crate) fn answered(&mut self, _upstream_id: Option<&[u8]>) {
        match *self {}
    }
}
