//! Large objects, down and up: a fixed amount, and what it cost.

use super::{Bench, names, note, object};
use crate::bench::load::{Request, on_this_thread, transfers};
use crate::bench::proxies::{NGINX_LARGE, Running, Variants};
use crate::bench::table::{Column, Table};

const COLUMNS: [Column; 2] = [Column { name: "MB/s", digits: 0 }, Column { name: "CPU s/GiB", digits: 3 }];

/// Which way bodies go.
#[derive(Clone, Copy)]
enum Way {
    Get,
    Put,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
        }
    }

    fn request(self, bytes: u64) -> Request {
        match self {
            Self::Get => Request::get(&object(bytes)),
            Self::Put => Request::put(&object(bytes), bytes),
        }
    }
}

/// Runs the section.
///
/// # Errors
/// Where the run is to stop.
pub(crate) fn run(bench: &mut Bench<'_>, variants: &Variants) -> Result<Vec<Table>, String> {
    let variants = variants.large();
    let bytes = bench.plan.large;
    let cells: Vec<(Way, u32, u32)> = [Way::Get, Way::Put]
        .into_iter()
        .flat_map(|way| bench.plan.large_each.map(|(connections, each)| (way, connections, each)))
        .collect();
    let mut tables: Vec<Table> = cells
        .iter()
        .map(|(way, connections, _)| {
            let (id, way) = (format!("{}-{connections}", way.name().to_lowercase()), way.name());
            let title = format!("{way} of {} MiB objects, {connections} connections", bytes >> 20);
            Table::new(id, title, &COLUMNS, NGINX_LARGE).with_rows(names(&variants))
        })
        .collect();
    for round in 0..bench.plan.rounds {
        // Where a process has its buffers in memory may decide how fast they are: it is another each time.
        let running = bench.start(&variants, &object(1024), &mut tables)?;
        for ((way, connections, each), table) in cells.iter().copied().zip(&mut tables) {
            for proxy in bench.shuffled(&running) {
                bench.go_on()?;
                let measured = measure(proxy, connections, each, &way.request(bytes));
                note(table, round, &proxy.variant.name, measured);
            }
        }
    }
    Ok(tables)
}

#[expect(clippy::cast_precision_loss, reason = "rounded figures are shown")]
fn measure(
    proxy: &Running,
    connections: u32,
    each: u32,
    request: &Request,
) -> Result<Vec<Option<f64>>, String> {
    let before = proxy.cpu()?;
    let passed = on_this_thread(transfers::all(proxy.address, connections, each, request))?;
    let bytes = passed.bytes as f64;
    let gib = bytes / f64::from(1 << 30);
    let cpu = proxy.cpu_since(before)?.map(|cpu| cpu.as_secs_f64() / gib);
    Ok(vec![Some(bytes / passed.took.as_secs_f64() / 1e6), cpu])
}
