//! Who is calling: the facts of a connection, and the matchers that a mapping holds them against.

use ipnet::IpNet;
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

/// What a mapping demands of a client: all that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matcher {
    /// Networks, in one of which the client's address lies.
    pub networks: Option<Vec<IpNet>>,
    /// The listener that it came in by.
    pub listener: Option<ListenerId>,
}

impl Matcher {
    /// Whether `client` is meant.
    pub fn admits(&self, client: &Client) -> bool {
        let network = match (&self.networks, client.address) {
            (None, _) => true,
            (Some(networks), Some(address)) => networks.iter().any(|network| network.contains(&address)),
            (Some(_), None) => false,
        };
        network && self.listener.is_none_or(|listener| listener == client.listener)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_matcher_must_hold() {
        let here = ListenerId(0);
        let local = Matcher { networks: Some(vec!["127.0.0.0/8".parse().unwrap()]), listener: Some(here) };
        let from = |address: &str, listener| Client::identify(Some(address.parse().unwrap()), listener);
        assert!(local.admits(&from("127.0.0.1", here)));
        assert!(local.admits(&from("::ffff:127.0.0.1", here)));
        assert!(!local.admits(&from("127.0.0.1", ListenerId(1))));
        assert!(!local.admits(&from("128.0.0.1", here)));
        assert!(!local.admits(&from("::1", here)));
        assert!(!local.admits(&Client::identify(None, here)));
        assert!(Matcher { networks: None, listener: Some(here) }.admits(&Client::identify(None, here)));
    }
}
