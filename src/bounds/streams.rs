//! The limit on the HTTP/2 streams of one client, over all of its connections.
//!
//! A connection of HTTP/1.1 has one request at a time, so `limits.connections_per_client` also bounds the requests that a
//! client has open. It bounds streams by the same number: another protocol gets a client no more requests. Streams
//! above it are refused before they are looked at, in a way that tells the client to try again.

use crate::identify::client::ClientKey;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The open streams of a process.
#[derive(Debug, Default)]
pub(crate) struct Streams(Arc<Open>);

/// The number of streams by client. No entry is zero.
#[derive(Debug, Default)]
struct Open(Mutex<HashMap<ClientKey, usize>>);

impl Streams {
    /// Counts a stream until the guard is dropped. Returns `None` if the client has `limit` streams already.
    pub(crate) fn admit(&self, client: ClientKey, limit: usize) -> Option<StreamGuard> {
        let mut by_client = self.0.lock();
        let count = by_client.entry(client).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(StreamGuard { open: Arc::clone(&self.0), client })
    }

    /// Returns the number of open streams.
    pub(crate) fn open(&self) -> usize {
        self.0.lock().values().sum()
    }
}

impl Open {
    fn lock(&self) -> MutexGuard<'_, HashMap<ClientKey, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open stream.
#[derive(Debug)]
pub(crate) struct StreamGuard {
    open: Arc<Open>,
    client: ClientKey,
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        if let Entry::Occupied(mut entry) = self.open.lock().entry(self.client) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_its_streams_over_all_connections_and_others_have_theirs() {
        let streams = Streams::default();
        let (one, other) = (ClientKey::User(Some(1)), ClientKey::User(Some(2)));
        let held: Vec<_> = std::iter::from_fn(|| streams.admit(one, 3)).take(10).collect();
        assert_eq!((held.len(), streams.open()), (3, 3));
        assert!(streams.admit(other, 3).is_some());
        drop(held);
        assert!(streams.admit(one, 3).is_some());
        assert!(streams.0.lock().is_empty(), "a client without streams is forgotten");
    }
}
