//! `minio`, `mc`, `h2spec` and `helm`, which the tests run: found on this machine or installed with Go.

use crate::cargo::tools_folder;
use crate::clients::python;
use crate::command::run;
use crate::console::announce;
use crate::support::minio::Programs;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What to do if a tool is missing and cannot be built.
const WITHOUT_GO: &str = "\
`go`, which could build it, does not run either. Do one of these, then try again:
  - install Go 1.24 or later (https://go.dev/doc/install)
  - put minio, mc, h2spec and helm into a folder of $PATH
  - set MINIO_BIN, MC_BIN, H2SPEC_BIN and HELM_BIN to their paths";

struct Tool {
    name: &'static str,
    /// The environment variable with the path of an installed one.
    variable: &'static str,
    /// The Go package and version to build. MinIO no longer publishes binaries, and its release tags fail the checks of
    /// the module proxy.
    package: &'static str,
    /// The argument that prints its version.
    asks: &'static str,
    /// Whether a version line is its own.
    recognizes: fn(&str) -> bool,
}

const MINIO: Tool = Tool {
    name: "minio",
    variable: "MINIO_BIN",
    package: "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c",
    asks: "--version",
    recognizes: |said| said.starts_with("minio version ") && said.contains("MinIO"),
};

const MC: Tool = Tool {
    name: "mc",
    variable: "MC_BIN",
    package: "github.com/minio/mc@v0.0.0-20250313080218-cf909e1063a9",
    asks: "--version",
    // Midnight Commander is also called `mc`.
    recognizes: |said| said.starts_with("mc version ") && said.contains("MinIO"),
};

/// Tests the conformance to HTTP/2.
const H2SPEC: Tool = Tool {
    name: "h2spec",
    variable: "H2SPEC_BIN",
    package: "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible",
    asks: "--version",
    recognizes: |said| said.starts_with("Version: "),
};

/// Renders the chart in `deploy/helm`.
const HELM: Tool = Tool {
    name: "helm",
    variable: "HELM_BIN",
    package: "helm.sh/helm/v3/cmd/helm@v3.18.6",
    asks: "version",
    recognizes: |said| said.starts_with("version.BuildInfo{Version:\"v3."),
};

/// Finds minio and mc. A missing one is installed into `target/tools`.
///
/// # Errors
/// A tool does not run, or is missing and cannot be built. The message says how to get it.
pub(crate) fn set_up(workspace: &Path) -> Result<Programs, String> {
    let folder = tools_folder(workspace);
    Ok(Programs { minio: find_or_install(&MINIO, &folder)?, mc: find_or_install(&MC, &folder)? })
}

/// Finds h2spec, or installs it into `target/tools`.
///
/// # Errors
/// Those of [`set_up`].
pub(crate) fn h2spec(workspace: &Path) -> Result<PathBuf, String> {
    find_or_install(&H2SPEC, &tools_folder(workspace))
}

/// Finds helm, or installs it into `target/tools`, and installs the validator of its manifests.
///
/// # Errors
/// Those of [`set_up`].
pub(crate) fn helm(workspace: &Path) -> Result<PathBuf, String> {
    let folder = tools_folder(workspace);
    if let Err(error) = python(&folder.join("charts"), &workspace.join("tests/requirements-charts.txt")) {
        announce(&format!("cannot install the validator of Kubernetes manifests: {error}"));
    }
    find_or_install(&HELM, &folder)
}

fn find_or_install(tool: &Tool, folder: &Path) -> Result<PathBuf, String> {
    if let Some(named) = env::var_os(tool.variable).filter(|value| !value.is_empty()) {
        // Falling back to another binary would hide a wrong path.
        return usable(tool, Path::new(&named)).map_err(|why| format!("${}: {why}", tool.variable));
    }
    let search = env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_path_buf()).chain(env::split_paths(&search));
    for candidate in folders.map(|folder| folder.join(tool.name)).filter(|path| path.is_file()) {
        match usable(tool, &candidate) {
            Ok(found) => return Ok(found),
            Err(why) => announce(&format!("ignoring {why}")),
        }
    }
    install(tool, folder)
}

/// Returns the absolute path of a binary if its version line names the tool.
fn usable(tool: &Tool, path: &Path) -> Result<PathBuf, String> {
    let shown = path.display();
    let path = path.canonicalize().map_err(|error| format!("{shown}: {error}"))?;
    let output = Command::new(&path)
        .arg(tool.asks)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{shown}, which does not run: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && (tool.recognizes)(&said) {
        return Ok(path);
    }
    let first = said.lines().next().unwrap_or_default();
    Err(format!(
        "{shown}, which is not the {} that the tests need: `{}` ended with {} and {first:?}",
        tool.name, tool.asks, output.status
    ))
}

/// Builds the tool in a folder of its own and moves the result to its place, so that an interrupted build leaves
/// nothing that looks like the tool.
fn install(tool: &Tool, folder: &Path) -> Result<PathBuf, String> {
    require_go(tool)?;
    announce(&format!("{} was not found; building {} (some minutes, once)", tool.name, tool.package));
    let build = folder.join(format!("build-{}-{}", tool.name, std::process::id()));
    let installed = go_install(tool, &build).and_then(|built| {
        usable(tool, &built)?;
        let place = folder.join(tool.name);
        fs::rename(&built, &place).map_err(|error| format!("cannot create {}: {error}", place.display()))?;
        usable(tool, &place)
    });
    let _left_over = fs::remove_dir_all(&build);
    installed
}

fn require_go(tool: &Tool) -> Result<(), String> {
    match Command::new("go").arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        _ => Err(format!("{} was not found, and the tests need it.\n{WITHOUT_GO}", tool.name)),
    }
}

fn go_install(tool: &Tool, build: &Path) -> Result<PathBuf, String> {
    fs::create_dir_all(build).map_err(|error| format!("cannot create {}: {error}", build.display()))?;
    let build = build.canonicalize().map_err(|error| format!("{}: {error}", build.display()))?;
    let mut go = Command::new("go");
    go.args(["install", tool.package])
        .env("GOBIN", &build)
        // Ignore settings of the shell: the build is outside any module and for this machine.
        .env("GO111MODULE", "on")
        .env_remove("GOOS")
        .env_remove("GOARCH")
        .env_remove("GOFLAGS")
        .current_dir(&build);
    run(&mut go)?;
    Ok(build.join(tool.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognizes_a_tool_by_its_version_line() {
        let minio =
            "minio version DEVELOPMENT.GOGET (commit-id=DEVELOPMENT.GOGET)\nCopyright: 2015-0000 MinIO, Inc.";
        assert!((MINIO.recognizes)(minio));
        assert!(!(MC.recognizes)(minio));
        assert!(!(MC.recognizes)("GNU Midnight Commander 4.8.29\n"));
        assert!((H2SPEC.recognizes)("Version: 2.0.0 ((Unknown))\n"));
        assert!((HELM.recognizes)("version.BuildInfo{Version:\"v3.18\", GitCommit:\"\"}\n"));
    }

    #[test]
    fn rejects_other_programs() {
        let other = env::current_exe().unwrap();
        let why = usable(&MC, &other).unwrap_err();
        assert!(why.contains("which is not the mc that the tests need"), "{why}");
        assert!(usable(&MC, Path::new("no/such/mc")).unwrap_err().contains("no/such/mc"));
    }
}
