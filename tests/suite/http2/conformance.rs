//! h2spec, the conformance tests of other servers, against a listener.

use crate::support::minio::named_in;
use crate::support::world::{World, corner};
use std::process::Command;

/// The cases that may fail, and why that is right.
const ALLOWED: &[(&str, &str)] = &[
    ("Sends invalid connection preface", "the listener speaks HTTP/1.1 as well, and answers in it"),
    (
        "does not equal the sum of the multiple DATA frames payload length",
        "the request is refused, and answered before its body arrives",
    ),
];

#[test]
fn h2spec_finds_nothing() {
    let world = World::start(&[corner("all", super::ALL)]);
    let output = Command::new(named_in("H2SPEC_BIN"))
        .args(["--strict", "--timeout", "5", "--path", "/tmp/inbox/none", "--port"])
        .arg(world.proxy.address("all").port().to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let failed: Vec<&str> = said.lines().map(str::trim).filter(|line| line.starts_with('×')).collect();
    let unknown: Vec<&&str> =
        failed.iter().filter(|line| !ALLOWED.iter().any(|(name, _)| line.contains(name))).collect();
    assert!(unknown.is_empty() && said.contains("tests, "), "{unknown:#?}\n{said}");
}
