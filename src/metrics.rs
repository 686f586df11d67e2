//! What Scopegate counts, and how Prometheus reads it.

use crate::operation::{Operation, TABLE};
use crate::refusal::Rule;
use crate::session_table::Slot;
use http::StatusCode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// Labels for what no mapping or operation is known of.
const NONE: &str = "-";
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];
const OPERATIONS: usize = TABLE.len() + 1;
const RULES: usize = Rule::ALL.len();
/// Upper bounds of the duration histogram, in seconds.
const BUCKETS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 10.0, 60.0];

/// How a request ended.
#[derive(Debug)]
pub struct Outcome {
    /// The mapping's place in the configuration.
    pub mapping: Option<usize>,
    /// What was granted.
    pub operation: Option<Operation>,
    /// What was answered; none if the client left before.
    pub status: Option<StatusCode>,
    /// What refused.
    pub rule: Option<Rule>,
    /// Bytes of the client's body that were passed on.
    pub received: u64,
    /// Bytes of the answer's body that were passed on.
    pub sent: u64,
    /// How long it took.
    pub total: Duration,
}

/// All counts of a process. Every one is an atomic of its own; nothing is locked.
#[derive(Debug)]
pub struct Metrics {
    mappings: Vec<MappingMetrics>,
    requests: Vec<AtomicU64>,
    refusals: Vec<AtomicU64>,
    durations: [AtomicU64; BUCKETS.len() + 1],
    duration_micros: AtomicU64,
    in_flight: AtomicU64,
    connections: AtomicU64,
    refused_connections: AtomicU64,
    replays: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
}

#[derive(Debug)]
struct MappingMetrics {
    name: Box<str>,
    slot: Arc<Slot>,
}

impl Metrics {
    /// Counts for these mappings, each with its session's slot.
    pub fn new<'m>(mappings: impl IntoIterator<Item = (&'m str, Arc<Slot>)>) -> Self {
        let mappings: Vec<_> =
            mappings.into_iter().map(|(name, slot)| MappingMetrics { name: name.into(), slot }).collect();
        let zeros = |count| std::iter::repeat_with(AtomicU64::default).take(count).collect();
        let rows = mappings.len() + 1;
        Self {
            mappings,
            requests: zeros(rows * OPERATIONS * CLASSES.len()),
            refusals: zeros(rows * RULES),
            durations: Default::default(),
            duration_micros: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            refused_connections: AtomicU64::new(0),
            replays: AtomicU64::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        }
    }

    /// A mapping's name.
    pub fn mapping_name(&self, index: usize) -> Option<&str> {
        self.mappings.get(index).map(|mapping| &*mapping.name)
    }

    /// A request begins.
    pub fn in_flight_add(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests that have begun and are not over.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// A connection was accepted; it counts until the guard is dropped.
    pub fn connection(self: &Arc<Self>) -> ConnectionGuard {
        self.connections.fetch_add(1, Ordering::Relaxed);
        ConnectionGuard(Arc::clone(self))
    }

    /// Connections that are open.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// A connection was closed at once because there were too many.
    pub fn connection_refused(&self) {
        self.refused_connections.fetch_add(1, Ordering::Relaxed);
    }

    /// A request is sent again with a new session.
    pub fn replayed(&self) {
        self.replays.fetch_add(1, Ordering::Relaxed);
    }

    /// A request is over.
    pub fn request_over(&self, outcome: &Outcome) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        let row = outcome.mapping.map_or(0, |mapping| mapping + 1);
        let operation = outcome.operation.map_or(0, |operation| operation as usize + 1);
        let class = outcome.status.map_or(0, |status| usize::from(status.as_u16() / 100).min(5));
        add(&self.requests, (row * OPERATIONS + operation) * CLASSES.len() + class, 1);
        if let Some(rule) = outcome.rule {
            add(&self.refusals, row * RULES + rule as usize, 1);
        }
        let seconds = outcome.total.as_secs_f64();
        add(&self.durations, BUCKETS.iter().position(|bound| seconds <= *bound).unwrap_or(BUCKETS.len()), 1);
        let micros = u64::try_from(outcome.total.as_micros()).unwrap_or(u64::MAX);
        self.duration_micros.fetch_add(micros, Ordering::Relaxed);
        self.received.fetch_add(outcome.received, Ordering::Relaxed);
        self.sent.fetch_add(outcome.sent, Ordering::Relaxed);
    }

    /// Everything in `OpenMetrics`' text format.
    pub fn encode(self: &Arc<Self>) -> String {
        let mut registry = Registry::with_prefix("scopegate");
        registry.register_collector(Box::new(Reading(Arc::clone(self))));
        let mut encoded = String::with_capacity(4096);
        // Writing to a string cannot fail.
        let _ = text::encode(&mut encoded, &registry);
        encoded
    }

    fn label(&self, row: usize) -> &str {
        row.checked_sub(1).and_then(|index| self.mapping_name(index)).unwrap_or(NONE)
    }
}

/// An open connection.
#[derive(Debug)]
pub struct ConnectionGuard(Arc<Metrics>);

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

fn add(counts: &[AtomicU64], at: usize, by: u64) {
    if let Some(count) = counts.get(at) {
        count.fetch_add(by, Ordering::Relaxed);
    }
}

fn operation_label(index: usize) -> &'static str {
    TABLE
        .iter()
        .map(|row| row.operation)
        .find(|operation| *operation as usize + 1 == index)
        .map_or(NONE, Operation::name)
}

#[derive(Debug)]
struct Reading(Arc<Metrics>);

impl Collector for Reading {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let metrics = &*self.0;
        encode_requests(metrics, &mut encoder)?;
        encode_sessions(metrics, &mut encoder)?;
        let singles = [
            ("replays", "Requests sent again with a new session", &metrics.replays),
            (
                "connections_refused",
                "Connections closed at once over the limit",
                &metrics.refused_connections,
            ),
            ("received_bytes", "Bytes of clients' bodies passed on", &metrics.received),
            ("sent_bytes", "Bytes of answers' bodies passed on", &metrics.sent),
        ];
        for (name, help, count) in singles {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            counter(&mut metric, count.load(Ordering::Relaxed))?;
        }
        let gauges = [
            ("requests_in_flight", "Requests begun and not over", &metrics.in_flight),
            ("connections", "Open client connections", &metrics.connections),
        ];
        for (name, help, count) in gauges {
            let value = i64::try_from(count.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
            encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)?;
        }
        encode_durations(metrics, &mut encoder)
    }
}

fn counter(metric: &mut MetricEncoder<'_>, value: u64) -> fmt::Result {
    metric.encode_counter::<NoLabelSet, _, u64>(&value, None)
}

fn encode_requests(metrics: &Metrics, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "Requests by mapping, operation and class of status";
    let mut family = encoder.encode_descriptor("requests", help, None, MetricType::Counter)?;
    for (at, count) in nonzero(&metrics.requests) {
        let (class, rest) = (at % CLASSES.len(), at / CLASSES.len());
        let labels = [
            ("mapping", metrics.label(rest / OPERATIONS)),
            ("operation", operation_label(rest % OPERATIONS)),
            ("status", CLASSES.get(class).copied().unwrap_or(NONE)),
        ];
        counter(&mut family.encode_family(&labels)?, count)?;
    }
    let help = "Requests that Scopegate answered itself, by mapping and rule";
    let mut family = encoder.encode_descriptor("refusals", help, None, MetricType::Counter)?;
    for (at, count) in nonzero(&metrics.refusals) {
        let rule = Rule::ALL.get(at % RULES).map_or(NONE, |rule| rule.name());
        let labels = [("mapping", metrics.label(at / RULES)), ("rule", rule)];
        counter(&mut family.encode_family(&labels)?, count)?;
    }
    Ok(())
}

/// Series appear with their first count: most of the table's combinations never do.
fn nonzero(counts: &[AtomicU64]) -> impl Iterator<Item = (usize, u64)> {
    counts.iter().map(|count| count.load(Ordering::Relaxed)).enumerate().filter(|(_, count)| *count > 0)
}

fn encode_sessions(metrics: &Metrics, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "Sessions asked of STS, by mapping and result";
    let mut family = encoder.encode_descriptor("mints", help, None, MetricType::Counter)?;
    for mapping in &metrics.mappings {
        let counts = mapping.slot.counts();
        let results = [
            ("minted", &counts.minted),
            ("refused", &counts.refused),
            ("failed", &counts.failed),
            ("unreachable", &counts.unreachable),
        ];
        for (result, count) in results {
            let labels = [("mapping", &*mapping.name), ("result", result)];
            counter(&mut family.encode_family(&labels)?, count.load(Ordering::Relaxed))?;
        }
    }
    let help = "When each mapping's session ends, in seconds since 1970";
    let mut family =
        encoder.encode_descriptor("session_expiry_timestamp_seconds", help, None, MetricType::Gauge)?;
    for mapping in &metrics.mappings {
        if let Some(expires) = mapping.slot.expiration() {
            let seconds = expires.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
            let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
            family.encode_family(&[("mapping", &*mapping.name)])?.encode_gauge(&seconds)?;
        }
    }
    Ok(())
}

fn encode_durations(metrics: &Metrics, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let counts: Vec<u64> = metrics.durations.iter().map(|count| count.load(Ordering::Relaxed)).collect();
    let bounds = BUCKETS.into_iter().chain([f64::INFINITY]);
    let buckets: Vec<(f64, u64)> = bounds.zip(counts.iter().copied()).collect();
    let sum = Duration::from_micros(metrics.duration_micros.load(Ordering::Relaxed)).as_secs_f64();
    let help = "Requests from their head to the end of the answer, in seconds";
    encoder
        .encode_descriptor("request_duration_seconds", help, None, MetricType::Histogram)?
        .encode_histogram::<NoLabelSet>(sum, counts.iter().sum(), &buckets, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_can_be_read() {
        let metrics = Arc::new(Metrics::new([("media", Arc::new(Slot::new(false)))]));
        metrics.in_flight_add();
        metrics.request_over(&Outcome {
            mapping: Some(0),
            operation: Some(Operation::GetObject),
            status: Some(StatusCode::FORBIDDEN),
            rule: Some(Rule::OutsideScope),
            received: 1,
            sent: 2,
            total: Duration::from_millis(3),
        });
        let text = metrics.encode();
        for line in [
            "scopegate_requests_total{mapping=\"media\",operation=\"GetObject\",status=\"4xx\"} 1",
            "scopegate_refusals_total{mapping=\"media\",rule=\"outside-scope\"} 1",
            "scopegate_mints_total{mapping=\"media\",result=\"minted\"} 0",
            "scopegate_requests_in_flight 0",
            "scopegate_sent_bytes_total 2",
            "scopegate_request_duration_seconds_bucket{le=\"0.005\"} 1",
            "scopegate_request_duration_seconds_bucket{le=\"+Inf\"} 1",
            "scopegate_request_duration_seconds_count 1",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
