//! Mappings that no client can reach, and listeners at which no client is known.

use super::reader::{At, Reader};
use super::{ListenAddress, Listener};
use crate::mapping::Mapping;
use crate::matcher::{Condition, Demand};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

pub(super) fn check(mappings: &[At<Mapping>], listeners: &[At<Listener>], reader: &Reader<'_>) {
    for (index, mapping) in mappings.iter().enumerate() {
        let earlier = mappings.get(..index).unwrap_or_default();
        check_mapping(mapping, earlier, listeners, reader);
    }
    for listener in listeners {
        if !mappings.is_empty() && !mappings.iter().any(|mapping| can_match(&mapping.value, &listener.value))
        {
            let message = format!("no mapping can match a client of the listener {:?}", listener.value.name);
            reader.error(listener.offset, message, "add a mapping for its clients, or remove it");
        }
    }
}

fn check_mapping(
    mapping: &At<Mapping>,
    earlier: &[At<Mapping>],
    listeners: &[At<Listener>],
    reader: &Reader<'_>,
) {
    let listeners = listeners.iter().map(|listener| &listener.value);
    let possible: Vec<_> = listeners.filter(|listener| can_match(&mapping.value, listener)).collect();
    let name = &mapping.value.name;
    if possible.is_empty() {
        let message =
            format!("the mapping {name:?} can never match: a unix socket's clients have no network");
        return reader.error(mapping.offset, message, "leave network out of its client");
    }
    if possible.iter().all(|listener| is_covered(&mapping.value, earlier, listener)) {
        let covering: Vec<String> = earlier
            .iter()
            .filter(|other| possible.iter().any(|listener| can_match(&other.value, listener)))
            .map(|other| format!("{:?}", other.value.name))
            .collect();
        let verb = if covering.len() == 1 { "matches" } else { "match" };
        let message = format!(
            "the mapping {name:?} can never be reached: {} {verb} its clients first",
            covering.join(", ")
        );
        reader.error(mapping.offset, message, "mappings are tried in order: put the narrower one first");
    }
}

fn can_match(mapping: &Mapping, listener: &Listener) -> bool {
    mapping.client.can_match_at(&listener.name, is_unix(listener))
}

fn is_unix(listener: &Listener) -> bool {
    matches!(listener.address, ListenAddress::Unix(_))
}

/// Checks whether every client that `mapping` could match at a listener is matched by one of the earlier mappings.
fn is_covered(mapping: &Mapping, earlier: &[At<Mapping>], listener: &Listener) -> bool {
    let mut taken = Vec::new();
    let wanted = narrowing(mapping, listener);
    for other in earlier.iter().map(|other| &other.value).filter(|other| can_match(other, listener)) {
        let conditions = narrowing(other, listener);
        if conditions.iter().all(|condition| wanted.iter().any(|wanted| condition.covers(wanted))) {
            return true;
        }
        // Several mappings may cover together what none of them covers alone.
        if let [Condition::Network(networks)] = &*conditions {
            taken.extend_from_slice(networks);
        }
    }
    let taken = Condition::Network(taken);
    let anywhere = Condition::Network(vec![IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())]);
    taken.covers(&anywhere) || wanted.iter().any(|wanted| taken.covers(wanted))
}

/// Returns the conditions of a mapping that do not hold for every client of the listener.
fn narrowing<'m>(mapping: &'m Mapping, listener: &Listener) -> Vec<&'m Condition> {
    let demand = |condition: &&Condition| condition.at(&listener.name, is_unix(listener));
    mapping.client.conditions().iter().filter(|condition| demand(condition) == Demand::Some).collect()
}
