//! Samples of the counts of mappings, for the charts of the status page.

use crate::refusal::Rule;
use crate::telemetry::metrics::Totals;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The time between two samples.
pub(super) const INTERVAL: Duration = Duration::from_secs(10);
/// The number of samples that are kept: those of ten minutes.
pub(super) const SAMPLES: usize = 60;

/// The samples of all mappings. A mapping without requests takes no room.
#[derive(Debug, Default)]
pub(super) struct History(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    before: Vec<Totals>,
    samples: VecDeque<Sample>,
}

/// What was counted in one interval, by the index of the mapping's row.
#[derive(Debug, Default)]
struct Sample {
    requests: Vec<(usize, u64)>,
    refusals: Vec<(usize, Rule, u64)>,
}

/// The requests of the last minutes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Chart {
    /// Requests per interval, the oldest first.
    pub requests: Vec<u64>,
    /// Refused requests per interval.
    pub refused: Vec<u64>,
    /// Refused requests of all intervals together.
    pub by_rule: BTreeMap<Rule, u64>,
}

/// The charts of all mappings.
#[derive(Debug, Default)]
pub(super) struct Charts {
    /// All requests, with those that belong to no mapping.
    pub all: Chart,
    rows: HashMap<usize, Chart>,
}

impl Charts {
    /// Takes the chart of a row.
    pub(super) fn take(&mut self, row: usize) -> Chart {
        self.rows.remove(&row).unwrap_or_else(Chart::empty)
    }
}

impl Chart {
    fn empty() -> Self {
        Self { requests: vec![0; SAMPLES], refused: vec![0; SAMPLES], by_rule: BTreeMap::new() }
    }

    fn add_requests(&mut self, at: usize, count: u64) {
        if let Some(requests) = self.requests.get_mut(at) {
            *requests += count;
        }
    }

    fn add_refusals(&mut self, at: usize, rule: Rule, count: u64) {
        if let Some(refused) = self.refused.get_mut(at) {
            *refused += count;
        }
        *self.by_rule.entry(rule).or_default() += count;
    }
}

impl History {
    /// Adds a sample: what was counted since the last one.
    pub(super) fn add(&self, now: Vec<Totals>) {
        let state = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sample = Sample::between(&state.before, &now);
        state.before = now;
        if state.samples.len() >= SAMPLES {
            state.samples.pop_front();
        }
        state.samples.push_back(sample);
    }

    /// Returns the charts of all rows. The last interval has what was counted since the last sample, up to `now`.
    pub(super) fn charts(&self, now: &[Totals]) -> Charts {
        let state = &*self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut charts = Charts { all: Chart::empty(), rows: HashMap::new() };
        let latest = Sample::between(&state.before, now);
        let samples = state.samples.iter().chain([&latest]);
        let too_many = (state.samples.len() + 1).saturating_sub(SAMPLES);
        let first = SAMPLES.saturating_sub(state.samples.len() + 1);
        for (at, sample) in (first..).zip(samples.skip(too_many)) {
            for &(row, count) in &sample.requests {
                charts.all.add_requests(at, count);
                charts.rows.entry(row).or_insert_with(Chart::empty).add_requests(at, count);
            }
            for &(row, rule, count) in &sample.refusals {
                charts.all.add_refusals(at, rule, count);
                charts.rows.entry(row).or_insert_with(Chart::empty).add_refusals(at, rule, count);
            }
        }
        charts
    }
}

impl Sample {
    /// Returns what was counted between two times.
    fn between(before: &[Totals], now: &[Totals]) -> Self {
        let none = Totals::default();
        let mut sample = Self::default();
        for (row, totals) in now.iter().enumerate() {
            let before = before.get(row).unwrap_or(&none);
            let requests = totals.requests.saturating_sub(before.requests);
            if requests > 0 {
                sample.requests.push((row, requests));
            }
            for (rule, count) in &totals.refusals {
                let known = before.refusals.iter().find(|(other, _)| other == rule);
                let count = count.saturating_sub(known.map_or(0, |(_, count)| *count));
                if count > 0 {
                    sample.refusals.push((row, *rule, count));
                }
            }
        }
        sample
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(requests: u64, refused: u64) -> Totals {
        let refusals = if refused > 0 { vec![(Rule::OutsideScope, refused)] } else { Vec::new() };
        Totals { requests, refusals, ..Totals::default() }
    }

    #[test]
    fn charts_show_what_was_counted_in_each_interval() {
        let history = History::default();
        history.add(vec![totals(5, 0)]);
        history.add(vec![totals(5, 0), totals(7, 2)]);
        // What was counted since the last sample is shown at once.
        let mut charts = history.charts(&[totals(6, 1), totals(8, 3)]);
        let ends = |all: &[u64]| all[SAMPLES - 4..].to_vec();
        assert_eq!(ends(&charts.all.requests), [0, 5, 7, 2]);
        assert_eq!(ends(&charts.all.refused), [0, 0, 2, 2]);
        assert_eq!(charts.all.by_rule[&Rule::OutsideScope], 4);
        let second = charts.take(1);
        assert_eq!((ends(&second.requests), ends(&second.refused)), (vec![0, 0, 7, 1], vec![0, 0, 2, 1]));
        assert_eq!(charts.take(9), Chart::empty());
    }

    #[test]
    fn old_samples_are_dropped() {
        let history = History::default();
        for count in 0..3 * SAMPLES as u64 {
            history.add(vec![totals(count, 0)]);
        }
        let charts = history.charts(&[totals(3 * SAMPLES as u64, 0)]);
        assert_eq!(charts.all.requests, vec![1; SAMPLES]);
    }
}
