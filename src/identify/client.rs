//! Clients: facts about a connection, and the identity of the client that sends a request over it.

mod listener;

pub use listener::ListenerRegistry;
pub(crate) use listener::{ListenerId, ListenerName, ListenerRef};

use crate::identify::identity::Identity;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// Facts about an accepted connection. They hold for all its requests and are known before the first.
///
/// They are not an identity: several clients may send requests over one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    peer: Peer,
    listener: ListenerRef,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    Tcp(IpAddr),
    /// A unix socket, with the user of the peer if the kernel reports it.
    Unix(Option<PeerUser>),
}

/// The user of the process that connected to a unix socket (`SO_PEERCRED`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerUser {
    /// The user id.
    pub uid: u32,
    /// The id of the primary group.
    pub gid: u32,
}

impl Connection {
    /// Describes a TCP connection from `address`.
    pub fn tcp(address: IpAddr, listener: ListenerRef) -> Self {
        // A dual-stack socket reports the IPv4 client a.b.c.d as ::ffff:a.b.c.d.
        Self { peer: Peer::Tcp(address.to_canonical()), listener }
    }

    /// Describes a connection to a unix socket from a process of `user`, where the kernel reports one.
    pub fn unix(user: Option<PeerUser>, listener: ListenerRef) -> Self {
        Self { peer: Peer::Unix(user), listener }
    }

    /// Returns the address of a TCP peer.
    pub fn address(&self) -> Option<IpAddr> {
        match self.peer {
            Peer::Tcp(address) => Some(address),
            Peer::Unix(_) => None,
        }
    }

    /// Returns the user at the other end of a unix socket.
    pub fn user(&self) -> Option<PeerUser> {
        match self.peer {
            Peer::Tcp(_) => None,
            Peer::Unix(user) => user,
        }
    }

    /// Returns the listener that accepted the connection.
    pub fn listener(&self) -> &ListenerRef {
        &self.listener
    }

    /// Returns the key under which the connection and its memory are counted.
    pub fn key(&self) -> ClientKey {
        match self.peer {
            Peer::Tcp(IpAddr::V4(address)) => ClientKey::V4(address),
            Peer::Tcp(IpAddr::V6(address)) => {
                ClientKey::V6(u64::try_from(address.to_bits() >> 64).unwrap_or_default())
            }
            Peer::Unix(user) => ClientKey::User(user.map(|user| user.uid)),
        }
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.peer {
            Peer::Tcp(address) => address.fmt(f),
            Peer::Unix(_) => f.write_str("unix"),
        }
    }
}

/// The client that sends a request: its connection, and the identity that the request's credentials prove.
#[derive(Clone, Debug)]
pub struct Client<'c> {
    connection: &'c Connection,
    identity: Option<Arc<Identity>>,
}

impl<'c> Client<'c> {
    /// Returns the client as far as the connection alone identifies it.
    pub fn of_connection(connection: &'c Connection) -> Self {
        Self { connection, identity: None }
    }

    /// Returns a client that proved this identity over the connection.
    pub fn proved(connection: &'c Connection, identity: Arc<Identity>) -> Self {
        Self { connection, identity: Some(identity) }
    }

    /// Returns the connection that the request arrived on.
    pub fn connection(&self) -> &'c Connection {
        self.connection
    }

    /// Returns the identity that the client proved by credentials.
    pub fn identity(&self) -> Option<&Arc<Identity>> {
        self.identity.as_ref()
    }

    /// Returns the key under which the client's requests are counted.
    pub fn key(&self) -> ClientKey {
        self.connection.key()
    }
}

/// The unit that limits are divided among: requests, connections and memory are counted by it.
///
/// It comes from the peer's address or user, so that a client cannot choose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientKey {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// The upper half of an IPv6 address: a host can use any address of its /64.
    V6(u64),
    /// The user of a unix socket's peer.
    User(Option<u32>),
    /// An identity with a prefix of its own, by its number in its mapping.
    Identity(u64),
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns the listener of this name, registered alone.
    pub(crate) fn listener(name: &str) -> ListenerRef {
        ListenerRegistry::default().register(&name.into())
    }

    /// Returns a connection from this address, or over a unix socket.
    pub(crate) fn connection(address: Option<&str>, listener: ListenerRef) -> Connection {
        match address {
            Some(address) => Connection::tcp(address.parse().unwrap(), listener),
            None => Connection::unix(None, listener),
        }
    }

    #[test]
    fn ipv6_clients_are_counted_by_their_64_bit_network_and_unix_clients_by_user() {
        let key = |address: &str| connection(Some(address), listener("a")).key();
        assert_eq!(key("2001:db8:0:1::1"), key("2001:db8:0:1:ffff::9"));
        assert_ne!(key("2001:db8:0:1::1"), key("2001:db8:0:2::1"));
        assert_eq!(key("10.0.0.1"), key("::ffff:10.0.0.1"));
        assert_ne!(key("10.0.0.1"), key("10.0.0.2"));
        let user =
            |uid: Option<u32>| Connection::unix(uid.map(|uid| PeerUser { uid, gid: 5 }), listener("a")).key();
        assert!(user(Some(1)) != user(Some(2)) && user(None) != user(Some(0)));
    }
}
