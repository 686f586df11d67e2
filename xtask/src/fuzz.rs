//! `cargo xtask fuzz`: the fuzz targets of `tests/fuzz`, for longer than `cargo test` runs them.

use crate::cargo::{cargo, exit_code};
use crate::command;
use crate::console::print;
use clap::Args;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

/// The options of `fuzz`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The target; a folder of tests/fuzz/corpus [default: all]
    pub(crate) target: Option<String>,
    /// How long to fuzz each target
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) minutes: u64,
    /// The seed of the inputs [default: random]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
}

/// Builds the targets, runs one of them or all, and returns their exit code.
///
/// # Errors
/// There is no such target, or cargo cannot be started.
pub(crate) fn run(workspace: &Path, options: &Options) -> Result<ExitCode, String> {
    let targets = targets(workspace)?;
    let chosen = match &options.target {
        None => targets,
        Some(target) if targets.contains(target) => vec![target.clone()],
        Some(target) => {
            return Err(format!(
                "there is no fuzz target `{target}`; the targets are {}",
                targets.join(", ")
            ));
        }
    };
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    print(&format!("fuzzing {} for {} minutes each, seed {seed}", chosen.join(", "), options.minutes))?;
    let mut fuzz = cargo();
    fuzz.args(["test", "--locked", "--profile", "fuzz", "--test", "fuzz", "--", "--nocapture", "--exact"]);
    fuzz.args(chosen).current_dir(workspace);
    fuzz.env("SCOPEGATE_FUZZ_MINUTES", options.minutes.to_string());
    fuzz.env("SCOPEGATE_FUZZ_SEED", seed.to_string());
    Ok(exit_code(command::status(&mut fuzz)?))
}

/// Returns the targets, which are the folders of the corpus.
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
