//! The project's own tasks: `cargo xtask --help`.

mod bench;
mod book;
mod cargo;
mod cli;
mod clients;
mod command;
mod console;
mod dependencies;
mod dist;
mod fuse;
mod fuzz;
mod markdown;
mod proc;
mod release;
mod soak;
mod test;
mod tools;

/// A real MinIO, a running proxy, a client and a signer, shared with the tests.
#[allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "written for tests: the tasks need only a part of it, and a failed set-up ends a task with its panic"
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

use clap::Parser;
use cli::{Arguments, Task};
use console::{announce, print};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(code) => code,
        Err(error) => {
            announce(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode, String> {
    let workspace = workspace()?;
    match task {
        Task::Test(options) => test::run(&workspace, &options),
        Task::Tools => {
            let tools = tools::set_up(&workspace)?;
            let h2spec = tools::h2spec(&workspace)?;
            let helm = tools::helm(&workspace)?;
            let paths = [tools.minio, tools.mc, h2spec, helm].map(|path| path.display().to_string());
            print(&paths.join("\n"))?;
            Ok(ExitCode::SUCCESS)
        }
        Task::Bench(options) => bench::run(&workspace, &options),
        Task::Dist => {
            print(&dist::build(&workspace)?.display().to_string())?;
            Ok(ExitCode::SUCCESS)
        }
        Task::Book => book::run(&workspace),
        Task::Origin => bench::origin::run(),
        Task::Fuzz(options) => fuzz::run(&workspace, &options),
        Task::Release(options) => release::run(&workspace, &options),
        Task::Soak(options) => soak::run(&workspace, &options),
    }
}

/// Returns the folder of the workspace: the parent of this package's folder.
fn workspace() -> Result<PathBuf, String> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let parent = package.parent().map(Path::to_path_buf);
    parent.ok_or_else(|| format!("{} has no parent folder, so there is no workspace", package.display()))
}
