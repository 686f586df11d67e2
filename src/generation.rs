//! A generation: one configuration as requests see it. A request sees one from its beginning to its end; a reload puts
//! another in its place for those that begin later.

use crate::admission::Admission;
use crate::browser::AllowedHosts;
use crate::client::ListenerId;
use crate::config::{Listener, Upstream};
use crate::limits::Limits;
use crate::mapping::Mapping;
use crate::memory::MemoryBudget;
use crate::metrics::{Metrics, Row};
use crate::multipart::Budget;
use crate::nodes::NodeBoard;
use crate::proxy::{Completions, Proxy};
use crate::session_table::Sessions;
use crate::upstream::Pool;
use crate::wall_clock::WallClock;
use arc_swap::ArcSwap;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

/// The name of what has none.
static NO_NAME: OnceLock<Arc<str>> = OnceLock::new();

/// What all worker threads share.
#[derive(Debug)]
pub struct Shared {
    /// The generation for requests that begin now.
    pub generation: ArcSwap<Generation>,
    /// The counts.
    pub metrics: Arc<Metrics>,
    /// The memory for bodies of unknown length.
    pub buffers: Arc<Budget>,
    /// The memory for everything else that clients control.
    pub memory: MemoryBudget,
    /// The wall clock.
    pub clock: WallClock,
}

/// One configuration, as requests see it.
#[derive(Debug)]
pub struct Generation {
    /// The mappings, tried in order.
    pub mappings: Vec<Mapping>,
    /// What belongs to each, in the same order.
    pub states: Vec<MappingState>,
    /// The listeners, by their id; none where there was one.
    pub listeners: Vec<Option<Listener>>,
    /// The hosts that each listener answers to, by its id.
    pub hosts: Vec<AllowedHosts>,
    /// The hosts that the admin listener answers to.
    pub admin_hosts: AllowedHosts,
    /// The store.
    pub upstream: Upstream,
    /// What is known of its nodes.
    pub nodes: Arc<NodeBoard>,
    /// The limits.
    pub limits: Limits,
    /// Whether each request is logged.
    pub access_log: bool,
}

/// What a mapping keeps from request to request, and from one generation to the next where that is possible.
#[derive(Clone, Debug)]
pub struct MappingState {
    /// Its place in the counts.
    pub row: Row,
    /// Its sessions.
    pub session: Sessions,
    /// Its requests.
    pub admission: Arc<Admission>,
    /// What of its multipart uploads is being completed or listed.
    pub completions: Arc<Completions>,
}

impl Generation {
    /// The listener of this id.
    pub fn listener(&self, id: ListenerId) -> Option<&Listener> {
        self.listeners.get(id.0)?.as_ref()
    }

    /// The name of this listener; a dash if it was removed from the configuration.
    pub fn listener_name(&self, id: ListenerId) -> &Arc<str> {
        self.listener(id).map_or_else(|| NO_NAME.get_or_init(|| "-".into()), |listener| &listener.name)
    }
}

/// One worker thread's view of the generations.
pub struct Current {
    shared: Arc<Shared>,
    proxy: RefCell<Rc<Proxy>>,
}

impl Current {
    /// A view of what is shared.
    ///
    /// # Errors
    /// When there can be no pool of connections to the store.
    pub fn new(shared: Arc<Shared>) -> io::Result<Rc<Self>> {
        let generation = shared.generation.load_full();
        let pool = Pool::new(&generation.upstream.endpoints, &generation.limits, &generation.nodes)?;
        let proxy = Rc::new(Proxy::new(Arc::clone(&shared), generation, pool));
        Ok(Rc::new(Self { shared, proxy: RefCell::new(proxy) }))
    }

    /// The proxy of the generation for requests that begin now. Costs an atomic load as long as that is the same.
    pub fn proxy(&self) -> Rc<Proxy> {
        let proxy = Rc::clone(&self.proxy.borrow());
        let newest = self.shared.generation.load();
        if Arc::ptr_eq(proxy.generation(), &newest) {
            return proxy;
        }
        let generation = Arc::clone(&newest);
        let next = |pool| Rc::new(Proxy::new(Arc::clone(&self.shared), generation.clone(), pool));
        if same_pool(proxy.generation(), &newest) {
            return self.adopt(next(Rc::clone(proxy.pool())));
        }
        match Pool::new(&newest.upstream.endpoints, &newest.limits, &newest.nodes) {
            Ok(pool) => self.adopt(next(pool)),
            Err(error) => {
                // A reload tries this before. Whatever is missing now may be there for the next request.
                tracing::error!(%error, "no connections to the new endpoints: those to the old ones are used");
                next(Rc::clone(proxy.pool()))
            }
        }
    }

    fn adopt(&self, proxy: Rc<Proxy>) -> Rc<Proxy> {
        self.proxy.replace(Rc::clone(&proxy));
        proxy
    }
}

/// Whether one generation's connections to the store serve the other as well.
fn same_pool(one: &Generation, other: &Generation) -> bool {
    let of_pool = |limits: &Limits| (limits.connect_timeout, limits.stall_timeout, limits.response_timeout);
    one.upstream.endpoints == other.upstream.endpoints && of_pool(&one.limits) == of_pool(&other.limits)
}
