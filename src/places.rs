//! Places that clients share: as many requests run as there are places, and nobody takes all of them.
//!
//! A client may take another place as long as it has fewer than [`SHARE`] times those that are free: alone it gets three
//! quarters of all, and whatever it does with them, a client that has none finds one free. Who has to wait waits in a
//! queue that is divided in the same way. Freed places go to waiting clients in turns, not to waiting requests.
//!
//! Places may be divided among groups first. A group gets at most as many as are still free, so half of all if it is
//! alone.

use crate::client::ClientKey;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// A client has at most this many times the places that are free.
pub const SHARE: usize = 3;

/// Whose a place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Holder {
    /// The group.
    pub group: usize,
    /// The client within the group.
    pub client: ClientKey,
}

/// How many places there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Places in all.
    pub places: usize,
    /// Whether groups share them, or there is one group alone.
    pub grouped: bool,
    /// Requests of one group that may wait.
    pub queue: usize,
}

/// Places, and the queue for them.
#[derive(Debug)]
pub struct Places {
    size: Size,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    taken: usize,
    waiting: usize,
    groups: Vec<(usize, Group)>,
    /// Every holder that has a place or waits for one.
    holders: HashMap<Holder, Held>,
    /// Holders that wait, in the order of their turns.
    turns: BTreeMap<u64, Holder>,
    next: u64,
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

/// A place, until it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    holder: Holder,
}

/// A wait for a place. Dropped before its turn it leaves the queue, dropped after it gives the place back.
struct Turn<'p> {
    places: &'p Arc<Places>,
    holder: Holder,
    number: u64,
    has_place: bool,
}

impl Places {
    /// Makes free places.
    pub fn new(size: Size) -> Arc<Self> {
        Arc::new(Self { size, state: Mutex::default() })
    }

    /// Takes a place, if the holder may have one now.
    pub fn try_take(self: &Arc<Self>, holder: Holder) -> Option<Place> {
        let mut state = self.lock();
        if !state.may_take(&self.size, holder) {
            return None;
        }
        state.take(holder);
        Some(Place { places: Arc::clone(self), holder })
    }

    /// Waits for a place; `None` when the queue has no room for the holder.
    pub async fn take(self: &Arc<Self>, holder: Holder) -> Option<Place> {
        if let Some(place) = self.try_take(holder) {
            return Some(place);
        }
        let (mut turn, given) = {
            let mut state = self.lock();
            if !state.may_wait(&self.size, holder) {
                return None;
            }
            let (number, given) = state.wait(holder);
            // A place may have been freed since it was tried for.
            state.give(&self.size);
            (Turn { places: self, holder, number, has_place: false }, given)
        };
        // It fails if the sender is dropped, which only happens to a turn that was left.
        given.await.ok()?;
        turn.has_place = true;
        Some(Place { places: Arc::clone(self), holder })
    }

    /// Returns how many places are taken.
    pub fn taken(&self) -> usize {
        self.lock().taken
    }

    /// Returns how many wait.
    pub fn waiting(&self) -> usize {
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
            // Its turn came, and nobody is there to take the place.
            state.release(self.holder);
            state.give(&self.places.size);
        }
    }
}

/// Whether someone who has `taken` may take one more of those that are `free`.
fn is_within(taken: usize, free: usize) -> bool {
    free > 0 && taken < free.saturating_mul(SHARE).max(1)
}

impl State {
    fn counts(&self, number: usize) -> Group {
        self.groups
            .iter()
            .find(|(known, _)| *known == number)
            .map_or_else(Group::default, |(_, group)| *group)
    }

    /// Changes a group's counts; one without any is forgotten.
    fn count(&mut self, number: usize, change: impl FnOnce(&mut Group)) {
        let mut group = self.counts(number);
        change(&mut group);
        self.groups.retain(|(known, _)| *known != number);
        if group.taken + group.waiting > 0 {
            self.groups.push((number, group));
        }
    }

    fn may_take(&self, size: &Size, holder: Holder) -> bool {
        let mut free = size.places.saturating_sub(self.taken);
        if size.grouped {
            // Each place that the group takes is one less that is free: it may take half of the difference.
            free = free.saturating_sub(self.counts(holder.group).taken).div_ceil(2);
        }
        is_within(self.holders.get(&holder).map_or(0, |held| held.taken), free)
    }

    fn may_wait(&self, size: &Size, holder: Holder) -> bool {
        let free = size.queue.saturating_sub(self.counts(holder.group).waiting);
        let waiting = self.holders.get(&holder).map_or(0, |held| held.queue.len());
        is_within(waiting, free)
    }

    fn take(&mut self, holder: Holder) {
        self.taken += 1;
        self.count(holder.group, |group| group.taken += 1);
        self.holders.entry(holder).or_default().taken += 1;
    }

    fn release(&mut self, holder: Holder) {
        self.taken -= 1;
        self.count(holder.group, |group| group.taken -= 1);
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
        self.count(holder.group, |group| group.waiting += 1);
        let held = self.holders.entry(holder).or_default();
        held.queue.insert(number, give);
        if held.turn.is_none() {
            held.turn = Some(turn);
            self.turns.insert(turn, holder);
        }
        (number, given)
    }

    /// Leaves the queue; false if the turn has come already.
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
        self.count(holder.group, |group| group.waiting -= 1);
        true
    }

    /// Gives places to those whose turn it is, as long as any may have one.
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
        self.count(holder.group, |group| group.waiting -= 1);
        let next = self.next;
        self.next += 1;
        let Some(held) = self.holders.get_mut(&holder) else { return };
        if let Some((_, give)) = held.queue.pop_first() {
            // A request that has left gives the place back when its turn is dropped.
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
