//! `cargo xtask fuzz`: the fuzz targets of `tests/fuzz`, for longer than `cargo test` takes.

use crate::cli::Fuzz;
use crate::test::{cargo, exit_code};
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Builds the targets and runs one of them, or all.
///
/// # Errors
/// Where there is no such target, or cargo cannot be started.
pub(crate) fn run(workspace: &Path, options: &Fuzz) -> Result<ExitCode, String> {
    let targets = targets(workspace)?;
    if let Some(target) = &options.target
        && !targets.contains(target)
    {
        return Err(format!("there is no fuzz target `{target}`: there are {}", targets.join(", ")));
    }
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    crate::print(&format!("fuzzing for {} minutes each, seed {seed}", options.minutes))?;
    let status = command(options.target.as_deref(), &targets)
        .current_dir(workspace)
        .env("SCOPEGATE_FUZZ_MINUTES", options.minutes.to_string())
        .env("SCOPEGATE_FUZZ_SEED", seed.to_string())
        .status()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    Ok(exit_code(status))
}

fn command(target: Option<&str>, targets: &[String]) -> Command {
    let mut command = cargo();
    command.args(["test", "--locked", "--profile", "fuzz", "--test", "fuzz", "--", "--nocapture", "--exact"]);
    match target {
        Some(target) => command.arg(target),
        None => command.args(targets),
    };
    command
}

/// Every target, by the folder of its corpus.
fn targets(workspace: &Path) -> Result<Vec<String>, String> {
    let corpus = workspace.join("tests/fuzz/corpus");
    let failed = |error| format!("cannot read {}: {error}", corpus.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(&corpus).map_err(failed)? {
        names.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
