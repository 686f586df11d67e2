//! Who is calling: the facts of a connection.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// A listener's place in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenerId(pub usize);

/// A client as its connection proves it. Only this module makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    origin: Origin,
    listener: ListenerId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Network(IpAddr),
    /// A unix socket, with the peer's user where the kernel names one.
    Unix(Option<u32>),
}

/// The unit among which limits are divided: requests, connections and memory are counted by it.
///
/// It is made from the peer's address or user, so that it cannot be chosen at will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientKey {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// The upper half of an IPv6 address: a host picks any address of its /64.
    V6(u64),
    /// The user of a unix socket's peer.
    User(Option<u32>),
}

impl Client {
    /// Identifies the client behind an accepted connection. `address` is the peer's, `None` on a unix socket.
    pub fn identify(address: Option<IpAddr>, listener: ListenerId) -> Self {
        // ::ffff:a.b.c.d is the IPv4 client a.b.c.d on a socket that takes both.
        let origin = address.map_or(Origin::Unix(None), |address| Origin::Network(address.to_canonical()));
        Self { origin, listener }
    }

    /// Identifies the client behind a unix socket by the user that the kernel names.
    pub fn of_user(user: Option<u32>, listener: ListenerId) -> Self {
        Self { origin: Origin::Unix(user), listener }
    }

    /// Returns the listener that it came in by.
    pub fn listener(&self) -> ListenerId {
        self.listener
    }

    /// Returns the address that it connects from, `None` on a unix socket.
    pub fn address(&self) -> Option<IpAddr> {
        match self.origin {
            Origin::Network(address) => Some(address),
            Origin::Unix(_) => None,
        }
    }

    /// Returns the unit that it is counted as.
    pub fn key(&self) -> ClientKey {
        match self.origin {
            Origin::Network(IpAddr::V4(address)) => ClientKey::V4(address),
            Origin::Network(IpAddr::V6(address)) => {
                ClientKey::V6(u64::try_from(address.to_bits() >> 64).unwrap_or_default())
            }
            Origin::Unix(user) => ClientKey::User(user),
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.origin {
            Origin::Network(address) => address.fmt(f),
            Origin::Unix(_) => f.write_str("unix"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_client_is_its_64_bit_network_and_a_unix_client_its_user() {
        let key = |address: &str| Client::identify(address.parse().ok(), ListenerId(0)).key();
        assert_eq!(key("2001:db8:0:1::1"), key("2001:db8:0:1:ffff::9"));
        assert_ne!(key("2001:db8:0:1::1"), key("2001:db8:0:2::1"));
        assert_eq!(key("10.0.0.1"), key("::ffff:10.0.0.1"));
        assert_ne!(key("10.0.0.1"), key("10.0.0.2"));
        let user = |user| Client::of_user(user, ListenerId(0)).key();
        assert!(user(Some(1)) != user(Some(2)) && user(None) != user(Some(0)));
    }
}
