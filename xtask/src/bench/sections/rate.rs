//! Objects of 1 KiB at rates that do not depend on the answers: what a request waits when there is room to spare.

use super::{Bench, microseconds, names, note, object};
use crate::bench::load::rate::Rate;
use crate::bench::load::{Request, on_this_thread};
use crate::bench::proxies::{NGINX, Running, Variant, Variants};
use crate::bench::table::{Column, Table};
use crate::bench::wrk::Load;
use crate::console::announce;

const COLUMNS: [Column; 3] = [
    Column { name: "p50 µs", digits: 0 },
    Column { name: "p99 µs", digits: 0 },
    Column { name: "CPU µs/request", digits: 2 },
];

const SIZE: u64 = 1 << 10;
const CONNECTIONS: u32 = 64;
/// Parts of what nginx answers at the most.
const PARTS: [f64; 2] = [0.1, 0.5];

/// Runs the section.
///
/// # Errors
/// Where the run is to stop, or there is no nginx to take the rate from.
pub(crate) fn run(bench: &mut Bench<'_>, variants: &Variants) -> Result<Vec<Table>, String> {
    let variants = variants.small();
    let most = most_of_nginx(bench, &variants)?;
    let rates = PARTS.map(|part| ((most * part / 500.0).round() * 500.0).max(500.0));
    let mut tables = rates.map(|rate| {
        let title = format!("1 KiB objects at {rate:.0} requests/s, {CONNECTIONS} connections");
        Table::new(format!("rate-{rate:.0}"), title, &COLUMNS, NGINX).with_rows(names(&variants))
    });
    let running = bench.start(&variants, &object(SIZE), &mut tables)?;
    for round in 0..bench.plan.rounds {
        for (per_second, table) in rates.into_iter().zip(&mut tables) {
            let seed = bench.random.u64(..);
            for proxy in bench.shuffled(&running) {
                bench.go_on()?;
                let load =
                    Rate { connections: CONNECTIONS as usize, per_second, length: bench.plan.rate, seed };
                note(table, round, &proxy.variant.name, measure(&load, proxy));
            }
        }
    }
    Ok(tables.into())
}

/// What nginx answers in a second, to the first few figures.
fn most_of_nginx(bench: &Bench<'_>, variants: &[Variant]) -> Result<f64, String> {
    let nginx = variants.iter().find(|variant| variant.name == NGINX).ok_or("there is no nginx")?;
    let nginx = nginx.start(&bench.ground, &object(SIZE))?;
    let (wrk, core) = (bench.wrk, bench.load_core);
    let load = Load { wrk, core, connections: CONNECTIONS, seconds: 1, script: None };
    let counted = load.run(nginx.address, &object(SIZE))?;
    let most = counted.requests / counted.seconds;
    announce(&format!("nginx answers {most:.0} requests/s: rates are taken from that"));
    Ok(most)
}

fn measure(load: &Rate, proxy: &Running) -> Result<Vec<Option<f64>>, String> {
    let before = proxy.cpu()?;
    let latencies = on_this_thread(load.run(proxy.address, Request::get(&object(SIZE))))?;
    let requests = load.per_second * load.length.as_secs_f64();
    let cpu = proxy.cpu_since(before)?.map(|cpu| microseconds(cpu) / requests);
    Ok(vec![Some(microseconds(latencies.quantile(0.5))), Some(microseconds(latencies.quantile(0.99))), cpu])
}
