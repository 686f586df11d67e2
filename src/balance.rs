//! Which node a request goes to: the least loaded of those that are up. Pure: time and chance are arguments.
//!
//! Each worker thread has a balancer of its own and learns from its own requests; what the prober finds reaches all
//! of them through the [`NodeBoard`].

use crate::nodes::{Check, NodeBoard, NodeIndex};
use crate::retry::Attempts;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The first pause of a node that failed; it doubles with each failure after it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause, before chance adds up to a quarter: 30 s in all.
const LONGEST_PAUSE: Duration = Duration::from_secs(24);
/// How long a node that returned has until it gets its whole share.
const SLOW_RETURN: Duration = Duration::from_secs(10);
/// What is left of a node's share right after its return.
const FIRST_SHARE: f64 = 0.1;
/// What the prober found longer ago says nothing any more.
const CHECK_HOLDS: Duration = Duration::from_secs(20);

/// What became of a request at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It answered.
    Answered,
    /// It failed at this request: it broke off before it answered, sent what is no answer, did not answer in time, or
    /// said that it cannot (a 503, or a 502 or 504 of what stands before it). The request may be the reason, so that
    /// the prober decides.
    Doubtful,
    /// It accepted no connection, or answered that it is still starting: no request brings that about.
    Failed,
}

/// The nodes, as one worker thread sees them.
#[derive(Debug)]
pub struct Balancer {
    board: Arc<NodeBoard>,
    nodes: Vec<Node>,
    turn: Cell<usize>,
}

#[derive(Debug, Default)]
struct Node {
    in_flight: Cell<u32>,
    /// Failures in a row, however long ago.
    failures: Cell<u32>,
    ejection: Cell<Option<Ejection>>,
    /// When it came back from its last ejection.
    returned: Cell<Option<Instant>>,
    /// When a request that was answered last was sent.
    answered: Cell<Option<Instant>>,
    /// What it has gathered of its next turn, while it returns.
    credit: Cell<f64>,
}

#[derive(Clone, Copy, Debug)]
struct Ejection {
    /// When it failed.
    since: Instant,
    /// When it was tried last.
    tried: Instant,
    /// When it may be tried again unasked.
    until: Instant,
    pause: Duration,
}

/// Which node was chosen, and when: who reports on it later says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The node.
    pub node: NodeIndex,
    /// When it was chosen.
    pub at: Instant,
}

/// A request under way at a node; until it is dropped it counts as the node's load.
#[derive(Debug)]
pub struct InFlight {
    balancer: Rc<Balancer>,
    choice: Choice,
}

impl Balancer {
    /// A balancer over the nodes of `board`. Threads do well to begin at different nodes: `first` is any number.
    pub fn new(board: Arc<NodeBoard>, first: usize) -> Rc<Self> {
        let nodes = board.nodes().iter().map(|_| Node::default()).collect();
        Rc::new(Self { board, nodes, turn: Cell::new(first) })
    }

    /// What is known of the nodes.
    pub fn board(&self) -> &Arc<NodeBoard> {
        &self.board
    }

    /// Chooses the node for an attempt: of those that are up the one with the least in flight, ties in turn; when none
    /// is, the one whose ejection ends first. None when every node was left.
    pub fn pick(self: &Rc<Self>, now: Instant, attempts: &Attempts) -> Option<InFlight> {
        let first = self.turn.get();
        self.turn.set(first.wrapping_add(1));
        let in_turn = (0..self.nodes.len()).map(|step| self.in_turn(first, step));
        let left_over = in_turn.filter(|node| !attempts.exclude(*node));
        let index = self
            .least_loaded(first, now, attempts)
            .or_else(|| left_over.min_by_key(|node| self.ejected_until(*node)))?;
        let node = self.node(index)?;
        if self.is_up(index, now) {
            node.take_trial(now);
        }
        node.in_flight.set(node.in_flight.get() + 1);
        self.board.requested(index);
        Some(InFlight { balancer: Rc::clone(self), choice: Choice { node: index, at: now } })
    }

    /// Whether there is a node that is up and was not left.
    pub fn has_another(&self, now: Instant, attempts: &Attempts) -> bool {
        (0..self.nodes.len()).map(NodeIndex).any(|node| !attempts.exclude(node) && self.is_up(node, now))
    }

    /// The nodes that are up, or every node when none is.
    pub fn up(&self, now: Instant) -> Vec<NodeIndex> {
        let all = || (0..self.nodes.len()).map(NodeIndex);
        let up: Vec<_> = all().filter(|node| self.is_up(*node, now)).collect();
        if up.is_empty() { all().collect() } else { up }
    }

    /// Notes what became of a request. `chance` is any number of 0.0 to 1.0. Returns whether it ejected the node.
    pub fn report(&self, choice: Choice, outcome: Outcome, now: Instant, chance: f64) -> bool {
        let Some(node) = self.node(choice.node) else { return false };
        // What was sent before the node was ejected or came back tells nothing new: fifty requests that die with it
        // are one failure.
        let known = node.ejection.get().map(|ejection| ejection.since).max(node.returned.get());
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
        // It was known to be down and was chosen for want of another.
        if node.ejection.get().is_some_and(|ejection| ejection.tried != choice.at) {
            return false;
        }
        let failures = node.failures.get();
        node.failures.set(failures.saturating_add(1));
        let pause = pause_after(failures, chance);
        self.eject(choice.node, Ejection { since: now, tried: now, until: now + pause, pause });
        true
    }

    fn answered(&self, choice: Choice, now: Instant) {
        let Some(node) = self.node(choice.node) else { return };
        node.answered.set(node.answered.get().max(Some(choice.at)));
        if node.ejection.take().is_some() {
            node.returned.set(Some(now));
            node.credit.set(0.0);
            self.board.returned(choice.node);
        } else if node.share(now) >= 1.0 {
            // It came back for good: a failure from now on is a new one.
            node.failures.set(0);
        }
    }

    fn eject(&self, index: NodeIndex, ejection: Ejection) {
        let Some(node) = self.node(index) else { return };
        if node.ejection.replace(Some(ejection)).is_none() {
            self.board.ejected(index);
        }
    }

    /// Whether a node may be chosen while there are others. One that does not answer the prober is ejected here.
    fn is_up(&self, index: NodeIndex, now: Instant) -> bool {
        let Some(node) = self.node(index) else { return false };
        let is_fresh = |check: &Check| now.saturating_duration_since(check.began) < CHECK_HOLDS;
        let check = self.board.last_check(index).filter(is_fresh);
        match (node.ejection.get(), check) {
            // The prober has tried it since: that is better than to try it with a request.
            (Some(ejection), Some(check)) if check.began > ejection.tried => check.answers,
            (Some(ejection), _) => now >= ejection.until,
            (None, Some(check)) if !check.answers && Some(check.began) > node.answered.get() => {
                let (since, until) = (check.began, check.began + CHECK_HOLDS);
                self.eject(index, Ejection { since, tried: since, until, pause: FIRST_PAUSE });
                false
            }
            (None, _) => true,
        }
    }

    /// Of the nodes that are up. One that came back is passed over now and then, unless there is no other.
    fn least_loaded(&self, first: usize, now: Instant, attempts: &Attempts) -> Option<NodeIndex> {
        let load = |step| self.node(self.in_turn(first, step)).map(|node| (node.in_flight.get(), step));
        let above = |least: Option<(u32, usize)>| {
            let up = (0..self.nodes.len()).filter(|step| {
                let node = self.in_turn(first, *step);
                !attempts.exclude(node) && self.is_up(node, now)
            });
            up.filter_map(load).filter(|load| Some(*load) > least).min()
        };
        let mut candidate = above(None);
        let only = candidate;
        while let Some((_, step)) = candidate {
            let index = self.in_turn(first, step);
            if self.node(index)?.takes_turn(now) {
                return Some(index);
            }
            candidate = above(candidate);
        }
        only.map(|(_, step)| self.in_turn(first, step))
    }

    fn in_turn(&self, first: usize, step: usize) -> NodeIndex {
        NodeIndex(first.wrapping_add(step) % self.nodes.len())
    }

    fn ejected_until(&self, index: NodeIndex) -> Option<Instant> {
        self.node(index)?.ejection.get().map(|ejection| ejection.until)
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
    /// The part of its share that it gets: it grows after a return.
    fn share(&self, now: Instant) -> f64 {
        let Some(returned) = self.returned.get() else { return 1.0 };
        let gone = now.saturating_duration_since(returned).as_secs_f64() / SLOW_RETURN.as_secs_f64();
        (FIRST_SHARE + (1.0 - FIRST_SHARE) * gone).min(1.0)
    }

    /// Whether it takes the turn that it could have.
    fn takes_turn(&self, now: Instant) -> bool {
        if self.ejection.get().is_some() {
            return true;
        }
        let credit = self.credit.get() + self.share(now);
        self.credit.set(if credit >= 1.0 { 0.0_f64.max(credit - 1.0) } else { credit });
        credit >= 1.0
    }

    /// A request to an ejected node is a trial: until it was answered, or another pause is over, it is the only one.
    fn take_trial(&self, now: Instant) {
        if let Some(ejection) = self.ejection.get() {
            self.ejection.set(Some(Ejection { tried: now, until: now + ejection.pause, ..ejection }));
        }
    }
}

impl InFlight {
    /// What was chosen.
    pub fn choice(&self) -> Choice {
        self.choice
    }

    /// [`Balancer::report`] on this request.
    pub fn report(&self, outcome: Outcome, now: Instant, chance: f64) -> bool {
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

/// The pause after a number of failures in a row.
fn pause_after(failures: u32, chance: f64) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX));
    doubled.min(LONGEST_PAUSE).mul_f64(1.0 + chance.clamp(0.0, 1.0) / 4.0)
}

#[cfg(test)]
mod tests;
