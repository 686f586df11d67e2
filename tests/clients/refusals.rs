//! Requests that are refused for good are sent once: clients send again what is answered 5xx, some of them with pauses that
//! grow to minutes.

use crate::access_log::field;
use crate::client::{CLIENTS, Client};
use crate::support::world::{World, corner};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The clients that are asked, by what the script calls them, each with the least that it is refused.
const ASKED: [(&str, usize); 4] = [("boto3", 5), ("s3cmd", 2), ("rclone", 2), ("mc", 1)];

/// The refused requests in an access log, by method and path, with how often each was sent.
fn refused(log: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in log.lines().filter(|line| !field(line, "rule").is_empty()) {
        *counts.entry(format!("{} {}", field(line, "method"), field(line, "path"))).or_default() += 1;
    }
    counts
}

fn ask(world: &World, client: &Client, name: &str) {
    let home = TempDir::new().unwrap();
    let small = home.path().join("small");
    fs::write(&small, b"a small one\n").unwrap();
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
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {}: {said}", output.status);
}

#[test]
fn what_is_refused_for_good_is_sent_once() {
    for (name, least) in ASKED {
        let client = CLIENTS.iter().find(|client| client.name == name).unwrap();
        if !client.is_installed() {
            continue;
        }
        let world = World::start(&[corner("all", &[("tmp", "inbox/", "read,list,write,delete")])]);
        ask(&world, client, name);
        let (_, log) = world.proxy.terminate();
        let counts = refused(&log);
        let own = counts.keys().filter(|request| request.contains(name)).count();
        assert!(own >= least, "{name} was refused {counts:?}:\n{log}");
        let again: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
        assert!(again.is_empty(), "{name} sent again {again:?}:\n{log}");
    }
}
