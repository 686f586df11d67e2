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
    as_by_hand(Path::new(&env::var_os("CARGO").unwrap_or_else(|| "cargo".into())))
}

/// Returns a command without cargo's variables about this package.
fn as_by_hand(program: &Path) -> Command {
    let mut cargo = Command::new(program);
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

/// A program that cargo installs into the folder of tools, with the version that the tasks are tried with.
pub(crate) struct Installed {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    /// Further arguments of `cargo install`.
    pub(crate) options: &'static [&'static str],
}

/// The features of the program as it is deployed: traces, and no demo.
pub(crate) const DEPLOYED: [&str; 3] = ["--no-default-features", "--features", "otlp"];

/// Lists the crates of a program in the program.
pub(crate) const AUDITABLE: Installed = Installed { name: "cargo-auditable", version: "0.7.7", options: &[] };

impl Installed {
    /// Returns a command of the program, which is installed if it is missing.
    ///
    /// # Errors
    /// It cannot be installed.
    pub(crate) fn command(&self, workspace: &Path) -> Result<Command, String> {
        let tools = tools_folder(workspace);
        let program = tools.join("bin").join(self.name);
        if !program.is_file() {
            announce(&format!("installing {} (some minutes, once)", self.name));
            let mut install = cargo();
            install.args(["install", "--quiet", "--locked", self.name, "--version", self.version]);
            install
                .args(self.options)
                .args(["--debug", "--config", "xtask/tools.toml", "--root"])
                .arg(&tools);
            install.current_dir(workspace);
            command::run(&mut install)?;
        }
        Ok(as_by_hand(&program))
    }
}

/// Builds scopegate with the list of its crates in it, not optimised, which takes a minute or two, and returns the
/// binary. `dist::build` makes the one that is deployed.
///
/// # Errors
/// The build failed.
pub(crate) fn build_quickly(workspace: &Path) -> Result<PathBuf, String> {
    announce("building the binary with the list of its crates, not optimised");
    let mut build = AUDITABLE.command(workspace)?;
    build.args(["auditable", "build", "--locked", "--package", "scopegate"]);
    build.args(DEPLOYED);
    command::run(build.current_dir(workspace))?;
    Ok(target_folder(workspace).join("debug").join("scopegate"))
}
