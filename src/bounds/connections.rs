//! Limits on client connections: in total, per listener and per client.
//!
//! Each listener has a reserve that other listeners cannot use. A client may open another connection while it has
//! fewer than three times the number that its listener has left. Clients without a mapping share a third of what is
//! left. So a few clients cannot keep others from connecting.

use crate::bounds::limits::Limits;
use crate::bounds::places::SHARE;
use crate::identify::client::{ClientKey, ListenerId};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The divisor that gives the reserves of all listeners together: a quarter of all connections.
const RESERVES: usize = 4;

/// The limit that a connection exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// `limits.connections`, without the reserves of other listeners.
    All,
    /// `limits.connections_per_client`, or the client's share of what is left.
    Client,
    /// The share of clients without a mapping.
    Strangers,
}

impl Over {
    /// All limits.
    pub(crate) const ALL: [Self; 3] = [Self::All, Self::Client, Self::Strangers];

    /// Returns the limit's name in the metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::All => "connections",
            Self::Client => "connections_per_client",
            Self::Strangers => "no_mapping",
        }
    }
}

/// A connection that was accepted and is not counted yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// The client that it is counted for.
    pub client: ClientKey,
    /// The listener that accepted it.
    pub listener: ListenerId,
    /// Whether a mapping admits the client.
    pub known: bool,
    /// The number of configured listeners.
    pub listeners: usize,
}

/// The open connections of a process.
#[derive(Debug, Default)]
pub(crate) struct Connections(Arc<Open>);

#[derive(Debug, Default)]
struct Open {
    counts: Mutex<Counts>,
    refused: [AtomicU64; Over::ALL.len()],
    accepts_failed: AtomicU64,
}

/// The numbers of open connections. No entry is zero.
#[derive(Debug, Default)]
struct Counts {
    all: usize,
    strangers: usize,
    by_listener: HashMap<ListenerId, usize>,
    by_client: HashMap<ClientKey, usize>,
}

impl Connections {
    /// Counts a connection until the guard is dropped.
    ///
    /// # Errors
    /// When it exceeds a limit. The connection must be closed.
    pub(crate) fn admit(&self, arrival: &Arrival, limits: &Limits) -> Result<ConnectionGuard, Over> {
        let mut counts = self.0.lock();
        if let Some(over) = counts.over(arrival, limits) {
            if let Some(count) = self.0.refused.get(over as usize) {
                count.fetch_add(1, Ordering::Relaxed);
            }
            return Err(over);
        }
        counts.all += 1;
        counts.strangers += usize::from(!arrival.known);
        *counts.by_listener.entry(arrival.listener).or_default() += 1;
        *counts.by_client.entry(arrival.client).or_default() += 1;
        Ok(ConnectionGuard { open: Arc::clone(&self.0), arrival: *arrival })
    }

    /// Returns the number of open connections.
    pub(crate) fn open(&self) -> usize {
        self.0.lock().all
    }

    /// Counts a failed accept.
    pub(crate) fn accept_failed(&self) {
        self.0.accepts_failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of failed accepts.
    pub(crate) fn accepts_failed(&self) -> u64 {
        self.0.accepts_failed.load(Ordering::Relaxed)
    }

    /// Returns the number of connections that were closed because of this limit.
    pub(crate) fn refused(&self, over: Over) -> u64 {
        self.0.refused.get(over as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }
}

impl ConnectionGuard {
    /// Returns whether a mapping admits the client.
    pub(crate) fn is_known(&self) -> bool {
        self.arrival.known
    }

    /// Returns the client that the connection is counted for.
    pub(crate) fn client(&self) -> ClientKey {
        self.arrival.client
    }

    /// Counts the connection for another client, once it is known whose connection it is.
    ///
    /// # Errors
    /// When it exceeds a limit. The connection must be closed, and is no longer counted.
    pub(crate) fn recount(self, arrival: &Arrival, limits: &Limits) -> Result<Self, Over> {
        let open = Arc::clone(&self.open);
        drop(self);
        Connections(open).admit(arrival, limits)
    }
}

impl Open {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// Returns the limit that another connection would exceed.
    fn over(&self, arrival: &Arrival, limits: &Limits) -> Option<Over> {
        let left = self.left(arrival, limits);
        let of_client = self.by_client.get(&arrival.client).copied().unwrap_or_default();
        if left == 0 || self.all >= limits.connections {
            Some(Over::All)
        } else if of_client >= limits.connections_per_client.min(left.saturating_mul(SHARE)) {
            Some(Over::Client)
        } else if !arrival.known && self.strangers >= left / SHARE {
            Some(Over::Strangers)
        } else {
            None
        }
    }

    /// Returns the number of connections that the arrival's listener has left: of its reserve, and of the connections
    /// that all listeners share.
    fn left(&self, arrival: &Arrival, limits: &Limits) -> usize {
        let listeners = arrival.listeners.max(1);
        let reserve = limits.connections / RESERVES / listeners;
        let shared = limits.connections - reserve * listeners;
        let used: usize = self.by_listener.values().map(|count| count.saturating_sub(reserve)).sum();
        let own = self.by_listener.get(&arrival.listener).copied().unwrap_or_default();
        reserve.saturating_sub(own) + shared.saturating_sub(used)
    }
}

fn subtract<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct ConnectionGuard {
    open: Arc<Open>,
    arrival: Arrival,
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let mut counts = self.open.lock();
        counts.all -= 1;
        counts.strangers -= usize::from(!self.arrival.known);
        subtract(&mut counts.by_listener, &self.arrival.listener);
        subtract(&mut counts.by_client, &self.arrival.client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identify::client::tests::connection;
    use crate::identify::client::{Connection, ListenerRef, ListenerRegistry, PeerUser};

    /// Returns one of several listeners.
    fn listener(number: usize) -> ListenerRef {
        let mut registry = ListenerRegistry::default();
        let listeners = ["a", "b"].map(|name| registry.register(&name.into()));
        listeners[number].clone()
    }

    fn limits(connections: usize, connections_per_client: usize) -> Limits {
        Limits { connections, connections_per_client, ..Limits::default() }
    }

    fn arrival(address: &str, listener: usize, listeners: usize) -> Arrival {
        of(&connection(Some(address), self::listener(listener)), listeners)
    }

    fn of(connection: &Connection, listeners: usize) -> Arrival {
        Arrival { client: connection.key(), listener: connection.listener().id(), known: true, listeners }
    }

    fn fill(connections: &Connections, arrival: &Arrival, limits: &Limits) -> Vec<ConnectionGuard> {
        std::iter::from_fn(|| connections.admit(arrival, limits).ok()).collect()
    }

    #[test]
    fn each_client_has_its_share() {
        let connections = Connections::default();
        let admit = |address: &str| connections.admit(&arrival(address, 0, 1), &limits(4, 2));
        let (a, _b) = (admit("10.0.0.1").unwrap(), admit("::ffff:10.0.0.1").unwrap());
        assert_eq!(admit("10.0.0.1").unwrap_err(), Over::Client);
        let _c = admit("fd00::1").unwrap();
        let _d = admit("fd00::2").unwrap();
        assert_eq!(admit("10.0.0.2").unwrap_err(), Over::All);
        assert_eq!(
            (connections.open(), connections.refused(Over::All), connections.refused(Over::Client)),
            (4, 1, 1)
        );
        drop(a);
        assert_eq!(admit("fd00::3").unwrap_err(), Over::Client, "an IPv6 client is a /64");
        assert!(admit("10.0.0.1").is_ok());
    }

    /// Three addresses with as many connections as they can get leave room at every listener.
    #[test]
    fn a_few_clients_do_not_shut_the_listeners() {
        let (connections, limits) = (Connections::default(), Limits::default());
        let mut held = Vec::new();
        for address in ["10.0.0.1", "10.0.0.2", "10.0.0.3"] {
            held.push(fill(&connections, &arrival(address, 0, 2), &limits));
        }
        assert!(connections.admit(&arrival("10.0.0.9", 0, 2), &limits).is_ok());
        // No number of addresses takes the reserve of another listener.
        for number in 0..1000_u32 {
            let address = std::net::Ipv4Addr::from_bits(number).to_string();
            held.push(fill(&connections, &arrival(&address, 0, 2), &limits));
        }
        assert_eq!(connections.admit(&arrival("10.0.0.9", 0, 2), &limits).unwrap_err(), Over::All);
        let other = fill(&connections, &arrival("10.0.0.9", 1, 2), &limits);
        assert_eq!((connections.open(), other.len()), (8750 + other.len(), 938));
    }

    #[test]
    fn users_of_unix_sockets_are_counted() {
        let connections = Connections::default();
        let admit = |user| {
            connections.admit(
                &of(&Connection::unix(Some(PeerUser { uid: user, gid: 0 }), listener(0)), 1),
                &limits(10, 2),
            )
        };
        let _held = (admit(1).unwrap(), admit(1).unwrap(), admit(2).unwrap());
        assert_eq!(admit(1).unwrap_err(), Over::Client);
    }

    #[test]
    fn clients_of_no_mapping_come_last() {
        let (connections, limits) = (Connections::default(), limits(100, 100));
        let mut held = Vec::new();
        for number in 0..100_u32 {
            let address = std::net::Ipv4Addr::from_bits(number).to_string();
            let stranger = Arrival { known: false, ..arrival(&address, 0, 1) };
            held.extend(connections.admit(&stranger, &limits));
        }
        assert_eq!((held.len(), connections.refused(Over::Strangers)), (25, 75));
        let known =
            ["10.0.0.1", "10.0.0.2"].map(|address| fill(&connections, &arrival(address, 0, 1), &limits));
        assert_eq!(known.each_ref().map(Vec::len), [57, 14]);
        drop((held, known));
        assert_eq!(connections.open(), 0);
    }

    #[test]
    fn a_client_without_connections_is_forgotten() {
        let (connections, limits) = (Connections::default(), limits(10, 1));
        for number in 0..10_000_u32 {
            let one = arrival(&std::net::Ipv4Addr::from_bits(number).to_string(), 0, 1);
            drop(connections.admit(&one, &limits));
            let held = connections.admit(&one, &limits).unwrap();
            assert_eq!(connections.admit(&one, &limits).unwrap_err(), Over::Client);
            drop(held);
        }
        let counts = connections.0.lock();
        assert_eq!((counts.all, counts.by_client.len(), counts.by_listener.len()), (0, 0, 0));
    }
}
