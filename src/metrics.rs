//! What Scopegate counts, and how Prometheus reads it.

mod encode;
mod encode_memory;
mod encode_nodes;
mod exposition;
mod histogram;
mod process;

pub use exposition::Format;

use crate::admission::Admission;
use crate::connections::Connections;
use crate::continuation;
use crate::limits::part_budget::PartBudget;
use crate::memory::MemoryBudget;
use crate::nodes::NodeBoard;
use crate::operation::{Operation, TABLE};
use crate::refusal::Rule;
use crate::session_table::{MintCounts, Slot};
use arc_swap::ArcSwap;
use encode::Reading;
use histogram::Histogram;
use http::StatusCode;
use process::ProcessReading;
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, SystemTime};

/// Labels for what no mapping or operation is known of.
const NONE: &str = "-";
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];
const OPERATIONS: usize = TABLE.len() + Operation::OWN.len() + 1;
const RULES: usize = Rule::ALL.len();

/// What ended a request before its answer was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutBy {
    /// The client went away.
    Client,
    /// The store broke off.
    Store,
    /// The server stopped, and `drain_timeout` was over.
    Shutdown,
}

impl CutBy {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Client, Self::Store, Self::Shutdown];

    /// The name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Store => "store",
            Self::Shutdown => "shutdown",
        }
    }

    /// What the log says.
    pub const fn why(self) -> &'static str {
        match self {
            Self::Client => "the client went away",
            Self::Store => "the store broke off",
            Self::Shutdown => "cut off by the shutdown: limits.drain_timeout was over",
        }
    }
}

/// How a request ended.
#[derive(Debug)]
pub struct Outcome {
    /// The mapping's row.
    pub mapping: Option<Row>,
    /// What was granted.
    pub operation: Option<Operation>,
    /// What was answered; none if the client left before.
    pub status: Option<StatusCode>,
    /// What refused.
    pub rule: Option<Rule>,
    /// What ended it too early.
    pub cut: Option<CutBy>,
    /// Bytes of the client's body that were passed on.
    pub received: u64,
    /// Bytes of the answer's body that were passed on.
    pub sent: u64,
    /// How long it waited for its turn.
    pub queued: Duration,
    /// How long it took until the head of the answer was known.
    pub first_byte: Option<Duration>,
    /// How long it took until the answer was over.
    pub total: Duration,
}

/// A mapping's place in the counts: the same for a name as long as the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row(usize);

impl Row {
    /// Returns its number.
    pub fn index(self) -> usize {
        self.0
    }
}

/// All counts of a process. Every one is an atomic of its own; nothing is locked.
#[derive(Debug)]
pub struct Metrics {
    /// One for requests of no mapping, then one for each name that a mapping ever had. It only grows.
    rows: ArcSwap<Vec<Arc<Counts>>>,
    /// The nodes of the configuration in effect.
    nodes: ArcSwap<NodeBoard>,
    in_flight: AtomicU64,
    /// Client connections.
    pub connections: Connections,
    /// Reloads of the configuration.
    pub reloads: Reloads,
    /// The issuer, as STS sees it.
    pub issuer: IssuerFacts,
    /// The server stops, and what still runs is cut off.
    cutting: AtomicBool,
    cut: [AtomicU64; CutBy::ALL.len()],
    memory: OnceLock<Memory>,
    replays: Arc<AtomicU64>,
    continuations: [AtomicU64; continuation::Outcome::ALL.len()],
}

/// What is known of the issuer.
#[derive(Debug, Default)]
pub struct IssuerFacts {
    refused: AtomicBool,
}

impl IssuerFacts {
    /// Notes whether STS refuses it.
    pub fn set_refused(&self, refused: bool) {
        self.refused.store(refused, Ordering::Relaxed);
    }

    /// Whether STS refuses it.
    pub fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }
}

/// The counts of one mapping.
#[derive(Debug)]
struct Counts {
    name: Box<str>,
    requests: Vec<AtomicU64>,
    refusals: Vec<AtomicU64>,
    received: AtomicU64,
    sent: AtomicU64,
    durations: Histogram,
    first_bytes: Histogram,
    queue_waits: Histogram,
    mints: Arc<MintCounts>,
    slot: ArcSwap<Weak<Slot>>,
    admission: ArcSwap<Weak<Admission>>,
}

impl Counts {
    fn new(name: &str) -> Arc<Self> {
        let zeros = |count| std::iter::repeat_with(AtomicU64::default).take(count).collect();
        Arc::new(Self {
            name: name.into(),
            requests: zeros(OPERATIONS * CLASSES.len()),
            refusals: zeros(RULES),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            durations: Histogram::default(),
            first_bytes: Histogram::default(),
            queue_waits: Histogram::default(),
            mints: Arc::default(),
            slot: ArcSwap::from_pointee(Weak::new()),
            admission: ArcSwap::from_pointee(Weak::new()),
        })
    }
}

impl Counts {
    fn observe(&self, outcome: &Outcome) {
        self.received.fetch_add(outcome.received, Ordering::Relaxed);
        self.sent.fetch_add(outcome.sent, Ordering::Relaxed);
        self.durations.observe(outcome.total);
        if let Some(first_byte) = outcome.first_byte {
            self.first_bytes.observe(first_byte);
        }
        if !outcome.queued.is_zero() {
            self.queue_waits.observe(outcome.queued);
        }
    }
}

/// The memory that clients control.
#[derive(Debug)]
struct Memory {
    limit: u64,
    shared: MemoryBudget,
    uploads: Arc<PartBudget>,
}

/// Reloads of the configuration, by result.
#[derive(Debug, Default)]
pub struct Reloads {
    ok: AtomicU64,
    failed: AtomicU64,
    last_failed: AtomicBool,
    last_success: AtomicU64,
}

impl Reloads {
    /// A configuration took effect at `now`: at the start, or reloaded.
    pub fn took_effect(&self, now: SystemTime, reloaded: bool) {
        self.ok.fetch_add(u64::from(reloaded), Ordering::Relaxed);
        self.last_failed.store(false, Ordering::Relaxed);
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.last_success.store(seconds, Ordering::Relaxed);
    }

    /// A configuration was not taken, and the one before stays.
    pub fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.last_failed.store(true, Ordering::Relaxed);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            rows: ArcSwap::from_pointee(vec![Counts::new(NONE)]),
            nodes: ArcSwap::from_pointee(NodeBoard::new(&[], tokio::time::Instant::now())),
            in_flight: AtomicU64::new(0),
            connections: Connections::default(),
            reloads: Reloads::default(),
            issuer: IssuerFacts::default(),
            cutting: AtomicBool::new(false),
            cut: Default::default(),
            memory: OnceLock::new(),
            replays: Arc::default(),
            continuations: Default::default(),
        }
    }
}

impl Metrics {
    /// The row of the mapping of this name, begun if there was none, and its counts of mints. One caller at a time.
    pub fn row(&self, name: &str) -> (Row, Arc<MintCounts>) {
        let rows = self.rows.load_full();
        // The first belongs to no mapping.
        if let Some((index, counts)) = rows.iter().enumerate().skip(1).find(|(_, row)| *row.name == *name) {
            return (Row(index), Arc::clone(&counts.mints));
        }
        let counts = Counts::new(name);
        let mints = Arc::clone(&counts.mints);
        let mut grown = Vec::clone(&rows);
        grown.push(counts);
        self.rows.store(Arc::new(grown));
        (Row(rows.len()), mints)
    }

    /// The slot whose expiration a row shows from now on.
    pub fn show_slot(&self, row: Row, slot: &Arc<Slot>) {
        if let Some(counts) = self.rows.load().get(row.0) {
            counts.slot.store(Arc::new(Arc::downgrade(slot)));
        }
    }

    /// The admission whose requests a row shows from now on.
    pub fn show_admission(&self, row: Row, admission: &Arc<Admission>) {
        if let Some(counts) = self.rows.load().get(row.0) {
            counts.admission.store(Arc::new(Arc::downgrade(admission)));
        }
    }

    /// The nodes that are shown from now on.
    pub fn show_nodes(&self, nodes: &Arc<NodeBoard>) {
        self.nodes.store(Arc::clone(nodes));
    }

    /// Shows the use of memory from now on, of this many bytes in all.
    pub fn show_memory(&self, limit: u64, shared: &MemoryBudget, uploads: &Arc<PartBudget>) {
        let _ = self.memory.set(Memory { limit, shared: shared.clone(), uploads: Arc::clone(uploads) });
    }

    /// A mapping's name.
    pub fn mapping_name(&self, row: Row) -> Box<str> {
        self.rows.load().get(row.0).map_or_else(|| NONE.into(), |counts| counts.name.clone())
    }

    /// A request begins.
    pub fn in_flight_add(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests that have begun and are not over.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Returns the counter of requests that are sent again with a new session.
    pub fn replays(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.replays)
    }

    /// Notes what became of an answer that broke off.
    pub fn continued(&self, outcome: continuation::Outcome) {
        add(&self.continuations, outcome as usize, 1);
    }

    /// Notes that whatever is not over is cut off from now on.
    pub fn cut_off(&self) {
        self.cutting.store(true, Ordering::Relaxed);
    }

    /// Whether the server cuts off what still runs.
    pub fn is_cutting(&self) -> bool {
        self.cutting.load(Ordering::Relaxed)
    }

    /// Requests that were cut off.
    pub fn cut_by(&self, by: CutBy) -> u64 {
        self.cut.get(by as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// A request is over.
    pub fn request_over(&self, outcome: &Outcome) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        let operation = outcome.operation.map_or(0, |operation| operation as usize + 1);
        let class = outcome.status.map_or(0, |status| usize::from(status.as_u16() / 100).min(5));
        if let Some(row) = self.rows.load().get(outcome.mapping.map_or(0, |row| row.0)) {
            add(&row.requests, operation * CLASSES.len() + class, 1);
            if let Some(rule) = outcome.rule {
                add(&row.refusals, rule as usize, 1);
            }
            row.observe(outcome);
        }
        if let Some(by) = outcome.cut {
            add(&self.cut, by as usize, 1);
        }
    }

    /// Everything in a text format.
    pub fn encode(self: &Arc<Self>, format: Format) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(ProcessReading));
        let own = registry.sub_registry_with_prefix("scopegate");
        own.register_collector(Box::new(Reading(Arc::clone(self))));
        let mut encoded = String::with_capacity(4096);
        // Writing to a string cannot fail.
        let _ = text::encode(&mut encoded, &registry);
        match format {
            Format::OpenMetrics => encoded,
            Format::Text => exposition::text_of(&encoded),
        }
    }
}

fn add(counts: &[AtomicU64], at: usize, by: u64) {
    if let Some(count) = counts.get(at) {
        count.fetch_add(by, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::Bounds;
    use crate::client::ClientKey;
    use crate::endpoint::Endpoint;
    use crate::limits::Limits;
    use crate::memory::{Payer, Use};
    use crate::nodes::NodeIndex;

    #[test]
    fn what_happened_can_be_read() {
        let metrics = Arc::new(Metrics::default());
        let endpoints = [Endpoint::parse("http://node:9000").unwrap()];
        let nodes = Arc::new(NodeBoard::new(&endpoints, tokio::time::Instant::now()));
        nodes.requested(NodeIndex(0));
        metrics.show_nodes(&nodes);
        let (row, _) = metrics.row("media");
        let admission = Arc::new(Admission::new(Bounds::of(&Limits::default())));
        metrics.show_admission(row, &admission);
        metrics.in_flight_add();
        metrics.request_over(&Outcome {
            mapping: Some(row),
            operation: Some(Operation::GetObject),
            status: Some(StatusCode::FORBIDDEN),
            rule: Some(Rule::OutsideScope),
            cut: Some(CutBy::Store),
            received: 1,
            sent: 2,
            queued: Duration::from_millis(200),
            first_byte: Some(Duration::from_millis(2)),
            total: Duration::from_millis(3),
        });
        metrics.continued(continuation::Outcome::Changed);
        let memory = MemoryBudget::new(1024);
        metrics.show_memory(4096, &memory, &Arc::new(PartBudget::new(0, 1)));
        let _held = memory.take(Payer::Strangers, Use::Documents, 128).unwrap();
        let client = Payer::Client(ClientKey::User(None));
        let _held = memory.take(client, Use::Documents, 384).unwrap();
        memory.take(client, Use::Documents, 1024).unwrap_err();
        let text = metrics.encode(Format::Text);
        for line in [
            "scopegate_requests_total{mapping=\"media\",operation=\"GetObject\",status=\"4xx\"} 1",
            "scopegate_refusals_total{mapping=\"media\",rule=\"outside-scope\"} 1",
            "scopegate_mints_total{mapping=\"media\",result=\"minted\"} 0",
            "scopegate_store_denials_total{mapping=\"media\"} 0",
            "scopegate_issuer_refused 0",
            "scopegate_requests_cut_total{by=\"store\"} 1",
            "scopegate_requests_cut_total{by=\"shutdown\"} 0",
            "scopegate_node_requests_total{node=\"node:9000\"} 1",
            "scopegate_node_ejected{node=\"node:9000\"} 0",
            "scopegate_node_up{node=\"node:9000\"} 1",
            "scopegate_retries_total 0",
            "scopegate_continuations_total{outcome=\"continued\"} 0",
            "scopegate_continuations_total{outcome=\"changed\"} 1",
            "scopegate_requests_in_flight 0",
            "scopegate_received_bytes_total{mapping=\"media\"} 1",
            "scopegate_sent_bytes_total{mapping=\"media\"} 2",
            "scopegate_request_duration_seconds_bucket{le=\"0.0025\",mapping=\"media\"} 0",
            "scopegate_request_duration_seconds_bucket{le=\"0.005\",mapping=\"media\"} 1",
            "scopegate_request_duration_seconds_bucket{le=\"+Inf\",mapping=\"media\"} 1",
            "scopegate_request_duration_seconds_count{mapping=\"media\"} 1",
            "scopegate_first_byte_seconds_bucket{le=\"0.0025\",mapping=\"media\"} 1",
            "scopegate_queue_wait_seconds_bucket{le=\"0.1\",mapping=\"media\"} 0",
            "scopegate_queue_wait_seconds_bucket{le=\"0.25\",mapping=\"media\"} 1",
            "scopegate_requests_running{mapping=\"media\"} 0",
            "scopegate_requests_queued{mapping=\"media\"} 0",
            "scopegate_build_info{version=",
            "process_cpu_seconds_total ",
            "process_open_fds ",
            "scopegate_config_last_reload_successful 1",
            "scopegate_panics_total",
            "scopegate_memory_bytes{use=\"documents\"} 512",
            "scopegate_memory_bytes{use=\"uploads\"} 0",
            "scopegate_memory_refused_total{use=\"documents\"} 1",
            "scopegate_memory_limit_bytes 4096",
            "scopegate_log_lines_dropped_total 0",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let mut series = std::collections::HashSet::new();
        for sample in samples.filter_map(|line| Some(line.rsplit_once(' ')?.0)) {
            assert!(series.insert(sample), "Prometheus takes a series once: {sample}");
        }
    }

    #[test]
    fn a_name_keeps_its_row() {
        let metrics = Metrics::default();
        let (media, mints) = metrics.row("media");
        let (other, _) = metrics.row("other");
        let (again, same) = metrics.row("media");
        assert_eq!((media, *metrics.mapping_name(other) == *"other"), (again, true));
        assert!(media != other && Arc::ptr_eq(&mints, &same));
        assert_ne!(metrics.row(NONE).0, Row(0), "a mapping may be called so, and is not no mapping");
    }

    #[test]
    fn reloads_are_told() {
        let metrics = Arc::new(Metrics::default());
        metrics.reloads.took_effect(SystemTime::UNIX_EPOCH + Duration::from_secs(7), true);
        metrics.reloads.failed();
        let text = metrics.encode(Format::Text);
        for line in [
            "scopegate_config_reloads_total{result=\"ok\"} 1",
            "scopegate_config_reloads_total{result=\"failed\"} 1",
            "scopegate_config_last_reload_successful 0",
            "scopegate_config_last_reload_success_timestamp_seconds 7",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
