//! The counts of each mapping as numbers, for the status page.

use super::encode::nonzero;
use super::{Counts, Metrics};
use crate::bounds::admission::Admission;
use crate::refusal::Rule;
use std::sync::atomic::Ordering;

/// The counts of a mapping since the start of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// The name of the mapping; `-` for requests without one.
    pub name: Box<str>,
    /// The number of requests.
    pub requests: u64,
    /// The number of refused requests, by rule. Rules without any are left out.
    pub refusals: Vec<(Rule, u64)>,
    /// The bytes of request bodies that were forwarded.
    pub received: u64,
    /// The bytes of response bodies that were forwarded.
    pub sent: u64,
    /// The number of sessions that are kept now, with those of identities.
    pub sessions: usize,
    /// The number of requests that run now.
    pub running: usize,
    /// The number of requests that wait for admission now.
    pub queued: usize,
}

impl Metrics {
    /// Returns the counts of each row. The first row is for requests without a mapping.
    pub(crate) fn totals(&self) -> Vec<Totals> {
        self.rows.load().iter().map(|row| row.totals()).collect()
    }
}

impl Counts {
    fn totals(&self) -> Totals {
        let admission = self.admission.load().upgrade();
        let of = |count: fn(&Admission) -> usize| admission.as_deref().map_or(0, count);
        let refusals = nonzero(self.refusals.all());
        Totals {
            name: self.name.clone(),
            requests: nonzero(self.requests.all()).map(|(_, count)| count).sum(),
            refusals: refusals.filter_map(|(at, count)| Some((*Rule::ALL.get(at)?, count))).collect(),
            received: self.received.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
            sessions: self.mints.open.load(Ordering::Relaxed),
            running: of(Admission::running),
            queued: of(Admission::queued),
        }
    }
}
