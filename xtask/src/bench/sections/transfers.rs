//! What a proxy keeps while a thousand clients read slowly.

use super::{Bench, names, note, object};
use crate::bench::load::{Request, on_this_thread, transfers};
use crate::bench::proxies::{NGINX_LARGE, Variant, Variants};
use crate::bench::table::{Column, Table};

const COLUMNS: [Column; 1] = [Column { name: "MiB at most, above rest", digits: 1 }];
const TRANSFERS: u32 = 1000;
const BYTES: u64 = 64 << 20;

/// Runs the section.
///
/// # Errors
/// Where the run is to stop.
pub(crate) fn run(bench: &mut Bench<'_>, variants: &Variants) -> Result<Vec<Table>, String> {
    let variants = variants.streaming();
    let title = format!("Memory, {TRANSFERS} slow GETs of {} MiB at once", BYTES >> 20);
    let mut table = Table::new("transfers", title, &COLUMNS, NGINX_LARGE).with_rows(names(&variants));
    for round in 0..bench.plan.few_rounds {
        for variant in bench.shuffled(&variants) {
            bench.go_on()?;
            note(&mut table, round, &variant.name, measure(bench, variant).map(|value| vec![Some(value)]));
        }
    }
    Ok(vec![table])
}

#[expect(clippy::cast_precision_loss, reason = "rounded figures are shown")]
fn measure(bench: &Bench<'_>, variant: &Variant) -> Result<f64, String> {
    let proxy = variant.start(&bench.ground, &object(1024))?;
    let tree = proxy.tree.as_ref().ok_or("there is no process to measure")?;
    let rest = tree.memory()?;
    let mut most = rest;
    let look = || tree.memory().map(|now| most = most.max(now));
    let request = Request::get(&object(BYTES));
    on_this_thread(transfers::slowly(proxy.address, TRANSFERS, &request, bench.plan.slow, look))?;
    Ok((most - rest) as f64 / 1024.0)
}
