//! Checks that clients do not retry requests that are refused permanently. Clients retry responses of 5xx, some of them with
//! pauses that grow to minutes.

use crate::access_log::field;
use crate::client::{CLIENTS, Client};
use crate::support::world::{World, corner};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The clients by their name in the script, each with the least number of its requests that must be refused.
const REFUSED: [(&str, usize); 4] = [("boto3", 5), ("s3cmd", 2), ("rclone", 2), ("mc", 1)];

/// Counts the refused requests in an access log by method and path.
fn count_refused(log: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in log.lines().filter(|line| !field(line, "rule").is_empty()) {
        *counts.entry(format!("{} {}", field(line, "method"), field(line, "path"))).or_default() += 1;
    }
    counts
}

/// Sends the requests that the script lists for a client.
fn send(world: &World, client: &Client, name: &str) {
    let home = TempDir::new().unwrap();
    let small = home.path().join("small");
    fs::write(&small, b"a small file\n").unwrap();
    let path = std::env::join_paths(crate::client::folders()).unwrap();
    let output = Command::new("/bin/sh")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/refused.sh"))
        .arg(name)
        .env_clear()
        .envs([
            ("PATH", path),
            ("HOME", home.path().into()),
            ("SMALL", small.into()),
            ("LANG", "C.UTF-8".into()),
        ])
        .envs([("ENDPOINT", format!("http://{}", world.proxy.address("all")))])
        .envs([
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_ACCESS_KEY_ID", "any"),
            ("AWS_SECRET_ACCESS_KEY", "any"),
        ])
        .env("CLIENT", client.needed())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {}: {printed}", output.status);
}

#[test]
fn permanent_refusals_are_not_retried() {
    for (name, minimum) in REFUSED {
        let client = CLIENTS.iter().find(|client| client.name == name).unwrap();
        if !client.is_installed() {
            continue;
        }
        let world = World::start(&[corner("all", &[("tmp", "inbox/", "read,list,write,delete")])]);
        send(&world, client, name);
        let (_, log) = world.proxy.terminate();
        let counts = count_refused(&log);
        let own = counts.keys().filter(|request| request.contains(name)).count();
        assert!(own >= minimum, "{name} had fewer than {minimum} requests refused: {counts:?}\n{log}");
        let retried: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
        assert!(retried.is_empty(), "{name} retried {retried:?}:\n{log}");
    }
}
