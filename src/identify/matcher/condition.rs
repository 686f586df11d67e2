//! The conditions that a mapping can put on its clients.
//!
//! A new kind of condition is a variant here and a key in the configuration's reader; everything else asks the methods
//! below. [`MappingIndex`](super::MappingIndex) checks a kind that it has no table for one mapping after the other.

use super::certificates::CertificateCondition;
use super::claims::JwtCondition;
use super::finding::Finding;
use super::listed;
use crate::identify::client::{Client, ClientCertificates, ListenerFacts, ListenerName};
use crate::identify::identity::{Identity, Names, Scheme};
use ipnet::IpNet;

/// A condition on the client of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// The client's address is in one of these networks.
    Network(Vec<IpNet>),
    /// The client is connected to this listener.
    Listener(ListenerName),
    /// The process at the other end of a unix socket has one of these user ids.
    Uid(Vec<u32>),
    /// The process at the other end of a unix socket has one of these primary group ids.
    Gid(Vec<u32>),
    /// The client has a certificate that meets this condition.
    Certificate(CertificateCondition),
    /// The client logged in as one of these users.
    User(Names),
    /// The client sent one of these bearer tokens.
    Token(Names),
    /// The client signed with one of these local access keys.
    Key(Names),
    /// The client sent a JWT that meets this condition.
    Jwt(JwtCondition),
}

impl Condition {
    /// Checks whether the condition holds for `client`.
    pub fn admits(&self, client: &Client<'_>) -> bool {
        let (connection, identity) = (client.connection(), client.identity().map(|identity| &**identity));
        match self {
            Self::Network(networks) => client
                .address()
                .is_some_and(|address| networks.iter().any(|network| network.contains(&address))),
            Self::Listener(name) => connection.listener().name() == name,
            Self::Uid(ids) => connection.user().is_some_and(|user| ids.contains(&user.uid)),
            Self::Gid(ids) => connection.user().is_some_and(|user| ids.contains(&user.gid)),
            Self::Certificate(condition) => {
                connection.certificate().is_some_and(|certificate| condition.admits(certificate))
            }
            Self::User(names) => matches!(identity, Some(Identity::User(name)) if names.admit(name)),
            Self::Token(names) => matches!(identity, Some(Identity::Token(name)) if names.admit(name)),
            Self::Key(names) => matches!(identity, Some(Identity::Key(name)) if names.admit(name)),
            Self::Jwt(condition) => matches!(identity, Some(Identity::Jwt(jwt)) if condition.admits(jwt)),
        }
    }

    /// Returns the key of the condition in a configuration.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Network(_) => "network",
            Self::Listener(_) => "listener",
            Self::Uid(_) => "uid",
            Self::Gid(_) => "gid",
            Self::Certificate(_) => "certificate",
            Self::User(_) => "user",
            Self::Token(_) => "token",
            Self::Key(_) => "key",
            Self::Jwt(_) => "jwt",
        }
    }

    /// Returns the scheme of the credentials that the condition needs. Conditions on the connection need none.
    pub const fn scheme(&self) -> Option<Scheme> {
        match self {
            Self::Network(_) | Self::Listener(_) | Self::Uid(_) | Self::Gid(_) | Self::Certificate(_) => None,
            Self::User(_) => Some(Scheme::Basic),
            Self::Token(_) | Self::Jwt(_) => Some(Scheme::Bearer),
            Self::Key(_) => Some(Scheme::SigV4),
        }
    }

    /// Returns the condition on the certificate, if it is one.
    pub const fn on_certificate(&self) -> Option<&CertificateCondition> {
        if let Self::Certificate(condition) = self { Some(condition) } else { None }
    }

    /// Returns what the condition expects and what it finds, with one entry for each thing that it compares.
    pub fn findings(&self, client: &Client<'_>) -> Vec<Finding> {
        if let (Self::Jwt(condition), Some(Identity::Jwt(jwt))) =
            (self, client.identity().map(|identity| &**identity))
        {
            return condition.findings(jwt);
        }
        let wanted = match self {
            Self::Certificate(condition) => {
                return condition.findings(client.connection().certificate().map(|it| &**it));
            }
            Self::Network(networks) => listed(networks),
            Self::Listener(name) => name.to_string(),
            Self::Uid(ids) | Self::Gid(ids) => listed(ids),
            Self::User(names) | Self::Token(names) | Self::Key(names) => names.listed().into_owned(),
            Self::Jwt(condition) => format!("a token of issuer {:?}", condition.issuer),
        };
        vec![Finding {
            what: self.name().into(),
            wanted,
            found: self.found(client),
            holds: self.admits(client),
        }]
    }

    fn found(&self, client: &Client<'_>) -> String {
        let connection = client.connection();
        let user = || connection.user().ok_or("the connection proves no user");
        let found = match self {
            Self::Network(_) => client.address().map(|address| address.to_string()).ok_or("no address"),
            Self::Listener(_) => Ok(connection.listener().name().to_string()),
            Self::Uid(_) => user().map(|user| user.uid.to_string()),
            Self::Gid(_) => user().map(|user| user.gid.to_string()),
            Self::Certificate(_) => {
                let certificate = connection.certificate();
                certificate.map(|it| it.name().into_owned()).ok_or("no client certificate")
            }
            Self::User(_) | Self::Token(_) | Self::Key(_) | Self::Jwt(_) => {
                client.identity().map(|identity| identity.describe()).ok_or("no identity")
            }
        };
        found.unwrap_or_else(ToOwned::to_owned)
    }

    /// Checks whether this condition holds for every client for whom `other` holds.
    pub fn covers(&self, other: &Self) -> bool {
        let ids = |outer: &[u32], inner: &[u32]| inner.iter().all(|id| outer.contains(id));
        match (self, other) {
            (Self::Network(outer), Self::Network(inner)) => {
                let outer = IpNet::aggregate(outer);
                inner.iter().all(|inner| outer.iter().any(|outer| outer.contains(inner)))
            }
            (Self::Listener(one), Self::Listener(other)) => one == other,
            (Self::Uid(outer), Self::Uid(inner)) | (Self::Gid(outer), Self::Gid(inner)) => ids(outer, inner),
            (Self::User(outer), Self::User(inner))
            | (Self::Token(outer), Self::Token(inner))
            | (Self::Key(outer), Self::Key(inner)) => outer.cover(inner),
            (Self::Jwt(outer), Self::Jwt(inner)) => outer.covers(inner),
            (Self::Certificate(outer), Self::Certificate(inner)) => outer.covers(inner),
            _ => false,
        }
    }

    /// Returns the demand of the condition on the clients of one listener.
    pub fn at(&self, listener: &ListenerName, facts: ListenerFacts) -> Demand {
        match self {
            Self::Network(_) if facts.is_unix && !facts.is_balanced => Demand::Impossible,
            Self::Uid(_) | Self::Gid(_) if !facts.is_unix => Demand::Impossible,
            Self::Certificate(condition) => match facts.certificates {
                ClientCertificates::Never => Demand::Impossible,
                ClientCertificates::Required if condition.is_any() => Demand::Nothing,
                ClientCertificates::Optional | ClientCertificates::Required => Demand::Some,
            },
            Self::Listener(name) if name == listener => Demand::Nothing,
            Self::Listener(_) => Demand::Impossible,
            _ => Demand::Some,
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
    use crate::identify::client::Connection;
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
            assert_eq!(loopback.findings(&client)[0].holds, admitted, "{address:?}");
        }
    }

    #[test]
    fn findings_name_the_expected_and_the_actual_value() {
        let told = |condition: Condition, address| {
            let connection = connection(address, listener("main"));
            let findings = condition.findings(&Client::of_connection(&connection));
            findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        };
        let networks = || network(&["127.0.0.0/8", "fd00::/8"]);
        let wants = "network: wants 127.0.0.0/8, fd00::/8; found";
        assert_eq!(told(networks(), Some("::1")), format!("{wants} ::1: does not hold"));
        assert_eq!(told(networks(), Some("fd00::1")), format!("{wants} fd00::1: holds"));
        assert_eq!(told(networks(), None), format!("{wants} no address: does not hold"));
        let other = Condition::Listener("other".into());
        assert_eq!(told(other, None), "listener: wants other; found main: does not hold");
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
    fn identities_admit_the_names_of_their_own_kind() {
        use crate::identify::client::PeerUser;
        use std::sync::Arc;
        let names = || Names::Of(vec!["alice".into()]);
        let kinds = [Condition::User(names()), Condition::Token(names()), Condition::Key(names())];
        let proofs = [Identity::User, Identity::Token, Identity::Key];
        let connection = connection(Some("10.0.0.1"), listener("main"));
        for (at, condition) in kinds.iter().enumerate() {
            assert!(!condition.admits(&Client::of_connection(&connection)));
            for (other, prove) in proofs.iter().enumerate() {
                let client = |name: &str| Client::proved(&connection, Arc::new(prove(name.into())));
                assert_eq!(condition.admits(&client("alice")), at == other, "{condition:?}");
                assert!(!condition.admits(&client("bob")), "{condition:?}");
            }
        }
        let told = |client: &Client<'_>| kinds[0].findings(client)[0].to_string();
        let bob = Client::proved(&connection, Arc::new(Identity::User("bob".into())));
        assert_eq!(told(&bob), "user: wants alice; found user \"bob\": does not hold");
        let nobody = Client::of_connection(&connection);
        assert_eq!(told(&nobody), "user: wants alice; found no identity: does not hold");

        let peer = Connection::unix(Some(PeerUser { uid: 7, gid: 8 }), listener("main"));
        let client = Client::of_connection(&peer);
        assert!(Condition::Uid(vec![1, 7]).admits(&client) && Condition::Gid(vec![8]).admits(&client));
        assert!(!Condition::Uid(vec![8]).admits(&client) && !Condition::Gid(vec![7]).admits(&client));
        let unknown = Connection::unix(None, listener("main"));
        assert!(!Condition::Uid(vec![0]).admits(&Client::of_connection(&unknown)));
        let tcp = Client::of_connection(&connection);
        assert!(!Condition::Uid(vec![0]).admits(&tcp));
        let told = Condition::Uid(vec![8]).findings(&client)[0].to_string();
        assert_eq!(told, "uid: wants 8; found 7: does not hold");
    }

    #[test]
    fn some_conditions_demand_the_impossible_of_some_listeners() {
        let (main, other) = ("main".into(), "other".into());
        let tcp = ListenerFacts::default();
        let unix = ListenerFacts { is_unix: true, ..tcp };
        let balanced = ListenerFacts { is_balanced: true, ..unix };
        assert_eq!(network(&["::/0"]).at(&main, balanced), Demand::Some);
        assert_eq!(network(&["::/0"]).at(&main, unix), Demand::Impossible);
        assert_eq!(network(&["::/0"]).at(&main, tcp), Demand::Some);
        assert_eq!(Condition::Uid(vec![1]).at(&main, unix), Demand::Some);
        assert_eq!(Condition::Uid(vec![1]).at(&main, tcp), Demand::Impossible);
        assert_eq!(Condition::User(Names::Any).at(&main, tcp), Demand::Some);
        assert_eq!(Condition::Listener("main".into()).at(&main, unix), Demand::Nothing);
        assert_eq!(Condition::Listener("main".into()).at(&other, unix), Demand::Impossible);
        let any = CertificateCondition::default();
        let named = CertificateCondition { cn: Some(Names::Any), ..any.clone() };
        for (certificates, of_any, of_named) in [
            (ClientCertificates::Never, Demand::Impossible, Demand::Impossible),
            (ClientCertificates::Optional, Demand::Some, Demand::Some),
            (ClientCertificates::Required, Demand::Nothing, Demand::Some),
        ] {
            let facts = ListenerFacts { certificates, ..tcp };
            assert_eq!(Condition::Certificate(any.clone()).at(&main, facts), of_any);
            assert_eq!(Condition::Certificate(named.clone()).at(&main, facts), of_named);
        }
    }
}
