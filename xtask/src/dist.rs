//! `cargo xtask dist`: Scopegate as it is deployed, optimised with a profile of itself.
//!
//! The program is built twice. The first build counts what a load executes, and the second one is arranged by these counts: the
//! code of usual requests lies together, and calls on their way are inlined (docs/performance.md, "A profile for the
//! compiler").

use crate::bench::training;
use crate::cargo::{AUDITABLE, DEPLOYED, target_folder};
use crate::command;
use crate::console::announce;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the program and returns it. The list of its crates is in it.
///
/// # Errors
/// A tool is missing, a build or the load failed, or the compiler did not use the profile.
pub(crate) fn build(workspace: &Path) -> Result<PathBuf, String> {
    let compiler = Compiler::find(workspace)?;
    let folder = target_folder(workspace).join("profiled");
    let recorded = folder.join("recorded");
    let _absent_before = fs::remove_dir_all(&recorded);
    fs::create_dir_all(&recorded)
        .map_err(|error| format!("cannot create {}: {error}", recorded.display()))?;

    announce("building the binary that records a profile (some minutes)");
    let recording = compiler.build(workspace, &flag("generate", &recorded))?;
    announce("recording the profile");
    training::train(&recording)?;
    let profile = folder.join("profile");
    compiler.merge(&recorded, &profile)?;

    announce("building the binary that is optimised with the profile (some minutes)");
    let built = compiler.build(workspace, &flag("use", &profile))?;
    compiler.check_used(&profile, &built)?;
    let stripped = folder.join("scopegate");
    command::run(Command::new("strip").arg("-o").arg(&stripped).arg(&built))?;
    Ok(stripped)
}

/// Returns the option of rustc that generates or uses a profile.
fn flag(verb: &str, path: &Path) -> String {
    format!("-Cprofile-{verb}={}", path.display())
}

/// The compiler, and the tool of its LLVM for profiles. The formats of other versions differ.
struct Compiler {
    host: String,
    profdata: PathBuf,
}

impl Compiler {
    /// Finds the compiler's tool.
    ///
    /// # Errors
    /// It is not installed.
    fn find(workspace: &Path) -> Result<Self, String> {
        let host = rustc(workspace, &["--print", "host-tuple"])?;
        let sysroot = rustc(workspace, &["--print", "sysroot"])?;
        let profdata = Path::new(&sysroot).join("lib/rustlib").join(&host).join("bin/llvm-profdata");
        if profdata.is_file() {
            return Ok(Self { host, profdata });
        }
        Err(format!(
            "{} does not exist, which merges profiles; install it with:\n  rustup component add llvm-tools",
            profdata.display()
        ))
    }

    /// Builds the program with a further option of rustc. Both builds differ in this option alone: with another
    /// profile of cargo, symbols have other names, and the compiler finds no counts for them.
    fn build(&self, workspace: &Path, option: &str) -> Result<PathBuf, String> {
        let mut build = AUDITABLE.command(workspace)?;
        build.args(["auditable", "build", "--locked", "--package", "scopegate", "--profile", "dist"]);
        // With a target, the option does not apply to build scripts and macros.
        build.args(DEPLOYED).args(["--target", &self.host]);
        build.env("CARGO_ENCODED_RUSTFLAGS", with_option(&env::var("RUSTFLAGS").unwrap_or_default(), option));
        // The names of functions are compared with those of the profile.
        build.env("CARGO_PROFILE_DIST_STRIP", "none");
        command::run(build.current_dir(workspace))?;
        Ok(target_folder(workspace).join(&self.host).join("dist/scopegate"))
    }

    /// Merges the records of all processes. Functions that did not run are left out: the compiler optimises
    /// those with a count of zero for size, and they include the hashes of passwords.
    fn merge(&self, recorded: &Path, profile: &Path) -> Result<(), String> {
        let files = fs::read_dir(recorded).map_err(|error| format!("{}: {error}", recorded.display()))?;
        let files: Vec<_> = files.flatten().map(|file| file.path()).collect();
        if files.is_empty() {
            return Err(format!("{} is empty: the recording build wrote no profile", recorded.display()));
        }
        command::run(Command::new(&self.profdata).args(["merge", "--sparse", "-o"]).arg(profile).args(files))
    }

    /// Checks that the program has the functions of the profile. The compiler says nothing if it finds none.
    fn check_used(&self, profile: &Path, program: &Path) -> Result<(), String> {
        let mut show = Command::new(&self.profdata);
        let shown = show
            .args(["show", "--topn=50"])
            .arg(profile)
            .output()
            .map_err(|error| format!("cannot start {}: {error}", self.profdata.display()))?;
        let shown = String::from_utf8_lossy(&shown.stdout);
        let bytes = fs::read(program).map_err(|error| format!("{}: {error}", program.display()))?;
        if uses(&bytes, hottest(&shown)) {
            return Ok(());
        }
        Err("the compiler did not use the profile: the program has too few of its functions".to_owned())
    }
}

/// Returns what rustc prints.
///
/// # Errors
/// It does not start, or it does not know the arguments.
fn rustc(workspace: &Path, arguments: &[&str]) -> Result<String, String> {
    let program = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(program).args(arguments).current_dir(workspace).output();
    let output = output.map_err(|error| format!("cannot start rustc: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`rustc {}` failed: {}", arguments.join(" "), said.trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Returns options of rustc, which are separated by spaces, and one more, as cargo reads them.
fn with_option(options: &str, option: &str) -> String {
    options.split_whitespace().chain([option]).collect::<Vec<_>>().join("\u{1f}")
}

/// Returns the symbols of the functions with the highest counts. Those that a crate does not export follow the name of their file.
fn hottest(shown: &str) -> impl Iterator<Item = &str> {
    shown.lines().filter_map(|line| {
        let (name, _) = line.trim().split_once(", max count = ")?;
        name.rsplit(';').next()
    })
}

/// Returns whether a program has a quarter of these functions. It has about four fifths of those that its profile names, because
/// others are inlined everywhere. A program of other symbols may share one, which the standard library has.
fn uses<'a>(program: &[u8], names: impl Iterator<Item = &'a str>) -> bool {
    let (mut total, mut found) = (0, 0);
    for name in names {
        total += 1;
        found += usize::from(contains(program, name.as_bytes()));
    }
    found > 0 && found * 4 >= total
}

fn contains(bytes: &[u8], name: &[u8]) -> bool {
    bytes.windows(name.len().max(1)).any(|window| window == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_separated_as_cargo_reads_them() {
        assert_eq!(with_option("", "-Ca=/a b"), "-Ca=/a b");
        assert_eq!(with_option(" -Cx -Cy ", "-Cz"), "-Cx\u{1f}-Cy\u{1f}-Cz");
    }

    #[test]
    fn the_hottest_functions_are_found_in_what_the_tool_shows() {
        let shown = "Instrumentation level: IR  entry_first = 0\nTotal functions: 3\n\
            Top 2 functions with the largest internal block counts: \n  \
            _ZN1aE, max count = 161\n  scopegate.1-cgu.0;_ZN1bE, max count = 9\n";
        assert_eq!(hottest(shown).collect::<Vec<_>>(), ["_ZN1aE", "_ZN1bE"]);
    }

    #[test]
    fn a_program_uses_a_profile_if_it_has_enough_of_its_functions() {
        let names = ["_ZN1aE", "_ZN1bE", "_ZN1cE", "_ZN1dE", "_ZN1eE"];
        for (program, is_used) in [("_ZN1aE\0x\0_ZN1eE", true), ("\0_ZN1eE\0_ZN2a", false), ("", false)] {
            assert_eq!(uses(program.as_bytes(), names.into_iter()), is_used, "{program}");
        }
        assert!(!uses(b"_ZN1aE", std::iter::empty()));
    }
}
