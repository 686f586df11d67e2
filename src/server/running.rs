//! A running server, and what a changed configuration does to it.

use super::health::Readiness;
use super::inherited::Inherited;
use super::listening::{Change, Listening};
use super::probe::Prober;
use super::sessions::Sessions;
use super::worker::{self, Workers};
use super::{Ended, descriptors};
use crate::browser::AllowedHosts;
use crate::client::ListenerId;
use crate::config::{Config, Listener};
use crate::connect::Connector;
use crate::generation::{Generation, MappingState, Shared};
use crate::limits::part_budget::PartBudget;
use crate::log;
use crate::memory::{MemoryBudget, reads};
use crate::metrics::Metrics;
use crate::nodes::NodeBoard;
use crate::session_table::Clock;
use arc_swap::ArcSwap;
use std::io;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::Instant;

/// A server that serves.
pub(super) struct Running {
    config: Config,
    workers_wanted: usize,
    shared: Arc<Shared>,
    sessions: Sessions,
    listening: Listening,
    workers: Workers,
    ready: Arc<Readiness>,
}

impl Running {
    /// Begins to serve. On the runtime that this is called in, sessions are kept.
    pub(super) fn start(
        config: Config,
        workers_wanted: usize,
        change: Change,
        stopping: &watch::Receiver<bool>,
    ) -> io::Result<Self> {
        let metrics = Arc::new(Metrics::default());
        let sessions = Sessions::new(&config, &metrics)?;
        let states = sessions.begin(&config, &metrics);
        let nodes = Arc::new(NodeBoard::new(&config.upstream.endpoints, Instant::now()));
        metrics.show_nodes(&nodes);
        let prober = Prober::new(&config.upstream.endpoints, &nodes)?;
        tokio::spawn(Arc::clone(&prober).run_until(stopping.clone()));
        let generation = generation(&config, states, nodes, &change.ids);
        metrics.reloads.took_effect(Clock::SYSTEM.now(), false);
        let generation = ArcSwap::from_pointee(generation);
        let limits = &config.limits;
        let buffers = Arc::new(PartBudget::new(limits.upload_buffer, limits.queue_per_mapping));
        let memory = MemoryBudget::of(limits);
        reads::set_limit(limits.read_memory());
        metrics.show_memory(limits.memory, &memory, &buffers);
        let shared = Arc::new(Shared { generation, metrics, buffers, memory, clock: Clock::SYSTEM });
        let ready = Readiness::new(Arc::clone(&shared), prober, stopping.clone());
        let workers = worker::start(workers_wanted, &shared, stopping)?;
        let listening = Listening::default();
        let mut running = Self { config, workers_wanted, shared, sessions, listening, workers, ready };
        running.change_listeners(change);
        Ok(running)
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn ready(&self) -> &Arc<Readiness> {
        &self.ready
    }

    /// Puts another configuration into effect for the requests that begin from now on.
    ///
    /// # Errors
    /// Everything that is in its way; nothing is changed then.
    pub(super) fn reload(&mut self, config: Config) -> Result<(), Vec<String>> {
        let mut errors = self.unchangeable(&config);
        for endpoint in config.endpoints() {
            if let Err(error) = Connector::new(endpoint.clone(), config.limits.connect_timeout) {
                errors.push(error.to_string());
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut nothing = Inherited::default();
        let change = self.listening.plan(&config.listeners, self.workers_wanted, &mut nothing)?;
        let before = self.shared.generation.load_full();
        let endpoints = &config.upstream.endpoints;
        let nodes = if before.upstream.endpoints == *endpoints {
            Arc::clone(&before.nodes)
        } else {
            Arc::new(NodeBoard::new(endpoints, Instant::now()))
        };
        self.ready.prober().follow(endpoints, &nodes).map_err(|error| vec![error.to_string()])?;
        let states = self.sessions.follow(&config, (&self.config, &before), &self.shared.metrics);
        let states = states.map_err(|error| vec![error.to_string()])?;
        self.shared.metrics.show_nodes(&nodes);
        let kept = states.iter().filter(|state| before.states.iter().any(|old| same(old, state))).count();
        let renewed = states.iter().filter(|state| state.session.slot().is_inheriting()).count();
        let next = generation(&config, states, nodes, &change.ids);
        self.shared.generation.store(Arc::new(next));
        drop(before);
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

    /// What only a restart can change, as far as it was changed.
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
        for (number, id, bound) in opened {
            tracing::info!(name = %bound.name(), address = %bound.address(), "listening");
            self.workers.accept(number, id, bound);
        }
        for number in closed {
            self.workers.close(number);
        }
    }

    /// Finishes what runs. The workers have been told before.
    pub(super) async fn finish(self) -> Ended {
        let drain = self.config.limits.drain_timeout;
        let ended = self.workers.join(drain).await;
        self.listening.clean_up();
        ended
    }
}

fn same(one: &MappingState, other: &MappingState) -> bool {
    one.session.is(&other.session)
}

/// `ids` are those of the configuration's listeners, in their order.
fn generation(
    config: &Config,
    states: Vec<MappingState>,
    nodes: Arc<NodeBoard>,
    ids: &[ListenerId],
) -> Generation {
    let mut mappings = config.mappings.clone();
    for mapping in &mut mappings {
        // One that is not there would be nobody's, never everybody's.
        let id = |place: ListenerId| ids.get(place.0).copied().unwrap_or(ListenerId(usize::MAX));
        mapping.client.listener = mapping.client.listener.map(id);
    }
    let mut listeners = Vec::new();
    for (id, listener) in ids.iter().zip(&config.listeners) {
        listeners.resize_with(listeners.len().max(id.0 + 1), || None);
        if let Some(place) = listeners.get_mut(id.0) {
            *place = Some(listener.clone());
        }
    }
    let hosts = |listener: &Option<Listener>| listener.as_ref().map(AllowedHosts::of).unwrap_or_default();
    let admin_hosts = config.admin.as_ref().map(|admin| admin.hosts.clone()).unwrap_or_default();
    Generation {
        mappings,
        states,
        hosts: listeners.iter().map(hosts).collect(),
        admin_hosts: AllowedHosts::new(admin_hosts, None),
        listeners,
        upstream: config.upstream.clone(),
        nodes,
        limits: config.limits.clone(),
        access_log: config.log.access,
    }
}
