//! Objects of 1 KiB at fixed rates: the latency of a proxy that is not saturated.

use super::{Bench, microseconds, names, object, record};
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
/// The rates as parts of nginx's peak.
const PARTS: [f64; 2] = [0.1, 0.5];

/// Runs the section.
///
/// # Errors
/// A signal has stopped the run, or the peak of nginx cannot be measured.
pub(crate) fn run(bench: &mut Bench<'_>, variants: &Variants) -> Result<Vec<Table>, String> {
    let variants = variants.small();
    let peak = nginx_peak(bench, &variants)?;
    let rates = PARTS.map(|part| ((peak * part / 500.0).round() * 500.0).max(500.0));
    let mut tables = rates.map(|rate| {
        let title = format!("1 KiB objects at {rate:.0} requests/s, {CONNECTIONS} connections");
        Table::new(format!("rate-{rate:.0}"), title, &COLUMNS, NGINX).with_rows(names(&variants))
    });
    let running = bench.start(&variants, &object(SIZE), &mut tables)?;
    for round in 0..bench.plan.rounds {
        for (per_second, table) in rates.into_iter().zip(&mut tables) {
            let seed = bench.random.u64(..);
            for proxy in bench.shuffled(&running) {
                bench.check_stopped()?;
                let load = Rate {
                    connections: CONNECTIONS as usize,
                    per_second,
                    length: bench.plan.rate_length,
                    seed,
                };
                record(table, round, &proxy.variant.name, measure(&load, proxy));
            }
        }
    }
    Ok(tables.into())
}

/// Returns how many requests nginx answers per second, measured roughly.
fn nginx_peak(bench: &Bench<'_>, variants: &[Variant]) -> Result<f64, String> {
    let nginx = variants
        .iter()
        .find(|variant| variant.name == NGINX)
        .ok_or("nginx, whose peak sets the rates, is not measured")?;
    let nginx = nginx.start(&bench.setup, &object(SIZE))?;
    let (wrk, core) = (bench.wrk, bench.load_core);
    let load = Load { wrk, core, connections: CONNECTIONS, seconds: 1, script: None };
    let counted = load.run(&nginx.url(&object(SIZE)))?;
    let peak = counted.requests / counted.seconds;
    announce(&format!("nginx answers {peak:.0} requests/s, which sets the rates"));
    Ok(peak)
}

fn measure(load: &Rate, proxy: &Running) -> Result<Vec<Option<f64>>, String> {
    let before = proxy.cpu()?;
    let latencies = on_this_thread(load.run(proxy.address, Request::get(&object(SIZE))))?;
    let requests = load.per_second * load.length.as_secs_f64();
    let cpu = proxy.cpu_since(before)?.map(|cpu| microseconds(cpu) / requests);
    Ok(vec![Some(microseconds(latencies.quantile(0.5))), Some(microseconds(latencies.quantile(0.99))), cpu])
}
