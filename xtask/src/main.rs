//! The project's own tasks: `cargo xtask --help`.

mod bench;
mod cli;
mod clients;
mod fuzz;
mod soak;
mod test;
mod tools;

/// A real MinIO, a running proxy, a client and a signer: those of the tests.
#[allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "written for tests: not all of it is needed here, and a failed set-up ends the task with its panic"
)]
#[path = "../../tests/suite/support"]
mod support {
    pub(crate) mod http;
    pub(crate) mod keys;
    pub(crate) mod minio;
    pub(crate) mod process;
    pub(crate) mod proxy;
    pub(crate) mod sigv4;
    pub(crate) mod sts;
}

use cli::Task;
use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let task = match cli::parse(env::args_os().skip(1).collect()) {
        Ok(task) => task,
        Err(error) => {
            complain(&format!("{error}\n\n{}", cli::USAGE));
            return ExitCode::from(2);
        }
    };
    match run(task) {
        Ok(status) => status,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode, String> {
    match task {
        Task::Help => print(cli::USAGE),
        Task::Tools => {
            let tools = tools::set_up(&workspace()?)?;
            print(&format!("{}\n{}", tools.minio.display(), tools.mc.display()))
        }
        Task::Bench(options) => bench::run(&workspace()?, &options),
        Task::Origin => bench::origin::run(),
        Task::Fuzz(options) => fuzz::run(&workspace()?, &options),
        Task::Soak(options) => soak::run(&workspace()?, &options),
        Task::Test(arguments) => test::run(&workspace()?, &arguments),
    }
}

/// The folder of the workspace: the parent of this package's.
fn workspace() -> Result<PathBuf, String> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package
        .parent()
        .map(Path::to_path_buf)
        .ok_or_else(|| format!("{} has no parent folder, so there is no workspace", package.display()))
}

fn print(text: &str) -> Result<ExitCode, String> {
    writeln!(io::stdout(), "{text}").map_err(|error| format!("cannot write to stdout: {error}"))?;
    Ok(ExitCode::SUCCESS)
}

/// Says something on stderr, where there is nobody to tell should that fail.
fn complain(text: &str) {
    let _unheard = writeln!(io::stderr(), "xtask: {text}");
}
