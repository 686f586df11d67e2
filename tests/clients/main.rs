//! Runs unmodified S3 clients and other programs against the proxy and a real MinIO.
//!
//! Each client gets, puts, lists and deletes over HTTP, and over HTTPS through a TLS terminator. Each program does its
//! usual job. `docs/clients.md` shows the results. `cargo xtask test` installs most of the programs.

#![cfg(test)]

mod access_log;
mod client;
mod local_keys;
mod mounts;
mod page;
mod programs;
mod refusals;
mod run;
mod viewers;
mod world;

/// Helpers shared with the suite: a real MinIO, a running proxy and a signer.
#[allow(dead_code, reason = "the suite uses more of these helpers than this test does")]
#[path = "../suite/support"]
mod support {
    pub(crate) mod http;
    pub(crate) mod keys;
    pub(crate) mod minio;
    pub(crate) mod process;
    pub(crate) mod proxy;
    pub(crate) mod scopegate;
    pub(crate) mod seeded;
    pub(crate) mod sigv4;
    pub(crate) mod tls;
    pub(crate) mod world;
}

use client::{CLIENTS, Client, Scheme, Signs};
use programs::{PROGRAMS, Program};
use run::{Row, Step};
use std::sync::Mutex;
use viewers::VIEWERS;
use world::World;

#[test]
fn every_client_works_unmodified() {
    let present: Vec<&Client> = CLIENTS.iter().filter(|client| client.is_installed()).collect();
    let world = World::start();
    world.store_many();
    let ways: Vec<_> =
        present.iter().flat_map(|client| client.ways.iter().map(move |way| (*client, *way))).collect();
    let rows: Vec<Row> = two_at_a_time(&ways, |(client, way)| run::run_steps(&world, client, *way));
    let failures: Vec<&String> = rows.iter().flat_map(|row| &row.failures).collect();
    assert!(failures.is_empty(), "{failures:#?}");
    page::compare(&rows, present.len() == CLIENTS.len());
}

/// The listener knows only the key: a request that it could not verify would fail.
#[test]
fn every_client_that_signs_works_with_a_local_access_key() {
    let signs = |client: &&Client| client.ways.iter().any(|(signs, _)| *signs == Signs::Yes);
    let present: Vec<&Client> = CLIENTS.iter().filter(signs).filter(|client| client.is_installed()).collect();
    let world = World::start();
    world.store_many();
    let way = (Signs::Local, Scheme::Http);
    let rows: Vec<Row> = two_at_a_time(&present, |client| run::run_steps(&world, client, way));
    let failures: Vec<&String> = rows.iter().flat_map(|row| &row.failures).collect();
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(world.proxy.stderr().contains("SGCLIENTS"), "the log names the key of each request");
}

#[test]
fn every_program_does_its_job() {
    let present: Vec<&Program> = PROGRAMS.iter().filter(|program| program.is_installed()).collect();
    let world = World::start();
    let failures = two_at_a_time(&present, |program| programs::run(&world, program).err());
    let failures: Vec<String> = failures.into_iter().flatten().collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn viewers_read_from_listed_origins_only() {
    let present: Vec<_> = VIEWERS.iter().filter(|viewer| viewer.program.is_installed()).collect();
    let names: Vec<_> = present.iter().map(|viewer| viewer.program.name).collect();
    let world = World::start_with_pages(&names);
    let failures = two_at_a_time(&present, |viewer| viewers::run(&world, viewer).err());
    let failures: Vec<String> = failures.into_iter().flatten().collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// Runs the jobs two at a time, and returns their results in the order of the jobs.
fn two_at_a_time<J: Sync, R: Send>(jobs: &[J], run: impl Fn(&J) -> R + Sync) -> Vec<R> {
    let pending = Mutex::new(jobs.iter().enumerate());
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let next = pending.lock().unwrap().next();
                    let Some((index, job)) = next else { return };
                    let result = run(job);
                    done.lock().unwrap().push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[test]
fn detects_a_client_that_does_nothing() {
    let world = World::start();
    let idle = Client { name: "idle", script: "idle.sh", ..CLIENTS[0] };
    let row = run::run_steps(&world, &idle, idle.ways[0]);
    assert_eq!(row.failures.len(), Step::ALL.len(), "{:#?}", row.failures);
}
