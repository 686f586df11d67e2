//! A running server: starts it, and applies a changed configuration to it.

use super::descriptors;
use super::ended::Ended;
use super::files;
use super::health::Readiness;
use super::inherited::Inherited;
use super::listening::{Change, Listening};
use super::probe::Prober;
use super::sessions::Sessions;
use super::tls_files;
use super::worker::{self, Workers};
use crate::authenticate::attempts::AttemptLimits;
use crate::authenticate::authenticator::Authenticator;
use crate::authenticate::jwt::Issuers;
use crate::authenticate::lasting::Lasting;
use crate::authenticate::verifiers::Verifiers;
use crate::bounds::memory::MemoryBudget;
use crate::bounds::part_budget::PartBudget;
use crate::bounds::places::{Places, Size};
use crate::config::Config;
use crate::identify::client::ListenerRegistry;
use crate::net::connect::Connector;
use crate::net::wall_clock::WallClock;
use crate::proxy::generation::{Generation, ListenerTable, Shared, Site, SiteTable};
use crate::store::nodes::NodeBoard;
use crate::telemetry::log;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::traces::Tracer;
use arc_swap::ArcSwap;
use http1::read_budget;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// The time that the process waits at its end for spans to be sent.
const TRACES: Duration = Duration::from_secs(2);

/// A running server.
pub(super) struct Running {
    config: Config,
    workers_wanted: usize,
    shared: Arc<Shared>,
    sessions: Sessions,
    listening: Listening,
    workers: Workers,
    ready: Arc<Readiness>,
    lasting: Arc<Lasting>,
}

impl Running {
    /// Starts serving. Sessions are refreshed on the runtime that this is called on.
    pub(super) fn start(
        config: Config,
        workers_wanted: usize,
        change: Change,
        stopping: &watch::Receiver<bool>,
    ) -> io::Result<Self> {
        let metrics = Arc::new(Metrics::default());
        let sessions = Sessions::new(&config, &metrics)?;
        let sites = sessions.begin(&config, &metrics)?;
        let nodes = Arc::new(NodeBoard::new(&config.upstream.endpoints, Instant::now()));
        metrics.show_nodes(&nodes);
        let prober = Prober::new(config.upstream.servers(), &nodes)?;
        tokio::spawn(Arc::clone(&prober).run_until(stopping.clone()));
        let lasting = Arc::new(Lasting::new(AttemptLimits::of(&config.limits), workers_wanted)?);
        let verifiers = Verifiers::new(&config.users, &config.tokens, Arc::clone(&lasting), None);
        let issuers = Issuers::start(&config.jwt, None, WallClock::SYSTEM);
        let verifiers = verifiers.map_err(io::Error::other)?.with_issuers(issuers);
        let tracer = Tracer::follow(config.traces.as_ref(), None, &metrics.traces)?;
        let generation = generation(&config, sites, nodes, (&change.registry, verifiers), tracer, None);
        show_files(&config, &generation.authenticator, &metrics);
        tls_files::show(&generation, &metrics.tls);
        tls_files::warn(&generation, WallClock::SYSTEM.now());
        metrics.reloads.took_effect(WallClock::SYSTEM.now(), false);
        let generation = ArcSwap::from_pointee(generation);
        let limits = &config.limits;
        let buffers = Arc::new(PartBudget::new(limits.upload_buffer, limits.queue_per_mapping));
        let memory = MemoryBudget::of(limits);
        read_budget::set_limit(limits.read_memory());
        metrics.show_memory(limits.memory, &memory, &buffers);
        let (tls_changes, clock) = (watch::Sender::default(), WallClock::SYSTEM);
        let shared = Arc::new(Shared { generation, metrics, buffers, memory, tls_changes, clock });
        let ready = Readiness::new(Arc::clone(&shared), prober, stopping.clone());
        tokio::spawn(files::follow(Arc::clone(&shared)));
        let workers = worker::start(workers_wanted, &shared, stopping)?;
        let listening = Listening::default();
        let mut running =
            Self { config, workers_wanted, shared, sessions, listening, workers, ready, lasting };
        running.change_listeners(change);
        Ok(running)
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn ready(&self) -> &Arc<Readiness> {
        &self.ready
    }

    /// Puts a configuration into effect for requests that begin from now on.
    ///
    /// # Errors
    /// Lists everything that prevents the reload. Nothing has changed then.
    pub(super) fn reload(&mut self, mut config: Config) -> Result<(), Vec<String>> {
        let mut errors = self.unchangeable(&config);
        for (endpoint, tls) in config.endpoints() {
            if let Err(error) = Connector::new(endpoint.clone(), config.limits.connect_timeout, tls) {
                errors.push(error.to_string());
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        // New content of the same files takes effect whether the rest does or not, as it does without a reload.
        config.succeed_tls(&self.config);
        let mut nothing = Inherited::default();
        let change = self.listening.plan(&config.listeners, self.workers_wanted, &mut nothing)?;
        let before = self.shared.generation.load_full();
        let endpoints = &config.upstream.endpoints;
        let nodes = if before.upstream.endpoints == *endpoints {
            Arc::clone(&before.nodes)
        } else {
            Arc::new(NodeBoard::new(endpoints, Instant::now()))
        };
        let prober =
            Prober::new(config.upstream.servers(), &nodes).map_err(|error| vec![error.to_string()])?;
        let sites = self.sessions.follow(&config, (&self.config, &before.sites), &self.shared.metrics);
        let sites = sites.map_err(|error| vec![error.to_string()])?;
        let verified_before = before.authenticator.verifiers();
        let lasting = Arc::clone(&self.lasting);
        let verifiers = Verifiers::new(&config.users, &config.tokens, lasting, verified_before);
        let issuers = verified_before.map(Verifiers::issuers);
        let issuers = Issuers::start(&config.jwt, issuers.map(|issuers| &**issuers), WallClock::SYSTEM);
        let verifiers = verifiers.map_err(|error| vec![error])?.with_issuers(issuers);
        let tracer =
            Tracer::follow(config.traces.as_ref(), before.tracer.as_ref(), &self.shared.metrics.traces);
        let tracer = tracer.map_err(|error| vec![error.to_string()])?;
        change.regrant().map_err(|error| vec![error.to_string()])?;
        // Nothing fails from here on.
        self.ready.prober().follow(&prober);
        self.shared.metrics.show_nodes(&nodes);
        let kept = kept(&before.sites, &sites);
        let opened = sites.iter().flat_map(|site| site.sessions.opened());
        let renewed = opened.filter(|(_, slot)| slot.is_inheriting()).count();
        self.lasting.attempts.set_limits(AttemptLimits::of(&config.limits));
        let next =
            Arc::new(generation(&config, sites, nodes, (&change.registry, verifiers), tracer, Some(&before)));
        show_files(&config, &next.authenticator, &self.shared.metrics);
        tls_files::show(&next, &self.shared.metrics.tls);
        tls_files::warn(&next, self.shared.clock.now());
        self.shared.generation.store(Arc::clone(&next));
        self.shared.tls_changes.send_replace(());
        before.authenticator.give_way_to(&next.authenticator);
        drop((before, next));
        log::set_level(config.log.level);
        if config.limits.connections > self.config.limits.connections {
            descriptors::raise(config.limits.connections);
        }
        self.config = config;
        self.change_listeners(change);
        self.workers.adopt();
        let mappings = self.config.mappings.len();
        tracing::info!(mappings, sessions_kept = kept, sessions_to_renew = renewed, "configuration reloaded");
        Ok(())
    }

    /// Returns a message for each changed setting that only a restart can change.
    fn unchangeable(&self, config: &Config) -> Vec<String> {
        let admin = |config: &Config| config.admin.as_ref().map(|admin| admin.address);
        let cases = [
            ("[admin] address", admin(&self.config) != admin(config)),
            ("limits.workers", self.config.workers != config.workers),
            ("limits.memory", self.config.limits.memory != config.limits.memory),
            ("limits.upload_buffer", self.config.limits.upload_buffer != config.limits.upload_buffer),
            ("log.format", self.config.log.format != config.log.format),
        ];
        cases
            .into_iter()
            .filter(|(_, changed)| *changed)
            .map(|(what, _)| format!("{what} was changed, which needs a restart"))
            .collect()
    }

    fn change_listeners(&mut self, change: Change) {
        let (opened, closed) = self.listening.commit(change);
        for (number, listener, bound) in opened {
            tracing::info!(name = %bound.name(), address = %bound.address(), "listening");
            self.workers.accept(number, &listener, bound);
        }
        for number in closed {
            self.workers.close(number);
        }
    }

    /// Waits until running requests have finished. The workers were told to stop before.
    pub(super) async fn finish(self) -> Ended {
        let drain = self.config.limits.drain_timeout;
        let ended = self.workers.join(drain).await;
        self.listening.clean_up();
        let tracer = self.shared.generation.load().tracer.clone();
        if let Some(tracer) = tracer {
            tracer.flush(TRACES).await;
        }
        ended
    }
}

/// Counts the open sessions that are those of the same mapping before.
fn kept(before: &SiteTable, sites: &[Arc<Site>]) -> usize {
    let before: HashMap<&str, &Arc<Site>> = before.iter().map(|site| (&*site.mapping.name, site)).collect();
    let kept = |site: &Arc<Site>| {
        before.get(&*site.mapping.name).map_or(0, |before| before.sessions.shared_with(&site.sessions))
    };
    sites.iter().map(kept).sum()
}

fn show_files(config: &Config, authenticator: &Authenticator, metrics: &Metrics) {
    let Some(verifiers) = authenticator.verifiers() else { return };
    metrics.show_issuers(verifiers.issuers());
    let files = authenticator.files();
    let of_tls = config.tls().filter(|(_, tls)| tls.files().next().is_some()).map(|(name, _)| name);
    metrics.credentials.follow(verifiers.tokens(), files.iter().map(|file| file.name).chain(of_tls));
}

fn generation(
    config: &Config,
    sites: Vec<Arc<Site>>,
    nodes: Arc<NodeBoard>,
    (registry, verifiers): (&ListenerRegistry, Verifiers),
    tracer: Option<Arc<Tracer>>,
    before: Option<&Generation>,
) -> Generation {
    let none = ListenerTable::default();
    let listeners = before.map_or(&none, |before| &before.listeners);
    let matchers = config.mappings.iter().map(|mapping| &*mapping.client);
    Generation {
        authenticator: Authenticator::new(matchers, registry, |name| config.certificates_at(name))
            .verifying(verifiers)
            .with_keys(Arc::clone(&config.keys)),
        sites: SiteTable::new(sites, registry),
        listeners: ListenerTable::new(&config.listeners, registry, listeners),
        admin_hosts: config.admin.as_ref().map(|admin| admin.hosts.clone()).unwrap_or_default(),
        upstream: config.upstream.clone(),
        sts_tls: config.issuer.tls.clone(),
        nodes,
        limits: config.limits.clone(),
        handshakes: handshakes(config.limits.handshakes, before),
        access_log: config.log.lines(),
        tracer,
        traces_tls: config.traces.as_ref().map(|traces| traces.collector.tls.clone()),
    }
}

/// Returns the places for TLS handshakes: those before if their number is the same.
fn handshakes(places: usize, before: Option<&Generation>) -> Arc<Places> {
    match before.filter(|before| before.limits.handshakes == places) {
        Some(before) => Arc::clone(&before.handshakes),
        None => Places::new(Size { places, grouped: false, queue: 0 }),
    }
}
