//! TLS: new connections, and what the other sections measure without it.

use super::large::Bodies;
use super::{Bench, idle, large, microseconds, names, object, record};
use crate::bench::certificates::KeyKind;
use crate::bench::configs::Buffers;
use crate::bench::load::handshakes::Handshakes;
use crate::bench::load::{Endpoint, Exchange, Request, on_this_thread};
use crate::bench::proxies::{NGINX, Running, Variant, Variants};
use crate::bench::table::{Column, Table};
use crate::bench::wrk::Load;
use std::time::Duration;

const REQUESTS: [Column; 2] =
    [Column { name: "requests/s", digits: 0 }, Column { name: "CPU µs/request", digits: 2 }];

/// The load of new connections: enough clients that the proxy always has one to serve.
const CLIENTS: u32 = 32;
const SIZE: u64 = 1 << 10;

/// Persistent connections, and for how long each run uses them: so long that their handshakes hardly count.
const CONNECTIONS: u32 = 64;
const SECONDS: u64 = 3;

/// A kind of new connection.
struct Kind {
    column: &'static str,
    key: KeyKind,
    /// The exchange that clients offer, or nothing without TLS.
    exchange: Option<Exchange>,
    resumed: bool,
}

const KINDS: [Kind; 5] = [
    Kind { column: "without TLS", key: KeyKind::Ecdsa, exchange: None, resumed: false },
    Kind { column: "P-256", key: KeyKind::Ecdsa, exchange: Some(Exchange::X25519), resumed: false },
    Kind { column: "RSA 2048", key: KeyKind::Rsa, exchange: Some(Exchange::X25519), resumed: false },
    Kind {
        column: "P-256, X25519MLKEM768 offered",
        key: KeyKind::Ecdsa,
        exchange: Some(Exchange::PostQuantum),
        resumed: false,
    },
    Kind { column: "resumed", key: KeyKind::Ecdsa, exchange: Some(Exchange::X25519), resumed: true },
];

/// Runs the section.
///
/// # Errors
/// A signal has stopped the run.
pub(crate) fn run(bench: &mut Bench<'_>, variants: &Variants) -> Result<Vec<Table>, String> {
    let small = variants.over_tls(&[Buffers::Default]);
    let large = variants.over_tls(&[Buffers::Default, Buffers::Large]);
    let mut tables = vec![connections(bench, &small)?, requests(bench, &small)?];
    let bytes = bench.plan.large_bytes;
    let bodies = Bodies { prefix: "tls-", over: " with TLS", ..Bodies::new(&bench.plan, bytes) };
    tables.extend(large::measure_all(bench, &large, &bodies)?);
    tables.extend(idle::measure_all(bench, &small, "tls-", "TLS connections")?);
    Ok(tables)
}

impl Kind {
    /// Returns the variants that serve this kind.
    fn of(&self, variants: &[Variant]) -> Vec<Variant> {
        let serving = |variant: &Variant| match self.exchange {
            Some(_) => variant.with_key(self.key),
            None => variant.without_tls(),
        };
        variants.iter().map(serving).collect()
    }
}

/// Measures new connections of each kind.
fn connections(bench: &mut Bench<'_>, variants: &[Variant]) -> Result<Table, String> {
    let columns = KINDS.map(|kind| Column { name: kind.column, digits: 0 });
    let title = "New connections per second of CPU, each with a GET of 1 KiB";
    let mut tables = [Table::new("tls-connections", title, &columns, NGINX).with_rows(names(variants))];
    let running = KINDS.iter().map(|kind| bench.start(&kind.of(variants), &object(SIZE), &mut tables));
    let running: Vec<Vec<Running>> = running.collect::<Result<_, _>>()?;
    let [mut table] = tables;
    for round in 0..bench.plan.rounds {
        for variant in bench.shuffled(variants) {
            let mut values = Vec::new();
            for (kind, running) in KINDS.iter().zip(&running) {
                bench.check_stopped()?;
                let proxy = running.iter().find(|running| running.variant.name == variant.name);
                let measured = proxy.map(|proxy| per_second_of_cpu(proxy, kind)).transpose();
                // A kind that a proxy cannot serve leaves the others in their columns.
                values.push(measured.unwrap_or_else(|why| {
                    record(&mut table, round, &variant.name, Err(format!("{}: {why}", kind.column)));
                    None
                }));
            }
            record(&mut table, round, &variant.name, Ok(values));
        }
    }
    Ok(table)
}

/// Returns how many connections of a kind a proxy serves with one second of CPU time.
fn per_second_of_cpu(proxy: &Running, kind: &Kind) -> Result<f64, String> {
    let endpoint = kind
        .exchange
        .map_or_else(|| Endpoint::plain(proxy.address), |exchange| Endpoint::tls(proxy.address, exchange));
    let load = Handshakes { clients: CLIENTS, length: Duration::from_secs(1), resumed: kind.resumed };
    let (connections, before) =
        on_this_thread(load.run(&endpoint, &Request::get(&object(SIZE)), || proxy.cpu()))?;
    let cpu = proxy.cpu_since(before)?.ok_or("direct access has no process to measure")?;
    Ok(f64::from(connections) / cpu.as_secs_f64())
}

/// Measures small objects on persistent connections.
fn requests(bench: &mut Bench<'_>, variants: &[Variant]) -> Result<Table, String> {
    let title = format!("1 KiB objects, {CONNECTIONS} connections with TLS, as many requests as possible");
    let mut tables = [Table::new("tls-small", title, &REQUESTS, NGINX).with_rows(names(variants))];
    let running = bench.start(variants, &object(SIZE), &mut tables)?;
    let [mut table] = tables;
    for round in 0..bench.plan.rounds {
        for proxy in bench.shuffled(&running) {
            bench.check_stopped()?;
            record(&mut table, round, &proxy.variant.name, rate(bench, proxy));
        }
    }
    Ok(table)
}

fn rate(bench: &Bench<'_>, proxy: &Running) -> Result<Vec<Option<f64>>, String> {
    let (wrk, core) = (bench.wrk, bench.load_core);
    let load = Load { wrk, core, connections: CONNECTIONS, seconds: SECONDS, script: None };
    let before = proxy.cpu()?;
    let counted = load.run(&proxy.url(&object(SIZE)))?;
    let cpu = proxy.cpu_since(before)?.map(|cpu| microseconds(cpu) / counted.requests);
    Ok(vec![Some(counted.requests / counted.seconds), cpu])
}
