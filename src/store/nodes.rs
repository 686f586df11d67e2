//! The board of the store's nodes: the health and the counters of each node, shared by all threads.
//!
//! One prober writes health, and the balancers of all worker threads read it. Every value is a separate atomic.

use crate::net::endpoint::{Endpoint, NodeIndex};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The state of the nodes, shared by all threads.
#[derive(Debug)]
pub(crate) struct NodeBoard {
    /// Instants are stored as milliseconds since this one.
    start: Instant,
    nodes: Box<[NodeFacts]>,
    retries: AtomicU64,
    /// Wakes the prober.
    doubts: Notify,
}

/// The health and the counters of one node.
#[derive(Debug)]
pub(crate) struct NodeFacts {
    name: Arc<str>,
    /// [`Check`], packed; 0 before the first.
    checked: AtomicU64,
    /// Whether a request failed there since the prober's last check began.
    doubted: AtomicBool,
    requests: AtomicU64,
    ejections: AtomicU64,
    ejected: AtomicU64,
    /// The time in which the node answered the latest check that it answered, in microseconds; 0 before the first.
    answered_in: AtomicU64,
}

/// One check of a node by the prober.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    /// When the check began: its result is at least as new.
    pub began: Instant,
    /// Whether the node responded as one that can serve.
    pub answers: bool,
}

impl NodeBoard {
    /// Makes a board for these endpoints, without any check.
    pub(crate) fn new(endpoints: &[Endpoint], now: Instant) -> Self {
        let node = |endpoint: &Endpoint| NodeFacts {
            name: endpoint.authority().into(),
            checked: AtomicU64::new(0),
            doubted: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            ejections: AtomicU64::new(0),
            ejected: AtomicU64::new(0),
            answered_in: AtomicU64::new(0),
        };
        let nodes = endpoints.iter().map(node).collect();
        Self { start: now, nodes, retries: AtomicU64::new(0), doubts: Notify::new() }
    }

    /// Returns the nodes, in the order of the configuration.
    pub(crate) fn nodes(&self) -> &[NodeFacts] {
        &self.nodes
    }

    /// Returns a node's name.
    pub(crate) fn name(&self, node: NodeIndex) -> Option<&Arc<str>> {
        self.get(node).map(|facts| &facts.name)
    }

    /// Records a check of a node.
    pub(crate) fn checked(&self, node: NodeIndex, check: Check) {
        let Some(facts) = self.get(node) else { return };
        let since = u64::try_from(check.began.saturating_duration_since(self.start).as_millis());
        let packed = (since.unwrap_or(u64::MAX >> 2) + 1) << 1 | u64::from(check.answers);
        // Of two concurrent checks, the one that began later counts.
        facts.checked.fetch_max(packed, Ordering::Relaxed);
    }

    /// Records the time in which a node answered a check.
    pub(crate) fn answered_in(&self, node: NodeIndex, time: Duration) {
        if let Some(facts) = self.get(node) {
            let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
            facts.answered_in.store(micros, Ordering::Relaxed);
        }
    }

    /// Returns the latest check of a node.
    pub(crate) fn last_check(&self, node: NodeIndex) -> Option<Check> {
        let packed = self.get(node)?.checked.load(Ordering::Relaxed);
        let since = Duration::from_millis((packed >> 1).checked_sub(1)?);
        Some(Check { began: self.start + since, answers: packed & 1 == 1 })
    }

    /// Records that a request failed at a node, and wakes the prober to find out whether the node is at fault. A single node
    /// is not checked, because there is no other node to use instead.
    pub(crate) fn doubt(&self, node: NodeIndex) {
        if self.nodes.len() > 1
            && let Some(facts) = self.get(node)
            && !facts.doubted.swap(true, Ordering::AcqRel)
        {
            self.doubts.notify_one();
        }
    }

    /// Clears the doubt about a node. Returns whether there was one.
    pub(crate) fn take_doubt(&self, node: NodeIndex) -> bool {
        self.get(node).is_some_and(|facts| facts.doubted.swap(false, Ordering::AcqRel))
    }

    /// Waits until a node is doubted.
    pub(crate) async fn doubted(&self) {
        self.doubts.notified().await;
    }

    /// Counts a request to a node.
    pub(crate) fn requested(&self, node: NodeIndex) {
        self.count(node, |facts| &facts.requests);
    }

    /// Records that a worker ejects a node.
    pub(crate) fn ejected(&self, node: NodeIndex) {
        self.count(node, |facts| &facts.ejections);
        self.count(node, |facts| &facts.ejected);
    }

    /// Records that a worker's ejection of a node ends.
    pub(crate) fn returned(&self, node: NodeIndex) {
        if let Some(facts) = self.get(node) {
            facts.ejected.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Counts a request that is sent again, to another node.
    pub(crate) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of requests that were sent again, to another node.
    pub(crate) fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Returns whether a node answered its latest check. A node that was never checked counts as up.
    pub(crate) fn is_up(&self, node: NodeIndex) -> bool {
        self.last_check(node).is_none_or(|check| check.answers)
    }

    /// Returns whether a node needs a check in the next interval: a worker ejects it, or it did not answer the last one.
    pub(crate) fn is_in_doubt(&self, node: NodeIndex) -> bool {
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
    /// Returns the host and the port.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the number of requests, including attempts that did not reach the node.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Returns the time in which the node answered the latest check that it answered.
    pub(crate) fn latency(&self) -> Option<Duration> {
        let micros = self.answered_in.load(Ordering::Relaxed);
        (micros > 0).then(|| Duration::from_micros(micros))
    }

    /// Returns how often a worker ejected the node.
    pub(crate) fn ejections(&self) -> u64 {
        self.ejections.load(Ordering::Relaxed)
    }

    /// Returns how many workers eject the node now.
    pub(crate) fn ejecting_workers(&self) -> u64 {
        self.ejected.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_that_began_later_counts() {
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
