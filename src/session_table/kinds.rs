//! The sessions of one mapping: one of each kind that its scopes need.

use super::{Kept, Slot};
use crate::operation::SessionKind;
use std::sync::Arc;

/// The kept slots of one mapping. The last request of the last generation that has them retires their keepers.
#[derive(Clone, Debug)]
pub struct Sessions {
    scopes: Arc<Kept>,
    uploads: Option<Arc<Kept>>,
}

impl Sessions {
    /// The sessions of a mapping. `uploads` is none where no scope grants to list multipart uploads.
    pub const fn new(scopes: Arc<Kept>, uploads: Option<Arc<Kept>>) -> Self {
        Self { scopes, uploads }
    }

    /// The slot of the session for the scopes.
    pub fn slot(&self) -> &Arc<Slot> {
        self.scopes.slot()
    }

    /// The slot of a session of this kind, if the mapping has one.
    pub fn slot_of(&self, kind: SessionKind) -> Option<&Arc<Slot>> {
        self.kept(kind).map(|kept| kept.slot())
    }

    /// What is kept for a session of this kind.
    pub const fn kept(&self, kind: SessionKind) -> Option<&Arc<Kept>> {
        match kind {
            SessionKind::Scopes => Some(&self.scopes),
            SessionKind::Uploads => self.uploads.as_ref(),
        }
    }

    /// Whether the session for the scopes is the same.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.scopes, &other.scopes)
    }
}
