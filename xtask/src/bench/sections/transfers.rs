//! The memory of a proxy while a thousand clients read slowly, or nothing.

use super::{Bench, names, object, record};
use crate::bench::load::transfers::{Reading, Unhurried};
use crate::bench::load::{Request, on_this_thread};
use crate::bench::proxies::{NGINX_LARGE, Variant, Variants};
use crate::bench::table::{Column, Table};

const COLUMNS: [Column; 1] = [Column { name: "peak MiB above rest", digits: 1 }];
const TRANSFERS: u32 = 1000;
const BYTES: u64 = 64 << 20;

/// Runs the section.
///
/// # Errors
/// A signal has stopped the run.
pub(crate) fn run(bench: &mut Bench<'_>, variants: &Variants) -> Result<Vec<Table>, String> {
    let variants = variants.streaming();
    let kinds = [
        ("transfers", Reading::Slow, "read slowly"),
        ("unread", Reading::Nothing, "of which nothing is read"),
    ];
    let mut tables = Vec::new();
    for (id, reading, how) in kinds {
        let title = format!("Memory, {TRANSFERS} GETs of {} MiB at once, {how}", BYTES >> 20);
        let mut table = Table::new(id, title, &COLUMNS, NGINX_LARGE).with_rows(names(&variants));
        for round in 0..bench.plan.few_rounds {
            for variant in bench.shuffled(&variants) {
                bench.check_stopped()?;
                let measured = measure(bench, variant, reading).map(|value| vec![Some(value)]);
                record(&mut table, round, &variant.name, measured);
            }
        }
        tables.push(table);
    }
    Ok(tables)
}

#[expect(clippy::cast_precision_loss, reason = "the figures are rounded")]
fn measure(bench: &Bench<'_>, variant: &Variant, reading: Reading) -> Result<f64, String> {
    let proxy = variant.start(&bench.setup, &object(1024))?;
    let tree = proxy.tree.as_ref().ok_or("direct access has no process to measure")?;
    let rest = tree.memory()?;
    let mut most = rest;
    let sample = || tree.memory().map(|now| most = most.max(now));
    let request = Request::get(&object(BYTES));
    let load = Unhurried { connections: TRANSFERS, reading, length: bench.plan.slow_length };
    on_this_thread(load.run(&proxy.endpoint(), &request, sample))?;
    Ok((most - rest) as f64 / 1024.0)
}
