//! The slot of one session, which its keeper fills and requests read.

use super::verdict::Denials;
use crate::net::wall_clock::WallClock;
use crate::sessions::minting::MintError;
use crate::sessions::refresh::{Entry, Past, Refreshed, Unavailable};
use crate::sessions::session::Session;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::{Duration, SystemTime};

/// A session with its number in its slot.
pub(crate) type SlotSession = Entry<Session>;

/// Counts of a mapping's sessions: open ones, mints by result, and denials.
#[derive(Debug, Default)]
pub(crate) struct MintCounts {
    /// Sessions that are kept now, of all kinds and identities.
    pub open: AtomicUsize,
    /// Mints that returned a session.
    pub minted: AtomicU64,
    /// Mints that STS refused.
    pub refused: AtomicU64,
    /// Mints that failed at STS.
    pub failed: AtomicU64,
    /// Mints that did not reach STS.
    pub unreachable: AtomicU64,
    /// Responses that deny what the mapping grants.
    pub denials: AtomicU64,
}

/// A slot for one session.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(super) sessions: Refreshed<Session, MintError>,
    pub(super) counts: Arc<MintCounts>,
    pub(super) denials: Denials,
}

impl Slot {
    /// Makes an empty slot. With `eager`, its session is minted at start. Mints are added to `counts`.
    pub(crate) fn new(eager: bool, counts: Arc<MintCounts>) -> Self {
        Self { sessions: Refreshed::new(eager), counts, denials: Denials::new() }
    }

    /// Uses the session of `old`, if it is live, until the first mint succeeds. The session must have the same policy
    /// and the same store.
    #[must_use]
    pub(crate) fn inheriting(self, old: &Self, now: SystemTime) -> Self {
        Self { sessions: self.sessions.inheriting(&old.sessions, now), ..self }
    }

    /// Returns whether the session of another slot is in use.
    pub(crate) fn is_inheriting(&self) -> bool {
        self.sessions.is_inheriting()
    }

    /// Returns the session if it can be used at `now`.
    pub(crate) fn live(&self, now: SystemTime) -> Option<Arc<SlotSession>> {
        self.sessions.live(now)
    }

    /// Returns the session. Waits for a mint if there is no usable one.
    ///
    /// # Errors
    /// At once while STS keeps failing, otherwise after `wait`.
    pub(crate) fn obtain(
        &self,
        clock: WallClock,
        wait: Duration,
    ) -> impl Future<Output = Result<Arc<SlotSession>, Unavailable<MintError>>> {
        self.sessions.obtain(clock, wait)
    }

    /// Stops using the session `id`, which the store does not know.
    pub(crate) fn reject(&self, id: u64) {
        self.sessions.reject(id);
    }

    /// Returns whether requests can be served as far as the session is concerned: it is live, or no request has
    /// needed it.
    pub(crate) fn is_ready(&self, now: SystemTime) -> bool {
        self.sessions.is_ready(now)
    }

    /// Returns when the current session ends.
    pub(crate) fn expiration(&self) -> Option<SystemTime> {
        self.sessions.expires()
    }

    /// Returns the last mints.
    pub(crate) fn past(&self) -> Past<MintError> {
        self.sessions.past()
    }

    /// Returns the counts.
    pub(crate) fn counts(&self) -> &MintCounts {
        &self.counts
    }
}
