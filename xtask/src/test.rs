//! `cargo xtask test`.

use crate::{clients, tools};
use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};

/// Sets up the tools, runs the tests and returns their status.
///
/// # Errors
/// Where a tool is missing and cannot be installed, or cargo cannot be started.
pub(crate) fn run(workspace: &Path, arguments: &[OsString]) -> Result<ExitCode, String> {
    let tools = tools::set_up(workspace)?;
    if clients::are_tested(arguments) {
        clients::set_up(workspace);
    }
    let status = cargo()
        .current_dir(workspace)
        .args(["test", "--workspace", "--locked"])
        .args(arguments)
        .env("MINIO_BIN", &tools.minio)
        .env("MC_BIN", &tools.mc)
        .status()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    Ok(exit_code(status))
}

/// The cargo that runs this task, as if it had been started by hand.
///
/// What cargo tells a program that it runs about its package is taken out: build scripts (that of `ring`
/// does) ask to be run again when it changes, so each task would build their crates again.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// The status of a child as this program's own; one that died of a signal failed.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    match status.code() {
        Some(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        None => ExitCode::FAILURE,
    }
}
