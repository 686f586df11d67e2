//! What it costs to find a client's mapping, and to build the index: `cargo bench --bench mappings`.

#![allow(clippy::unwrap_used, reason = "what cannot be set up cannot be measured")]

use divan::{Bencher, black_box};
use ipnet::IpNet;
use scopegate::internals::{Client, Condition, Connection, ListenerRegistry, MappingIndex, Matcher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const COUNTS: [u32; 4] = [1, 100, 1000, 10_000];
const LISTENER: &str = "main";

fn main() {
    divan::main();
}

/// The kinds of addresses that clients come from.
#[derive(Clone, Copy, Debug)]
enum Family {
    V4,
    V6,
}

impl Family {
    /// Returns the address of the client of a mapping.
    fn address(self, number: u32) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::from_bits((10 << 24) + number * 2).into(),
            Self::V6 => Ipv6Addr::from_bits((0xFD << 120) + (u128::from(number) << 64)).into(),
        }
    }
}

/// Mappings with a client each, all of them connected to one listener, and a last one for all others.
struct Mappings {
    matchers: Vec<Matcher>,
    listeners: ListenerRegistry,
    clients: Vec<Connection>,
}

impl Mappings {
    fn new(count: u32, family: Family) -> Self {
        let mut listeners = ListenerRegistry::default();
        let listener = listeners.register(&LISTENER.into());
        let addresses: Vec<IpAddr> = (0..count).map(|number| family.address(number)).collect();
        let of = |address: &IpAddr| {
            let network = Condition::Network(vec![IpNet::from(*address)]);
            Matcher::new(vec![network, Condition::Listener(LISTENER.into())])
        };
        let anyone = Matcher::new(vec![Condition::Listener(LISTENER.into())]);
        Self {
            matchers: addresses.iter().map(of).chain([anyone]).collect(),
            clients: addresses.iter().map(|address| Connection::tcp(*address, listener.clone())).collect(),
            listeners,
        }
    }

    fn index(&self) -> MappingIndex {
        MappingIndex::new(&self.matchers, &self.listeners)
    }
}

/// The mapping of one client after the other, in no order that a processor could learn.
fn find(bencher: Bencher<'_, '_>, count: u32, family: Family) {
    let mappings = Mappings::new(count, family);
    let index = mappings.index();
    // A step that is coprime to the number of clients visits all of them.
    let (step, mut at) = (7919, 0);
    bencher.bench_local(|| {
        at = (at + step) % mappings.clients.len();
        let connection = mappings.clients.get(black_box(at)).unwrap();
        black_box(index.find(&Client::of_connection(connection)))
    });
}

#[divan::bench(args = COUNTS)]
fn find_v4(bencher: Bencher<'_, '_>, count: u32) {
    find(bencher, count, Family::V4);
}

#[divan::bench(args = COUNTS)]
fn find_v6(bencher: Bencher<'_, '_>, count: u32) {
    find(bencher, count, Family::V6);
}

/// What a lookup cost without the index: the last mapping is the client's.
#[divan::bench(args = COUNTS)]
fn scan(bencher: Bencher<'_, '_>, count: u32) {
    let mappings = Mappings::new(count, Family::V4);
    let connection = mappings.clients.last().unwrap();
    bencher.bench_local(|| {
        let client = Client::of_connection(black_box(connection));
        black_box(mappings.matchers.iter().position(|matcher| matcher.admits(&client)))
    });
}

#[divan::bench(args = COUNTS)]
fn build(bencher: Bencher<'_, '_>, count: u32) {
    let mappings = Mappings::new(count, Family::V4);
    bencher.bench_local(|| black_box(mappings.index()));
}
