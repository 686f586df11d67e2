//! A generation: one configuration, and the state built from it. A request uses one generation from beginning to end.
//! A reload replaces it for requests that begin later.

use crate::authenticate::authenticator::Authenticator;
use crate::bounds::limits::Limits;
use crate::bounds::memory::MemoryBudget;
use crate::bounds::part_budget::PartBudget;
use crate::bounds::places::Places;
use crate::config::{Lines, Listener, Upstream};
use crate::identify::browser::AllowedHosts;
use crate::identify::client::{Client, ListenerId, ListenerName, ListenerRegistry};
use crate::identify::matcher::MappingIndex;
use crate::net::connect::FollowedTls;
use crate::net::wall_clock::WallClock;
use crate::proxy::live_tls::LiveTls;
pub(crate) use crate::proxy::site::Site;
use crate::store::nodes::NodeBoard;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::traces::Tracer;
use arc_swap::ArcSwap;
use std::sync::Arc;
use tokio::sync::watch;

/// The state that all worker threads share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The generation for requests that begin now.
    pub generation: ArcSwap<Generation>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The memory for buffered bodies of unknown length.
    pub buffers: Arc<PartBudget>,
    /// The memory for all other data that clients control.
    pub memory: MemoryBudget,
    /// Tells worker threads that the TLS of a listener has changed.
    pub tls_changes: watch::Sender<()>,
    /// The wall clock.
    pub clock: WallClock,
}

/// One configuration, as requests see it.
#[derive(Debug)]
pub(crate) struct Generation {
    /// The mappings with their state.
    pub sites: SiteTable,
    /// The listeners.
    pub listeners: ListenerTable,
    /// Identifies clients.
    pub authenticator: Authenticator,
    /// The hosts that the admin listener accepts.
    pub admin_hosts: AllowedHosts,
    /// The store.
    pub upstream: Upstream,
    /// TLS towards STS.
    pub sts_tls: FollowedTls,
    /// The state of the store's nodes.
    pub nodes: Arc<NodeBoard>,
    /// The limits.
    pub limits: Limits,
    /// The places for TLS handshakes in progress.
    pub handshakes: Arc<Places>,
    /// The log lines of requests, if there are any.
    pub access_log: Option<Lines>,
    /// Decides which requests are traced, if some are.
    pub tracer: Option<Arc<Tracer>>,
    /// TLS towards the collector of traces.
    pub traces_tls: Option<FollowedTls>,
}

impl Generation {
    /// Returns the states of TLS towards servers by the section that configures them. STS may share that of the store.
    pub(crate) fn client_tls(&self) -> impl Iterator<Item = (&'static str, &FollowedTls)> {
        let (store, sts) = (&self.upstream.tls, &self.sts_tls);
        let own = (!sts.is(store)).then_some(("issuer.tls", sts));
        let of_traces = self.traces_tls.as_ref().map(|tls| ("traces.tls", tls));
        [("upstream.tls", store)].into_iter().chain(own).chain(of_traces)
    }
}

/// The sites of a configuration, with the index that finds a client's.
#[derive(Debug)]
pub(crate) struct SiteTable {
    sites: Vec<Arc<Site>>,
    index: MappingIndex,
}

impl SiteTable {
    /// Builds the table. A client gets the first site that admits it.
    pub(crate) fn new(sites: Vec<Arc<Site>>, listeners: &ListenerRegistry) -> Self {
        let index = MappingIndex::new(sites.iter().map(|site| &*site.mapping.client), listeners);
        Self { sites, index }
    }

    /// Returns the first site whose mapping admits `client`.
    pub(crate) fn find(&self, client: &Client<'_>) -> Option<&Arc<Site>> {
        self.sites.get(self.index.find(client)?)
    }

    /// Returns all sites, in the order of the configuration.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Site>> + Clone {
        self.sites.iter()
    }
}

/// The listeners of a configuration by their ids.
#[derive(Debug, Default)]
pub(crate) struct ListenerTable {
    /// `None` at the ids of listeners that this configuration does not have.
    by_id: Vec<Option<Served>>,
}

/// A listener with its state.
#[derive(Debug)]
struct Served {
    listener: Listener,
    tls: Option<Arc<LiveTls>>,
}

impl ListenerTable {
    /// Builds the table of `listeners`, whose ids are those of the registry. What has not changed since `before` is kept.
    pub(crate) fn new(listeners: &[Listener], registry: &ListenerRegistry, before: &Self) -> Self {
        let of = |name: &ListenerName| {
            let listener = listeners.iter().find(|listener| listener.name == *name)?.clone();
            let old = registry.id(name).and_then(|id| before.tls(id));
            let tls = listener.tls.as_ref().map(|tls| LiveTls::following(old, tls));
            Some(Served { listener, tls })
        };
        Self { by_id: registry.names().iter().map(of).collect() }
    }

    /// Returns a listener, unless it was removed from the configuration while connections to it remain.
    pub(crate) fn get(&self, id: ListenerId) -> Option<&Listener> {
        self.by_id.get(id.index())?.as_ref().map(|served| &served.listener)
    }

    /// Returns the TLS of a listener, if it has any.
    pub(crate) fn tls(&self, id: ListenerId) -> Option<&Arc<LiveTls>> {
        self.by_id.get(id.index())?.as_ref()?.tls.as_ref()
    }

    /// Returns the configured listeners.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Listener> {
        self.by_id.iter().flatten().map(|served| &served.listener)
    }

    /// Returns the listeners with TLS.
    pub(crate) fn with_tls(&self) -> impl Iterator<Item = (&Listener, &Arc<LiveTls>)> {
        self.by_id.iter().flatten().filter_map(|served| Some((&served.listener, served.tls.as_ref()?)))
    }

    /// Returns the hosts that a listener accepts. A removed listener accepts only addresses.
    pub(crate) fn hosts(&self, id: ListenerId) -> &AllowedHosts {
        static NONE: AllowedHosts = AllowedHosts::none();
        self.get(id).map_or(&NONE, |listener| &listener.hosts)
    }

    /// Returns the number of configured listeners.
    pub(crate) fn count(&self) -> usize {
        self.by_id.iter().flatten().count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::tests::{EXAMPLE, Fake};

    #[test]
    fn a_removed_listener_accepts_only_addresses() {
        let config = EXAMPLE.replacen("[admin]", "hosts = [\"s3.test\"]\n[admin]", 1);
        let listeners = Config::parse(&config, &Fake).unwrap().listeners;
        let mut registry = ListenerRegistry::default();
        let (removed, kept) = (registry.register(&"removed".into()), registry.register(&listeners[0].name));
        let table = ListenerTable::new(&listeners, &registry, &ListenerTable::default());
        assert_eq!((table.count(), table.get(removed.id())), (1, None));
        assert!(table.hosts(removed.id()).is_empty() && !table.hosts(kept.id()).is_empty());
    }
}
