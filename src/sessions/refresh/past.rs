//! The last events of a value, for people who look at them.

use std::sync::Arc;
use std::time::SystemTime;

/// The last events of a value.
#[derive(Debug)]
pub(crate) struct Past<E> {
    /// The time of the last successful fetch.
    pub fetched: Option<SystemTime>,
    /// The time from which on a value that is in use is fetched again.
    pub refresh: Option<SystemTime>,
    /// The last failed fetch, and its time.
    pub failed: Option<(SystemTime, Arc<E>)>,
}

// Derived impls would require the same of errors.
impl<E> Default for Past<E> {
    fn default() -> Self {
        Self { fetched: None, refresh: None, failed: None }
    }
}

impl<E> Clone for Past<E> {
    fn clone(&self) -> Self {
        Self { failed: self.failed.clone(), ..*self }
    }
}
