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

impl Matcher {
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
        assert!(Matcher { networks: None, listener: Some(here) }.admits(&Client::identify(None, here)));
    }
}
