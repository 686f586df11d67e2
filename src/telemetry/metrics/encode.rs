//! Encodes the metrics of mappings, connections and the process for Prometheus.

use super::encode_issuers::encode_issuers;
use super::encode_memory::encode_memory;
use super::encode_nodes::encode_nodes;
use super::encode_traces::encode_traces;
use super::histogram::Histogram;
use super::samples::{counter, gauge};
use super::{CLASSES, Counts, CutBy, Metrics, NONE};
use crate::authorize::operations::TABLE;
use crate::bounds::admission::Admission;
use crate::bounds::connections::Over;
use crate::outgoing::continuation::Outcome;
use crate::refusal::Rule;
use crate::s3::operation::Operation;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

fn operation_label(index: usize) -> &'static str {
    TABLE
        .iter()
        .map(|row| row.operation)
        .chain(Operation::OWN)
        .find(|operation| *operation as usize + 1 == index)
        .map_or(NONE, Operation::name)
}

/// A collector that reads the counts on each scrape.
#[derive(Debug)]
pub(super) struct MetricsCollector(pub(super) Arc<Metrics>);

impl Collector for MetricsCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let metrics = &*self.0;
        encode_requests(metrics, &mut encoder)?;
        encode_sessions(metrics, &mut encoder)?;
        encode_identities(metrics, &mut encoder)?;
        encode_issuers(&metrics.issuers.load(), SystemTime::now(), &mut encoder)?;
        encode_nodes(&metrics.nodes.load(), &mut encoder)?;
        encode_build(&mut encoder)?;
        encode_traffic(metrics, &mut encoder)?;
        let help = "Requests sent again with a new session";
        let mut metric = encoder.encode_descriptor("replays", help, None, MetricType::Counter)?;
        counter(&mut metric, metrics.replays.load(Ordering::Relaxed))?;
        let help = "Store responses that broke off, by outcome of the request for the rest";
        let mut family = encoder.encode_descriptor("continuations", help, None, MetricType::Counter)?;
        for (outcome, count) in Outcome::ALL.iter().zip(&metrics.continuations) {
            let labels = [("outcome", outcome.name())];
            counter(&mut family.encode_family(&labels)?, count.load(Ordering::Relaxed))?;
        }
        let help = "Panics since the start";
        let mut metric = encoder.encode_descriptor("panics", help, None, MetricType::Counter)?;
        counter(&mut metric, crate::telemetry::panics::count())?;
        let help = "Requests whose response ended early, by cause";
        let mut family = encoder.encode_descriptor("requests_cut", help, None, MetricType::Counter)?;
        for by in CutBy::ALL {
            counter(&mut family.encode_family(&[("by", by.name())])?, metrics.cut_by(by))?;
        }
        gauge(&mut encoder, "requests_in_flight", "Requests in progress", metrics.in_flight())?;
        encode_connections(metrics, &mut encoder)?;
        super::http2_counts::encode(metrics, &mut encoder)?;
        encode_memory(metrics.memory.get(), &mut encoder)?;
        metrics.tls.encode(&mut encoder)?;
        metrics.credentials.encode(&mut encoder)?;
        encode_traces(&metrics.traces, &mut encoder)?;
        metrics.reloads.encode(&mut encoder)?;
        encode_durations(metrics, &mut encoder)
    }
}

fn encode_requests(metrics: &Metrics, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let rows = metrics.rows.load();
    let help = "Requests by mapping, operation and status class";
    let mut family = encoder.encode_descriptor("requests", help, None, MetricType::Counter)?;
    for row in &**rows {
        for (at, count) in nonzero(row.requests.all()) {
            let labels = [
                ("mapping", &*row.name),
                ("operation", operation_label(at / CLASSES.len())),
                ("status", CLASSES.get(at % CLASSES.len()).copied().unwrap_or(NONE)),
            ];
            counter(&mut family.encode_family(&labels)?, count)?;
        }
    }
    let help = "Requests that Scopegate refused, by mapping and rule";
    let mut family = encoder.encode_descriptor("refusals", help, None, MetricType::Counter)?;
    for row in &**rows {
        for (at, count) in nonzero(row.refusals.all()) {
            let rule = Rule::ALL.get(at).map_or(NONE, |rule| rule.name());
            counter(&mut family.encode_family(&[("mapping", &*row.name), ("rule", rule)])?, count)?;
        }
    }
    let help = "Requests with credentials, by scheme and result";
    let mut family = encoder.encode_descriptor("authentications", help, None, MetricType::Counter)?;
    for (scheme, result, count) in metrics.authentications.all() {
        counter(&mut family.encode_family(&[("scheme", scheme), ("result", result)])?, count)?;
    }
    Ok(())
}

/// A count of a mapping's requests.
type CountOf = fn(&Admission) -> usize;

fn encode_traffic(metrics: &Metrics, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let rows = metrics.rows.load();
    let help = "Bytes of request bodies forwarded, by mapping";
    let mut family = encoder.encode_descriptor("received_bytes", help, None, MetricType::Counter)?;
    for row in rows.iter() {
        let count = row.received.load(Ordering::Relaxed);
        counter(&mut family.encode_family(&[("mapping", &*row.name)])?, count)?;
    }
    let help = "Bytes of response bodies forwarded, by mapping";
    let mut family = encoder.encode_descriptor("sent_bytes", help, None, MetricType::Counter)?;
    for row in rows.iter() {
        let count = row.sent.load(Ordering::Relaxed);
        counter(&mut family.encode_family(&[("mapping", &*row.name)])?, count)?;
    }
    let places: [(&str, &str, CountOf); 2] = [
        ("requests_running", "Requests running now, by mapping", Admission::running),
        ("requests_queued", "Requests waiting for admission now, by mapping", Admission::queued),
    ];
    for (name, help, of) in places {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for row in rows.iter().skip(1) {
            if let Some(admission) = row.admission.load().upgrade() {
                let count = i64::try_from(of(&admission)).unwrap_or(i64::MAX);
                family.encode_family(&[("mapping", &*row.name)])?.encode_gauge(&count)?;
            }
        }
    }
    Ok(())
}

/// Returns the counts above zero. Most combinations in the table never occur, so a series appears with its first
/// count.
pub(super) fn nonzero(counts: &[AtomicU64]) -> impl Iterator<Item = (usize, u64)> {
    counts.iter().map(|count| count.load(Ordering::Relaxed)).enumerate().filter(|(_, count)| *count > 0)
}

fn encode_identities(metrics: &Metrics, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let rows = metrics.rows.load();
    let counts =
        || rows.iter().skip(1).filter_map(|row| Some((&*row.name, row.identities.load().upgrade()?)));
    let help = "Identities with sessions of their own, by mapping";
    let mut family = encoder.encode_descriptor("identities", help, None, MetricType::Gauge)?;
    for (mapping, identities) in counts() {
        let live = i64::try_from(identities.live.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
        family.encode_family(&[("mapping", mapping)])?.encode_gauge(&live)?;
    }
    let help = "Identities whose sessions were dropped because they were idle, by mapping";
    let mut family = encoder.encode_descriptor("identities_dropped", help, None, MetricType::Counter)?;
    for (mapping, identities) in counts() {
        counter(
            &mut family.encode_family(&[("mapping", mapping)])?,
            identities.dropped.load(Ordering::Relaxed),
        )?;
    }
    Ok(())
}

fn encode_sessions(metrics: &Metrics, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let rows = metrics.rows.load();
    let help = "Sessions requested from STS, by mapping and result";
    let mut family = encoder.encode_descriptor("mints", help, None, MetricType::Counter)?;
    for row in rows.iter().skip(1) {
        let results = [
            ("minted", &row.mints.minted),
            ("refused", &row.mints.refused),
            ("failed", &row.mints.failed),
            ("unreachable", &row.mints.unreachable),
        ];
        for (result, count) in results {
            let labels = [("mapping", &*row.name), ("result", result)];
            counter(&mut family.encode_family(&labels)?, count.load(Ordering::Relaxed))?;
        }
    }
    let help = "Store responses that denied a request that the mapping grants";
    let mut family = encoder.encode_descriptor("store_denials", help, None, MetricType::Counter)?;
    for row in rows.iter().skip(1) {
        let count = row.mints.denials.load(Ordering::Relaxed);
        counter(&mut family.encode_family(&[("mapping", &*row.name)])?, count)?;
    }
    let help = "Whether STS refuses the issuer's key";
    gauge(encoder, "issuer_refused", help, u64::from(metrics.issuer.is_refused()))?;
    let help = "Sessions that are kept, by mapping";
    let mut family = encoder.encode_descriptor("sessions_open", help, None, MetricType::Gauge)?;
    for row in rows.iter().skip(1) {
        let count = i64::try_from(row.mints.open.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
        family.encode_family(&[("mapping", &*row.name)])?.encode_gauge(&count)?;
    }
    encode_expirations(&rows, encoder)
}

fn encode_expirations(rows: &[Arc<Counts>], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "Expiration of each session, by mapping and kind, in seconds since 1970";
    let mut family =
        encoder.encode_descriptor("session_expiry_timestamp_seconds", help, None, MetricType::Gauge)?;
    for row in rows.iter().skip(1) {
        let Some(sessions) = row.sessions.load().upgrade() else { continue };
        for (kind, slot) in sessions.opened() {
            let Some(expires) = slot.expiration() else { continue };
            let seconds = expires.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
            let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
            let labels = [("mapping", &*row.name), ("session", kind.name())];
            family.encode_family(&labels)?.encode_gauge(&seconds)?;
        }
    }
    Ok(())
}

fn encode_connections(metrics: &Metrics, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let open = metrics.connections.open();
    gauge(encoder, "connections", "Open client connections", open as u64)?;
    let help = "Connections closed on arrival, by the limit they exceeded";
    let mut family = encoder.encode_descriptor("connections_refused", help, None, MetricType::Counter)?;
    for over in Over::ALL {
        let labels = [("limit", over.name())];
        counter(&mut family.encode_family(&labels)?, metrics.connections.refused(over))?;
    }
    let help = "Failed accepts, for example for lack of file descriptors";
    let mut metric = encoder.encode_descriptor("accepts_failed", help, None, MetricType::Counter)?;
    counter(&mut metric, metrics.connections.accepts_failed())?;
    metrics.proxy_headers.encode(encoder)
}

/// A histogram of a mapping.
type HistogramOf = fn(&Counts) -> &Histogram;

fn encode_durations(metrics: &Metrics, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let rows = metrics.rows.load();
    let families: [(&str, &str, HistogramOf); 3] = [
        (
            "request_duration_seconds",
            "From the head of a request to the end of its response, including the time its client takes to send and read",
            |row| &row.durations,
        ),
        ("first_byte_seconds", "From the head of a request to the head of its response", |row| {
            &row.first_bytes
        }),
        ("queue_wait_seconds", "Time spent waiting for admission, of requests that had to wait", |row| {
            &row.queue_waits
        }),
    ];
    for (name, help, of) in families {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for row in rows.iter().filter(|row| !of(row).is_empty()) {
            of(row).encode(&mut family.encode_family(&[("mapping", &*row.name)])?)?;
        }
    }
    Ok(())
}

fn encode_build(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "Version of the running process; always 1";
    let mut family = encoder.encode_descriptor("build_info", help, None, MetricType::Gauge)?;
    let labels = [("version", env!("CARGO_PKG_VERSION"))];
    family.encode_family(&labels)?.encode_gauge(&1_i64)
}
