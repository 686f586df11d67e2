//! The balancer: chooses the node for each request, the least loaded one that is up. Pure: time and chance are
//! arguments.
//!
//! Each worker thread has its own balancer, which ejects nodes by the outcome of its own requests and returns them
//! with a slow start. All balancers read the prober's findings from the [`NodeBoard`]. Handwritten so that
//! tests control time and chance, and so that one prober serves the balancers of all threads.

use super::nodes::{Check, NodeBoard};
use super::retry::Attempts;
use crate::net::endpoint::NodeIndex;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The back-off after the first failure of a node. It doubles with each consecutive failure.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// The longest back-off, without the jitter of up to a quarter: 30 s in total.
const LONGEST_BACKOFF: Duration = Duration::from_secs(24);
/// The time in which a returned node reaches its full weight.
const SLOW_START: Duration = Duration::from_secs(10);
/// The weight of a node right after its return.
const FIRST_WEIGHT: f64 = 0.1;
/// The age at which checks of the prober are ignored.
const CHECK_LIFETIME: Duration = Duration::from_secs(20);

/// The outcome of a request at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The node responded.
    Answered,
    /// The node failed at this request: it closed the connection, sent something other than HTTP, did not respond in
    /// time, or responded with 503 (or a proxy in front of it with 502 or 504). The request may be the cause, so the
    /// prober decides.
    Doubtful,
    /// The node accepted no connection, or is still starting. No request can cause this.
    Failed,
}

/// The nodes as one worker thread sees them.
#[derive(Debug)]
pub(crate) struct Balancer {
    board: Arc<NodeBoard>,
    nodes: Vec<Node>,
    turn: Cell<usize>,
}

#[derive(Debug, Default)]
struct Node {
    in_flight: Cell<u32>,
    /// The number of consecutive failures, however long ago.
    failures: Cell<u32>,
    ejection: Cell<Option<Ejection>>,
    /// When it returned from its last ejection.
    returned_at: Cell<Option<Instant>>,
    /// The time at which the latest successful request was sent.
    answered: Cell<Option<Instant>>,
    /// The weight that has accumulated towards its next turn in a slow start.
    credit: Cell<f64>,
}

#[derive(Clone, Copy, Debug)]
struct Ejection {
    ejected_at: Instant,
    /// The time of the latest request to it.
    last_probe: Instant,
    /// The time from which the next request may be sent to it.
    retry_at: Instant,
    backoff: Duration,
}

/// The choice of a node for one request. Reports refer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// The node.
    pub node: NodeIndex,
    /// The time of the choice.
    pub at: Instant,
}

/// A request in flight at a node. It counts as the node's load until it is dropped.
#[derive(Debug)]
pub(crate) struct InFlight {
    balancer: Rc<Balancer>,
    choice: Choice,
}

impl Balancer {
    /// Makes a balancer over the nodes of `board`. `first` is any number. It should differ between threads, so that
    /// they start with different nodes.
    pub(crate) fn new(board: Arc<NodeBoard>, first: usize) -> Rc<Self> {
        let nodes = board.nodes().iter().map(|_| Node::default()).collect();
        Rc::new(Self { board, nodes, turn: Cell::new(first) })
    }

    /// Returns the board of the nodes.
    pub(crate) fn board(&self) -> &Arc<NodeBoard> {
        &self.board
    }

    /// Chooses the node for an attempt: the one that is up with the fewest requests in flight, with ties taken in
    /// turn. If every node is ejected, chooses the one whose back-off ends first. Returns `None` if all nodes are
    /// excluded.
    pub(crate) fn pick(self: &Rc<Self>, now: Instant, attempts: &Attempts) -> Option<InFlight> {
        let index = self.choose(now, attempts)?;
        let node = self.node(index)?;
        if self.is_up(index, now) {
            node.begin_probe(now);
        }
        node.in_flight.set(node.in_flight.get() + 1);
        self.board.requested(index);
        Some(InFlight { balancer: Rc::clone(self), choice: Choice { node: index, at: now } })
    }

    fn choose(&self, now: Instant, attempts: &Attempts) -> Option<NodeIndex> {
        if self.nodes.len() == 1 {
            return Some(NodeIndex(0)).filter(|only| !attempts.is_excluded(*only));
        }
        let first = self.turn.get();
        self.turn.set(first.wrapping_add(1));
        let in_turn = (0..self.nodes.len()).map(|step| self.in_turn(first, step));
        let allowed = in_turn.filter(|node| !attempts.is_excluded(*node));
        self.least_loaded(first, now, attempts).or_else(|| allowed.min_by_key(|node| self.retry_at(*node)))
    }

    /// Returns whether a node is up and not excluded.
    pub(crate) fn has_another(&self, now: Instant, attempts: &Attempts) -> bool {
        (0..self.nodes.len()).map(NodeIndex).any(|node| !attempts.is_excluded(node) && self.is_up(node, now))
    }

    /// Returns the nodes that are up, or all nodes if none is.
    pub(crate) fn up(&self, now: Instant) -> Vec<NodeIndex> {
        let all = || (0..self.nodes.len()).map(NodeIndex);
        let up: Vec<_> = all().filter(|node| self.is_up(*node, now)).collect();
        if up.is_empty() { all().collect() } else { up }
    }

    /// Records the outcome of a request. `chance`, from 0 to 1, spreads retries. Returns whether the node was
    /// ejected.
    pub(crate) fn report(&self, choice: Choice, outcome: Outcome, now: Instant, chance: f64) -> bool {
        let Some(node) = self.node(choice.node) else { return false };
        // A request sent before the ejection or the return says nothing new: fifty requests that fail together with
        // their node are one failure.
        let known = node.ejection.get().map(|ejection| ejection.ejected_at).max(node.returned_at.get());
        if known.is_some_and(|known| choice.at < known) {
            return false;
        }
        match outcome {
            Outcome::Answered => {
                self.answered(choice, now);
                return false;
            }
            Outcome::Doubtful => {
                self.board.doubt(choice.node);
                return false;
            }
            Outcome::Failed => {}
        }
        // The node was ejected already, and was chosen only because every node is down.
        if node.ejection.get().is_some_and(|ejection| ejection.last_probe != choice.at) {
            return false;
        }
        let failures = node.failures.get();
        node.failures.set(failures.saturating_add(1));
        let backoff = backoff(failures, chance);
        let ejection = Ejection { ejected_at: now, last_probe: now, retry_at: now + backoff, backoff };
        self.eject(choice.node, ejection);
        true
    }

    fn answered(&self, choice: Choice, now: Instant) {
        let Some(node) = self.node(choice.node) else { return };
        node.answered.set(node.answered.get().max(Some(choice.at)));
        if node.ejection.take().is_some() {
            node.returned_at.set(Some(now));
            node.credit.set(0.0);
            self.board.returned(choice.node);
        } else if node.slow_start_weight(now) >= 1.0 {
            // The slow start is over, so the next failure counts as the first.
            node.failures.set(0);
        }
    }

    fn eject(&self, index: NodeIndex, ejection: Ejection) {
        let Some(node) = self.node(index) else { return };
        if node.ejection.replace(Some(ejection)).is_none() {
            self.board.ejected(index);
        }
    }

    /// Returns whether a node may be chosen while others are up. Ejects a node that does not respond to the prober.
    fn is_up(&self, index: NodeIndex, now: Instant) -> bool {
        let Some(node) = self.node(index) else { return false };
        let is_fresh = |check: &Check| now.saturating_duration_since(check.began) < CHECK_LIFETIME;
        let check = self.board.last_check(index).filter(is_fresh);
        match (node.ejection.get(), check) {
            // The prober has checked the node since, so no request needs to try it.
            (Some(ejection), Some(check)) if check.began > ejection.last_probe => check.answers,
            (Some(ejection), _) => now >= ejection.retry_at,
            (None, Some(check)) if !check.answers && Some(check.began) > node.answered.get() => {
                let (ejected_at, retry_at) = (check.began, check.began + CHECK_LIFETIME);
                let backoff = FIRST_BACKOFF;
                self.eject(index, Ejection { ejected_at, last_probe: ejected_at, retry_at, backoff });
                false
            }
            (None, _) => true,
        }
    }

    /// Returns the least loaded node that is up. A node in its slow start passes on some of its turns, unless it is
    /// the only one.
    fn least_loaded(&self, first: usize, now: Instant, attempts: &Attempts) -> Option<NodeIndex> {
        let load = |step| self.node(self.in_turn(first, step)).map(|node| (node.in_flight.get(), step));
        let above = |least: Option<(u32, usize)>| {
            let up = (0..self.nodes.len()).filter(|step| {
                let node = self.in_turn(first, *step);
                !attempts.is_excluded(node) && self.is_up(node, now)
            });
            up.filter_map(load).filter(|load| Some(*load) > least).min()
        };
        let mut candidate = above(None);
        let only = candidate;
        while let Some((_, step)) = candidate {
            let index = self.in_turn(first, step);
            if self.node(index)?.accepts_turn(now) {
                return Some(index);
            }
            candidate = above(candidate);
        }
        only.map(|(_, step)| self.in_turn(first, step))
    }

    fn in_turn(&self, first: usize, step: usize) -> NodeIndex {
        NodeIndex(first.wrapping_add(step) % self.nodes.len())
    }

    fn retry_at(&self, index: NodeIndex) -> Option<Instant> {
        self.node(index)?.ejection.get().map(|ejection| ejection.retry_at)
    }

    fn node(&self, index: NodeIndex) -> Option<&Node> {
        self.nodes.get(index.0)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        for (index, node) in self.nodes.iter().enumerate() {
            if node.ejection.get().is_some() {
                self.board.returned(NodeIndex(index));
            }
        }
    }
}

impl Node {
    /// Returns the share of its turns that the node accepts, which grows after its return.
    fn slow_start_weight(&self, now: Instant) -> f64 {
        let Some(returned) = self.returned_at.get() else { return 1.0 };
        let elapsed = now.saturating_duration_since(returned).as_secs_f64() / SLOW_START.as_secs_f64();
        (FIRST_WEIGHT + (1.0 - FIRST_WEIGHT) * elapsed).min(1.0)
    }

    /// Decides whether the node accepts its turn or passes it on.
    fn accepts_turn(&self, now: Instant) -> bool {
        if self.ejection.get().is_some() {
            return true;
        }
        let credit = self.credit.get() + self.slow_start_weight(now);
        self.credit.set(if credit >= 1.0 { 0.0_f64.max(credit - 1.0) } else { credit });
        credit >= 1.0
    }

    /// Records that a request probes the node, if it is ejected. No other request is sent there until this one has
    /// succeeded or another back-off is over.
    fn begin_probe(&self, now: Instant) {
        if let Some(ejection) = self.ejection.get() {
            let retry_at = now + ejection.backoff;
            self.ejection.set(Some(Ejection { last_probe: now, retry_at, ..ejection }));
        }
    }
}

impl InFlight {
    /// Returns the choice.
    pub(crate) fn choice(&self) -> Choice {
        self.choice
    }

    /// Reports the outcome of this request: see [`Balancer::report`].
    #[cfg(test)]
    fn report(&self, outcome: Outcome, now: Instant, chance: f64) -> bool {
        self.balancer.report(self.choice, outcome, now, chance)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(node) = self.balancer.node(self.choice.node) {
            node.in_flight.set(node.in_flight.get().saturating_sub(1));
        }
    }
}

/// Returns the back-off after `failures` earlier consecutive failures.
fn backoff(failures: u32, chance: f64) -> Duration {
    let doubled = FIRST_BACKOFF.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX));
    doubled.min(LONGEST_BACKOFF).mul_f64(1.0 + chance.clamp(0.0, 1.0) / 4.0)
}

#[cfg(test)]
mod tests;
