//! HTTP/2 beside HTTP/1.1, both with TLS: small objects, bodies, and bodies on a long way.

use super::large::Direction;
use super::{Bench, microseconds, names, object, record};
use crate::bench::configs::Buffers;
use crate::bench::h2load::{Counted, Load, Protocol, Until};
use crate::bench::load::delay::Delay;
use crate::bench::proxies::{NGINX, NGINX_LARGE, Running, Variants};
use crate::bench::table::{Column, Table};
use std::fs::File;
use std::path::Path;
use std::time::Duration;
use tempfile::NamedTempFile;

/// The columns of small objects.
const SMALL: [Column; 5] = [
    Column { name: "HTTP/1.1, requests/s", digits: 0 },
    Column { name: "HTTP/2, requests/s", digits: 0 },
    Column { name: "HTTP/1.1, CPU µs/request", digits: 2 },
    Column { name: "HTTP/2, CPU µs/request", digits: 2 },
    Column { name: "CPU of HTTP/2 to HTTP/1.1", digits: 2 },
];

/// The columns of bodies.
const BODIES: [Column; 5] = [
    Column { name: "HTTP/1.1, MB/s", digits: 0 },
    Column { name: "HTTP/2, MB/s", digits: 0 },
    Column { name: "HTTP/1.1, CPU s/GiB", digits: 3 },
    Column { name: "HTTP/2, CPU s/GiB", digits: 3 },
    Column { name: "MB/s of HTTP/2 to HTTP/1.1", digits: 2 },
];

/// The columns of bodies on a long way, where CPU does not matter.
const FAR: [Column; 3] = [
    Column { name: "HTTP/1.1, MB/s", digits: 1 },
    Column { name: "HTTP/2, MB/s", digits: 1 },
    Column { name: "MB/s of HTTP/2 to HTTP/1.1", digits: 2 },
];

const ROUND_TRIP: Duration = Duration::from_millis(50);
const SIZE: u64 = 1 << 10;

/// The length of a body on a long way. Some proxies take 64 KiB of an upload per round trip.
const FAR_BYTES: u64 = 16 << 20;

/// Runs the section.
///
/// # Errors
/// A signal has stopped the run, or a file cannot be written.
pub(crate) fn run(bench: &mut Bench<'_>, variants: &Variants) -> Result<Vec<Table>, String> {
    let mut tables = vec![small(bench, variants)?];
    tables.extend(bodies(bench, variants)?);
    tables.extend(far(bench, variants)?);
    Ok(tables)
}

/// Returns HTTP/1.1 and HTTP/2 with the same number of requests under way.
fn protocols(connections: u32, streams: u32) -> [Protocol; 2] {
    [
        Protocol { http2: false, connections: connections * streams, streams: 1 },
        Protocol { http2: true, connections, streams },
    ]
}

fn small(bench: &mut Bench<'_>, variants: &Variants) -> Result<Table, String> {
    let variants = variants.over_tls(&[Buffers::Default]);
    let title = "HTTP/2: 1 KiB objects, 64 requests under way: 64 connections, or 8 with 8 streams each";
    let mut tables = [Table::new("http2-small", title, &SMALL, NGINX).with_rows(names(&variants))];
    let running = bench.start(&variants, &object(SIZE), &mut tables)?;
    let [mut table] = tables;
    for round in 0..bench.plan.rounds {
        for proxy in bench.shuffled(&running) {
            bench.check_stopped()?;
            let measured = both(&protocols(8, 8), |protocol| {
                let work = Work { until: Until::Elapsed(Duration::from_secs(2)), bytes: SIZE, upload: None };
                let (counted, cpu) = load(bench, proxy, protocol, &work)?;
                Ok((counted.requests / counted.seconds, microseconds(cpu) / counted.requests))
            });
            let row = measured.map(|[(rate1, cpu1), (rate2, cpu2)]| {
                [rate1, rate2, cpu1, cpu2, cpu2 / cpu1].map(Some).to_vec()
            });
            record(&mut table, round, &proxy.variant.name, row);
        }
    }
    Ok(table)
}

/// Returns the file to send in this direction.
fn upload(direction: Direction, file: &Path) -> Option<&Path> {
    match direction {
        Direction::Get => None,
        Direction::Put => Some(file),
    }
}

fn bodies(bench: &mut Bench<'_>, variants: &Variants) -> Result<Vec<Table>, String> {
    let variants = variants.over_tls(&[Buffers::Large]);
    let bytes = bench.plan.large_bytes;
    let file = content(bytes)?;
    let mut tables = Direction::ALL.map(|direction| {
        let title = format!(
            "HTTP/2: {} of {} MiB objects, 4 at once: 4 connections, or 1 with 4 streams",
            direction.name(),
            bytes >> 20
        );
        let id = format!("http2-{}", direction.name().to_lowercase());
        Table::new(id, title, &BODIES, NGINX_LARGE).with_rows(names(&variants))
    });
    for round in 0..bench.plan.rounds {
        let running = bench.start(&variants, &object(SIZE), &mut tables)?;
        for (direction, table) in Direction::ALL.into_iter().zip(&mut tables) {
            for proxy in bench.shuffled(&running) {
                bench.check_stopped()?;
                let work = Work { until: Until::Sent(8), bytes, upload: upload(direction, file.path()) };
                let measured = both(&protocols(1, 4), |protocol| {
                    let (counted, cpu) = load(bench, proxy, protocol, &work)?;
                    Ok((rate(&counted, bytes), per_gib(cpu, &counted, bytes)))
                });
                let row = measured.map(|[(rate1, cpu1), (rate2, cpu2)]| {
                    [rate1, rate2, cpu1, cpu2, rate2 / rate1].map(Some).to_vec()
                });
                record(table, round, &proxy.variant.name, row);
            }
        }
    }
    Ok(tables.into())
}

/// Measures one body at a time: with more, HTTP/1.1 has a window of TCP for each.
fn far(bench: &mut Bench<'_>, variants: &Variants) -> Result<Vec<Table>, String> {
    let variants = variants.over_tls(&[Buffers::Large]);
    let file = content(FAR_BYTES)?;
    let mut tables = Direction::ALL.map(|direction| {
        let title = format!(
            "HTTP/2: {} of {} MiB with a round-trip time of {} ms",
            direction.name(),
            FAR_BYTES >> 20,
            ROUND_TRIP.as_millis()
        );
        let id = format!("http2-far-{}", direction.name().to_lowercase());
        Table::new(id, title, &FAR, NGINX_LARGE).with_rows(names(&variants))
    });
    let running = bench.start(&variants, &object(SIZE), &mut tables)?;
    for round in 0..bench.plan.few_rounds {
        for (direction, table) in Direction::ALL.into_iter().zip(&mut tables) {
            for proxy in bench.shuffled(&running) {
                bench.check_stopped()?;
                let relay = Delay::start(proxy.address, ROUND_TRIP)?;
                let url = format!("https://{}{}", relay.address, object(FAR_BYTES));
                let measured = both(&protocols(1, 1), |protocol| {
                    let load = Load {
                        h2load: bench.h2load,
                        core: bench.load_core,
                        protocol,
                        until: Until::Sent(1),
                        upload: upload(direction, file.path()),
                    };
                    load.run(&url).map(|counted| rate(&counted, FAR_BYTES))
                });
                let row = measured.map(|[one, two]| [one, two, two / one].map(Some).to_vec());
                record(table, round, &proxy.variant.name, row);
            }
        }
    }
    Ok(tables.into())
}

/// Measures both protocols, HTTP/1.1 first.
fn both<T>(
    protocols: &[Protocol; 2],
    mut measure: impl FnMut(Protocol) -> Result<T, String>,
) -> Result<[T; 2], String> {
    let [one, two] = *protocols;
    Ok([measure(one)?, measure(two)?])
}

/// What is sent over either protocol.
struct Work<'a> {
    until: Until,
    /// The length of the object.
    bytes: u64,
    /// The file to upload, or nothing for a download.
    upload: Option<&'a Path>,
}

/// Loads a proxy and returns its CPU time as well.
fn load(
    bench: &Bench<'_>,
    proxy: &Running,
    protocol: Protocol,
    work: &Work<'_>,
) -> Result<(Counted, Duration), String> {
    let Work { until, bytes, upload } = *work;
    let load = Load { h2load: bench.h2load, core: bench.load_core, protocol, until, upload };
    let before = proxy.cpu()?;
    let counted = load.run(&proxy.url(&object(bytes)))?;
    let cpu = proxy.cpu_since(before)?.ok_or("direct access has no process to measure")?;
    Ok((counted, cpu))
}

#[expect(clippy::cast_precision_loss, reason = "the figures are rounded")]
fn rate(counted: &Counted, bytes: u64) -> f64 {
    counted.requests * bytes as f64 / counted.seconds / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "the figures are rounded")]
fn per_gib(cpu: Duration, counted: &Counted, bytes: u64) -> f64 {
    cpu.as_secs_f64() * f64::from(1 << 30) / (counted.requests * bytes as f64)
}

/// Returns a file of zeros.
fn content(bytes: u64) -> Result<NamedTempFile, String> {
    let failed = |error: std::io::Error| format!("cannot write a temporary file: {error}");
    let file = NamedTempFile::new().map_err(failed)?;
    File::set_len(file.as_file(), bytes).map_err(failed)?;
    Ok(file)
}
