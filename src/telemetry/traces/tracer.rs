//! The tracer of a configuration: decides which requests are traced, and hands their spans to the task that sends them.

use super::counts::TraceCounts;
use super::export::Exporter;
use super::outlet::Outlet;
use super::record::Traced;
use super::sampler::{Decision, Sampler};
use crate::config::Traces;
use crate::trace::parent::{TraceId, TraceParent};
use crate::trace::state::trace_state;
use crate::trace::timeline::Timeline;
use http1::{Request, clock};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// The tracer. Its exporter ends when the last request that uses it is over.
#[derive(Debug)]
pub(crate) struct Tracer {
    settings: Traces,
    sampler: Sampler,
    since: Instant,
    outlet: Arc<Outlet>,
    stop: watch::Sender<bool>,
    done: watch::Receiver<bool>,
}

impl Tracer {
    /// Returns the tracer of these settings: the one before if they are the same, else a new one, whose exporter runs on the
    /// runtime that this is called on.
    ///
    /// # Errors
    /// When TLS towards the collector cannot be set up.
    pub(crate) fn follow(
        settings: Option<&Traces>,
        before: Option<&Arc<Self>>,
        counts: &Arc<TraceCounts>,
    ) -> io::Result<Option<Arc<Self>>> {
        let Some(settings) = settings else { return Ok(None) };
        if let Some(before) = before.filter(|before| before.settings == *settings) {
            return Ok(Some(Arc::clone(before)));
        }
        let (outlet, waiting) = Outlet::new(settings.queue, counts);
        let (stop, stopping) = watch::channel(false);
        let (finished, done) = watch::channel(false);
        let exporter = Exporter::new(settings, Arc::clone(counts))?;
        tokio::spawn(async move {
            exporter.run(waiting, stopping).await;
            finished.send_replace(true);
        });
        let (settings, sampler) = (settings.clone(), Sampler::new(settings.sampling));
        let since = Instant::now();
        Ok(Some(Arc::new(Self { settings, sampler, since, outlet, stop, done })))
    }

    /// Decides on a request that has arrived. Returns its timeline if it is traced.
    pub(crate) fn begin(self: &Arc<Self>, request: Option<&Request>) -> Option<(Traced, Box<Timeline>)> {
        let fields = request.map(Request::fields).filter(|_| self.sampler.follows_clients());
        let parent = fields.and_then(TraceParent::of);
        let second = clock::now().saturating_duration_since(self.since).as_secs();
        let second = u32::try_from(second).unwrap_or(u32::MAX);
        match self.sampler.decide(parent.as_ref(), fastrand::f64(), second) {
            Decision::Traced => {}
            Decision::Untraced => return None,
            Decision::OverLimit => {
                self.outlet.counts().count_over_limit();
                return None;
            }
        }
        let trace = parent.map_or_else(TraceId::random, |parent| parent.trace);
        let state = parent.and(fields).and_then(trace_state);
        let target = request.map(|request| request.target.clone());
        let traced = Traced::new(Arc::clone(&self.outlet), parent.map(|parent| parent.span), state, target);
        Some((traced, Box::new(Timeline::new(trace, self.settings.propagate))))
    }

    /// Waits until all spans are sent, at most for this time.
    pub(crate) async fn flush(&self, patience: Duration) {
        self.stop.send_replace(true);
        let mut done = self.done.clone();
        if timeout(patience, done.wait_for(|done| *done)).await.is_err() {
            tracing::warn!(
                "spans of the last requests were not sent: the collector of traces did not answer in time"
            );
        }
    }
}
