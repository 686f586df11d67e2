//! Who is calling: the facts of a connection.

use std::fmt;
use std::net::IpAddr;

/// A listener's place in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenerId(pub usize);

/// A client as its connection proves it. Only this module makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    address: Option<IpAddr>,
    listener: ListenerId,
}

impl Client {
    /// The client behind an accepted connection. `address` is the peer's, `None` on a unix socket.
    pub fn identify(address: Option<IpAddr>, listener: ListenerId) -> Self {
        // ::ffff:a.b.c.d is the IPv4 client a.b.c.d on a socket that takes both.
        Self { address: address.map(|address| address.to_canonical()), listener }
    }

    /// The listener that it came in by.
    pub fn listener(&self) -> ListenerId {
        self.listener
    }

    /// Where it connects from.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => address.fmt(f),
            None => f.write_str("unix"),
        }
    }
}
