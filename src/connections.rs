//! Client connections: how many there are, in all and of each address.

use crate::limits::Limits;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The limit that a connection was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// `limits.connections`.
    All,
    /// `limits.connections_per_client`.
    Client,
}

impl Over {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::All, Self::Client];

    /// The limit's name in the configuration and the metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "connections",
            Self::Client => "connections_per_client",
        }
    }
}

/// The open connections of a process.
#[derive(Debug, Default)]
pub struct Connections(Arc<Open>);

#[derive(Debug, Default)]
struct Open {
    all: AtomicUsize,
    /// No entry is zero.
    by_client: DashMap<IpAddr, usize>,
    refused: [AtomicU64; Over::ALL.len()],
    accepts_failed: AtomicU64,
}

impl Connections {
    /// Counts a connection of `address` (none on a unix socket) until the guard is dropped.
    ///
    /// # Errors
    /// When it is over a limit: the connection is to be closed.
    pub fn admit(&self, address: Option<IpAddr>, limits: &Limits) -> Result<ConnectionGuard, Over> {
        let open = &self.0;
        // Counted first: of two that come at once for the last place, one sees the other.
        open.all.fetch_add(1, Ordering::AcqRel);
        let mut guard = ConnectionGuard { open: Arc::clone(open), client: None };
        if open.all.load(Ordering::Acquire) > limits.connections {
            return Err(open.refuse(Over::All));
        }
        let Some(client) = address.map(client) else { return Ok(guard) };
        let mut count = open.by_client.entry(client).or_insert(0);
        if *count >= limits.connections_per_client {
            return Err(open.refuse(Over::Client));
        }
        *count += 1;
        drop(count);
        guard.client = Some(client);
        Ok(guard)
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.0.all.load(Ordering::Relaxed)
    }

    /// A connection could not be accepted, and waits.
    pub fn accept_failed(&self) {
        self.0.accepts_failed.fetch_add(1, Ordering::Relaxed);
    }

    /// How often one could not be accepted.
    pub fn accepts_failed(&self) -> u64 {
        self.0.accepts_failed.load(Ordering::Relaxed)
    }

    /// How many were closed at once over a limit.
    pub fn refused(&self, over: Over) -> u64 {
        self.0.refused.get(over as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }
}

impl Open {
    fn refuse(&self, over: Over) -> Over {
        if let Some(count) = self.refused.get(over as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        over
    }
}

/// One client, as far as addresses tell: an IPv6 host picks any address of its /64.
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

/// An open connection.
#[derive(Debug)]
pub struct ConnectionGuard {
    open: Arc<Open>,
    client: Option<IpAddr>,
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.open.all.fetch_sub(1, Ordering::AcqRel);
        let Some(client) = self.client else { return };
        if let Entry::Occupied(mut entry) = self.open.by_client.entry(client) {
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

    fn limits(connections: usize, connections_per_client: usize) -> Limits {
        Limits { connections, connections_per_client, ..Limits::default() }
    }

    #[test]
    fn each_client_has_its_share() {
        let connections = Connections::default();
        let admit = |address: &str| connections.admit(address.parse().ok(), &limits(4, 2));
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

    #[test]
    fn who_is_gone_is_forgotten() {
        let connections = Connections::default();
        for number in 0..10_000_u32 {
            let address = IpAddr::from(number.to_be_bytes());
            drop(connections.admit(Some(address), &limits(10, 1)));
            let held = connections.admit(Some(address), &limits(10, 1)).unwrap();
            assert_eq!(connections.admit(Some(address), &limits(10, 1)).unwrap_err(), Over::Client);
            drop(held);
        }
        assert_eq!((connections.open(), connections.0.by_client.len()), (0, 0));
    }
}
