//! Large objects in both directions: the rate and the CPU time of a fixed amount.
//!
//! A proxy's cost depends on how the origin writes, so there are two: one that writes from memory, as a program does, and
//! nginx, which sends files from the page cache (sendfile(2)).

use super::{Bench, Plan, names, object, record};
use crate::bench::files::Files;
use crate::bench::load::{Request, on_this_thread, transfers};
use crate::bench::proxies::{NGINX_LARGE, Running, Variant, Variants};
use crate::bench::table::{Column, Table};

const COLUMNS: [Column; 2] = [Column { name: "MB/s", digits: 0 }, Column { name: "CPU s/GiB", digits: 3 }];

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
        let bodies = Bodies { prefix, ..Bodies::new(&bench.plan, *bytes) };
        tables.extend(measure_all(bench, &variants, &bodies)?);
    }
    let files = Files::start(bench.nginx, bench.load_core, bench.plan.body_bytes)?;
    let origin = std::mem::replace(&mut bench.setup.behind.store, files.address);
    for bytes in bench.plan.body_bytes {
        let prefix = if *bytes == bench.plan.large_bytes { "files-" } else { "short-files-" };
        let (directions, over) = (&[Direction::Get], ", origin sends files");
        let bodies = Bodies { directions, prefix, over, ..Bodies::new(&bench.plan, *bytes) };
        tables.extend(measure_all(bench, &variants, &bodies)?);
    }
    bench.setup.behind.store = origin;
    Ok(tables)
}

/// Large objects to measure.
pub(super) struct Bodies<'a> {
    pub(super) bytes: u64,
    pub(super) directions: &'a [Direction],
    /// The number of bytes that all connections transfer together, if each transfers at least one object.
    pub(super) transferred: u64,
    /// Begins the names of the tables.
    pub(super) prefix: &'a str,
    /// Begins their titles.
    pub(super) from: &'a str,
    /// Ends their titles.
    pub(super) over: &'a str,
    /// The variant that the others are compared with.
    pub(super) baseline: &'static str,
    /// Makes the requests that proxies pass on signed.
    pub(super) sign: Option<&'a dyn Fn(Direction) -> Request>,
}

impl Bodies<'_> {
    /// Returns unsigned objects of this length, both ways.
    pub(super) fn new(plan: &Plan, bytes: u64) -> Self {
        Self {
            bytes,
            directions: &Direction::ALL,
            transferred: plan.transferred,
            prefix: "",
            from: "",
            over: "",
            baseline: NGINX_LARGE,
            sign: None,
        }
    }

    /// Returns how many objects each connection transfers.
    fn each(&self, connections: u32) -> u32 {
        let each = self.transferred / self.bytes / u64::from(connections);
        u32::try_from(each).unwrap_or(u32::MAX).max(1)
    }

    fn request(&self, proxy: &Running, direction: Direction) -> Request {
        match self.sign {
            Some(sign) if proxy.variant.passes_signed() => sign(direction),
            _ => direction.request(self.bytes),
        }
    }

    /// Returns an empty table for a direction.
    fn table(&self, direction: Direction, connections: u32, variants: &[Variant]) -> Table {
        let Self { bytes, prefix, from, over, .. } = self;
        let method = direction.name();
        let id = format!("{prefix}{}-{connections}", method.to_lowercase());
        let title = format!("{from}{method} of {} MiB objects, {connections} connections{over}", bytes >> 20);
        Table::new(id, title, &COLUMNS, self.baseline).with_rows(names(variants))
    }
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
    let connections = bench.plan.large_connections;
    let cells: Vec<(Direction, u32)> = bodies
        .directions
        .iter()
        .flat_map(|direction| connections.map(|connections| (*direction, connections)))
        .collect();
    let mut tables: Vec<Table> = cells
        .iter()
        .map(|(direction, connections)| bodies.table(*direction, *connections, variants))
        .collect();
    for round in 0..bench.plan.rounds {
        // The speed may depend on where a process has its buffers in memory, so each round starts new ones.
        let running = bench.start(variants, &object(1024), &mut tables)?;
        for ((direction, connections), table) in cells.iter().copied().zip(&mut tables) {
            for proxy in bench.shuffled(&running) {
                bench.check_stopped()?;
                let request = bodies.request(proxy, direction);
                let measured = measure(proxy, connections, bodies.each(connections), &request);
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
fn measure(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_transfer_an_amount_together_and_at_least_one_object_each() {
        let plan = Plan::FULL;
        for (transferred, bytes, expected) in [
            (plan.transferred, 128 << 20, [4, 1]),
            (plan.transferred, 16 << 20, [32, 4]),
            (plan.store_transferred, 128 << 20, [1, 1]),
            (plan.store_transferred, 16 << 20, [8, 1]),
        ] {
            let bodies = Bodies { transferred, ..Bodies::new(&plan, bytes) };
            assert_eq!(plan.large_connections.map(|connections| bodies.each(connections)), expected);
        }
    }
}
