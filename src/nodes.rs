//! What a process knows of the store's nodes: whether each answers, and how often it was turned to.
//!
//! One prober writes, the balancers of all worker threads read. Every value is an atomic of its own.

use crate::endpoint::Endpoint;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// A node's place in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeIndex(pub usize);

/// What all threads know of all nodes.
#[derive(Debug)]
pub struct NodeBoard {
    /// Instants are kept as milliseconds since then.
    start: Instant,
    nodes: Box<[NodeFacts]>,
    retries: AtomicU64,
    /// Wakes the prober.
    doubts: Notify,
}

/// What is known of one node.
#[derive(Debug)]
pub struct NodeFacts {
    name: Arc<str>,
    /// [`Check`], packed; 0 before the first.
    checked: AtomicU64,
    /// A request failed there since the prober last began to look.
    doubted: AtomicBool,
    requests: AtomicU64,
    ejections: AtomicU64,
    ejected: AtomicU64,
}

/// The last look at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// When it began: what it found may have changed since, but not before.
    pub began: Instant,
    /// Whether the node answered.
    pub answers: bool,
}

impl NodeBoard {
    /// A board on which nothing is known of these endpoints yet.
    pub fn new(endpoints: &[Endpoint], now: Instant) -> Self {
        let node = |endpoint: &Endpoint| NodeFacts {
            name: endpoint.authority().into(),
            checked: AtomicU64::new(0),
            doubted: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            ejections: AtomicU64::new(0),
            ejected: AtomicU64::new(0),
        };
        let nodes = endpoints.iter().map(node).collect();
        Self { start: now, nodes, retries: AtomicU64::new(0), doubts: Notify::new() }
    }

    /// The nodes, in the order of the configuration.
    pub fn nodes(&self) -> &[NodeFacts] {
        &self.nodes
    }

    /// A node's name.
    pub fn name(&self, node: NodeIndex) -> Option<&Arc<str>> {
        self.get(node).map(|facts| &facts.name)
    }

    /// Notes what a look at a node found.
    pub fn checked(&self, node: NodeIndex, check: Check) {
        let Some(facts) = self.get(node) else { return };
        let since = u64::try_from(check.began.saturating_duration_since(self.start).as_millis());
        let packed = (since.unwrap_or(u64::MAX >> 2) + 1) << 1 | u64::from(check.answers);
        // Of two looks at once the later one counts.
        facts.checked.fetch_max(packed, Ordering::Relaxed);
    }

    /// The last look at a node.
    pub fn last_check(&self, node: NodeIndex) -> Option<Check> {
        let packed = self.get(node)?.checked.load(Ordering::Relaxed);
        let since = Duration::from_millis((packed >> 1).checked_sub(1)?);
        Some(Check { began: self.start + since, answers: packed & 1 == 1 })
    }

    /// Notes that a request failed at a node, which may be the node's fault or the request's: the prober is to look, if
    /// there is another node to turn to.
    pub fn doubt(&self, node: NodeIndex) {
        if self.nodes.len() > 1
            && let Some(facts) = self.get(node)
            && !facts.doubted.swap(true, Ordering::AcqRel)
        {
            self.doubts.notify_one();
        }
    }

    /// Takes the doubt about a node away, and says whether there was one.
    pub fn take_doubt(&self, node: NodeIndex) -> bool {
        self.get(node).is_some_and(|facts| facts.doubted.swap(false, Ordering::AcqRel))
    }

    /// Waits until a node is doubted.
    pub async fn doubted(&self) {
        self.doubts.notified().await;
    }

    /// A request goes to a node.
    pub fn requested(&self, node: NodeIndex) {
        self.count(node, |facts| &facts.requests);
    }

    /// A worker passes a node over from now on.
    pub fn ejected(&self, node: NodeIndex) {
        self.count(node, |facts| &facts.ejections);
        self.count(node, |facts| &facts.ejected);
    }

    /// A worker that passed a node over does so no longer.
    pub fn returned(&self, node: NodeIndex) {
        if let Some(facts) = self.get(node) {
            facts.ejected.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// A request is sent again, to another node.
    pub fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests that were sent again, to another node.
    pub fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Whether a node answered when it was last looked at; one that nobody looked at is believed to.
    pub fn is_up(&self, node: NodeIndex) -> bool {
        self.last_check(node).is_none_or(|check| check.answers)
    }

    /// Whether a node is to be looked at before it is its turn: some worker passes it over, or it did not answer.
    pub fn is_in_doubt(&self, node: NodeIndex) -> bool {
        !self.is_up(node) || self.get(node).is_some_and(|facts| facts.ejecting_workers() > 0)
    }

    fn get(&self, node: NodeIndex) -> Option<&NodeFacts> {
        self.nodes.get(node.0)
    }

    fn count(&self, node: NodeIndex, which: impl FnOnce(&NodeFacts) -> &AtomicU64) {
        if let Some(facts) = self.get(node) {
            which(facts).fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl NodeFacts {
    /// Host and port.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Requests that went to it, attempts included that did not reach it.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// How often a worker began to pass it over.
    pub fn ejections(&self) -> u64 {
        self.ejections.load(Ordering::Relaxed)
    }

    /// How many workers pass it over now.
    pub fn ejecting_workers(&self) -> u64 {
        self.ejected.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_look_counts() {
        let start = Instant::now();
        let endpoints = [Endpoint::parse("http://a:1").unwrap(), Endpoint::parse("http://b:2").unwrap()];
        let board = NodeBoard::new(&endpoints, start);
        let (node, other) = (NodeIndex(1), NodeIndex(0));
        assert_eq!((board.last_check(node), board.is_up(node), board.is_in_doubt(node)), (None, true, false));
        let at = |millis, answers| Check { began: start + Duration::from_millis(millis), answers };
        board.checked(node, at(0, true));
        assert_eq!(board.last_check(node), Some(at(0, true)));
        board.checked(node, at(20, false));
        board.checked(node, at(10, true));
        assert_eq!(board.last_check(node), Some(at(20, false)));
        assert_eq!((board.is_up(node), board.is_in_doubt(node)), (false, true));
        assert_eq!((board.is_up(other), board.last_check(NodeIndex(2))), (true, None));
        board.checked(node, at(30, true));
        board.ejected(node);
        assert!(board.is_in_doubt(node));
        board.returned(node);
        assert!(!board.is_in_doubt(node));
        let facts = &board.nodes()[1];
        assert_eq!((facts.name(), facts.ejections(), facts.ejecting_workers()), ("b:2", 1, 0));
    }
}
