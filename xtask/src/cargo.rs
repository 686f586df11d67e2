//! The cargo that runs the tasks, and what it builds.

use crate::command;
use crate::console::announce;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};

/// Returns the cargo that runs this task, as if it had been started by hand.
///
/// Cargo tells a program that it runs about its package. These variables are removed: build scripts of cryptographic
/// crates run again when they change, so that every task would rebuild those crates.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for name in names.filter(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
        cargo.env_remove(name);
    }
    cargo
}

/// Returns the exit code of a child. A child that a signal ended has failed.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    match status.code() {
        Some(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        None => ExitCode::FAILURE,
    }
}

/// Returns the folder that cargo builds into.
pub(crate) fn target_folder(workspace: &Path) -> PathBuf {
    workspace.join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// Returns the folder of tools and clients that tasks install.
pub(crate) fn tools_folder(workspace: &Path) -> PathBuf {
    target_folder(workspace).join("tools")
}

/// Builds scopegate as it is deployed and returns the binary.
///
/// # Errors
/// The build failed.
pub(crate) fn build_deployed(workspace: &Path) -> Result<PathBuf, String> {
    announce("building the deployed binary (some minutes)");
    let mut build = cargo();
    build.args(["build", "--locked", "--package", "scopegate", "--profile", "dist"]);
    build.args(["--no-default-features", "--features", "otlp"]);
    command::run(build.current_dir(workspace))?;
    Ok(target_folder(workspace).join("dist").join("scopegate"))
}
