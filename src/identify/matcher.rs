//! Matchers, which select the clients that a mapping applies to.

mod certificates;
mod certified;
mod claims;
mod condition;
mod finding;
mod index;
mod list;
mod named;

pub use certificates::CertificateCondition;
pub use claims::{ClaimCondition, ClaimTest, JwtCondition};
pub use condition::Condition;
pub(crate) use condition::Demand;
pub(crate) use finding::Finding;
pub use index::MappingIndex;

use crate::identify::client::{Client, ListenerFacts, ListenerName};
use crate::identify::identity::Schemes;
use ipnet::IpNet;

/// A mapping's conditions on its clients. It applies to a client for whom all of them hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matcher {
    conditions: Vec<Condition>,
}

impl Matcher {
    /// Makes a matcher of these conditions. Without any, it admits everyone.
    pub fn new(conditions: Vec<Condition>) -> Self {
        Self { conditions }
    }

    /// Returns the conditions.
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// Checks whether every condition holds for `client`.
    pub fn admits(&self, client: &Client<'_>) -> bool {
        !client.is_unknown() && self.conditions.iter().all(|condition| condition.admits(client))
    }

    /// Returns what every condition expects and finds for `client`.
    pub fn findings(&self, client: &Client<'_>) -> Vec<Finding> {
        self.conditions.iter().flat_map(|condition| condition.findings(client)).collect()
    }

    /// Returns the schemes of the credentials that the conditions need.
    pub fn schemes(&self) -> Schemes {
        self.conditions.iter().filter_map(Condition::scheme).collect()
    }

    /// Returns the first condition on the certificate.
    pub fn on_certificate(&self) -> Option<&CertificateCondition> {
        self.conditions.iter().find_map(Condition::on_certificate)
    }

    /// Returns whether a client must prove who it is: by credentials or by a certificate.
    pub fn needs_proof(&self) -> bool {
        !self.schemes().is_empty() || self.on_certificate().is_some()
    }

    /// Checks whether `client` would be admitted with the right credentials: whether the conditions on its connection hold.
    pub fn admits_connection(&self, client: &Client<'_>) -> bool {
        !client.is_unknown()
            && self
                .conditions
                .iter()
                .all(|condition| condition.scheme().is_some() || condition.admits(client))
    }

    /// Checks whether `client` could be admitted on another connection, with the right certificate, and with the right
    /// credentials unless it sent some.
    pub fn could_admit(&self, client: &Client<'_>) -> bool {
        let may_hold = |condition: &Condition| match condition {
            Condition::Certificate(_) => true,
            _ if condition.scheme().is_some() && client.identity().is_none() => true,
            _ => condition.admits(client),
        };
        self.conditions.iter().all(may_hold)
    }

    /// Returns whether an address and a listener are enough to be admitted.
    pub fn is_by_address(&self) -> bool {
        let is_address = |it: &Condition| matches!(it, Condition::Network(_) | Condition::Listener(_));
        self.conditions.iter().all(is_address)
    }

    /// Checks whether the matcher can admit any client of a listener.
    pub fn can_match_at(&self, listener: &ListenerName, facts: ListenerFacts) -> bool {
        self.conditions.iter().all(|condition| condition.at(listener, facts) != Demand::Impossible)
    }

    /// Returns whether no condition excludes this listener by its name.
    pub fn is_for(&self, listener: &ListenerName) -> bool {
        let is_for = |condition: &Condition| match condition {
            Condition::Listener(name) => name == listener,
            _ => true,
        };
        self.conditions.iter().all(is_for)
    }

    /// Returns the networks of the first network condition.
    pub fn networks(&self) -> Option<&[IpNet]> {
        self.conditions.iter().find_map(|condition| {
            if let Condition::Network(networks) = condition { Some(&**networks) } else { None }
        })
    }

    /// Returns the listener of the first listener condition.
    pub fn listener(&self) -> Option<&ListenerName> {
        self.conditions
            .iter()
            .find_map(|condition| if let Condition::Listener(name) = condition { Some(name) } else { None })
    }
}

/// Lists values for a message.
fn listed(values: &[impl ToString]) -> String {
    let values: Vec<String> = values.iter().map(ToString::to_string).collect();
    values.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identify::client::tests::{connection, listener};

    #[test]
    fn every_condition_must_hold() {
        let networks = vec!["127.0.0.0/8".parse().unwrap()];
        let matcher = Matcher::new(vec![Condition::Network(networks), Condition::Listener("here".into())]);
        for (address, at, mismatches) in [
            (Some("127.0.0.1"), "here", 0),
            (Some("::1"), "here", 1),
            (Some("127.0.0.1"), "there", 1),
            (None, "there", 2),
        ] {
            let connection = connection(address, listener(at));
            let client = Client::of_connection(&connection);
            let wrong = matcher.findings(&client).iter().filter(|finding| !finding.holds).count();
            assert_eq!(wrong, mismatches, "{address:?} at {at}");
            assert_eq!(matcher.admits(&client), mismatches == 0, "{address:?} at {at}");
        }
        let connection = connection(None, listener("here"));
        assert!(Matcher::default().admits(&Client::of_connection(&connection)));
    }

    /// Web pages of any origin may use such a mapping, because everyone at the address could.
    #[test]
    fn only_addresses_and_listeners_admit_by_address() {
        let network = || Condition::Network(vec!["10.0.0.0/8".parse().unwrap()]);
        let certificate = Condition::Certificate(CertificateCondition::default());
        for (conditions, expected) in [
            (vec![], true),
            (vec![network(), Condition::Listener("here".into())], true),
            (vec![network(), certificate.clone()], false),
            (vec![certificate], false),
        ] {
            let matcher = Matcher::new(conditions);
            assert_eq!(matcher.is_by_address(), expected, "{matcher:?}");
        }
    }
}
