//! The sessions of one mapping: one of each kind that its scopes need.

use super::{SessionHandle, Slot};
use crate::authorize::operations::SessionKind;
use std::sync::Arc;

/// Handles to the sessions of one mapping. They end with the last request of the last generation that holds them.
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    scopes: Arc<SessionHandle>,
    uploads: Option<Arc<SessionHandle>>,
}

impl Sessions {
    /// Makes the sessions of a mapping. `uploads` is absent where no scope grants lists of multipart uploads.
    pub(crate) const fn new(scopes: Arc<SessionHandle>, uploads: Option<Arc<SessionHandle>>) -> Self {
        Self { scopes, uploads }
    }

    /// Returns the slot of the session for the scopes.
    pub(crate) fn slot(&self) -> &Arc<Slot> {
        self.scopes.slot()
    }

    /// Returns the slot of the session of this kind, if the mapping has one.
    pub(crate) fn slot_of(&self, kind: SessionKind) -> Option<&Arc<Slot>> {
        match kind {
            SessionKind::Scopes => Some(self.scopes.slot()),
            SessionKind::Uploads => self.uploads.as_ref().map(|handle| handle.slot()),
        }
    }

    /// Returns whether both have the same session for the scopes.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.scopes, &other.scopes)
    }
}
