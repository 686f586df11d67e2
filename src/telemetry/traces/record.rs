//! A request that is traced, from its arrival to its spans.

use super::outlet::Outlet;
use super::spans::RequestSpans;
use crate::s3::operation::Operation;
use crate::telemetry::redact::without_credentials;
use crate::trace::parent::SpanId;
use crate::trace::timeline::Timeline;
use crate::trace::{LoggedTarget, Texts, Trace, shortened};
use http::StatusCode;
use http::uri::PathAndQuery;
use http1::visible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// A request that is traced.
#[derive(Debug)]
pub(crate) struct Traced {
    outlet: Arc<Outlet>,
    parent: Option<SpanId>,
    state: Option<Box<str>>,
    target: Option<PathAndQuery>,
    upstream_id: Option<Box<str>>,
}

/// The facts about a request that only its record has, for its span.
#[derive(Debug)]
pub(crate) struct Facts<'r> {
    pub(crate) method: &'r str,
    pub(crate) scheme: &'static str,
    pub(crate) client: Option<IpAddr>,
    pub(crate) listener: &'r str,
    pub(crate) mapping: Option<&'r str>,
    pub(crate) status: Option<StatusCode>,
    pub(crate) rule: Option<&'static str>,
    pub(crate) cut: Option<&'static str>,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) start: Instant,
    pub(crate) total: Duration,
}

impl Traced {
    pub(super) fn new(
        outlet: Arc<Outlet>,
        parent: Option<SpanId>,
        state: Option<Box<str>>,
        target: Option<PathAndQuery>,
    ) -> Self {
        Self { outlet, parent, state, target, upstream_id: None }
    }

    /// Notes the store's id of the request.
    pub(crate) fn answered(&mut self, upstream_id: Option<&[u8]>) {
        self.upstream_id = upstream_id.and_then(visible).map(|id| shortened(id).into());
    }

    /// Hands over the spans of a request that is over.
    pub(crate) fn finish(self, trace: &Trace, facts: &Facts<'_>) {
        let Some(timeline) = trace.timeline() else { return };
        let outlet = Arc::clone(&self.outlet);
        outlet.hand_over(self.spans(trace, timeline, facts));
    }

    fn spans(self, trace: &Trace, timeline: &Timeline, facts: &Facts<'_>) -> RequestSpans {
        let (steps, omitted) = timeline.take_steps();
        let path = without_credentials(self.target.as_ref().map_or("", PathAndQuery::path));
        let mut spans = RequestSpans {
            trace: timeline.trace,
            span: timeline.span,
            parent: self.parent,
            state: self.state,
            end: SystemTime::now(),
            start: facts.start,
            total: facts.total,
            steps,
            omitted,
            operation: trace.operation().map(Operation::name),
            method: facts.method.into(),
            scheme: facts.scheme,
            path: shortened(&path).into(),
            client: facts.client,
            listener: facts.listener.into(),
            mapping: facts.mapping.map(Into::into),
            bucket: None,
            key: None,
            request_id: trace.request_id().as_str().into(),
            upstream_id: self.upstream_id,
            status: facts.status,
            rule: facts.rule,
            cut: facts.cut,
            store_code: None,
            received: facts.received,
            sent: facts.sent,
        };
        trace.with_texts(|Texts { target, store_code, .. }| {
            spans.store_code = store_code.map(Into::into);
            let (bucket, key) = target.map(LoggedTarget::bucket_and_key).unzip();
            spans.bucket = bucket.map(Into::into);
            spans.key = key.flatten().map(|key| shortened(&key).into());
        });
        spans
    }
}
