//! Finds mappings that no client can reach, and listeners whose clients match no mapping.
//!
//! There may be 10,000 mappings, so each is compared with the union of the networks before it, not with each mapping.

use super::Listener;
use super::reader::{At, Reader};
use crate::authorize::mapping::Mapping;
use crate::identify::client::ClientCertificates;
use crate::identify::matcher::{Condition, Demand};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Maximum number of mappings that a message names.
const NAMED: usize = 3;
/// Most messages that name mappings: finding those to name means trying all that are earlier.
const NAMING: usize = 1000;

pub(super) fn check(mappings: &[At<Mapping>], listeners: &[At<Listener>], reader: &Reader<'_>) {
    let mut clients: Vec<Clients<'_>> =
        listeners.iter().map(|listener| Clients::of(&listener.value)).collect();
    let mut unreachable = 0;
    for (index, mapping) in mappings.iter().enumerate() {
        let name = &mapping.value.name;
        let mut matched: Vec<&mut Clients<'_>> =
            clients.iter_mut().filter(|clients| can_match(&mapping.value, clients.listener)).collect();
        if matched.is_empty() {
            let (why, help) = why_never(&mapping.value, listeners);
            reader.error(mapping.span, format!("the mapping {name:?} can never match: {why}"), help);
        } else if matched.iter().all(|clients| clients.cover(&mapping.value)) {
            let earlier = mappings.get(..index).filter(|_| unreachable < NAMING).unwrap_or_default();
            unreachable += 1;
            let listeners: Vec<&Listener> = matched.iter().map(|clients| clients.listener).collect();
            note_unreachable(mapping, earlier, &listeners, reader);
        }
        for clients in &mut matched {
            clients.add(&mapping.value);
        }
    }
    for (clients, listener) in clients.iter().zip(listeners) {
        if clients.are_none() && !mappings.is_empty() {
            let message = format!("no mapping can match a client of the listener {:?}", listener.value.name);
            reader.error(listener.span, message, "add a mapping for its clients, or remove it");
        }
    }
}

/// Explains why a mapping matches no client of its listeners, and what to change.
fn why_never(mapping: &Mapping, listeners: &[At<Listener>]) -> (String, String) {
    let conditions = mapping.client.conditions();
    if mapping.client.on_certificate().is_some() {
        return why_never_with_certificate(mapping, listeners);
    }
    let account = conditions.iter().find(|it| matches!(it, Condition::Uid(_) | Condition::Gid(_)));
    match (account.map(Condition::name), mapping.client.networks()) {
        (Some(key), Some(_)) => (
            format!("{key} is for clients of unix sockets, and network for clients of TCP"),
            format!("leave network or {key} out of its client"),
        ),
        (Some(key), None) => (
            format!("only clients of unix sockets have a {key}"),
            format!(
                "leave {key} out of its client, or add a listener with an address such as \"unix:/run/scopegate/s3.sock\""
            ),
        ),
        (None, _) => (
            "clients of a unix socket have no address".to_owned(),
            "leave network out of its client".to_owned(),
        ),
    }
}

/// Explains like [`why_never`] for a mapping with a condition on certificates.
fn why_never_with_certificate(mapping: &Mapping, listeners: &[At<Listener>]) -> (String, String) {
    let asks = |listener: &At<Listener>| {
        let listener = &listener.value;
        listener.facts().certificates != ClientCertificates::Never && mapping.client.is_for(&listener.name)
    };
    if listeners.iter().any(asks) {
        let keys: Vec<&str> = mapping.client.conditions().iter().map(Condition::name).collect();
        return (
            format!("no listener has clients that meet {} at once", keys.join(" and ")),
            "leave one of them out of its client".to_owned(),
        );
    }
    (
        "its listeners ask for no client certificates".to_owned(),
        "add client_ca to tls of a [[listener]], or leave certificate out of its client".to_owned(),
    )
}

fn note_unreachable(
    mapping: &At<Mapping>,
    earlier: &[At<Mapping>],
    listeners: &[&Listener],
    reader: &Reader<'_>,
) {
    let overlap = |other: &Mapping| {
        let meet = listeners.iter().any(|listener| can_match(other, listener));
        let theirs = networks(other);
        let share = |one: &IpNet| theirs.iter().any(|other| one.contains(other) || other.contains(one));
        meet && networks(&mapping.value).iter().any(share)
    };
    let mut before = earlier.iter().map(|other| &other.value).filter(|other| overlap(other));
    let named: Vec<String> = before.by_ref().take(NAMED).map(|other| format!("{:?}", other.name)).collect();
    let more = if before.next().is_some() { " and others" } else { "" };
    let verb = if named.len() == 1 { "matches" } else { "match" };
    let named = if named.is_empty() { "earlier mappings".to_owned() } else { named.join(", ") };
    let message = format!(
        "the mapping {:?} can never be reached: {named}{more} {verb} all of its clients first",
        mapping.value.name
    );
    reader.error(mapping.span, message, "mappings are tried in order: put the narrower one first");
}

fn can_match(mapping: &Mapping, listener: &Listener) -> bool {
    mapping.client.can_match_at(&listener.name, listener.facts())
}

/// Returns the conditions of a mapping that do not hold for all clients of the listener.
fn narrowing<'m>(mapping: &'m Mapping, listener: &Listener) -> Vec<&'m Condition> {
    let facts = listener.facts();
    let demand = |condition: &&Condition| condition.at(&listener.name, facts);
    mapping.client.conditions().iter().filter(|condition| demand(condition) == Demand::Some).collect()
}

/// The networks of a mapping that names none.
const EVERYWHERE: [IpNet; 2] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0)),
];

fn networks(mapping: &Mapping) -> &[IpNet] {
    mapping.client.networks().unwrap_or(&EVERYWHERE)
}

/// The clients of a listener that the mappings so far match.
struct Clients<'c> {
    listener: &'c Listener,
    v4: Ranges,
    v6: Ranges,
    /// The conditions of mappings that address ranges cannot express.
    others: Vec<Vec<&'c Condition>>,
    /// Whether a mapping takes every client.
    are_all: bool,
}

impl<'c> Clients<'c> {
    fn of(listener: &'c Listener) -> Self {
        Self { listener, v4: Ranges::default(), v6: Ranges::default(), others: Vec::new(), are_all: false }
    }

    fn are_none(&self) -> bool {
        self.v4.0.is_empty() && self.v6.0.is_empty() && self.others.is_empty()
    }

    fn add(&mut self, mapping: &'c Mapping) {
        let narrowing = narrowing(mapping, self.listener);
        if narrowing.iter().any(|condition| !matches!(condition, Condition::Network(_))) {
            self.others.push(narrowing);
            return;
        }
        self.are_all |= narrowing.is_empty();
        for network in networks(mapping) {
            let (first, last) = ends(*network);
            if matches!(network, IpNet::V4(_)) { &mut self.v4 } else { &mut self.v6 }.add(first, last);
        }
    }

    /// Returns whether every client of the listener that `mapping` matches is among these clients.
    fn cover(&self, mapping: &Mapping) -> bool {
        let wanted = narrowing(mapping, self.listener);
        let covers = |condition: &&Condition| wanted.iter().any(|wanted| condition.covers(wanted));
        self.cover_networks(mapping) || self.others.iter().any(|other| other.iter().all(covers))
    }

    fn cover_networks(&self, mapping: &Mapping) -> bool {
        // Clients of a unix socket have no address, unless a load balancer names it.
        if self.listener.facts().is_unix && mapping.client.networks().is_none() {
            return self.are_all;
        }
        networks(mapping).iter().all(|network| {
            let (first, last) = ends(*network);
            if matches!(network, IpNet::V4(_)) { &self.v4 } else { &self.v6 }.cover(first, last)
        })
    }
}

/// Returns the first and the last address of a network.
fn ends(network: IpNet) -> (u128, u128) {
    match network {
        IpNet::V4(network) => (network.network().to_bits().into(), network.broadcast().to_bits().into()),
        IpNet::V6(network) => (network.network().to_bits(), network.broadcast().to_bits()),
    }
}

/// A set of addresses, as the first and last address of ranges that neither overlap nor touch.
#[derive(Default)]
struct Ranges(BTreeMap<u128, u128>);

impl Ranges {
    fn add(&mut self, mut first: u128, mut last: u128) {
        while let Some((&begin, &end)) = self.0.range(..=last.saturating_add(1)).next_back()
            && end.saturating_add(1) >= first
        {
            self.0.remove(&begin);
            (first, last) = (first.min(begin), last.max(end));
        }
        self.0.insert(first, last);
    }

    fn cover(&self, first: u128, last: u128) -> bool {
        self.0.range(..=first).next_back().is_some_and(|(_, end)| last <= *end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Generates networks in a small part of the address space, so that they overlap and touch.
    fn any_network() -> impl Strategy<Value = IpNet> {
        (any::<bool>(), 0..=255_u8, 24..=32_u8).prop_map(|(v4, host, length)| {
            let v6 = [0, 0, 0, 0, 0, 0, 0, u16::from(host)];
            let network = if v4 {
                IpNet::new([10, 0, 0, host].into(), length)
            } else {
                IpNet::new(v6.into(), length + 96)
            };
            network.unwrap().trunc()
        })
    }

    proptest! {
        #[test]
        fn ranges_cover_what_aggregated_networks_cover(networks in prop::collection::vec(any_network(), 0..40), asked in any_network()) {
            let (mut v4, mut v6) = (Ranges::default(), Ranges::default());
            for network in &networks {
                let (first, last) = ends(*network);
                if matches!(network, IpNet::V4(_)) { &mut v4 } else { &mut v6 }.add(first, last);
            }
            let ranges = if matches!(asked, IpNet::V4(_)) { v4 } else { v6 };
            let (first, last) = ends(asked);
            let expected = IpNet::aggregate(&networks).iter().any(|network| network.contains(&asked));
            prop_assert_eq!(ranges.cover(first, last), expected);
        }
    }

    #[test]
    fn the_last_addresses_do_not_overflow() {
        let mut ranges = Ranges::default();
        ranges.add(u128::MAX, u128::MAX);
        ranges.add(0, 0);
        assert!(ranges.cover(u128::MAX, u128::MAX) && !ranges.cover(0, 1));
        ranges.add(0, u128::MAX);
        assert!(ranges.cover(0, u128::MAX) && ranges.0.len() == 1);
    }
}
