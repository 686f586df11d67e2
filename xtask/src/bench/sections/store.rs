//! The real MinIO: clients of a proxy compared with a client that signs its requests itself, and large objects.
//!
//! MinIO has one core to itself; the load and the proxy share the other. An nginx that passes on signed requests shows
//! the cost of an HTTP hop, and a relay of bytes that of any hop.

use super::large::{self, Bodies, Direction};
use super::{Bench, Plan, microseconds, names, object, record};
use crate::bench::child::stay_on_core;
use crate::bench::configs::Behind;
use crate::bench::configs::Buffers;
use crate::bench::load::turns::Turns;
use crate::bench::load::{Request, on_this_thread};
use crate::bench::proxies::{NGINX_SIGNED_LARGE, NO_PROXY, Running, Setup, Variants};
use crate::bench::table::{Column, Table};
use crate::bench::wrk::Load;
use crate::support::keys::Keys;
use crate::support::minio::{Minio, Programs};
use crate::support::{sigv4, sts};
use aws_sigv4::http_request::SignableBody;
use std::fmt::Write;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

const ONE: [Column; 2] = [Column { name: "p50 µs", digits: 0 }, Column { name: "p99 µs", digits: 0 }];
const MANY: [Column; 3] = [
    Column { name: "requests/s", digits: 0 },
    Column { name: "p50 µs, corrected by wrk", digits: 0 },
    Column { name: "p99 µs, corrected by wrk", digits: 0 },
];
/// Numbers of clients in closed loops.
const CONNECTIONS: [u32; 2] = [1, 64];
const SIZE: u64 = 1 << 10;

/// Runs the section.
///
/// # Errors
/// A signal has stopped the run, or a file cannot be written.
pub(crate) fn run(
    bench: &mut Bench<'_>,
    variants: &Variants,
    programs: Programs,
) -> Result<Vec<Table>, String> {
    let (all, variants) = (variants, variants.signing(Buffers::Default));
    let folder = TempDir::new().map_err(|error| format!("cannot create a temporary folder: {error}"))?;
    let minio = end_with_us(&programs.minio, folder.path())?;
    let minio = Minio::start_programs(Programs { minio, ..programs });
    let issuer = minio.seed_issuer();
    minio.put(&format!("tmp/media/{SIZE}"), &[b'x'; 1 << 10]);
    // Everyone gets the policy with which Scopegate reads: MinIO evaluates it for each request, and longer ones take longer.
    let policy = all.policy(minio.address)?;
    let session = sts::scoped(&minio, &issuer, &policy);
    let (core, stores_core) = (bench.setup.core, bench.load_core);
    let mut bench = Bench {
        plan: Plan { ..bench.plan },
        setup: Setup {
            behind: Behind { store: minio.address, sts: minio.address },
            issuer,
            session,
            certificates: bench.setup.certificates,
            core,
        },
        nginx: bench.nginx,
        wrk: bench.wrk,
        h2load: bench.h2load,
        // MinIO runs on the core that the load and the origin had.
        load_core: core,
        random: bench.random.clone(),
        stopped: bench.stopped.clone(),
    };
    let title = |what| format!("MinIO: 1 KiB objects, {what}");
    let mut tables = [
        Table::new("store-1", title("1 connection, in turns with one to MinIO"), &ONE, NO_PROXY),
        Table::new("store-loop-1", title("1 connection, one proxy after the other"), &MANY, NO_PROXY),
        Table::new("store-loop-64", title("64 connections, one proxy after the other"), &MANY, NO_PROXY),
    ]
    .map(|table| table.with_rows(names(&variants)));
    let proxies: Vec<_> = variants.into_iter().filter(|variant| variant.name != NO_PROXY).collect();
    let running = bench.start(&proxies, &object(SIZE), &mut tables)?;
    let [one, many @ ..] = &mut tables;
    let script = folder.path().join("signed.lua");
    stay_on_core(core)?;
    for round in 0..bench.plan.rounds {
        // A signature is valid for 15 minutes, which a round does not exceed.
        let signed = signed(&minio, &bench.setup.session);
        in_turns(&mut bench, round, &running, &signed, one)?;
        write_script(&script, &signed)?;
        for (connections, table) in CONNECTIONS.into_iter().zip(&mut *many) {
            saturate(&mut bench, round, &running, (connections, &script), table)?;
        }
    }
    drop(running);
    let mut tables: Vec<Table> = tables.into();
    tables.extend(bodies(&mut bench, all, &minio)?);
    stay_on_core(stores_core)?;
    Ok(tables)
}

/// Measures large objects in both directions.
fn bodies(bench: &mut Bench<'_>, variants: &Variants, minio: &Minio) -> Result<Vec<Table>, String> {
    let proxies = variants.signing(Buffers::Large);
    let proxies: Vec<_> = proxies.into_iter().filter(|variant| variant.name != NO_PROXY).collect();
    let issuer = bench.setup.issuer.clone();
    let mut tables = Vec::new();
    for bytes in bench.plan.body_bytes.iter().copied() {
        minio.put(&format!("tmp/media/{bytes}"), &zeros(bytes));
        let bodies = Bodies {
            transferred: bench.plan.store_transferred,
            prefix: &format!("store-{}-", bytes >> 20),
            from: "MinIO: ",
            baseline: NGINX_SIGNED_LARGE,
            sign: Some(&|direction| signed_body(direction, bytes, minio, &issuer)),
            ..Bodies::new(&bench.plan, bytes)
        };
        tables.extend(large::measure_all(bench, &proxies, &bodies)?);
    }
    Ok(tables)
}

fn zeros(bytes: u64) -> Vec<u8> {
    vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)]
}

/// Returns a signed request for a large object. Like Scopegate's, its signature does not cover the body, which MinIO would hash.
fn signed_body(direction: Direction, bytes: u64, minio: &Minio, keys: &Keys) -> Request {
    let (host, target, method) = (minio.address.to_string(), object(bytes), direction.name());
    let request = sigv4::Request { method, host: &host, target: &target, headers: &[], body: b"" };
    let headers = sigv4::signed_payload(keys, "s3", &request, SignableBody::UnsignedPayload);
    match direction {
        Direction::Get => Request::get_with(&target, &headers),
        Direction::Put => Request::put_with(&target, &headers, bytes),
    }
}

/// Measures each proxy in turns with the store. Each pair is a round of the table.
fn in_turns(
    bench: &mut Bench<'_>,
    round: u32,
    running: &[Running],
    signed: &[(String, String)],
    table: &mut Table,
) -> Result<(), String> {
    let (store, length) = (bench.setup.behind.store, Duration::from_secs(bench.plan.store_seconds));
    let signed = Request::get_with(&object(SIZE), signed);
    let unsigned = Request::get(&object(SIZE));
    let places = (round * u32::try_from(running.len()).unwrap_or(1)..).zip(bench.shuffled(running));
    for (pair, proxy) in places {
        bench.check_stopped()?;
        let request = if proxy.variant.passes_signed() { &signed } else { &unsigned };
        let load = Turns { length, seed: bench.random.u64(..) };
        let measured = on_this_thread(load.run([(store, &signed), (proxy.address, request)]));
        let of = |side: usize| {
            let [direct, proxied] = measured.as_ref().map_err(Clone::clone)?;
            let latencies = if side == 0 { direct } else { proxied };
            Ok([0.5, 0.99].map(|part| Some(microseconds(latencies.quantile(part)))).to_vec())
        };
        record(table, pair, NO_PROXY, of(0));
        record(table, pair, &proxy.variant.name, of(1));
    }
    Ok(())
}

/// Measures each proxy and the store with clients in closed loops, whose script contains signed headers.
fn saturate(
    bench: &mut Bench<'_>,
    round: u32,
    running: &[Running],
    (connections, script): (u32, &Path),
    table: &mut Table,
) -> Result<(), String> {
    let mut order: Vec<Option<&Running>> = running.iter().map(Some).chain([None]).collect();
    bench.random.shuffle(&mut order);
    for proxy in order {
        bench.check_stopped()?;
        let signs = proxy.is_none_or(|proxy| proxy.variant.passes_signed());
        let script = signs.then_some(script);
        let address = proxy.map_or(bench.setup.behind.store, |proxy| proxy.address);
        let (wrk, core, seconds) = (bench.wrk, bench.load_core, bench.plan.store_seconds);
        let load = Load { wrk, core, connections, seconds, script };
        let measured = load.run(&format!("http://{address}{}", object(SIZE))).map(|counted| {
            let rate = counted.requests / counted.seconds;
            [rate, microseconds(counted.p50), microseconds(counted.p99)].map(Some).to_vec()
        });
        record(table, round, proxy.map_or(NO_PROXY, |proxy| &proxy.variant.name), measured);
    }
    Ok(())
}

/// Writes a script that runs MinIO and ends it when this program dies.
fn end_with_us(minio: &Path, folder: &Path) -> Result<PathBuf, String> {
    let script = folder.join("minio");
    let text = format!("#!/bin/sh\nexec setpriv --pdeathsig TERM '{}' \"$@\"\n", minio.display());
    let written =
        fs::write(&script, text).and_then(|()| fs::set_permissions(&script, Permissions::from_mode(0o700)));
    written.map(|()| script.clone()).map_err(|error| format!("cannot write {}: {error}", script.display()))
}

/// Returns the headers of a signed request.
fn signed(minio: &Minio, session: &Keys) -> Vec<(String, String)> {
    let (host, target) = (minio.address.to_string(), object(SIZE));
    let request = sigv4::Request { method: "GET", host: &host, target: &target, headers: &[], body: b"" };
    sigv4::signed(session, "s3", &request)
}

/// Writes a script for wrk that sends these headers.
fn write_script(script: &Path, headers: &[(String, String)]) -> Result<(), String> {
    let mut text = String::new();
    for (name, value) in headers {
        // wrk adds a second `Host` unless the name is spelled like this.
        let name = if name == "host" { "Host" } else { name };
        let _ = writeln!(text, "wrk.headers[\"{name}\"] = \"{value}\"");
    }
    fs::write(script, text).map_err(|error| format!("cannot write {}: {error}", script.display()))
}
