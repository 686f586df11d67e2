//! An index that finds the first mapping that admits a client, at a cost that hardly depends on the number of
//! mappings.
//!
//! Networks either contain each other or are disjoint, so those of all mappings cut the addresses into at most twice as
//! many ranges. For each range the index holds the first of the mappings whose networks contain it. A lookup is a binary
//! search: 57 ns among 10,000 mappings, where trying each of them takes 100 µs (`cargo bench --bench mappings`).
//!
//! Mappings with conditions on the identity or the certificate of the client are found by the names in it, and then tried in
//! order.
//!
//! There is one table for mappings that admit clients of any listener and one for each listener that mappings name, so
//! the size of the index is linear in the number of networks.

use super::named::NamedMappings;
use super::{Condition, Matcher};
use crate::identify::client::{Client, ListenerId, ListenerName, ListenerRegistry};
use ipnet::IpNet;
use std::net::IpAddr;

/// An index of mappings by the conditions on their clients. A lookup always returns what trying all mappings in order
/// would.
#[derive(Clone, Debug, Default)]
pub struct MappingIndex {
    /// Mappings that name no listener.
    any_listener: Table,
    /// Mappings that name a listener, by its id.
    by_listener: Vec<Table>,
    /// Mappings with conditions that the tables cannot express.
    named: NamedMappings,
}

impl MappingIndex {
    /// Builds the index of these mappings. A mapping that names a listener which `listeners` does not know admits nobody.
    pub fn new<'m>(matchers: impl IntoIterator<Item = &'m Matcher>, listeners: &ListenerRegistry) -> Self {
        let mut any_listener = Entries::default();
        let mut by_listener = vec![Entries::default(); listeners.names().len()];
        let mut named = NamedMappings::default();
        for (index, matcher) in (0..).zip(matchers) {
            let Some(key) = Key::of(matcher) else {
                named.add(index, matcher);
                continue;
            };
            let entries = match key.listener {
                None => Some(&mut any_listener),
                Some(name) => {
                    listeners.id(name).map(ListenerId::index).and_then(|at| by_listener.get_mut(at))
                }
            };
            if let Some(entries) = entries {
                entries.add(index, key.networks);
            }
        }
        let by_listener = by_listener.into_iter().map(Entries::into_table).collect();
        Self { any_listener: any_listener.into_table(), by_listener, named }
    }

    /// Returns the position of the first mapping that admits `client`.
    pub fn find(&self, client: &Client<'_>) -> Option<usize> {
        if client.is_unknown() {
            return None;
        }
        let (address, listener) = (client.address(), client.connection().listener().id());
        let any = self.any_listener.find(address);
        let own = self.by_listener.get(listener.index()).and_then(|table| table.find(address));
        let indexed = [any, own].into_iter().flatten().min();
        self.named.find(client, indexed).or(indexed).map(|index| index as usize)
    }
}

/// The conditions that the tables express: at most one of each kind.
#[derive(Default)]
struct Key<'m> {
    listener: Option<&'m ListenerName>,
    networks: Option<&'m [IpNet]>,
}

impl<'m> Key<'m> {
    /// Returns the key of a matcher, or `None` if it has a condition that no table expresses.
    fn of(matcher: &'m Matcher) -> Option<Self> {
        let mut key = Self::default();
        for condition in matcher.conditions() {
            match condition {
                Condition::Listener(name) if key.listener.is_none() => key.listener = Some(name),
                Condition::Network(networks) if key.networks.is_none() => key.networks = Some(networks),
                _ => return None,
            }
        }
        Some(key)
    }
}

/// What a table is built from.
#[derive(Clone, Default)]
struct Entries {
    v4: Vec<Entry<u32>>,
    v6: Vec<Entry<u128>>,
    unix: Option<u32>,
}

/// The addresses of one network, and the mapping that it belongs to.
#[derive(Clone)]
struct Entry<A> {
    first: A,
    last: A,
    mapping: u32,
}

impl Entries {
    /// Adds a mapping. Mappings are added in order.
    fn add(&mut self, mapping: u32, networks: Option<&[IpNet]>) {
        let Some(networks) = networks else {
            self.v4.push(Entry { first: 0, last: u32::MAX, mapping });
            self.v6.push(Entry { first: 0, last: u128::MAX, mapping });
            self.unix = self.unix.or(Some(mapping));
            return;
        };
        for network in networks {
            match network {
                IpNet::V4(network) => self.v4.push(Entry {
                    first: network.network().to_bits(),
                    last: network.broadcast().to_bits(),
                    mapping,
                }),
                IpNet::V6(network) => self.v6.push(Entry {
                    first: network.network().to_bits(),
                    last: network.broadcast().to_bits(),
                    mapping,
                }),
            }
        }
    }

    fn into_table(self) -> Table {
        Table {
            v4: Ranges::new(self.v4, |address| address.checked_add(1)),
            v6: Ranges::new(self.v6, |address| address.checked_add(1)),
            unix: self.unix,
        }
    }
}

/// The first mapping for each address, among the mappings of one listener or of any.
#[derive(Clone, Debug, Default)]
struct Table {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
    /// The first mapping for clients without an address.
    unix: Option<u32>,
}

impl Table {
    fn find(&self, address: Option<IpAddr>) -> Option<u32> {
        match address {
            Some(IpAddr::V4(address)) => self.v4.find(address.to_bits()),
            Some(IpAddr::V6(address)) => self.v6.find(address.to_bits()),
            None => self.unix,
        }
    }
}

/// Consecutive ranges of addresses, each with its first mapping. Empty, or covers all addresses.
#[derive(Clone, Debug)]
struct Ranges<A> {
    /// The first address of each range, in ascending order. Apart from the mappings, so that a search touches fewer cache
    /// lines.
    starts: Box<[A]>,
    mappings: Box<[Option<u32>]>,
}

impl<A> Default for Ranges<A> {
    fn default() -> Self {
        Self { starts: Box::default(), mappings: Box::default() }
    }
}

impl<A: Copy + Ord + Default> Ranges<A> {
    /// Cuts the addresses at the borders of all networks. `next` returns the address after one, unless that is the last.
    fn new(mut networks: Vec<Entry<A>>, next: impl Fn(A) -> Option<A>) -> Self {
        if networks.is_empty() {
            return Self::default();
        }
        // A network comes after those that contain it.
        networks.sort_by_key(|network| (network.first, std::cmp::Reverse(network.last), network.mapping));
        let mut cuts = vec![(A::default(), None)];
        // The networks around the current address with the first mapping in each, the innermost last.
        let mut around: Vec<(A, u32)> = Vec::new();
        for network in networks {
            close(&mut around, &mut cuts, |last| last < network.first, &next);
            let mapping = around.last().map_or(network.mapping, |(_, mapping)| network.mapping.min(*mapping));
            cuts.push((network.first, Some(mapping)));
            around.push((network.last, mapping));
        }
        close(&mut around, &mut cuts, |_| true, &next);
        // Of several cuts at one address, the last counts. A cut that does not change the mapping is dropped.
        cuts.reverse();
        cuts.dedup_by_key(|(start, _)| *start);
        cuts.reverse();
        cuts.dedup_by_key(|(_, mapping)| *mapping);
        let (starts, mappings): (Vec<A>, Vec<Option<u32>>) = cuts.into_iter().unzip();
        Self { starts: starts.into(), mappings: mappings.into() }
    }

    fn find(&self, address: A) -> Option<u32> {
        let after = self.starts.partition_point(|start| *start <= address);
        self.mappings.get(after.checked_sub(1)?).copied().flatten()
    }
}

/// Leaves the innermost networks for as long as they are `over`: the addresses after each belong to the one around it.
fn close<A: Copy>(
    around: &mut Vec<(A, u32)>,
    cuts: &mut Vec<(A, Option<u32>)>,
    over: impl Fn(A) -> bool,
    next: impl Fn(A) -> Option<A>,
) {
    while let Some((last, _)) = around.pop_if(|(last, _)| over(*last)) {
        if let Some(after) = next(last) {
            cuts.push((after, around.last().map(|(_, mapping)| *mapping)));
        }
    }
}

#[cfg(test)]
mod tests;
