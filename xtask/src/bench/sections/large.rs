//! Large objects in both directions: the rate and the CPU time of a fixed amount.
//!
//! A proxy's cost depends on how the origin writes, so there are two: one that writes from memory, as a program does, and
//! nginx, which sends files from the page cache (sendfile(2)).

use super::{Bench, names, object, record};
use crate::bench::files::Files;
use crate::bench::load::{Request, on_this_thread, transfers};
use crate::bench::proxies::{NGINX_LARGE, Running, Variant, Variants};
use crate::bench::table::{Column, Table};

pub(super) const COLUMNS: [Column; 2] =
    [Column { name: "MB/s", digits: 0 }, Column { name: "CPU s/GiB", digits: 3 }];

/// The direction of the bodies.
#[derive(Clone, Copy)]
pub(super) enum Direction {
    Get,
    Put,
}

impl Direction {
    pub(super) const ALL: [Self; 2] = [Self::Get, Self::Put];

    /// Returns the method of its requests.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
        }
    }

    pub(super) fn request(self, bytes: u64) -> Request {
        match self {
            Self::Get => Request::get(&object(bytes)),
            Self::Put => Request::put(&object(bytes), bytes),
        }
    }
}

/// Runs the section.
///
/// # Errors
/// A signal has stopped the run.
pub(crate) fn run(bench: &mut Bench<'_>, variants: &Variants) -> Result<Vec<Table>, String> {
    let variants = variants.large();
    let mut tables = Vec::new();
    for bytes in bench.plan.body_bytes {
        let prefix = if *bytes == bench.plan.large_bytes { "" } else { "short-" };
        let bodies = Bodies { bytes: *bytes, directions: &Direction::ALL, prefix, over: "" };
        tables.extend(measure_all(bench, &variants, &bodies)?);
    }
    let files = Files::start(bench.nginx, bench.load_core, bench.plan.body_bytes)?;
    let origin = std::mem::replace(&mut bench.setup.behind.store, files.address);
    for bytes in bench.plan.body_bytes {
        let prefix = if *bytes == bench.plan.large_bytes { "files-" } else { "short-files-" };
        let bodies =
            Bodies { bytes: *bytes, directions: &[Direction::Get], prefix, over: ", origin sends files" };
        tables.extend(measure_all(bench, &variants, &bodies)?);
    }
    bench.setup.behind.store = origin;
    Ok(tables)
}

/// Large objects to measure.
pub(super) struct Bodies<'a> {
    pub(super) bytes: u64,
    pub(super) directions: &'a [Direction],
    /// Begins the names of the tables.
    pub(super) prefix: &'a str,
    /// Ends their titles.
    pub(super) over: &'a str,
}

/// Measures these variants.
///
/// # Errors
/// A signal has stopped the run.
pub(super) fn measure_all(
    bench: &mut Bench<'_>,
    variants: &[Variant],
    bodies: &Bodies<'_>,
) -> Result<Vec<Table>, String> {
    let Bodies { bytes, directions, prefix, over } = *bodies;
    // Shorter objects are transferred more often, so that all runs take as long.
    let times = u32::try_from(bench.plan.large_bytes / bytes).unwrap_or(1);
    let cells: Vec<(Direction, u32, u32)> = directions
        .iter()
        .flat_map(|direction| {
            bench.plan.large_loads.map(|(connections, each)| (*direction, connections, each * times))
        })
        .collect();
    let mut tables: Vec<Table> = cells
        .iter()
        .map(|(direction, connections, _)| {
            let (id, method) =
                (format!("{prefix}{}-{connections}", direction.name().to_lowercase()), direction.name());
            let title = format!("{method} of {} MiB objects, {connections} connections{over}", bytes >> 20);
            Table::new(id, title, &COLUMNS, NGINX_LARGE).with_rows(names(variants))
        })
        .collect();
    for round in 0..bench.plan.rounds {
        // The speed may depend on where a process has its buffers in memory, so each round starts new ones.
        let running = bench.start(variants, &object(1024), &mut tables)?;
        for ((direction, connections, each), table) in cells.iter().copied().zip(&mut tables) {
            for proxy in bench.shuffled(&running) {
                bench.check_stopped()?;
                let measured = measure(proxy, connections, each, &direction.request(bytes));
                record(table, round, &proxy.variant.name, measured);
            }
        }
    }
    Ok(tables)
}

/// Measures one proxy.
///
/// # Errors
/// A transfer fails, or the proxy has ended.
#[expect(clippy::cast_precision_loss, reason = "the figures are rounded")]
pub(super) fn measure(
    proxy: &Running,
    connections: u32,
    each: u32,
    request: &Request,
) -> Result<Vec<Option<f64>>, String> {
    let before = proxy.cpu()?;
    let transferred = on_this_thread(transfers::all(&proxy.endpoint(), connections, each, request))?;
    let bytes = transferred.bytes as f64;
    let gib = bytes / f64::from(1 << 30);
    let cpu = proxy.cpu_since(before)?.map(|cpu| cpu.as_secs_f64() / gib);
    Ok(vec![Some(bytes / transferred.took.as_secs_f64() / 1e6), cpu])
}
