//! `cargo xtask test`.

use crate::cargo::{cargo, exit_code};
use crate::console::announce;
use crate::{clients, command, fuse, tools};
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
    let (h2spec, helm) = (tools::h2spec(workspace)?, tools::helm(workspace)?);
    let mut arguments = options.arguments.clone();
    if clients::are_tested(&arguments) {
        clients::set_up(workspace);
        if fuse::is_usable() {
            include_ignored(&mut arguments);
        } else {
            announce(
                "this machine cannot mount FUSE file systems: the test of httpdirfs is reported as ignored",
            );
        }
    }
    let mut test = cargo();
    test.args(["test", "--workspace", "--locked"]).args(&arguments);
    test.env("MINIO_BIN", &tools.minio).env("MC_BIN", &tools.mc).env("H2SPEC_BIN", h2spec);
    test.env("HELM_BIN", helm);
    test.current_dir(workspace);
    Ok(exit_code(command::status(&mut test)?))
}

/// Adds the tests that are ignored by default: those that need FUSE.
fn include_ignored(arguments: &mut Vec<OsString>) {
    if arguments.iter().any(|argument| argument == "--ignored" || argument == "--include-ignored") {
        return;
    }
    if !arguments.iter().any(|argument| argument == "--") {
        arguments.push("--".into());
    }
    arguments.push("--include-ignored".into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn includes_ignored_tests_once() {
        for (line, expected) in [
            ("", "-- --include-ignored"),
            ("--test clients", "--test clients -- --include-ignored"),
            ("-- --nocapture", "-- --nocapture --include-ignored"),
            ("-- --ignored", "-- --ignored"),
            ("-- --include-ignored", "-- --include-ignored"),
        ] {
            let mut arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            include_ignored(&mut arguments);
            assert_eq!(arguments.join(" ".as_ref()), expected, "{line}");
        }
    }
}
