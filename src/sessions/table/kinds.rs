//! The sessions of one mapping: one of each kind that its requests need.

use super::{SessionHandle, Slot, TableFull};
use crate::authorize::operations::{SessionKind, SessionPlan};
use crate::net::endpoint::NodeIndex;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// The sessions of one mapping. The first request that needs a session opens it. They end with the last request of the last
/// generation that holds them.
#[derive(Debug)]
pub(crate) struct Sessions {
    plan: SessionPlan,
    /// The open sessions, by kind.
    open: [OnceLock<Arc<SessionHandle>>; SessionKind::ALL.len()],
    opener: Box<dyn OpenSession>,
}

/// Opens the sessions of one mapping.
pub(crate) trait OpenSession: fmt::Debug + Send + Sync {
    /// Returns the session of this kind. It is minted when a request needs it, unless its mapping says otherwise.
    ///
    /// # Errors
    /// When the mapping has no such session, or the process keeps as many sessions as it may.
    fn open(&self, kind: SessionKind) -> Result<Arc<SessionHandle>, Unopened>;
}

/// The reason why a session is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unopened {
    /// The mapping's scopes grant none of its operations.
    NotGranted,
    /// The session table is full.
    Full(TableFull),
}

impl Sessions {
    /// Makes the sessions of a mapping with this plan. None is open yet.
    pub(crate) fn new(plan: SessionPlan, opener: Box<dyn OpenSession>) -> Self {
        Self { plan, open: Default::default(), opener }
    }

    /// Returns the slot of the session that signs operations of this kind in the table. Opens the session if no request
    /// has needed it before.
    ///
    /// # Errors
    /// As [`OpenSession::open`].
    pub(crate) fn slot_for(&self, of_row: SessionKind) -> Result<&Arc<Slot>, Unopened> {
        self.slot(self.plan.kind_for(of_row))
    }

    /// Returns the slot of the session of this kind. Opens the session if it is not open.
    ///
    /// # Errors
    /// As [`OpenSession::open`].
    pub(crate) fn slot(&self, kind: SessionKind) -> Result<&Arc<Slot>, Unopened> {
        let Some(open) = self.open.get(kind as usize) else { return Err(Unopened::NotGranted) };
        if let Some(handle) = open.get() {
            return Ok(handle.slot());
        }
        // Requests that open a session at once get the same handle from the session table.
        let handle = self.opener.open(kind)?;
        Ok(open.get_or_init(|| handle).slot())
    }

    /// Opens the sessions of the kinds that are open in `old`, the sessions of an earlier configuration, as far as the
    /// mapping has them. Sessions that fit both stay the same.
    ///
    /// # Errors
    /// When the process keeps as many sessions as it may.
    pub(crate) fn follow(&self, old: &Self) -> Result<(), TableFull> {
        let kinds = old.opened().map(|(kind, _)| kind);
        for kind in kinds.filter(|kind| self.plan.kinds().any(|planned| planned == *kind)) {
            match self.slot(kind) {
                Ok(_) | Err(Unopened::NotGranted) => {}
                Err(Unopened::Full(full)) => return Err(full),
            }
        }
        Ok(())
    }

    /// Starts tries of the open sessions other than that of `slot`, which the store denies everything. The reason may be
    /// the issuer, and then the store denies everything to all of them.
    pub(crate) fn doubt_others(&self, slot: &Slot, node: NodeIndex) {
        for (_, other) in self.opened().filter(|(_, other)| !std::ptr::eq(Arc::as_ptr(other), slot)) {
            other.doubt(node);
        }
    }

    /// Returns the open sessions with their kinds.
    pub(crate) fn opened(&self) -> impl Iterator<Item = (SessionKind, &Arc<Slot>)> {
        let handles = SessionKind::ALL.into_iter().zip(&self.open);
        handles.filter_map(|(kind, handle)| Some((kind, handle.get()?.slot())))
    }

    /// Counts the open sessions that are the same in both.
    pub(crate) fn shared_with(&self, other: &Self) -> usize {
        let shares = |(one, other): (&OnceLock<Arc<SessionHandle>>, &OnceLock<Arc<SessionHandle>>)| {
            one.get().zip(other.get()).is_some_and(|(one, other)| Arc::ptr_eq(one, other))
        };
        self.open.iter().zip(&other.open).filter(|pair| shares(*pair)).count()
    }
}

#[cfg(test)]
mod tests;
