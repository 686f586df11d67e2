//! A generation: one configuration as requests see it. A request sees one from its beginning to its end; a reload puts
//! another in its place for those that begin later.

use crate::admission::Admission;
use crate::browser::AllowedHosts;
use crate::client::ListenerId;
use crate::config::{Listener, Upstream};
use crate::limits::Limits;
use crate::limits::completions::Completions;
use crate::limits::part_budget::PartBudget;
use crate::mapping::Mapping;
use crate::memory::MemoryBudget;
use crate::metrics::{Metrics, Row};
use crate::nodes::NodeBoard;
use crate::session_table::{Clock, Sessions};
use arc_swap::ArcSwap;
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
    pub buffers: Arc<PartBudget>,
    /// The memory for everything else that clients control.
    pub memory: MemoryBudget,
    /// The wall clock.
    pub clock: Clock,
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
