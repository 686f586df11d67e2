//! The container image as an OCI layout in a tar file, with one layer. skopeo, podman and docker load it.

use super::{fresh, tar, text_of, write as write_file};
use crate::command::run;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Writes the image of a binary and the licences of its crates.
///
/// # Errors
/// A file cannot be written, or a program that is needed is missing.
pub(super) fn write(
    workspace: &Path,
    (scopegate, licences): (&Path, &Path),
    output: &Path,
    time: &str,
) -> Result<(), String> {
    let folder = workspace.join("target/release-files/image");
    let (root, layout) = (folder.join("root"), folder.join("layout"));
    fresh(&root)?;
    fresh(&layout.join("blobs/sha256"))?;
    run(Command::new(workspace.join("deploy/image-root.sh"))
        .args([scopegate, &root, licences])
        .current_dir(workspace))?;
    let layer = folder.join("layer.tar");
    run(tar(&layer, time).arg("--directory").arg(&root).arg("."))?;
    let unpacked = digest(&layer)?;
    run(Command::new("gzip").args(["--no-name", "--best"]).arg(&layer))?;
    let layer = Blob::add(&layout, &folder.join("layer.tar.gz"))?;
    let config = Blob::add_json(
        &layout,
        &config(
            &unpacked,
            &text_of(Command::new("date").args(["--utc", "+%FT%TZ", "--date"]).arg(format!("@{time}")))?,
        ),
    )?;
    let manifest = Blob::add_json(&layout, &manifest(&config, &layer))?;
    let entry = json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": format!("sha256:{}", manifest.digest),
        "size": manifest.size,
        "annotations": { "org.opencontainers.image.ref.name": env!("CARGO_PKG_VERSION") },
    });
    write_file(&layout.join("index.json"), &json!({ "schemaVersion": 2, "manifests": [entry] }).to_string())?;
    write_file(&layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    run(tar(output, time).arg("--directory").arg(&layout).arg("."))
}

/// Returns the configuration, which says the same as `deploy/Containerfile`.
fn config(layer: &str, created: &str) -> Value {
    let architecture = if std::env::consts::ARCH == "aarch64" { "arm64" } else { "amd64" };
    json!({
        "created": created,
        "architecture": architecture,
        "os": "linux",
        "config": {
            "User": "65532:65532",
            "Env": ["PATH=/usr/bin"],
            "Entrypoint": ["/usr/bin/scopegate"],
            "Cmd": ["serve", "--config", "/etc/scopegate/proxy.toml"],
            "Labels": {
                "org.opencontainers.image.title": "scopegate",
                "org.opencontainers.image.version": env!("CARGO_PKG_VERSION"),
                "org.opencontainers.image.licenses": "Apache-2.0",
            },
        },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{layer}")] },
    })
}

fn manifest(config: &Blob, layer: &Blob) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config.descriptor("application/vnd.oci.image.config.v1+json"),
        "layers": [layer.descriptor("application/vnd.oci.image.layer.v1.tar+gzip")],
    })
}

/// A file of the layout, named by its digest.
struct Blob {
    digest: String,
    size: u64,
}

impl Blob {
    fn add(layout: &Path, file: &Path) -> Result<Self, String> {
        let digest = digest(file)?;
        let place: PathBuf = layout.join("blobs/sha256").join(&digest);
        let moved = fs::rename(file, &place).and_then(|()| fs::metadata(&place));
        let size = moved.map_err(|error| format!("cannot move {}: {error}", file.display()))?.len();
        Ok(Self { digest, size })
    }

    fn add_json(layout: &Path, value: &Value) -> Result<Self, String> {
        let file = layout.join("new.json");
        write_file(&file, &value.to_string())?;
        Self::add(layout, &file)
    }

    fn descriptor(&self, media_type: &str) -> Value {
        json!({ "mediaType": media_type, "digest": format!("sha256:{}", self.digest), "size": self.size })
    }
}

/// Returns the SHA-256 of a file.
fn digest(file: &Path) -> Result<String, String> {
    let line = text_of(Command::new("sha256sum").arg(file))?;
    line.split(' ').next().map(str::to_owned).ok_or_else(|| format!("sha256sum wrote {line:?}"))
}

/// The image of the Containerfile and this one must start in the same way.
#[test]
fn says_the_same_as_the_containerfile() {
    let containerfile = include_str!("../../../deploy/Containerfile");
    let config = config("", "");
    for (instruction, key) in
        [("ENTRYPOINT ", "Entrypoint"), ("CMD ", "Cmd"), ("USER ", "User"), ("ENV ", "Env")]
    {
        let line = containerfile.lines().rfind(|line| line.starts_with(instruction)).unwrap();
        let said = line.trim_start_matches(instruction);
        let expected = match key {
            "User" => json!(said),
            "Env" => json!([said]),
            _ => serde_json::from_str(said).unwrap(),
        };
        assert_eq!(config["config"][key], expected, "{instruction}");
    }
}
