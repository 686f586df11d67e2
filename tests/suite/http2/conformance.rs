//! h2spec, the conformance tests of other servers, against a listener.

use crate::support::world::{World, corner};
use std::env;
use std::process::Command;

/// The cases that fail, and why that is right.
const ALLOWED: &[(&str, &str)] = &[];

#[test]
fn h2spec_finds_nothing() {
    let Some(h2spec) = env::var_os("H2SPEC_BIN").filter(|path| !path.is_empty()) else {
        return;
    };
    let world = World::start(&[corner("all", super::ALL)]);
    let output = Command::new(h2spec)
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
