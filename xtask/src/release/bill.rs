//! The software bill of materials: every crate in the binary, in `CycloneDX` JSON.

use crate::dependencies::Crate;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Returns the text of the bill.
///
/// # Errors
/// `Cargo.lock` cannot be read.
pub(super) fn write(
    crates: &BTreeMap<String, Crate>,
    root: &str,
    workspace: &Path,
) -> Result<String, String> {
    let lock = workspace.join("Cargo.lock");
    let text =
        fs::read_to_string(&lock).map_err(|error| format!("cannot read {}: {error}", lock.display()))?;
    Ok(format!("{:#}\n", bill(crates, root, &checksums(&text))))
}

fn bill(crates: &BTreeMap<String, Crate>, root: &str, checksums: &BTreeMap<String, String>) -> Value {
    let components =
        crates.iter().filter(|(id, _)| *id != root).map(|(_, one)| component(one, "library", checksums));
    let dependencies = crates.values().map(|one| {
        let uses: Vec<String> = one.uses.iter().filter_map(|id| crates.get(id)).map(package_url).collect();
        json!({ "ref": package_url(one), "dependsOn": uses })
    });
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": crates.get(root).map(|one| component(one, "application", checksums)) },
        "components": components.collect::<Vec<_>>(),
        "dependencies": dependencies.collect::<Vec<_>>(),
    })
}

fn component(one: &Crate, kind: &str, checksums: &BTreeMap<String, String>) -> Value {
    let url = package_url(one);
    let licenses: Vec<Value> = one.license.iter().map(|license| json!({ "expression": license })).collect();
    let hashes: Vec<Value> =
        checksums.get(&url).iter().map(|sum| json!({ "alg": "SHA-256", "content": sum })).collect();
    json!({
        "type": kind,
        "name": one.name,
        "version": one.version,
        "purl": url,
        "bom-ref": url,
        "licenses": licenses,
        "hashes": hashes,
    })
}

fn package_url(one: &Crate) -> String {
    format!("pkg:cargo/{}@{}", one.name, one.version)
}

/// Returns the checksums in `Cargo.lock`, by package URL.
fn checksums(lock: &str) -> BTreeMap<String, String> {
    let packages = lock.split("[[package]]").skip(1);
    let found = packages.filter_map(|package| {
        let value = |key: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""));
            line.map(|line| line.trim_end_matches('"').to_owned())
        };
        Some((format!("pkg:cargo/{}@{}", value("name")?, value("version")?), value("checksum")?))
    });
    found.collect()
}

#[test]
fn names_each_crate_with_its_licence_and_checksum() {
    let (crates, root) = crate::dependencies::sample();
    let lock = "version = 4\n\n[[package]]\nname = \"bytes\"\nversion = \"1.0.0\"\nchecksum = \"abc\"\n";
    let bill = bill(&crates, &root, &checksums(lock));
    assert_eq!(bill["metadata"]["component"]["name"], "scopegate");
    let component = json!([{
        "type": "library", "name": "bytes", "version": "1.0.0", "purl": "pkg:cargo/bytes@1.0.0",
        "bom-ref": "pkg:cargo/bytes@1.0.0", "licenses": [{ "expression": "MIT OR Apache-2.0" }],
        "hashes": [{ "alg": "SHA-256", "content": "abc" }],
    }]);
    assert_eq!(bill["components"], component);
    assert_eq!(bill["dependencies"][1]["dependsOn"], json!(["pkg:cargo/bytes@1.0.0"]));
}
