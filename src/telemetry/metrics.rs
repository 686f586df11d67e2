//! The metrics: counts of everything that Scopegate does, for Prometheus.

mod credentials;
mod encode;
mod encode_issuers;
mod encode_memory;
mod encode_nodes;
mod encode_traces;
mod exposition;
mod histogram;
mod http2_counts;
mod process;
mod proxy_headers;
mod reloads;
mod samples;
mod tls;
mod totals;

pub(crate) use exposition::Format;
pub(crate) use proxy_headers::{HeaderCounts, HeaderFailure};
pub(crate) use reloads::Reloads;
pub(crate) use tls::{ListenerFiles, TlsFacts};
pub(crate) use totals::Totals;

use crate::authenticate::counts::AuthenticationCounts;
use crate::authenticate::jwt::Issuers;
use crate::authorize::operations::TABLE;
use crate::bounds::admission::Admission;
use crate::bounds::connections::Connections;
use crate::bounds::memory::MemoryBudget;
use crate::bounds::part_budget::PartBudget;
use crate::bounds::streams::Streams;
use crate::outgoing::continuation;
use crate::refusal::Rule;
use crate::s3::operation::Operation;
use crate::sessions::table::{MintCounts, Sessions};
use crate::store::nodes::NodeBoard;
use crate::telemetry::refused::LastRefused;
use crate::telemetry::traces::TraceCounts;
use arc_swap::{ArcSwap, Guard};
use credentials::CredentialFacts;
use encode::MetricsCollector;
use histogram::Histogram;
use http::StatusCode;
use http2_counts::Http2Counts;
use process::ProcessCollector;
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

/// The label for requests without a mapping or operation.
const NONE: &str = "-";
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];
const OPERATIONS: usize = TABLE.len() + Operation::OWN.len() + 1;
const RULES: usize = Rule::ALL.len();

/// The cause of a response that ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CutBy {
    /// The client disconnected.
    Client,
    /// The store broke off.
    Store,
    /// The server stopped, and `drain_timeout` ran out.
    Shutdown,
}

impl CutBy {
    /// All causes.
    pub(crate) const ALL: [Self; 3] = [Self::Client, Self::Store, Self::Shutdown];

    /// Returns the name in metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Store => "store",
            Self::Shutdown => "shutdown",
        }
    }

    /// Returns the description in the log.
    pub(crate) const fn why(self) -> &'static str {
        match self {
            Self::Client => "the client disconnected",
            Self::Store => "the store broke off",
            Self::Shutdown => "cut off by the shutdown: limits.drain_timeout ran out",
        }
    }
}

/// The outcome of a request.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The mapping's row.
    pub mapping: Option<Row>,
    /// The granted operation.
    pub operation: Option<Operation>,
    /// The response's status; `None` if the client left before.
    pub status: Option<StatusCode>,
    /// The rule that refused the request.
    pub rule: Option<Rule>,
    /// The cause, if the response ended early.
    pub cut: Option<CutBy>,
    /// Bytes of the request body that were forwarded.
    pub received: u64,
    /// Bytes of the response body that were forwarded.
    pub sent: u64,
    /// Time spent waiting for admission.
    pub queued: Duration,
    /// Time until the head of the response was known.
    pub first_byte: Option<Duration>,
    /// Time until the response was complete.
    pub total: Duration,
}

/// The index of a mapping's counts. A name keeps its row while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row(usize);

impl Row {
    /// Returns the index.
    pub(crate) fn index(self) -> usize {
        self.0
    }
}

/// The names of all mappings. It lends them, and is held for a moment only.
pub(crate) struct MappingNames(Guard<Arc<Vec<Arc<Counts>>>>);

impl MappingNames {
    /// Returns the name of a mapping.
    pub(crate) fn of(&self, row: Row) -> &str {
        self.0.get(row.0).map_or(NONE, |counts| &*counts.name)
    }
}

/// All counts of a process, as independent atomics without locks.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// The first row is for requests without a mapping, the others for every name that a mapping ever had. Rows are
    /// never removed.
    rows: ArcSwap<Vec<Arc<Counts>>>,
    /// The nodes of the current configuration.
    nodes: ArcSwap<NodeBoard>,
    in_flight: AtomicU64,
    /// Client connections.
    pub connections: Connections,
    /// TLS handshakes, and the files of listeners.
    pub tls: TlsFacts,
    /// Streams of HTTP/2.
    pub streams: Streams,
    /// Events of HTTP/2.
    pub http2: Http2Counts,
    /// The last refused requests.
    pub last_refused: LastRefused,
    /// Connections that ended because of their PROXY header.
    pub proxy_headers: HeaderCounts,
    /// The issuers of JWTs of the current configuration.
    issuers: ArcSwap<Issuers>,
    /// Requests with credentials.
    pub authentications: AuthenticationCounts,
    /// Tokens, and the files that declare credentials.
    pub credentials: CredentialFacts,
    /// Reloads of the configuration.
    pub reloads: Reloads,
    /// The issuer, as STS sees it.
    pub issuer: IssuerFacts,
    /// The server is stopping and cuts off running requests.
    cutting: AtomicBool,
    cut: [AtomicU64; CutBy::ALL.len()],
    memory: OnceLock<Memory>,
    replays: Arc<AtomicU64>,
    /// Spans of traced requests.
    pub traces: Arc<TraceCounts>,
    continuations: [AtomicU64; continuation::Outcome::ALL.len()],
}

/// Facts about the issuer.
#[derive(Debug, Default)]
pub(crate) struct IssuerFacts {
    refused: AtomicBool,
}

impl IssuerFacts {
    /// Records whether STS refuses the issuer.
    pub(crate) fn set_refused(&self, refused: bool) {
        self.refused.store(refused, Ordering::Relaxed);
    }

    /// Returns whether STS refuses the issuer.
    pub(crate) fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }
}

/// The counts of one mapping.
#[derive(Debug)]
struct Counts {
    name: Box<str>,
    requests: Counters<{ OPERATIONS * CLASSES.len() }>,
    refusals: Counters<RULES>,
    received: AtomicU64,
    sent: AtomicU64,
    durations: Histogram,
    first_bytes: Histogram,
    queue_waits: Histogram,
    mints: Arc<MintCounts>,
    sessions: ArcSwap<Weak<Sessions>>,
    admission: ArcSwap<Weak<Admission>>,
    identities: ArcSwap<Weak<IdentityCounts>>,
}

/// Counts of the identities of a mapping that gives each its own prefix.
#[derive(Debug, Default)]
pub(crate) struct IdentityCounts {
    live: AtomicUsize,
    dropped: AtomicU64,
}

impl IdentityCounts {
    /// Sets the number of identities with sessions.
    pub(crate) fn set_live(&self, count: usize) {
        self.live.store(count, Ordering::Relaxed);
    }

    /// Counts an identity whose sessions were dropped because it was idle.
    pub(crate) fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Makes the counts of a new configuration, which continue these.
    #[must_use]
    pub(crate) fn continued(&self) -> Self {
        Self { live: AtomicUsize::new(0), dropped: AtomicU64::new(self.dropped.load(Ordering::Relaxed)) }
    }
}

/// Counters of one mapping, which take no room before the first is used: with 10,000 mappings most are idle.
#[derive(Debug, Default)]
struct Counters<const N: usize>(OnceLock<Box<[AtomicU64]>>);

impl<const N: usize> Counters<N> {
    fn count(&self, at: usize) {
        let zeros = || std::iter::repeat_with(AtomicU64::default).take(N).collect();
        add(self.0.get_or_init(zeros), at, 1);
    }

    /// Returns all counters, or none if none was used.
    fn all(&self) -> &[AtomicU64] {
        self.0.get().map_or(&[], |counts| counts)
    }
}

impl Counts {
    fn new(name: &str) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            requests: Counters::default(),
            refusals: Counters::default(),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            durations: Histogram::default(),
            first_bytes: Histogram::default(),
            queue_waits: Histogram::default(),
            mints: Arc::default(),
            sessions: ArcSwap::from_pointee(Weak::new()),
            admission: ArcSwap::from_pointee(Weak::new()),
            identities: ArcSwap::from_pointee(Weak::new()),
        })
    }
}

impl Counts {
    fn observe(&self, outcome: &Outcome) {
        if outcome.received > 0 {
            self.received.fetch_add(outcome.received, Ordering::Relaxed);
        }
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

/// The memory budgets of clients.
#[derive(Debug)]
struct Memory {
    limit: u64,
    shared: MemoryBudget,
    uploads: Arc<PartBudget>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            rows: ArcSwap::from_pointee(vec![Counts::new(NONE)]),
            nodes: ArcSwap::from_pointee(NodeBoard::new(&[], tokio::time::Instant::now())),
            in_flight: AtomicU64::new(0),
            connections: Connections::default(),
            tls: TlsFacts::default(),
            streams: Streams::default(),
            http2: Http2Counts::default(),
            last_refused: LastRefused::default(),
            proxy_headers: HeaderCounts::default(),
            issuers: ArcSwap::default(),
            authentications: AuthenticationCounts::default(),
            credentials: CredentialFacts::default(),
            reloads: Reloads::default(),
            issuer: IssuerFacts::default(),
            cutting: AtomicBool::new(false),
            cut: Default::default(),
            memory: OnceLock::new(),
            replays: Arc::default(),
            traces: Arc::default(),
            continuations: Default::default(),
        }
    }
}

impl Metrics {
    /// Returns the row of each mapping of these names with its counts of mints. A name that is new gets a new row. One
    /// caller at a time.
    pub(crate) fn rows<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Vec<(Row, Arc<MintCounts>)> {
        let mut rows = Vec::clone(&self.rows.load_full());
        // The first row belongs to no mapping.
        let mut known: HashMap<Box<str>, usize> =
            (1..).zip(rows.iter().skip(1)).map(|(index, row)| (row.name.clone(), index)).collect();
        let mut row = |name: &str| {
            let index = *known.entry(name.into()).or_insert(rows.len());
            if index == rows.len() {
                rows.push(Counts::new(name));
            }
            (Row(index), rows.get(index).map(|row| Arc::clone(&row.mints)).unwrap_or_default())
        };
        let found = names.into_iter().map(&mut row).collect();
        self.rows.store(Arc::new(rows));
        found
    }

    /// Sets the sessions whose expirations a row shows.
    pub(crate) fn show_sessions(&self, row: Row, sessions: &Arc<Sessions>) {
        if let Some(counts) = self.rows.load().get(row.0) {
            counts.sessions.store(Arc::new(Arc::downgrade(sessions)));
        }
    }

    /// Sets the admission whose requests a row shows.
    pub(crate) fn show_admission(&self, row: Row, admission: &Arc<Admission>) {
        if let Some(counts) = self.rows.load().get(row.0) {
            counts.admission.store(Arc::new(Arc::downgrade(admission)));
        }
    }

    /// Sets the identities whose counts a row shows.
    pub(crate) fn show_identities(&self, row: Row, identities: &Arc<IdentityCounts>) {
        if let Some(counts) = self.rows.load().get(row.0) {
            counts.identities.store(Arc::new(Arc::downgrade(identities)));
        }
    }

    /// Shows the keys of these issuers.
    pub(crate) fn show_issuers(&self, issuers: &Arc<Issuers>) {
        self.issuers.store(Arc::clone(issuers));
    }

    /// Sets the nodes to show.
    pub(crate) fn show_nodes(&self, nodes: &Arc<NodeBoard>) {
        self.nodes.store(Arc::clone(nodes));
    }

    /// Sets the memory budgets to show, and their total in bytes.
    pub(crate) fn show_memory(&self, limit: u64, shared: &MemoryBudget, uploads: &Arc<PartBudget>) {
        let _ = self.memory.set(Memory { limit, shared: shared.clone(), uploads: Arc::clone(uploads) });
    }

    /// Returns the names of all mappings.
    pub(crate) fn mapping_names(&self) -> MappingNames {
        MappingNames(self.rows.load())
    }

    /// Returns a mapping's name.
    pub(crate) fn mapping_name(&self, row: Row) -> Box<str> {
        self.mapping_names().of(row).into()
    }

    /// Records the beginning of a request.
    pub(crate) fn in_flight_add(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of requests in progress.
    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Returns the counter of requests that are sent again with a new session.
    pub(crate) fn replays(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.replays)
    }

    /// Records the outcome of continuing a response that broke off.
    pub(crate) fn continued(&self, outcome: continuation::Outcome) {
        add(&self.continuations, outcome as usize, 1);
    }

    /// Records that requests still running are cut off from now on.
    pub(crate) fn cut_off(&self) {
        self.cutting.store(true, Ordering::Relaxed);
    }

    /// Returns whether the server cuts off running requests.
    pub(crate) fn is_cutting(&self) -> bool {
        self.cutting.load(Ordering::Relaxed)
    }

    /// Returns the number of requests that were cut off.
    pub(crate) fn cut_by(&self, by: CutBy) -> u64 {
        self.cut.get(by as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Records the end of a request.
    pub(crate) fn request_over(&self, outcome: &Outcome) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        let operation = outcome.operation.map_or(0, |operation| operation as usize + 1);
        let class = outcome.status.map_or(0, |status| usize::from(status.as_u16() / 100).min(5));
        if let Some(row) = self.rows.load().get(outcome.mapping.map_or(0, |row| row.0)) {
            row.requests.count(operation * CLASSES.len() + class);
            if let Some(rule) = outcome.rule {
                row.refusals.count(rule as usize);
            }
            row.observe(outcome);
        }
        if let Some(by) = outcome.cut {
            add(&self.cut, by as usize, 1);
        }
    }

    /// Encodes all metrics in a text format.
    pub(crate) fn encode(self: &Arc<Self>, format: Format) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(ProcessCollector));
        let own = registry.sub_registry_with_prefix("scopegate");
        own.register_collector(Box::new(MetricsCollector(Arc::clone(self))));
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
    use crate::bounds::admission::Bounds;
    use crate::bounds::limits::Limits;
    use crate::bounds::memory::{Payer, Use};
    use crate::identify::client::ClientKey;
    use crate::net::endpoint::Endpoint;
    use crate::net::endpoint::NodeIndex;
    use std::time::SystemTime;

    #[test]
    fn encodes_recorded_events() {
        let metrics = Arc::new(Metrics::default());
        let endpoints = [Endpoint::parse("http://node:9000").unwrap()];
        let nodes = Arc::new(NodeBoard::new(&endpoints, tokio::time::Instant::now()));
        nodes.requested(NodeIndex(0));
        metrics.show_nodes(&nodes);
        let (row, _) = metrics.rows(["media"]).remove(0);
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
            "scopegate_spliced_bytes_total ",
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
    fn a_mapping_name_keeps_its_row() {
        let metrics = Metrics::default();
        let row = |name| metrics.rows([name]).remove(0);
        let (media, mints) = row("media");
        let (other, _) = row("other");
        let (again, same) = row("media");
        assert_eq!((media, *metrics.mapping_name(other) == *"other"), (again, true));
        assert!(media != other && Arc::ptr_eq(&mints, &same));
        assert_ne!(row(NONE).0, Row(0), "a mapping may be called so, and is not no mapping");
    }

    #[test]
    fn encodes_reloads() {
        let metrics = Arc::new(Metrics::default());
        metrics.reloads.took_effect(SystemTime::UNIX_EPOCH + Duration::from_secs(7), true);
        metrics.reloads.failed(SystemTime::UNIX_EPOCH, vec!["a mistake".to_owned()]);
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
