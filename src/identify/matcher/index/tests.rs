use super::*;
use crate::identify::certificate::Certificate;
use crate::identify::certificate::spiffe::SpiffePattern;
use crate::identify::certificate::tests::no_names;
use crate::identify::client::tests::with_certificate;
use crate::identify::client::{Connection, ListenerRef, PeerUser, Source};
use crate::identify::identity::{Identity, JwtIdentity, Names};
use crate::identify::matcher::{CertificateCondition, JwtCondition};
use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use tls::CertificateNames;

const LISTENERS: [&str; 3] = ["a", "b", "c"];

/// Addresses that differ in a few bits at the beginning, in the middle and at the end, so that networks overlap.
fn bits(positions: &'static [u32]) -> impl Strategy<Value = u128> {
    prop::collection::vec(any::<bool>(), positions.len()).prop_map(|set| {
        positions.iter().zip(set).filter(|(_, set)| *set).map(|(position, _)| 1_u128 << position).sum()
    })
}

fn v4() -> impl Strategy<Value = Ipv4Addr> {
    bits(&[0, 1, 8, 9, 30, 31]).prop_map(|bits| Ipv4Addr::from_bits(u32::try_from(bits).unwrap()))
}

fn v6() -> impl Strategy<Value = Ipv6Addr> {
    prop_oneof![
        bits(&[0, 1, 64, 65, 126, 127]).prop_map(Ipv6Addr::from_bits),
        v4().prop_map(|address| address.to_ipv6_mapped()),
    ]
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![v4().prop_map(IpAddr::from), v6().prop_map(IpAddr::from)]
}

fn network() -> impl Strategy<Value = IpNet> {
    let v4_lengths = prop::sample::select(vec![0, 1, 2, 8, 22, 23, 24, 30, 31, 32]);
    let v6_lengths = prop::sample::select(vec![0, 1, 2, 62, 63, 64, 96, 104, 126, 127, 128]);
    prop_oneof![
        (v4(), v4_lengths).prop_map(|(address, length)| IpNet::new(address.into(), length).unwrap()),
        (v6(), v6_lengths).prop_map(|(address, length)| IpNet::new(address.into(), length).unwrap()),
    ]
}

fn name() -> impl Strategy<Value = Box<str>> {
    prop::sample::select(vec!["x", "y", "z"]).prop_map(Into::into)
}

fn names() -> impl Strategy<Value = Names> {
    prop_oneof![prop::collection::vec(name(), 1..3).prop_map(Names::Of), Just(Names::Any)]
}

fn identity() -> impl Strategy<Value = Identity> {
    prop_oneof![
        name().prop_map(Identity::User),
        name().prop_map(Identity::Token),
        name().prop_map(Identity::Key),
        name().prop_map(|issuer| Identity::Jwt(JwtIdentity { issuer, claims: serde_json::Map::new() })),
    ]
}

/// Few names, which are prefixes of each other, so that conditions overlap and nearly match.
fn spiffe_id() -> impl Strategy<Value = String> {
    "spiffe://(t|td)(/(a|ab)){1,3}"
}

fn spiffe_pattern() -> impl Strategy<Value = SpiffePattern> {
    let below = "spiffe://(t|td)(/(a|ab)){0,2}/[*]";
    prop_oneof![spiffe_id(), below].prop_map(|text| SpiffePattern::parse(&text).unwrap())
}

fn certificate() -> impl Strategy<Value = Arc<Certificate>> {
    let uris = prop::collection::vec(prop_oneof![spiffe_id(), Just("urn:x".to_owned())], 0..3);
    let dns = prop::collection::vec(name(), 0..3);
    (uris, dns, prop::option::of(name()), any::<bool>(), 0..3_u8, 0..3_u8).prop_map(
        |(uris, dns, common_name, has_other, leaf, key)| {
            Arc::new(Certificate::new(CertificateNames {
                has_alternatives: has_other || !uris.is_empty() || !dns.is_empty(),
                uris: uris.into_iter().map(Into::into).collect(),
                dns,
                common_name,
                ..no_names(leaf, key)
            }))
        },
    )
}

fn on_certificate() -> impl Strategy<Value = CertificateCondition> {
    let uris = prop_oneof![spiffe_id(), Just("urn:x".to_owned())].prop_map(Into::into);
    (
        prop::collection::vec(spiffe_pattern(), 0..3),
        prop::collection::vec(name(), 0..2),
        prop::collection::vec(uris, 0..2),
        prop::option::of(names()),
        prop::collection::vec((0..3_u8).prop_map(|byte| [byte; 32]), 0..2),
    )
        .prop_map(|(spiffe, dns, uri, cn, sha256)| CertificateCondition { spiffe, dns, uri, cn, sha256 })
}

fn condition() -> impl Strategy<Value = Condition> {
    let unknown = prop::sample::select(vec!["a", "b", "c", "unknown"]);
    prop_oneof![
        3 => prop::collection::vec(network(), 1..4).prop_map(Condition::Network),
        1 => unknown.prop_map(|name| Condition::Listener(name.into())),
        1 => prop::collection::vec(0..3_u32, 1..3).prop_map(Condition::Uid),
        2 => on_certificate().prop_map(Condition::Certificate),
        1 => names().prop_map(Condition::User),
        1 => names().prop_map(Condition::Token),
        1 => names().prop_map(Condition::Key),
        1 => name().prop_map(|issuer| {
            let (claims, service_accounts) = (Vec::new(), Vec::new());
            Condition::Jwt(JwtCondition { issuer, claims, service_accounts })
        }),
    ]
}

fn matcher() -> impl Strategy<Value = Matcher> {
    // Several conditions may be of one kind, which no table expresses.
    prop::collection::vec(condition(), 0..4).prop_map(Matcher::new)
}

fn listeners() -> (ListenerRegistry, Vec<ListenerRef>) {
    let mut registry = ListenerRegistry::default();
    let listeners = LISTENERS.iter().map(|name| registry.register(&(*name).into())).collect();
    (registry, listeners)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_index_finds_what_a_linear_scan_finds(
        matchers in prop::collection::vec(matcher(), 0..24),
        clients in prop::collection::vec(
            (
                prop::option::of(address()),
                0..LISTENERS.len(),
                0..3_u32,
                prop::option::of(identity()),
                prop::option::of(certificate()),
            ),
            1..24,
        ),
    ) {
        let (registry, listeners) = listeners();
        let index = MappingIndex::new(&matchers, &registry);
        for (address, listener, uid, identity, certificate) in clients {
            let listener = listeners[listener].clone();
            let connection = match address {
                Some(address) => Connection::tcp(address, listener),
                None => Connection::unix(Some(PeerUser { uid, gid: 1000 }), listener),
            };
            let connection = match certificate {
                Some(certificate) => with_certificate(connection, Some(certificate)),
                None => connection,
            };
            let client = match identity {
                Some(identity) => Client::proved(&connection, Arc::new(identity)),
                None => Client::of_connection(&connection),
            };
            let scanned = matchers.iter().position(|matcher| matcher.admits(&client));
            prop_assert_eq!(index.find(&client), scanned, "{:?}", client);
        }
    }

    /// Every border of every network is looked up: there a range that is one address too long or short shows.
    #[test]
    fn ranges_end_where_networks_do(networks in prop::collection::vec(network(), 1..24)) {
        let (registry, listeners) = listeners();
        let matchers: Vec<Matcher> =
            networks.iter().map(|network| Matcher::new(vec![Condition::Network(vec![*network])])).collect();
        let index = MappingIndex::new(&matchers, &registry);
        for network in &networks {
            for address in around(network) {
                let connection = Connection::tcp(address, listeners[0].clone());
                let client = Client::of_connection(&connection);
                let scanned = matchers.iter().position(|matcher| matcher.admits(&client));
                prop_assert_eq!(index.find(&client), scanned, "{}", address);
            }
        }
    }
}

/// Returns the first and last address of a network and those beside them.
fn around(network: &IpNet) -> Vec<IpAddr> {
    match network {
        IpNet::V4(network) => {
            let (first, last) = (network.network().to_bits(), network.broadcast().to_bits());
            [first.saturating_sub(1), first, last, last.saturating_add(1)]
                .map(|bits| IpAddr::from(Ipv4Addr::from_bits(bits)))
                .to_vec()
        }
        IpNet::V6(network) => {
            let (first, last) = (network.network().to_bits(), network.broadcast().to_bits());
            [first.saturating_sub(1), first, last, last.saturating_add(1)]
                .map(|bits| IpAddr::from(Ipv6Addr::from_bits(bits)))
                .to_vec()
        }
    }
}

#[test]
fn size_is_linear_in_the_number_of_networks() {
    // The worst case: each network lies in the one before it and belongs to an earlier mapping, so all borders count.
    let nested =
        |length| Matcher::new(vec![Condition::Network(vec![IpNet::new([0; 4].into(), length).unwrap()])]);
    let matchers: Vec<Matcher> = (0..=32).rev().map(nested).collect();
    let (registry, _) = listeners();
    let index = MappingIndex::new(&matchers, &registry);
    assert_eq!(index.any_listener.v4.starts.len(), 33);
    let flat: Vec<Matcher> = (0..1000_u32)
        .map(|number| IpNet::new(Ipv4Addr::from_bits(number << 9).into(), 24).unwrap())
        .map(|network| Matcher::new(vec![Condition::Network(vec![network]), Condition::Listener("b".into())]))
        .collect();
    let index = MappingIndex::new(&flat, &registry);
    assert_eq!(index.by_listener[1].v4.starts.len(), 2000);
    assert!(index.any_listener.v4.starts.is_empty() && index.by_listener[0].v4.starts.is_empty());
}

/// A connection outlives reloads that remove its listener, add others and bring its name back.
#[test]
fn a_connection_keeps_to_the_mappings_of_its_own_listener_over_reloads() {
    let mut registry = ListenerRegistry::default();
    let address = IpAddr::from([10, 0, 0, 1]);
    let old = Connection::tcp(address, registry.register(&"old".into()));
    let of = |listener: &str| Matcher::new(vec![Condition::Listener(listener.into())]);
    let find = |matchers: &[Matcher], registry: &ListenerRegistry, connection| {
        MappingIndex::new(matchers, registry).find(&Client::of_connection(connection))
    };
    let renamed = Connection::tcp(address, registry.register(&"new".into()));
    assert_eq!(find(&[of("new")], &registry, &old), None);
    assert_eq!(find(&[of("new")], &registry, &renamed), Some(0));
    assert_eq!(find(&[of("new"), Matcher::default()], &registry, &old), Some(1), "which admits everyone");
    registry.register(&"old".into());
    assert_eq!(find(&[of("new"), of("old")], &registry, &old), Some(1));
    assert_eq!(find(&[of("new"), of("old")], &registry, &renamed), Some(0));
    let before = ListenerRegistry::default();
    assert_eq!(find(&[of("new"), of("old")], &before, &old), None, "the index knows no listener");
}

/// A mapping for everyone is not for the connections that a load balancer makes on its own behalf.
#[test]
fn no_mapping_is_for_a_connection_whose_client_is_unknown() {
    let (registry, listeners) = listeners();
    let connection = Connection::tcp([10, 0, 0, 1].into(), listeners[0].clone());
    let unknown = connection.clone().from_source(Source::Unknown);
    let matchers = [Matcher::new(vec![Condition::Listener("a".into())]), Matcher::default()];
    for (connection, is_found) in [(connection, true), (unknown, false)] {
        let client = Client::of_connection(&connection);
        let found = MappingIndex::new(&matchers, &registry).find(&client);
        assert_eq!(found, is_found.then_some(0));
        for matcher in &matchers {
            assert_eq!([matcher.admits(&client), matcher.admits_connection(&client)], [is_found; 2]);
        }
    }
}
