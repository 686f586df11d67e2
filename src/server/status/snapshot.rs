//! The content of the status page: what the process is doing now, as data.
//!
//! It names no secret, no token, no access key and no path of a request.

use super::history::{Chart, Charts, INTERVAL};
use super::sessions::{self, Session};
use super::units::{Seconds, Size};
use crate::authenticate::verifiers::Verifiers;
use crate::proxy::generation::{Generation, Shared, Site};
use crate::sigv4::amz_date::rfc3339;
use crate::telemetry::metrics::Totals;
use crate::telemetry::refused::Refused;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// The state of the process. Times are in UTC, written as in RFC 3339.
#[derive(Debug, Serialize)]
pub(super) struct Snapshot {
    /// The version of Scopegate.
    pub version: &'static str,
    /// The time at which this was true.
    pub now: String,
    /// The time since the start.
    pub uptime_seconds: Seconds,
    /// Whether `/readyz` answers with 200.
    pub ready: bool,
    /// The reasons why not.
    pub obstacles: Vec<String>,
    /// What needs attention and does not make it unready.
    pub notes: Vec<String>,
    /// The configuration in effect.
    pub configuration: Configuration,
    /// All requests together.
    pub traffic: Traffic,
    /// The mappings, in the order of the configuration.
    pub mappings: Vec<Mapping>,
    /// The nodes of the store.
    pub nodes: Vec<Node>,
    /// The listeners.
    pub listeners: Vec<Listener>,
    /// The certificates that the store, STS and the collector of traces are shown.
    pub client_certificates: Vec<ClientCertificate>,
    /// The keys of JWT issuers.
    pub key_sets: Vec<KeySet>,
    /// The last refused requests, the newest first.
    pub refusals: Vec<Refusal>,
}

/// The configuration in effect.
#[derive(Debug, Serialize)]
pub(super) struct Configuration {
    /// 1 for that of the start. Each reload adds one.
    pub generation: u64,
    /// The time at which it took effect.
    pub in_effect_since: String,
    /// The time at which a newer one was rejected. `None` if none was.
    pub rejected_at: Option<String>,
    /// The reloads that were rejected since the start.
    pub rejected_reloads: u64,
}

/// The requests of the last minutes.
#[derive(Debug, Serialize)]
pub(super) struct Recent {
    /// The length of an interval.
    pub interval_seconds: u64,
    /// Requests per interval, the oldest first.
    pub requests: Vec<u64>,
    /// Refused requests per interval.
    pub refused: Vec<u64>,
    /// Refused requests by rule, of all intervals together.
    pub refused_by_rule: BTreeMap<&'static str, u64>,
}

/// All requests together.
#[derive(Debug, Serialize)]
pub(super) struct Traffic {
    /// Requests that run now.
    pub in_flight: u64,
    /// Requests that wait for admission now.
    pub queued: usize,
    /// Open connections of clients.
    pub connections: usize,
    /// The last minutes.
    pub recent: Recent,
}

/// A mapping.
#[derive(Debug, Serialize)]
pub(super) struct Mapping {
    /// Its name in the configuration.
    pub name: Box<str>,
    /// Requests since the start.
    pub requests: u64,
    /// Bytes of request bodies since the start.
    pub received_bytes: Size,
    /// Bytes of response bodies since the start.
    pub sent_bytes: Size,
    /// Requests that run now.
    pub running: usize,
    /// Requests that wait for admission now.
    pub queued: usize,
    /// The sessions that are kept now, with those of identities that have prefixes of their own.
    pub open_sessions: usize,
    /// The sessions that were opened.
    pub sessions: Vec<Session>,
    /// The last minutes.
    pub recent: Recent,
}

/// A node of the store.
#[derive(Debug, Serialize)]
pub(super) struct Node {
    /// Its host and port.
    pub name: String,
    /// Whether it answered the last check.
    pub is_up: bool,
    /// The time since the last check.
    pub checked_seconds_ago: Option<Seconds>,
    /// The time in which it answered.
    pub answered_in_milliseconds: Option<f64>,
    /// The workers that send it no requests now.
    pub ejecting_workers: u64,
    /// How often a worker stopped sending it requests.
    pub ejections: u64,
    /// Requests since the start.
    pub requests: u64,
}

/// A listener.
#[derive(Debug, Serialize)]
pub(super) struct Listener {
    /// Its name in the configuration.
    pub name: String,
    /// Its address in the configuration.
    pub address: String,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// Its certificates.
    pub certificates: Vec<File>,
    /// Its revocation lists.
    pub revocation_lists: Vec<File>,
}

/// A file that is good for some time.
#[derive(Debug, Serialize)]
pub(super) struct File {
    /// Its path.
    pub path: String,
    /// The end of its time.
    pub expires: String,
    /// The days until then, negative after it.
    pub days_left: i64,
}

/// A certificate that a server is shown.
#[derive(Debug, Serialize)]
pub(super) struct ClientCertificate {
    /// The section of the configuration that names it.
    pub section: &'static str,
    /// Its file.
    #[serde(flatten)]
    pub file: File,
}

/// The keys of a JWT issuer.
#[derive(Debug, Serialize)]
pub(super) struct KeySet {
    /// The issuer's name in the configuration.
    pub issuer: Box<str>,
    /// Whether tokens can be verified.
    pub is_usable: bool,
    /// The time since they were read.
    pub age_seconds: Option<Seconds>,
    /// The time until which they are used if they cannot be read again.
    pub usable_until: Option<String>,
    /// The error of the last attempt to read them, if it failed.
    pub error: Option<String>,
}

/// A refused request.
#[derive(Debug, Serialize)]
pub(super) struct Refusal {
    /// Its time.
    pub at: String,
    /// Its id, as in the response and in the access log.
    pub request_id: String,
    /// The rule that refused it.
    pub rule: &'static str,
    /// The status of the response.
    pub status: u16,
    /// The client's mapping.
    pub mapping: Option<Box<str>>,
    /// The client's address, or the listener of a unix socket.
    pub client: String,
    /// The method.
    pub method: String,
    /// The operation.
    pub operation: Option<&'static str>,
}

/// What the snapshot is made of, besides the shared state.
pub(super) struct Observed {
    pub now: SystemTime,
    pub uptime: Duration,
    pub obstacles: Vec<String>,
    pub notes: Vec<String>,
    pub charts: Charts,
}

impl Snapshot {
    /// Takes a snapshot.
    pub(super) fn take(shared: &Shared, observed: Observed) -> Self {
        let Observed { now, uptime, obstacles, notes, mut charts } = observed;
        let generation = shared.generation.load();
        let totals = shared.metrics.totals();
        let mut mapping = |site: &Site| {
            let row = site.row.index();
            Mapping::of(site, totals.get(row), charts.take(row), now)
        };
        let mappings = generation.sites.iter().map(|site| mapping(site)).collect();
        let (ok, rejected) = shared.metrics.reloads.counts();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            now: rfc3339(now),
            uptime_seconds: Seconds(uptime.as_secs()),
            ready: obstacles.is_empty(),
            obstacles,
            notes,
            configuration: Configuration {
                generation: 1 + ok,
                in_effect_since: rfc3339(shared.metrics.reloads.last_success()),
                rejected_at: shared.metrics.reloads.rejected().map(|rejected| rfc3339(rejected.at)),
                rejected_reloads: rejected,
            },
            traffic: Traffic {
                in_flight: shared.metrics.in_flight(),
                queued: totals.iter().map(|totals| totals.queued).sum(),
                connections: shared.metrics.connections.open(),
                recent: Recent::of(std::mem::take(&mut charts.all)),
            },
            mappings,
            nodes: nodes(&generation),
            listeners: listeners(shared, &generation, now),
            client_certificates: client_certificates(shared, now),
            key_sets: key_sets(&generation, now),
            refusals: shared.metrics.last_refused.newest_first().into_iter().map(Refusal::of).collect(),
        }
    }
}

impl Recent {
    fn of(chart: Chart) -> Self {
        let Chart { requests, refused, by_rule } = chart;
        let refused_by_rule = by_rule.into_iter().map(|(rule, count)| (rule.name(), count)).collect();
        Self { interval_seconds: INTERVAL.as_secs(), requests, refused, refused_by_rule }
    }
}

impl Mapping {
    fn of(site: &Site, totals: Option<&Totals>, chart: Chart, now: SystemTime) -> Self {
        let none = Totals::default();
        let totals = totals.unwrap_or(&none);
        Self {
            name: site.mapping.name.clone(),
            requests: totals.requests,
            received_bytes: Size(totals.received),
            sent_bytes: Size(totals.sent),
            running: totals.running,
            queued: totals.queued,
            open_sessions: totals.sessions,
            sessions: sessions::of_site(site, now),
            recent: Recent::of(chart),
        }
    }
}

impl Refusal {
    fn of(refused: Refused) -> Self {
        let Refused { at, id, rule, status, mapping, client, listener, method, operation } = refused;
        Self {
            at: rfc3339(at),
            request_id: id.as_str().to_owned(),
            rule: rule.name(),
            status,
            mapping,
            client: client.map_or_else(|| format!("unix socket of {listener}"), |client| client.to_string()),
            method: method.as_str().to_owned(),
            operation: operation.map(crate::s3::operation::Operation::name),
        }
    }
}

fn nodes(generation: &Generation) -> Vec<Node> {
    let board = &generation.nodes;
    let node = |(index, facts): (usize, &crate::store::nodes::NodeFacts)| {
        let index = crate::net::endpoint::NodeIndex(index);
        Node {
            name: facts.name().to_owned(),
            is_up: board.is_up(index),
            checked_seconds_ago: board
                .last_check(index)
                .map(|check| Seconds(check.began.elapsed().as_secs())),
            answered_in_milliseconds: facts.latency().map(|time| time.as_secs_f64() * 1e3),
            ejecting_workers: facts.ejecting_workers(),
            ejections: facts.ejections(),
            requests: facts.requests(),
        }
    };
    board.nodes().iter().enumerate().map(node).collect()
}

fn listeners(shared: &Shared, generation: &Generation, now: SystemTime) -> Vec<Listener> {
    let files = |files: &[(String, SystemTime)]| files.iter().map(|file| File::of(file, now)).collect();
    let listener = |listener: &crate::config::Listener| {
        let (certificates, revocation_lists) = shared
            .metrics
            .tls
            .files_of(&listener.name, |shown| (files(&shown.certificates), files(&shown.revocations)))
            .unwrap_or_default();
        Listener {
            name: listener.name.to_string(),
            address: listener.address.to_string(),
            tls: listener.tls.is_some(),
            certificates,
            revocation_lists,
        }
    };
    generation.listeners.iter().map(listener).collect()
}

impl File {
    fn of((file, expires): &(String, SystemTime), now: SystemTime) -> Self {
        let days = |time: Duration| i64::try_from(time.as_secs() / 86_400).unwrap_or(i64::MAX);
        let days_left = expires.duration_since(now).map_or_else(|past| -days(past.duration()) - 1, days);
        Self { path: file.clone(), expires: rfc3339(*expires), days_left }
    }
}

fn client_certificates(shared: &Shared, now: SystemTime) -> Vec<ClientCertificate> {
    let certificates = shared.metrics.tls.client_certificates().into_iter();
    certificates.map(|(section, file)| ClientCertificate { section, file: File::of(&file, now) }).collect()
}

fn key_sets(generation: &Generation, now: SystemTime) -> Vec<KeySet> {
    let issuers = generation.authenticator.verifiers().map(Verifiers::issuers);
    let statuses = issuers.into_iter().flat_map(|issuers| issuers.statuses(now));
    statuses
        .map(|status| KeySet {
            issuer: status.name,
            is_usable: status.is_usable,
            age_seconds: status.age.map(|age| Seconds(age.as_secs())),
            usable_until: status.usable_until.map(rfc3339),
            error: status.error.map(|error| crate::net::terminal::plain(&error).into_owned()),
        })
        .collect()
}
