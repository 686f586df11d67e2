//! The queue of requests whose spans wait to be sent.

use super::counts::{Dropped, TraceCounts};
use super::spans::RequestSpans;
use std::sync::Arc;
use tokio::sync::mpsc;

/// The entrance to the queue. The exporter ends after the last one is dropped.
#[derive(Debug)]
pub(super) struct Outlet {
    spans: mpsc::Sender<RequestSpans>,
    counts: Arc<TraceCounts>,
}

impl Outlet {
    /// Makes a queue for this number of requests, with its other end.
    pub(super) fn new(queue: usize, counts: &Arc<TraceCounts>) -> (Arc<Self>, mpsc::Receiver<RequestSpans>) {
        let (spans, waiting) = mpsc::channel(queue);
        (Arc::new(Self { spans, counts: Arc::clone(counts) }), waiting)
    }

    /// Hands spans over without waiting. They are dropped if too many requests wait.
    pub(super) fn hand_over(&self, spans: RequestSpans) {
        let count = spans.count();
        if self.spans.try_send(spans).is_err() {
            self.counts.count_dropped(Dropped::QueueFull, count);
        }
    }

    /// Returns the counts.
    pub(super) fn counts(&self) -> &TraceCounts {
        &self.counts
    }
}
