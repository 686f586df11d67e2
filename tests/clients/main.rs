//! Real S3 clients, as their makers ship them, before the proxy and a real MinIO: `cargo xtask test` installs most of
//! them. Each gets, puts, lists and deletes over HTTP, and over HTTPS behind a terminator of TLS; `docs/clients.md` is
//! what came of it.

#![cfg(test)]

mod client;
mod page;
mod refusals;
mod run;
mod world;

/// A real MinIO, a running proxy and a signer: those of the suite.
#[allow(dead_code, reason = "written for the suite: not all of it is needed here")]
#[path = "../suite/support"]
mod support {
    pub(crate) mod http;
    pub(crate) mod keys;
    pub(crate) mod minio;
    pub(crate) mod process;
    pub(crate) mod proxy;
    pub(crate) mod scopegate;
    pub(crate) mod sigv4;
    pub(crate) mod tls;
    pub(crate) mod world;
}

use client::{CLIENTS, Client};
use run::{Row, Step};
use std::sync::Mutex;
use world::World;

#[test]
fn every_client_works_unmodified() {
    let present: Vec<&Client> = CLIENTS.iter().filter(|client| client.is_installed()).collect();
    let world = World::start();
    let rows = rows(&world, &present);
    let failures: Vec<&String> = rows.iter().flat_map(|row| &row.failures).collect();
    assert!(failures.is_empty(), "{failures:#?}");
    page::compare(&rows, present.len() == CLIENTS.len());
}

/// What came of every client in each of its ways, two of them at a time.
fn rows(world: &World, clients: &[&Client]) -> Vec<Row> {
    let ways: Vec<_> =
        clients.iter().flat_map(|client| client.ways.iter().map(move |way| (*client, *way))).collect();
    let waiting = Mutex::new(ways.iter().enumerate());
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap().next();
                    let Some((place, (client, way))) = next else { return };
                    let row = run::steps(world, client, *way);
                    done.lock().unwrap().push((place, row));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, row)| row).collect()
}

#[test]
fn a_client_that_does_nothing_is_found_out() {
    let world = World::start();
    let idle = Client { name: "idle", script: "idle.sh", ..CLIENTS[0] };
    let row = run::steps(&world, &idle, idle.ways[0]);
    assert_eq!(row.failures.len(), Step::ALL.len(), "{:#?}", row.failures);
}
