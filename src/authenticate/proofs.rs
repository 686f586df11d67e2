//! Remembers verified credentials, so that a password is hashed once and not for every request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What vouches for credentials, such as one user of the configuration. It ends when that is changed or removed, and
/// every proof ends with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source(Arc<AtomicBool>);

impl Source {
    /// Ends the source.
    pub(crate) fn end(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Returns whether the source has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Returns whether both are the same source.
    #[cfg(test)]
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
