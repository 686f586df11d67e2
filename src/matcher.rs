//! What proves a client: the conditions that a mapping holds the facts of a connection against.

use crate::client::{Client, ListenerId};
use ipnet::IpNet;

/// What a mapping demands of a client: all that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matcher {
    /// Networks, in one of which the client's address lies.
    pub networks: Option<Vec<IpNet>>,
    /// The listener that it came in by.
    pub listener: Option<ListenerId>,
}

/// A condition of a [`Matcher`] that does not hold for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch<'m> {
    /// The client's address, if it has one, lies in none of these networks.
    Network(&'m [IpNet]),
    /// The client came in by another listener than this one.
    Listener(ListenerId),
}

impl Matcher {
    /// Returns every condition that does not hold for `client`; none where it is meant.
    pub fn mismatches(&self, client: &Client) -> Vec<Mismatch<'_>> {
        let without = |part: Self| !part.admits(client);
        let network = self
            .networks
            .as_ref()
            .filter(|networks| without(Self { networks: Some((*networks).clone()), listener: None }));
        let listener =
            self.listener.filter(|listener| without(Self { networks: None, listener: Some(*listener) }));
        let network = network.map(|networks| Mismatch::Network(networks));
        network.into_iter().chain(listener.map(Mismatch::Listener)).collect()
    }

    /// Whether `client` is meant.
    pub fn admits(&self, client: &Client) -> bool {
        let network = match (&self.networks, client.address()) {
            (None, _) => true,
            (Some(networks), Some(address)) => networks.iter().any(|network| network.contains(&address)),
            (Some(_), None) => false,
        };
        network && self.listener.is_none_or(|listener| listener == client.listener())
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
        let networks = local.networks.as_deref().unwrap();
        assert_eq!(local.mismatches(&from("127.0.0.1", here)), []);
        assert_eq!(local.mismatches(&from("::1", here)), [Mismatch::Network(networks)]);
        assert_eq!(local.mismatches(&from("127.0.0.1", ListenerId(1))), [Mismatch::Listener(here)]);
        let both = [Mismatch::Network(networks), Mismatch::Listener(here)];
        assert_eq!(local.mismatches(&Client::identify(None, ListenerId(1))), both);
        assert!(Matcher { networks: None, listener: Some(here) }.admits(&Client::identify(None, here)));
    }
}
