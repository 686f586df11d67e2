//! The time to the first response after the start, and the memory at that time.

use super::{Bench, names, object, record};
use crate::bench::child::Tree;
use crate::bench::proxies::{NGINX, Variant, Variants};
use crate::bench::table::{Column, Table};

const COLUMNS: [Column; 2] =
    [Column { name: "ms to the first response", digits: 1 }, Column { name: "MiB at rest", digits: 1 }];

/// Runs the section.
///
/// # Errors
/// A signal has stopped the run.
pub(crate) fn run(bench: &mut Bench<'_>, variants: &Variants) -> Result<Vec<Table>, String> {
    let variants = variants.distinct();
    let title = "Start: from the process to its first response (Scopegate's includes minting its session)";
    let mut table = Table::new("start", title, &COLUMNS, NGINX).with_rows(names(&variants));
    for round in 0..bench.plan.rounds {
        for variant in bench.shuffled(&variants) {
            bench.check_stopped()?;
            record(&mut table, round, &variant.name, measure(bench, variant));
        }
    }
    Ok(vec![table])
}

#[expect(clippy::cast_precision_loss, reason = "the figures are rounded")]
fn measure(bench: &Bench<'_>, variant: &Variant) -> Result<Vec<Option<f64>>, String> {
    let proxy = variant.start(&bench.setup, &object(1024))?;
    let memory = proxy.tree.as_ref().map(Tree::memory).transpose()?;
    let milliseconds = proxy.first_response.as_secs_f64() * 1e3;
    Ok(vec![Some(milliseconds), memory.map(|kib| kib as f64 / 1024.0)])
}
