//! Mappings that no client can reach, and listeners at which no client is known.

use super::reader::{At, Reader};
use super::{ListenAddress, Listener};
use crate::client::ListenerId;
use crate::mapping::Mapping;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

pub(super) fn check(mappings: &[At<Mapping>], listeners: &[At<Listener>], reader: &Reader<'_>) {
    for (index, mapping) in mappings.iter().enumerate() {
        let earlier = mappings.get(..index).unwrap_or_default();
        check_mapping(mapping, earlier, listeners, reader);
    }
    for (index, listener) in listeners.iter().enumerate() {
        let id = ListenerId(index);
        if !mappings.is_empty()
            && !mappings.iter().any(|mapping| can_match(&mapping.value, id, &listener.value))
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
    let at = || listeners.iter().enumerate().map(|(index, listener)| (ListenerId(index), &listener.value));
    let possible: Vec<_> = at().filter(|(id, listener)| can_match(&mapping.value, *id, listener)).collect();
    let name = &mapping.value.name;
    if possible.is_empty() {
        let message =
            format!("the mapping {name:?} can never match: a unix socket's clients have no network");
        return reader.error(mapping.offset, message, "leave network out of its client");
    }
    if possible.iter().all(|(id, listener)| is_covered(&mapping.value, earlier, *id, listener)) {
        let covering: Vec<String> = earlier
            .iter()
            .filter(|other| possible.iter().any(|(id, listener)| can_match(&other.value, *id, listener)))
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

fn can_match(mapping: &Mapping, id: ListenerId, listener: &Listener) -> bool {
    let here = mapping.client.listener.is_none_or(|wanted| wanted == id);
    let addressed = matches!(listener.address, ListenAddress::Tcp(_));
    here && (addressed || mapping.client.networks.is_none())
}

/// Whether every client that `mapping` could match at a listener is matched by one of the earlier mappings.
fn is_covered(mapping: &Mapping, earlier: &[At<Mapping>], id: ListenerId, listener: &Listener) -> bool {
    let before: Vec<&Mapping> =
        earlier.iter().map(|other| &other.value).filter(|other| can_match(other, id, listener)).collect();
    if matches!(listener.address, ListenAddress::Unix(_)) {
        return !before.is_empty();
    }
    let taken: Vec<IpNet> = before.iter().flat_map(|other| networks(other)).collect();
    let taken = IpNet::aggregate(&taken);
    networks(mapping).iter().all(|network| taken.iter().any(|taken| taken.contains(network)))
}

fn networks(mapping: &Mapping) -> Vec<IpNet> {
    match &mapping.client.networks {
        Some(networks) => networks.clone(),
        None => vec![IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())],
    }
}
