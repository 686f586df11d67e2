//! The session table: all sessions of a process, each under a key of everything it depends on.
//!
//! A mapping holds a handle to each of its open sessions, so requests read a session without a lock and without the
//! table. The table is used when a session is opened: sessions with equal keys are the same session. A session without a
//! handle ends, and its entry is removed.
//!
//! Each session has a [`Slot`], which requests read, and a [`Keeper`], which mints. At most one mint runs for a slot,
//! and a client that disconnects cancels nothing.

mod budget;
mod judging;
mod keeper;
mod kinds;
mod slot;
mod verdict;

use crate::authorize::operations::SessionKind;
use crate::authorize::policy::SessionPolicy;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};

pub(crate) use budget::MintBudget;
pub(crate) use keeper::{Keeper, SessionHandle};
pub(crate) use kinds::{OpenSession, Sessions, Unopened};
pub(crate) use slot::{MintCounts, Slot, SlotSession};
pub(crate) use verdict::{Judge, Verdict};

/// The number of a store. Sessions minted at one store are valid at every store with the same number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct StoreId(pub u64);

/// The number of an issuer: its keys, its role and its store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct IssuerId(pub u64);

/// The purpose of a session. Sessions with the same purpose may replace each other. It includes the mapping, because
/// two mappings never share a session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Purpose {
    /// The mapping whose requests it signs.
    pub mapping: Box<str>,
    /// The kind of the session.
    pub kind: SessionKind,
    /// The policy that it is restricted to.
    pub policy: SessionPolicy,
    /// The store that knows it.
    pub store: StoreId,
}

/// The terms on which a session is minted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Terms {
    /// The issuer whose rights it is cut from.
    pub issuer: IssuerId,
    /// The requested lifetime.
    pub lifetime: Duration,
    /// Whether it is minted before a request needs it.
    pub eager: bool,
}

/// Everything that a session depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SessionKey {
    /// The purpose of the session.
    pub purpose: Purpose,
    /// The terms of its mints.
    pub terms: Terms,
}

/// The error of a table that has no room for another session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TableFull {
    /// The maximum number of sessions.
    pub capacity: usize,
}

/// The table of all sessions with a handle.
#[derive(Debug)]
pub(crate) struct SessionTable {
    entries: Mutex<Entries>,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Entries {
    /// The sessions for each purpose, the newest last. A purpose has several while a reload replaces them.
    by_purpose: HashMap<Purpose, Vec<(Terms, Weak<SessionHandle>)>>,
    /// The number of entries, including those of ended sessions.
    len: usize,
    /// The number of entries at which ended sessions are swept out.
    sweep_at: usize,
}

/// The minimum number of entries for a sweep.
const MIN_SWEEP: usize = 64;

impl SessionTable {
    /// Makes an empty table for at most `capacity` sessions.
    pub(crate) fn new(capacity: usize) -> Self {
        let entries = Entries { sweep_at: MIN_SWEEP, ..Entries::default() };
        Self { entries: Mutex::new(entries), capacity }
    }

    /// Returns the session of this key. If there is none, `start` starts it in `slot`, which uses the live session
    /// with the same purpose, if any, until its own is minted.
    ///
    /// # Errors
    /// When the table is full.
    pub(crate) fn get_or_start(
        &self,
        key: &SessionKey,
        now: SystemTime,
        slot: Slot,
        start: impl FnOnce(Slot) -> Arc<SessionHandle>,
    ) -> Result<Arc<SessionHandle>, TableFull> {
        let SessionKey { purpose, terms } = key;
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = entries.get(purpose, *terms) {
            return Ok(handle);
        }
        entries.make_room(self.capacity)?;
        let slot = match entries.newest_live(purpose, now) {
            Some(older) => slot.inheriting(older.slot(), now),
            None => slot,
        };
        let handle = start(slot);
        entries.insert(key.clone(), &handle);
        Ok(handle)
    }

    /// Returns the number of sessions with a handle.
    #[cfg(test)]
    fn held(&self) -> usize {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.sweep();
        entries.len
    }
}

impl Entries {
    fn of_purpose(&self, purpose: &Purpose) -> &[(Terms, Weak<SessionHandle>)] {
        self.by_purpose.get(purpose).map_or(&[], Vec::as_slice)
    }

    fn get(&self, purpose: &Purpose, terms: Terms) -> Option<Arc<SessionHandle>> {
        let mut same = self.of_purpose(purpose).iter().rev().filter(|(other, _)| *other == terms);
        same.find_map(|(_, handle)| handle.upgrade())
    }

    /// Returns the newest session for this purpose that is live.
    fn newest_live(&self, purpose: &Purpose, now: SystemTime) -> Option<Arc<SessionHandle>> {
        let newest_first = self.of_purpose(purpose).iter().rev();
        newest_first
            .filter_map(|(_, handle)| handle.upgrade())
            .find(|handle| handle.slot().live(now).is_some())
    }

    fn insert(&mut self, key: SessionKey, handle: &Arc<SessionHandle>) {
        self.by_purpose.entry(key.purpose).or_default().push((key.terms, Arc::downgrade(handle)));
        self.len += 1;
    }

    /// Sweeps when the table has doubled since the last sweep, so that each insertion costs constant time, or is full.
    fn make_room(&mut self, capacity: usize) -> Result<(), TableFull> {
        if self.len >= self.sweep_at.min(capacity) {
            self.sweep();
        }
        if self.len < capacity { Ok(()) } else { Err(TableFull { capacity }) }
    }

    /// Drops the entries whose session has ended.
    fn sweep(&mut self) {
        self.by_purpose.retain(|_, sessions| {
            sessions.retain(|(_, handle)| handle.strong_count() > 0);
            !sessions.is_empty()
        });
        self.len = self.by_purpose.values().map(Vec::len).sum();
        self.sweep_at = (2 * self.len).max(MIN_SWEEP);
    }
}

#[cfg(test)]
mod tests;
