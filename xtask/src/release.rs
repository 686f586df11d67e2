//! `cargo xtask release`: everything that operators install, from one binary.

mod bill;
mod image;
mod manuals;

use crate::cargo::{DEPLOYED, Installed, build_quickly, target_folder};
use crate::command::run as execute;
use crate::console::print;
use crate::{dependencies, dist};
use clap::Args;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The options of `release`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Package this scopegate instead of a new build
    #[arg(long, value_name = "FILE", conflicts_with = "quick")]
    pub(crate) binary: Option<PathBuf>,
    /// Build without optimisation, to try the recipes of the packages
    #[arg(long)]
    pub(crate) quick: bool,
}

/// Makes the Debian package by the recipe in Cargo.toml.
const DEB: Installed = Installed { name: "cargo-deb", version: "3.8.0", options: &[] };

/// Collects the licences of crates with their texts.
const ABOUT: Installed = Installed { name: "cargo-about", version: "0.9.3", options: &["--features", "cli"] };

/// The file with the licences of all crates in the binary.
const THIRD_PARTY: &str = "THIRD-PARTY";

/// Packages scopegate into `target/release-files` and prints what it made.
///
/// # Errors
/// A step failed, or a program that it runs is missing.
pub(crate) fn run(workspace: &Path, options: &Options) -> Result<ExitCode, String> {
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None if options.quick => build_quickly(workspace)?,
        None => dist::build(workspace)?,
    };
    // Cargo.toml names this folder, wherever cargo builds.
    let folder = workspace.join("target/release-files");
    let made = folder.join("made");
    fresh(&folder)?;
    fresh(&made)?;
    let scopegate = folder.join("scopegate");
    fs::copy(&binary, &scopegate).map_err(|error| format!("cannot copy {}: {error}", binary.display()))?;
    if options.quick {
        execute(Command::new("strip").arg(&scopegate))?;
    }
    let time = commit_time(workspace)?;
    let (crates, root) = dependencies::crates(workspace)?;
    write(&folder.join("sbom.json"), &bill::write(&crates, &root, workspace)?)?;
    let licences = folder.join(THIRD_PARTY);
    write(&licences, &third_party(workspace)?)?;
    manuals::write(&scopegate, &folder)?;
    let name = format!("scopegate-{}-{}", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    archive(workspace, &folder, &made.join(format!("{name}.tar.gz")), &time)?;
    image::write(workspace, (&scopegate, &licences), &made.join(format!("{name}.oci.tar")), &time)?;
    debian_package(workspace, &made, &time)?;
    fs::copy(folder.join("sbom.json"), made.join(format!("{name}.cdx.json")))
        .map_err(|error| format!("cannot copy the SBOM: {error}"))?;
    let sums = sums(&made)?;
    write(&made.join("SHA256SUMS"), &sums)?;
    print(&format!("{}\n{sums}", made.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Makes an empty folder.
fn fresh(folder: &Path) -> Result<(), String> {
    let _absent_before = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    fs::write(file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))
}

/// Returns the time of the commit, in seconds since 1970. Every file has it, so that equal programs give equal packages.
fn commit_time(workspace: &Path) -> Result<String, String> {
    text_of(Command::new("git").args(["log", "-1", "--format=%ct"]).current_dir(workspace))
}

/// Runs a command and returns what it writes to stdout.
fn text_of(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().display().to_string();
    let output = command.output().map_err(|error| format!("cannot start {name}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
    }
    Err(format!("{name} failed: {}", String::from_utf8_lossy(&output.stderr)))
}

/// Returns a `tar` that writes the same bytes for the same files.
fn tar(output: &Path, time: &str) -> Command {
    let mut tar = Command::new("tar");
    tar.args(["--create", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu"]);
    tar.arg(format!("--mtime=@{time}")).arg("--file").arg(output);
    tar
}

/// Returns the licences of all crates in the binary with their texts. A crate without one is an error.
fn third_party(workspace: &Path) -> Result<String, String> {
    let mut about = ABOUT.command(workspace)?;
    about.args(["about", "generate", "--fail", "--offline", "--locked"]);
    about.args(DEPLOYED);
    about.args(["--config", "xtask/third-party/about.toml", "xtask/third-party/template.hbs"]);
    Ok(text_of(about.current_dir(workspace))? + "\n")
}

/// Writes the archive for machines without packages: the program, its manual and completions, and `deploy/`.
fn archive(workspace: &Path, folder: &Path, output: &Path, time: &str) -> Result<(), String> {
    let mut tar = tar(output, time);
    tar.arg("--use-compress-program=gzip --no-name --best");
    tar.arg("--directory").arg(folder).args(["scopegate", "man", "completions", "sbom.json", THIRD_PARTY]);
    tar.arg("--directory").arg(workspace).args([
        "deploy",
        "proxy.toml",
        "README.md",
        "CHANGELOG.md",
        "LICENSE",
    ]);
    execute(&mut tar)
}

fn debian_package(workspace: &Path, made: &Path, time: &str) -> Result<(), String> {
    let mut build = DEB.command(workspace)?;
    build.args(["--no-build", "--quiet", "--package", "scopegate", "--output"]).arg(made);
    build.env("SOURCE_DATE_EPOCH", time).env("CARGO_TARGET_DIR", target_folder(workspace));
    execute(build.current_dir(workspace))
}

/// Returns the lines of `SHA256SUMS`.
fn sums(made: &Path) -> Result<String, String> {
    let listed = fs::read_dir(made).map_err(|error| format!("cannot list {}: {error}", made.display()))?;
    let mut names: Vec<_> = listed.flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    Ok(text_of(Command::new("sha256sum").args(names).current_dir(made))? + "\n")
}
