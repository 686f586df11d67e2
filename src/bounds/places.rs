//! A semaphore that clients share fairly: no client can take all of its places.
//!
//! A client may take a place while it holds fewer than [`SHARE`] times the number of free places. A single client
//! gets three quarters of all places, and always leaves one for a client that has none. A request that has to wait
//! queues, and the queue is divided in the same way. Freed places go to the waiting clients in turns, so a client
//! does not get more places by sending more requests.
//!
//! Places can be divided among groups first. A group gets at most as many places as stay free: half of all if there
//! is no other group.

use crate::identify::client::ClientKey;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// The maximum number of places of one client per free place.
pub(crate) const SHARE: usize = 3;

/// The client that holds a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Holder {
    /// The group.
    pub group: usize,
    /// The client within the group.
    pub client: ClientKey,
}

/// The number of places and the length of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// All places.
    pub places: usize,
    /// Whether the places are divided among groups. If not, all holders are in one group.
    pub grouped: bool,
    /// The number of requests of one group that may wait.
    pub queue: usize,
}

/// A number of places and the queue for them.
#[derive(Debug)]
pub(crate) struct Places {
    size: Size,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    taken: usize,
    waiting: usize,
    groups: Groups,
    /// The holders that have places or wait for one. Ordered, since a hash that clients cannot aim at costs each request more
    /// than a few comparisons (docs/performance.md, "ordered instead of hashed").
    holders: BTreeMap<Holder, Held>,
    /// The holders that wait, in the order of their turns.
    turns: BTreeMap<u64, Holder>,
    next: u64,
}

/// The counts of each group.
#[derive(Debug)]
enum Groups {
    /// All holders are in one group. Each request takes a place, so this group is not looked up in a table.
    One(Group),
    /// The groups that have places or wait for one. No entry is zero.
    Many(BTreeMap<usize, Group>),
}

#[derive(Clone, Copy, Debug, Default)]
struct Group {
    taken: usize,
    waiting: usize,
}

#[derive(Debug, Default)]
struct Held {
    taken: usize,
    queue: BTreeMap<u64, oneshot::Sender<()>>,
    turn: Option<u64>,
}

/// A place, which becomes free when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    holder: Holder,
}

/// A request that waits for a place. Dropping it before its turn leaves the queue; dropping it afterwards returns the
/// place.
struct Turn<'p> {
    places: &'p Arc<Places>,
    holder: Holder,
    number: u64,
    has_place: bool,
}

impl Places {
    /// Makes places that are all free.
    pub(crate) fn new(size: Size) -> Arc<Self> {
        let groups = if size.grouped { Groups::Many(BTreeMap::new()) } else { Groups::One(Group::default()) };
        Arc::new(Self { size, state: Mutex::new(State::new(groups)) })
    }

    /// Takes a place if the holder may have one now.
    pub(crate) fn try_take(self: &Arc<Self>, holder: Holder) -> Option<Place> {
        let is_taken = self.lock().try_take(&self.size, holder);
        is_taken.then(|| Place { places: Arc::clone(self), holder })
    }

    /// Waits for a place. Returns `None` when the queue has no room for the holder.
    pub(crate) async fn take(self: &Arc<Self>, holder: Holder) -> Option<Place> {
        if let Some(place) = self.try_take(holder) {
            return Some(place);
        }
        let (mut turn, given) = {
            let mut state = self.lock();
            if !state.may_wait(&self.size, holder) {
                return None;
            }
            let (number, given) = state.wait(holder);
            // A place may have been freed since `try_take`.
            state.give(&self.size);
            (Turn { places: self, holder, number, has_place: false }, given)
        };
        // The sender is dropped only when the turn leaves the queue.
        given.await.ok()?;
        turn.has_place = true;
        Some(Place { places: Arc::clone(self), holder })
    }

    /// Returns the number of taken places.
    pub(crate) fn taken(&self) -> usize {
        self.lock().taken
    }

    /// Returns the number of waiting requests.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().waiting
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn release(&self, holder: Holder) {
        let mut state = self.lock();
        state.release(holder);
        state.give(&self.size);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.release(self.holder);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.has_place {
            return;
        }
        let mut state = self.places.lock();
        if !state.leave(self.holder, self.number) {
            // Its turn came while it was being dropped: the place goes to the next.
            state.release(self.holder);
            state.give(&self.places.size);
        }
    }
}

/// Checks whether a holder of `taken` places may take another when `free` are left.
fn is_within(taken: usize, free: usize) -> bool {
    free > 0 && taken < free.saturating_mul(SHARE).max(1)
}

impl Groups {
    fn counts(&self, number: usize) -> Group {
        match self {
            Self::One(group) => *group,
            Self::Many(groups) => groups.get(&number).copied().unwrap_or_default(),
        }
    }

    /// Changes a group's counts, and forgets a group without any.
    fn count(&mut self, number: usize, change: impl FnOnce(&mut Group)) {
        let groups = match self {
            Self::One(group) => return change(group),
            Self::Many(groups) => groups,
        };
        let group = groups.entry(number).or_default();
        change(group);
        if group.taken + group.waiting == 0 {
            groups.remove(&number);
        }
    }
}

#[cfg(test)]
impl Groups {
    fn is_empty(&self) -> bool {
        match self {
            Self::One(group) => group.taken + group.waiting == 0,
            Self::Many(groups) => groups.is_empty(),
        }
    }
}

impl State {
    fn new(groups: Groups) -> Self {
        Self { taken: 0, waiting: 0, groups, holders: BTreeMap::new(), turns: BTreeMap::new(), next: 0 }
    }

    /// Returns the number of free places for a group.
    fn free_for(&self, size: &Size, group: usize) -> usize {
        let free = size.places.saturating_sub(self.taken);
        if !size.grouped {
            return free;
        }
        // Each place that the group takes is also one fewer free place: it may take half of the difference.
        free.saturating_sub(self.groups.counts(group).taken).div_ceil(2)
    }

    fn may_take(&self, size: &Size, holder: Holder) -> bool {
        let taken = self.holders.get(&holder).map_or(0, |held| held.taken);
        is_within(taken, self.free_for(size, holder.group))
    }

    /// Takes a place if the holder may have one now. Returns whether it did.
    fn try_take(&mut self, size: &Size, holder: Holder) -> bool {
        let free = self.free_for(size, holder.group);
        match self.holders.entry(holder) {
            Entry::Occupied(mut held) if is_within(held.get().taken, free) => held.get_mut().taken += 1,
            Entry::Vacant(entry) if is_within(0, free) => entry.insert(Held::default()).taken = 1,
            _ => return false,
        }
        self.count_taken(holder.group);
        true
    }

    fn count_taken(&mut self, group: usize) {
        self.taken += 1;
        self.groups.count(group, |group| group.taken += 1);
    }

    fn may_wait(&self, size: &Size, holder: Holder) -> bool {
        let free = size.queue.saturating_sub(self.groups.counts(holder.group).waiting);
        let waiting = self.holders.get(&holder).map_or(0, |held| held.queue.len());
        is_within(waiting, free)
    }

    fn take(&mut self, holder: Holder) {
        self.count_taken(holder.group);
        self.holders.entry(holder).or_default().taken += 1;
    }

    fn release(&mut self, holder: Holder) {
        self.taken -= 1;
        self.groups.count(holder.group, |group| group.taken -= 1);
        if let Entry::Occupied(mut held) = self.holders.entry(holder) {
            held.get_mut().taken -= 1;
            if held.get().taken == 0 && held.get().queue.is_empty() {
                held.remove();
            }
        }
    }

    fn wait(&mut self, holder: Holder) -> (u64, oneshot::Receiver<()>) {
        let (number, turn) = (self.next, self.next);
        self.next += 1;
        let (give, given) = oneshot::channel();
        self.waiting += 1;
        self.groups.count(holder.group, |group| group.waiting += 1);
        let held = self.holders.entry(holder).or_default();
        held.queue.insert(number, give);
        if held.turn.is_none() {
            held.turn = Some(turn);
            self.turns.insert(turn, holder);
        }
        (number, given)
    }

    /// Leaves the queue. Returns `false` if the turn has come already.
    fn leave(&mut self, holder: Holder, number: u64) -> bool {
        let Entry::Occupied(mut entry) = self.holders.entry(holder) else { return false };
        let held = entry.get_mut();
        if held.queue.remove(&number).is_none() {
            return false;
        }
        if held.queue.is_empty() {
            if let Some(turn) = held.turn.take() {
                self.turns.remove(&turn);
            }
            if held.taken == 0 {
                entry.remove();
            }
        }
        self.waiting -= 1;
        self.groups.count(holder.group, |group| group.waiting -= 1);
        true
    }

    /// Gives free places to waiting holders in turns, until none may have another.
    fn give(&mut self, size: &Size) {
        while self.waiting > 0 && self.taken < size.places {
            let next = self.turns.iter().find(|(_, holder)| self.may_take(size, **holder));
            let Some((turn, holder)) = next.map(|(turn, holder)| (*turn, *holder)) else { return };
            self.give_to(turn, holder);
        }
    }

    fn give_to(&mut self, turn: u64, holder: Holder) {
        self.turns.remove(&turn);
        self.take(holder);
        self.waiting -= 1;
        self.groups.count(holder.group, |group| group.waiting -= 1);
        let next = self.next;
        self.next += 1;
        let Some(held) = self.holders.get_mut(&holder) else { return };
        if let Some((_, give)) = held.queue.pop_first() {
            // If the request has left meanwhile, dropping its `Turn` gives the place back.
            let _ = give.send(());
        }
        held.turn = (!held.queue.is_empty()).then_some(next);
        if held.turn.is_some() {
            self.turns.insert(next, holder);
        }
    }
}

#[cfg(test)]
mod tests;
