//! The crates that a build of scopegate contains: `cargo metadata` describes them, `cargo tree` says which they are.

use crate::cargo::{DEPLOYED, cargo};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A crate in the binary.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Crate {
    pub(crate) name: String,
    pub(crate) version: String,
    /// An SPDX expression, if the crate states one.
    pub(crate) license: Option<String>,
    /// The ids of the crates that it is linked with.
    pub(crate) uses: BTreeSet<String>,
}

/// Returns the crates that scopegate is linked with as it is deployed, by their ids, and the id of scopegate.
///
/// # Errors
/// Cargo fails, or its output is not what it documents.
pub(crate) fn crates(workspace: &Path) -> Result<(BTreeMap<String, Crate>, String), String> {
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let metadata = ["metadata", "--format-version", "1", "--filter-platform", &platform];
    let metadata = said(&metadata, workspace)?;
    // Metadata has the features that any crate of the workspace asks for, and so crates that only the tasks use.
    let tree =
        ["tree", "--package", "scopegate", "--edges", "normal", "--prefix", "none", "--target", &platform];
    let tree = said(&tree, workspace)?;
    let linked = linked(&String::from_utf8_lossy(&tree));
    let described = serde_json::from_slice(&metadata).ok().and_then(|metadata| read(&metadata, &linked));
    described.ok_or_else(|| "`cargo metadata` wrote something else than it documents".to_owned())
}

fn said(arguments: &[&str], workspace: &Path) -> Result<Vec<u8>, String> {
    let mut cargo = cargo();
    cargo.args(arguments).arg("--locked").args(DEPLOYED).current_dir(workspace);
    let output = cargo.output().map_err(|error| format!("cannot start cargo: {error}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(format!("`cargo {}` failed: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)))
}

/// Returns names and versions of the crates that `cargo tree` lists, each in a line such as `bytes v1.0.0 (*)`.
fn linked(tree: &str) -> BTreeSet<(String, String)> {
    let crates = tree.lines().filter_map(|line| {
        let mut words = line.split(' ');
        Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
    });
    crates.collect()
}

fn read(metadata: &Value, linked: &BTreeSet<(String, String)>) -> Option<(BTreeMap<String, Crate>, String)> {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut crates = BTreeMap::new();
    let mut root = None;
    for package in metadata.get("packages")?.as_array()? {
        let (id, name) = (text(package, "id")?, text(package, "name")?);
        if name == "scopegate" {
            root = Some(id.clone());
        }
        let (version, license) = (text(package, "version")?, text(package, "license"));
        // Some crates separate the licences to choose from with a slash, as cargo once asked for.
        let license = license.map(|license| license.replace('/', " OR "));
        crates.insert(id, Crate { name, version, license, uses: BTreeSet::new() });
    }
    for node in metadata.get("resolve")?.get("nodes")?.as_array()? {
        let uses = node.get("deps")?.as_array()?.iter().filter(|dep| is_linked(dep));
        crates.get_mut(node.get("id")?.as_str()?)?.uses = uses.filter_map(|dep| text(dep, "pkg")).collect();
    }
    let root = root?;
    let reached = reachable(&crates, &root);
    crates
        .retain(|id, one| reached.contains(id) && linked.contains(&(one.name.clone(), one.version.clone())));
    Some((crates, root))
}

/// Returns whether a dependency is part of the result, unlike those of build scripts and of tests.
fn is_linked(dependency: &Value) -> bool {
    let kinds = dependency.get("dep_kinds").and_then(Value::as_array);
    kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind.get("kind").is_some_and(Value::is_null)))
}

fn reachable(crates: &BTreeMap<String, Crate>, root: &str) -> BTreeSet<String> {
    let (mut found, mut ahead) = (BTreeSet::new(), vec![root.to_owned()]);
    while let Some(id) = ahead.pop() {
        if found.insert(id.clone()) {
            ahead.extend(crates.get(&id).into_iter().flat_map(|one| one.uses.iter().cloned()));
        }
    }
    found
}

#[cfg(test)]
pub(crate) fn sample() -> (BTreeMap<String, Crate>, String) {
    let tree = "scopegate v1.0.0 (/src)\nbytes v1.0.0\nbytes v1.0.0 (*)\ncc v1.0.0\n";
    read(&tests::metadata(), &linked(tree)).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    pub(super) fn metadata() -> Value {
        let package = |name: &str, license: &str| {
            let id = format!("{name}-id");
            json!({ "id": id, "name": name, "version": "1.0.0", "license": license })
        };
        let dep = |name: &str, kind: Option<&str>| json!({ "pkg": format!("{name}-id"), "dep_kinds": [{ "kind": kind }] });
        json!({
            "packages": [
                package("scopegate", "Apache-2.0" ),
                package("bytes", "MIT/Apache-2.0"),
                package("log", "MIT"),
                package("cc", "MIT"),
                package("proptest", "MIT"),
            ],
            "resolve": { "nodes": [
                { "id": "scopegate-id", "deps": [
                    dep("bytes", None), dep("log", None), dep("cc", Some("build")), dep("proptest", Some("dev")),
                ] },
                { "id": "bytes-id", "deps": [] },
                { "id": "log-id", "deps": [] },
                { "id": "cc-id", "deps": [] },
                { "id": "proptest-id", "deps": [dep("bytes", None)] },
            ] },
        })
    }

    #[test]
    fn only_linked_crates_are_in_the_binary() {
        let (crates, root) = sample();
        assert_eq!(root, "scopegate-id");
        assert_eq!(crates.values().map(|one| &*one.name).collect::<Vec<_>>(), ["bytes", "scopegate"]);
        assert_eq!(crates["bytes-id"].license.as_deref(), Some("MIT OR Apache-2.0"));
    }
}
