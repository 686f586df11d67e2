//! Objects of 1 KiB, as many requests as possible.
//!
//! Runs are short and many: a machine stalls for some milliseconds now and then, which a run of several seconds hardly
//! escapes. `wrk` measures the rate and the CPU time that belongs to it. The latencies come from another load, for the
//! reason given at [`Closed`].

use super::{Bench, microseconds, names, object, record};
use crate::bench::load::closed::Closed;
use crate::bench::load::{Request, on_this_thread};
use crate::bench::proxies::{NGINX, Running, Variants};
use crate::bench::table::{Column, Table};
use crate::bench::wrk::Load;
use std::time::Duration;

const COLUMNS: [Column; 5] = [
    Column { name: "requests/s", digits: 0 },
    Column { name: "CPU µs/request", digits: 2 },
    Column { name: "p50 µs", digits: 0 },
    Column { name: "p99 µs", digits: 0 },
    Column { name: "p99 µs, corrected by wrk", digits: 0 },
];

const SIZE: u64 = 1 << 10;

/// Runs the section.
///
/// # Errors
/// A signal has stopped the run.
pub(crate) fn run(bench: &mut Bench<'_>, variants: &Variants) -> Result<Vec<Table>, String> {
    let variants = variants.small();
    let counts = [64, 256];
    let mut tables = counts.map(|connections| {
        let title = format!("1 KiB objects, {connections} connections, as many requests as possible");
        Table::new(format!("small-{connections}"), title, &COLUMNS, NGINX).with_rows(names(&variants))
    });
    let running = bench.start(&variants, &object(SIZE), &mut tables)?;
    for round in 0..bench.plan.rounds * bench.plan.small_runs {
        for (connections, table) in counts.into_iter().zip(&mut tables) {
            for proxy in bench.shuffled(&running) {
                bench.check_stopped()?;
                record(table, round, &proxy.variant.name, measure(bench, proxy, connections));
            }
        }
    }
    Ok(tables.into())
}

fn measure(bench: &Bench<'_>, proxy: &Running, connections: u32) -> Result<Vec<Option<f64>>, String> {
    let (wrk, core) = (bench.wrk, bench.load_core);
    let load = Load { wrk, core, connections, seconds: 1, script: None };
    let before = proxy.cpu()?;
    let counted = load.run(&proxy.url(&object(SIZE)))?;
    let cpu = proxy.cpu_since(before)?.map(|cpu| microseconds(cpu) / counted.requests);
    let rate = counted.requests / counted.seconds;
    let load = Closed { connections, length: Duration::from_secs(1) };
    let took = on_this_thread(load.run(&proxy.endpoint(), &Request::get(&object(SIZE))))?;
    let [p50, p99] = [0.5, 0.99].map(|part| Some(microseconds(took.quantile(part))));
    Ok(vec![Some(rate), cpu, p50, p99, Some(microseconds(counted.p99))])
}
