//! TLS: new connections, and what the other sections measure without it.

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
    let mut tables = vec![connections(bench, &small)?];
    tables.extend(requests(bench, &small)?);
    tables.extend(large::measure_all(bench, &large, "tls-", " with TLS")?);
    tables.extend(idle::measure_all(bench, &small, "tls-", "TLS connections")?);
    Ok(tables)
}

/// Measures new connections of each kind.
fn connections(bench: &mut Bench<'_>, variants: &[Variant]) -> Result<Table, String> {
    let columns = KINDS.map(|kind| Column { name: kind.column, digits: 0 });
    let title = "New connections per second of CPU, each with a GET of 1 KiB";
    let mut tables = [Table::new("tls-connections", title, &columns, NGINX).with_rows(names(variants))];
    let with = |key| -> Vec<_> { variants.iter().map(|variant| variant.with_key(key)).collect() };
    let plain: Vec<_> = variants.iter().map(Variant::without_tls).collect();
    let target = object(SIZE);
    let plain = bench.start(&plain, &target, &mut tables)?;
    let ecdsa = bench.start(&with(KeyKind::Ecdsa), &target, &mut tables)?;
    let rsa = bench.start(&with(KeyKind::Rsa), &target, &mut tables)?;
    let [table] = &mut tables;
    for round in 0..bench.plan.rounds {
        for variant in bench.shuffled(variants) {
            let mut values = Vec::new();
            for kind in &KINDS {
                bench.check_stopped()?;
                let running = match (kind.exchange, kind.key) {
                    (None, _) => &plain,
                    (_, KeyKind::Ecdsa) => &ecdsa,
                    (_, KeyKind::Rsa) => &rsa,
                };
                let proxy = running.iter().find(|running| running.variant.name == variant.name);
                let measured = proxy.map(|proxy| per_second_of_cpu(proxy, kind)).transpose();
                match measured {
                    Ok(value) => values.push(value),
                    Err(why) => {
                        record(table, round, &variant.name, Err(format!("{}: {why}", kind.column)));
                        values.push(None);
                    }
                }
            }
            record(table, round, &variant.name, Ok(values));
        }
    }
    let [table] = tables;
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
fn requests(bench: &mut Bench<'_>, variants: &[Variant]) -> Result<[Table; 2], String> {
    let counts = [64, 256];
    let mut tables = counts.map(|connections| {
        let title =
            format!("1 KiB objects, {connections} connections with TLS, as many requests as possible");
        Table::new(format!("tls-small-{connections}"), title, &REQUESTS, NGINX).with_rows(names(variants))
    });
    let running = bench.start(variants, &object(SIZE), &mut tables)?;
    for round in 0..bench.plan.rounds {
        for (connections, table) in counts.into_iter().zip(&mut tables) {
            for proxy in bench.shuffled(&running) {
                bench.check_stopped()?;
                record(table, round, &proxy.variant.name, rate(bench, proxy, connections));
            }
        }
    }
    Ok(tables)
}

fn rate(bench: &Bench<'_>, proxy: &Running, connections: u32) -> Result<Vec<Option<f64>>, String> {
    let (wrk, core) = (bench.wrk, bench.load_core);
    let load = Load { wrk, core, connections, seconds: 2, script: None };
    let before = proxy.cpu()?;
    let counted = load.run(&proxy.url(&object(SIZE)))?;
    let cpu = proxy.cpu_since(before)?.map(|cpu| microseconds(cpu) / counted.requests);
    Ok(vec![Some(counted.requests / counted.seconds), cpu])
}
