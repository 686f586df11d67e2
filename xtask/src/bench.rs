//! `cargo xtask bench`: this proxy beside others, on a machine of two cores or more.

mod child;
mod configs;
mod load;
mod machine;
mod options;
pub(crate) mod origin;
mod plot;
mod programs;
mod proxies;
mod report;
mod sections;
mod table;
mod wrk;

use crate::cargo::{build_deployed, cargo, target_folder};
use crate::console::{announce, print};
use crate::support::keys::Keys;
use crate::{command, tools};
use child::{raise_file_limit, stay_on_core};
use configs::Behind;
pub(crate) use options::Options;
use options::Section;
use origin::Origin;
use programs::Programs;
use proxies::{Ground, Variants};
use report::Report;
use sections::{Bench, Plan};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;
use table::Table;

/// Where the proxy is, alone.
const PROXY_CORE: usize = 0;
/// Where the load is, with the origin.
const LOAD_CORE: usize = 1;

/// Runs the benchmark and prints its report.
///
/// # Errors
/// Where it could not be set up, was stopped, or could not be written.
pub(crate) fn run(workspace: &Path, options: &Options) -> Result<ExitCode, String> {
    if cfg!(debug_assertions) {
        return run_optimised(workspace);
    }
    if thread::available_parallelism().map_or(1, usize::from) < 2 {
        return Err("the benchmark needs two cores: one for the proxy, one for the load".to_owned());
    }
    let programs = Programs::find(workspace)?;
    let minio = tools::set_up(workspace)?;
    let scopegate = match &options.binary {
        Some(binary) => binary.canonicalize().map_err(|error| format!("{}: {error}", binary.display()))?,
        None => build_deployed(workspace)?,
    };
    let builds = options.also.iter().map(|(name, binary)| (name.clone(), binary.as_path()));
    let builds: Vec<_> =
        std::iter::once(("scopegate".to_owned(), scopegate.as_path())).chain(builds).collect();
    let machine = machine::describe(workspace, &programs, &minio.minio, &builds);
    let variants = Variants::of(&programs, &scopegate, &options.also);
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    let mut plan = if options.quick { Plan::QUICK } else { Plan::FULL };
    plan.rounds = options.rounds.unwrap_or(plan.rounds);
    announce(&format!("{} rounds, shuffled with --seed {seed}", plan.rounds));

    raise_file_limit()?;
    stay_on_core(LOAD_CORE)?;
    let rounds = plan.rounds;
    let tables = measure(options, plan, seed, &programs, &variants, &minio)?;
    let report = Report { command: command_line(), seed, rounds, quick: options.quick, machine, tables };
    publish(workspace, options, &report)?;
    print(&report.markdown(false))?;
    // Another proxy may fall short; this one has to do everything it is asked.
    let short =
        report.tables.iter().flat_map(|table| table.missing.keys()).any(|row| row.starts_with("Scopegate"));
    Ok(if short { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn measure(
    options: &Options,
    plan: Plan,
    seed: u64,
    programs: &Programs,
    variants: &Variants,
    minio: &crate::support::minio::Programs,
) -> Result<Vec<Table>, String> {
    let origin = Origin::start(LOAD_CORE)?;
    // The origin takes any keys, and its session is the same for all.
    let keys = Keys { access_key: "ANYTHING".to_owned(), secret_key: "goes".to_owned(), token: None };
    let session = Keys { token: Some("token".to_owned()), ..keys.clone() };
    let mut bench = Bench {
        plan,
        ground: Ground {
            programs,
            behind: Behind { store: origin.address, sts: origin.address },
            issuer: keys,
            session,
            core: PROXY_CORE,
        },
        wrk: &programs.wrk,
        load_core: LOAD_CORE,
        random: fastrand::Rng::with_seed(seed),
        stopped: stopped_by_signal()?,
    };
    let mut tables = Vec::new();
    let mut section = |section, run: &mut dyn FnMut(&mut Bench<'_>) -> Result<Vec<Table>, String>| {
        if options.wants(section) {
            let start = Instant::now();
            tables.extend(run(&mut bench)?);
            announce(&format!("{section:?} took {:.0} s", start.elapsed().as_secs_f64()));
        }
        Ok::<(), String>(())
    };
    section(Section::Small, &mut |bench| sections::small::run(bench, variants))?;
    section(Section::Rate, &mut |bench| sections::rate::run(bench, variants))?;
    section(Section::Large, &mut |bench| sections::large::run(bench, variants))?;
    section(Section::Idle, &mut |bench| sections::idle::run(bench, variants))?;
    section(Section::Transfers, &mut |bench| sections::transfers::run(bench, variants))?;
    section(Section::Start, &mut |bench| sections::start::run(bench, variants))?;
    section(Section::Store, &mut |bench| sections::store::run(bench, variants, minio.clone()))?;
    Ok(tables)
}

/// Writes the report where it was asked for; a whole run's into docs/ and the README.
fn publish(workspace: &Path, options: &Options, report: &Report) -> Result<(), String> {
    if let Some(folder) = &options.out {
        return report.write(folder);
    }
    if !options.is_full() {
        announce("a part, a comparison or a quick run changes no file; --out DIR writes its report");
        return Ok(());
    }
    report.write(&workspace.join("docs"))?;
    let readme = workspace.join("README.md");
    let failed = |error: std::io::Error| format!("{}: {error}", readme.display());
    let changed = report::with_summary(&fs::read_to_string(&readme).map_err(failed)?, &report.summary())?;
    fs::write(&readme, changed).map_err(failed)
}

/// The same task in an optimised build of this program, which is origin and load at once.
fn run_optimised(workspace: &Path) -> Result<ExitCode, String> {
    let mut build = cargo();
    build.args(["build", "--quiet", "--locked", "--release", "--package", "xtask"]);
    command::run(build.current_dir(workspace))?;
    let program = target_folder(workspace).join("release").join("xtask");
    // In this process's place: a signal to it is then one to the benchmark.
    let error = Command::new(&program).args(env::args_os().skip(1)).exec();
    Err(format!("cannot start {}: {error}", program.display()))
}

/// A flag that SIGINT and SIGTERM set, so that the run ends in order; the second time it ends at once, and the
/// kernel ends what it started.
fn stopped_by_signal() -> Result<Arc<AtomicBool>, String> {
    use tokio::signal::unix::{SignalKind, signal};

    let stopped = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    let flag = Arc::clone(&stopped);
    thread::spawn(move || {
        runtime.block_on(async {
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if flag.swap(true, Ordering::Relaxed) {
                    std::process::exit(130);
                }
            }
        });
    });
    Ok(stopped)
}

fn command_line() -> String {
    let arguments = env::args_os().skip(1).map(|argument| format!(" {}", without_folder(&argument)));
    format!("cargo xtask{}", arguments.collect::<String>())
}

/// An argument as it may stand in a document: where somebody keeps their files is nobody's business.
fn without_folder(argument: &OsString) -> String {
    let text = argument.to_string_lossy();
    let (name, path) = match text.split_once('=') {
        Some((name, path)) => (format!("{name}="), path),
        None => (String::new(), &*text),
    };
    format!("{name}{}", path.rsplit('/').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_left_out() {
        for (argument, shown) in
            [("--quick", "--quick"), ("/home/a/scopegate", "scopegate"), ("old=/home/a/b", "old=b")]
        {
            assert_eq!(without_folder(&argument.into()), shown);
        }
    }
}
