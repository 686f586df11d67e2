//! The memory of idle connections.

use super::{Bench, names, object, record};
use crate::bench::load::{Request, idle, on_this_thread};
use crate::bench::proxies::{NGINX, Variant, Variants};
use crate::bench::table::{Column, Table};

const COLUMNS: [Column; 1] = [Column { name: "KiB/connection", digits: 2 }];
const COUNTS: [u32; 2] = [1000, 10_000];

/// Runs the section.
///
/// # Errors
/// A signal has stopped the run.
pub(crate) fn run(bench: &mut Bench<'_>, variants: &Variants) -> Result<Vec<Table>, String> {
    measure_all(bench, &variants.distinct(), "", "connections")
}

/// Measures these variants. `prefix` begins the names of the tables, `what` says what is idle.
///
/// # Errors
/// A signal has stopped the run.
pub(super) fn measure_all(
    bench: &mut Bench<'_>,
    variants: &[Variant],
    prefix: &str,
    what: &str,
) -> Result<Vec<Table>, String> {
    let mut tables = COUNTS.map(|count| {
        let title = format!("Memory, {count} idle {what} after one request each");
        Table::new(format!("{prefix}idle-{count}"), title, &COLUMNS, NGINX).with_rows(names(variants))
    });
    for round in 0..bench.plan.few_rounds {
        for variant in bench.shuffled(variants) {
            bench.check_stopped()?;
            let measured = measure(bench, variant);
            for (place, table) in tables.iter_mut().enumerate() {
                let value = measured.as_ref().map(|values| vec![values.get(place).copied()]);
                record(table, round, &variant.name, value.map_err(Clone::clone));
            }
        }
    }
    Ok(tables.into())
}

/// Starts a process and returns its KiB per connection at each of [`COUNTS`].
#[expect(clippy::cast_precision_loss, reason = "the figures are rounded")]
fn measure(bench: &Bench<'_>, variant: &Variant) -> Result<Vec<f64>, String> {
    let proxy = variant.start(&bench.setup, &object(1024))?;
    let tree = proxy.tree.as_ref().ok_or("direct access has no process to measure")?;
    let request = Request::get(&object(1024));
    let rest = tree.memory()?;
    let endpoint = proxy.endpoint();
    on_this_thread(async {
        let mut held = Vec::new();
        let mut values = Vec::new();
        for count in COUNTS {
            idle::open(&endpoint, count as usize - held.len(), &request, &mut held).await?;
            values.push((tree.memory()? as f64 - rest as f64) / f64::from(count));
        }
        Ok(values)
    })
}
