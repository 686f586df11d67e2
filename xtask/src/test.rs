//! `cargo xtask test`.

use crate::cargo::{cargo, exit_code};
use crate::{clients, command, tools};
use clap::Args;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

/// The options of `test`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Arguments for `cargo test`
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) arguments: Vec<OsString>,
}

/// Sets up the tools, runs the tests and returns their exit code.
///
/// # Errors
/// A tool is missing and cannot be installed, or cargo cannot be started.
pub(crate) fn run(workspace: &Path, options: &Options) -> Result<ExitCode, String> {
    let tools = tools::set_up(workspace)?;
    if clients::are_tested(&options.arguments) {
        clients::set_up(workspace);
    }
    let mut test = cargo();
    test.args(["test", "--workspace", "--locked"]).args(&options.arguments);
    test.env("MINIO_BIN", &tools.minio).env("MC_BIN", &tools.mc).current_dir(workspace);
    Ok(exit_code(command::status(&mut test)?))
}
