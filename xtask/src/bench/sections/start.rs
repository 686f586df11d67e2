//! How soon a proxy answers after it was started, and how much it is then.

use super::{Bench, names, note, object};
use crate::bench::proxies::{NGINX, Variant, Variants};
use crate::bench::table::{Column, Table};

const COLUMNS: [Column; 2] =
    [Column { name: "ms to the first answer", digits: 1 }, Column { name: "MiB at rest", digits: 1 }];

/// Runs the section.
///
/// # Errors
/// Where the run is to stop.
pub(crate) fn run(bench: &mut Bench<'_>, variants: &Variants) -> Result<Vec<Table>, String> {
    let variants = variants.distinct();
    let title = "Start: from the process to its first answer (Scopegate's with its session)";
    let mut table = Table::new("start", title, &COLUMNS, NGINX).with_rows(names(&variants));
    for round in 0..bench.plan.rounds {
        for variant in bench.shuffled(&variants) {
            bench.go_on()?;
            note(&mut table, round, &variant.name, measure(bench, variant));
        }
    }
    Ok(vec![table])
}

#[expect(clippy::cast_precision_loss, reason = "rounded figures are shown")]
fn measure(bench: &Bench<'_>, variant: &Variant) -> Result<Vec<Option<f64>>, String> {
    let proxy = variant.start(&bench.ground, &object(1024))?;
    let memory = proxy.tree.as_ref().map(super::super::child::Tree::memory).transpose()?;
    let milliseconds = proxy.first_answer.as_secs_f64() * 1e3;
    Ok(vec![Some(milliseconds), memory.map(|kib| kib as f64 / 1024.0)])
}
