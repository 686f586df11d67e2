//! Clients: facts about a connection, and the identity of the client that sends a request over it.

mod listener;

pub use listener::ListenerRegistry;
pub(crate) use listener::{ListenerId, ListenerName, ListenerRef};

use crate::refusal::Refusal;
use http1::Request;
use std::fmt;
use std::future::{Future, ready};
use std::net::{IpAddr, Ipv4Addr};

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
    /// A unix socket, with the user id of the peer if the kernel reports it.
    Unix(Option<u32>),
}

impl Connection {
    /// Describes a TCP connection from `address`.
    pub fn tcp(address: IpAddr, listener: ListenerRef) -> Self {
        // A dual-stack socket reports the IPv4 client a.b.c.d as ::ffff:a.b.c.d.
        Self { peer: Peer::Tcp(address.to_canonical()), listener }
    }

    /// Describes a connection to a unix socket from a process of `user`, where the kernel reports one.
    pub fn unix(user: Option<u32>, listener: ListenerRef) -> Self {
        Self { peer: Peer::Unix(user), listener }
    }

    /// Returns the address of a TCP peer.
    pub fn address(&self) -> Option<IpAddr> {
        match self.peer {
            Peer::Tcp(address) => Some(address),
            Peer::Unix(_) => None,
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
            Peer::Unix(user) => ClientKey::User(user),
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

/// The identity of the client that sends a request. Only this module makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client<'c> {
    connection: &'c Connection,
}

impl<'c> Client<'c> {
    /// Returns the identity that the connection alone proves, before any request arrives.
    pub fn of_connection(connection: &'c Connection) -> Self {
        Self { connection }
    }

    /// Returns the connection that the request arrived on.
    pub fn connection(&self) -> &'c Connection {
        self.connection
    }

    /// Returns the key under which the client's requests are counted.
    pub fn key(&self) -> ClientKey {
        self.connection.key()
    }
}

/// Establishes the identity of the client that sends a request: the first stage of each request, which runs once.
///
/// The connection proves every identity that exists so far, so this resolves at once and refuses nothing. It is async and
/// fallible because a check of the request's credentials may have to wait, and may fail.
///
/// # Errors
/// When the request carries credentials that do not verify.
pub(crate) fn identify<'c>(
    connection: &'c Connection,
    _request: &Request,
) -> impl Future<Output = Result<Client<'c>, Refusal>> {
    ready(Ok(Client::of_connection(connection)))
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
        let user = |user| Connection::unix(user, listener("a")).key();
        assert!(user(Some(1)) != user(Some(2)) && user(None) != user(Some(0)));
    }
}
