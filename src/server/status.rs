//! The status page of the admin listener: `/status` for people and `/status.json` for programs, with the same content.
//!
//! Both show what is in use: the snapshot is taken from the state that requests use.

mod history;
mod page;
mod sessions;
mod snapshot;
mod units;

use super::health::Readiness;
use crate::telemetry::metrics::Metrics;
use history::History;
use snapshot::{Observed, Snapshot};
use std::sync::Arc;
use tokio::time::{Instant, MissedTickBehavior, interval};

pub(super) use page::{CONTENT_TYPE as PAGE_TYPE, content_security_policy};

/// The source of the status page.
#[derive(Debug)]
pub(super) struct Status {
    start: Instant,
    history: Arc<History>,
}

impl Status {
    /// Begins to sample the counts, on the current runtime.
    pub(super) fn start(metrics: &Arc<Metrics>) -> Self {
        let (history, metrics) = (Arc::new(History::default()), Arc::downgrade(metrics));
        let samples = Arc::clone(&history);
        tokio::spawn(async move {
            let mut ticks = interval(history::INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let Some(metrics) = metrics.upgrade() else { break };
                samples.add(metrics.totals());
            }
        });
        Self { start: Instant::now(), history }
    }

    /// Returns the page.
    pub(super) async fn page(&self, ready: &Readiness) -> String {
        page::of(self.snapshot(ready).await)
    }

    /// Returns the same content as a JSON document.
    pub(super) async fn json(&self, ready: &Readiness) -> String {
        let snapshot = self.snapshot(ready).await;
        // Only a map whose keys are no text could fail.
        serde_json::to_string(&snapshot).unwrap_or_default() + "\n"
    }

    async fn snapshot(&self, ready: &Readiness) -> Snapshot {
        let observed = Observed {
            obstacles: ready.obstacles().await,
            notes: ready.notes(),
            now: ready.shared().clock.now(),
            uptime: self.start.elapsed(),
            charts: self.history.charts(&ready.shared().metrics.totals()),
        };
        Snapshot::take(ready.shared(), observed)
    }
}
