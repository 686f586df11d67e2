//! The real MinIO: what a client of a proxy feels beside one that signs for itself.
//!
//! MinIO has one core to itself; load and proxy share the other. An nginx that passes on what its clients have signed
//! shows what a hop costs by itself.

use std::{
    fmt::Write,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{Bench, Plan, microseconds, names, note, object};
use crate::{
    bench::{
        configs::Behind,
        proxies::{Ground, NO_PROXY, Running, Variants},
        table::{Column, Table},
        wrk::Load,
    },
    support::{
        keys::Keys,
        minio::{Minio, Programs},
        sigv4::{self, Request},
        sts,
    },
};

const ONE: [Column; 2] = [Column { name: "p50 µs", digits: 0 }, Column { name: "p99 µs", digits: 0 }];
const MANY: [Column; 2] = [Column { name: "requests/s", digits: 0 }, Column { name: "p99 µs", digits: 0 }];
const SIZE: u64 = 1 << 10;

/// Runs the section.
///
/// # Errors
/// Where the run is to stop, or a file cannot be written.
pub(crate) fn run(
    bench: &mut Bench<'_>,
    variants: &Variants,
    programs: Programs,
) -> Result<Vec<Table>, String> {
    let (all, variants) = (variants, variants.signing());
    let folder = TempDir::new().map_err(|error| format!("no temporary folder: {error}"))?;
    let minio = ending_with_us(&programs.minio, folder.path())?;
    let minio = Minio::start_programs(Programs { minio, ..programs });
    let issuer = minio.seed_issuer();
    minio.put(&format!("tmp/media/{SIZE}"), &[b'x'; 1 << 10]);
    // The same for all: MinIO reads a session's policy with each request, which takes the longer the more it says.
    let policy = all.policy(minio.address)?;
    let session = sts::scoped(&minio, &issuer, &policy);
    let (wrk, core) = (bench.wrk, bench.ground.core);
    let mut bench = Bench {
        plan: Plan { ..bench.plan },
        ground: Ground {
            programs: bench.ground.programs,
            behind: Behind { store: minio.address, sts: minio.address },
            issuer,
            session,
            core,
        },
        wrk,
        // MinIO was started where load and origin were.
        load_core: core,
        random: bench.random.clone(),
        stopped: bench.stopped.clone(),
    };
    let title = |connections| format!("MinIO: 1 KiB objects, {connections}");
    let mut tables = [
        Table::new("store-1", title("1 connection"), &ONE, NO_PROXY).with_rows(names(&variants)),
        Table::new("store-64", title("64 connections"), &MANY, NO_PROXY).with_rows(names(&variants)),
    ];
    let proxies: Vec<_> = variants.into_iter().filter(|variant| variant.name != NO_PROXY).collect();
    let running = bench.start(&proxies, &object(SIZE), &mut tables)?;
    let script = folder.path().join("signed.lua");
    for round in 0..bench.plan.rounds {
        // A signature is good for a quarter of an hour.
        sign(&script, &minio, &bench.ground.session)?;
        for (connections, table) in [1, 64].into_iter().zip(&mut tables) {
            let mut order: Vec<Option<&Running>> = running.iter().map(Some).chain([None]).collect();
            bench.random.shuffle(&mut order);
            for proxy in order {
                bench.go_on()?;
                let signs = proxy.is_none_or(|proxy| proxy.variant.passes_signed());
                let script = signs.then_some(script.as_path());
                let address = proxy.map_or(minio.address, |proxy| proxy.address);
                let load = Load { wrk, core, connections, seconds: bench.plan.seconds, script };
                let measured = load.run(address, &object(SIZE)).map(|counted| {
                    let p99 = Some(microseconds(counted.p99));
                    match connections {
                        1 => vec![Some(microseconds(counted.p50)), p99],
                        _ => vec![Some(counted.requests / counted.seconds), p99],
                    }
                });
                note(table, round, proxy.map_or(NO_PROXY, |proxy| &proxy.variant.name), measured);
            }
        }
    }
    Ok(tables.into())
}

/// A program that runs MinIO, and ends it should this program be killed.
fn ending_with_us(minio: &Path, folder: &Path) -> Result<PathBuf, String> {
    let script = folder.join("minio");
    let text = format!("#!/bin/sh\nexec setpriv --pdeathsig TERM '{}' \"$@\"\n", minio.display());
    let written =
        fs::write(&script, text).and_then(|()| fs::set_permissions(&script, Permissions::from_mode(0o700)));
    written.map(|()| script).map_err(|error| format!("cannot write a script: {error}"))
}

/// Writes a script for wrk that sends the headers of a signed request.
fn sign(script: &Path, minio: &Minio, session: &Keys) -> Result<(), String> {
    let (host, target) = (minio.address.to_string(), object(SIZE));
    let request = Request { method: "GET", host: &host, target: &target, headers: &[], body: b"" };
    let mut text = String::new();
    for (name, value) in sigv4::signed(session, "s3", &request) {
        // wrk writes another for the proxy unless it is spelled so.
        let name = if name == "host" { "Host" } else { &*name };
        let _ = writeln!(text, "wrk.headers[\"{name}\"] = \"{value}\"");
    }
    fs::write(script, text).map_err(|error| format!("{}: {error}", script.display()))
}
