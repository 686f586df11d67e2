//! The conditions that a mapping can put on its clients.
//!
//! A new kind of condition is a variant here and a key in the configuration's reader; everything else asks the methods
//! below. [`MappingIndex`](super::MappingIndex) checks a kind that it has no table for one mapping after the other.

use crate::identify::client::{Client, ListenerName};
use ipnet::IpNet;

/// A condition on the client of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The client's address is in one of these networks.
    Network(Vec<IpNet>),
    /// The client is connected to this listener.
    Listener(ListenerName),
}

impl Condition {
    /// Checks whether the condition holds for `client`.
    pub fn admits(&self, client: &Client<'_>) -> bool {
        match self {
            Self::Network(networks) => client
                .connection()
                .address()
                .is_some_and(|address| networks.iter().any(|network| network.contains(&address))),
            Self::Listener(name) => client.connection().listener().name() == name,
        }
    }

    /// Explains why the condition does not hold for `client`. Returns `None` when it does.
    pub fn mismatch(&self, client: &Client<'_>) -> Option<String> {
        if self.admits(client) {
            return None;
        }
        let connection = client.connection();
        Some(match self {
            Self::Network(networks) => match connection.address() {
                Some(address) => {
                    let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
                    format!("network: {address} is not in {}", networks.join(", "))
                }
                None => "network: a client of a unix socket has no address".to_owned(),
            },
            Self::Listener(name) => {
                format!("listener: {name:?} is wanted, and it is {:?}", connection.listener().name())
            }
        })
    }

    /// Checks whether this condition holds for every client for whom `other` holds.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Network(outer), Self::Network(inner)) => {
                let outer = IpNet::aggregate(outer);
                inner.iter().all(|inner| outer.iter().any(|outer| outer.contains(inner)))
            }
            (Self::Listener(one), Self::Listener(other)) => one == other,
            (Self::Network(_), Self::Listener(_)) | (Self::Listener(_), Self::Network(_)) => false,
        }
    }

    /// Returns the demand of the condition on the clients of one listener.
    pub fn at(&self, listener: &ListenerName, is_unix: bool) -> Demand {
        match self {
            Self::Network(_) if is_unix => Demand::Impossible,
            Self::Network(_) => Demand::Some,
            Self::Listener(name) if name == listener => Demand::Nothing,
            Self::Listener(_) => Demand::Impossible,
        }
    }
}

/// The demand of a condition on the clients of one listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// It holds for all of them.
    Nothing,
    /// It holds for some of them.
    Some,
    /// It holds for none of them.
    Impossible,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identify::client::tests::{connection, listener};

    fn network(networks: &[&str]) -> Condition {
        Condition::Network(networks.iter().map(|network| network.parse().unwrap()).collect())
    }

    #[test]
    fn a_network_admits_the_addresses_in_it() {
        let loopback = network(&["127.0.0.0/8", "fd00::/8"]);
        for (address, admitted) in [
            (Some("127.0.0.1"), true),
            (Some("::ffff:127.0.0.1"), true),
            (Some("fd00::1"), true),
            (Some("128.0.0.1"), false),
            (Some("::1"), false),
            (None, false),
        ] {
            let connection = connection(address, listener("main"));
            let client = Client::of_connection(&connection);
            assert_eq!(loopback.admits(&client), admitted, "{address:?}");
            assert_eq!(loopback.mismatch(&client).is_none(), admitted, "{address:?}");
        }
    }

    #[test]
    fn mismatches_name_the_expected_and_the_actual_value() {
        let told = |condition: Condition, address| {
            let connection = connection(address, listener("main"));
            condition.mismatch(&Client::of_connection(&connection)).unwrap()
        };
        let networks = || network(&["127.0.0.0/8", "fd00::/8"]);
        assert_eq!(told(networks(), Some("::1")), "network: ::1 is not in 127.0.0.0/8, fd00::/8");
        assert_eq!(told(networks(), None), "network: a client of a unix socket has no address");
        let other = Condition::Listener("other".into());
        assert_eq!(told(other, None), "listener: \"other\" is wanted, and it is \"main\"");
    }

    #[test]
    fn covering_is_decided_on_the_union_of_networks() {
        let (whole, halves) = (network(&["10.0.0.0/8"]), network(&["10.0.0.0/9", "10.128.0.0/9"]));
        assert!(whole.covers(&halves) && halves.covers(&whole));
        assert!(!network(&["10.0.0.0/9"]).covers(&whole));
        assert!(network(&["0.0.0.0/0"]).covers(&whole) && !network(&["::/0"]).covers(&whole));
        let main = Condition::Listener("main".into());
        assert!(main.covers(&main) && !main.covers(&Condition::Listener("other".into())));
        assert!(!main.covers(&whole) && !whole.covers(&main));
    }

    #[test]
    fn a_network_demands_the_impossible_of_a_unix_socket() {
        let (main, other) = ("main".into(), "other".into());
        assert_eq!(network(&["::/0"]).at(&main, true), Demand::Impossible);
        assert_eq!(network(&["::/0"]).at(&main, false), Demand::Some);
        assert_eq!(Condition::Listener("main".into()).at(&main, true), Demand::Nothing);
        assert_eq!(Condition::Listener("main".into()).at(&other, true), Demand::Impossible);
    }
}
