//! `cargo xtask bench`: this proxy beside others, on a machine of two cores or more.

mod certificates;
mod child;
mod configs;
mod files;
mod h2load;
mod load;
mod machine;
mod options;
pub(crate) mod origin;
mod pages;
mod plot;
mod programs;
mod proxies;
mod report;
mod sections;
mod table;
pub(crate) mod training;
mod wrk;

use crate::cargo::{cargo, target_folder};
use crate::console::{announce, print};
use crate::{command, dist, tools};
use certificates::Certificates;
use child::{raise_file_limit, stay_on_core};
use configs::Behind;
pub(crate) use options::Options;
use options::Section;
use origin::{Origin, any_keys};
use pages::PAGES;
use programs::Programs;
use proxies::{Setup, Variants};
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

/// The core of the proxy, which nothing else uses.
const PROXY_CORE: usize = 0;
/// The core of the load and the origin.
const LOAD_CORE: usize = 1;

/// Runs the benchmark and prints its report.
///
/// # Errors
/// The benchmark cannot be set up, is stopped, or its report cannot be written.
pub(crate) fn run(workspace: &Path, options: &Options) -> Result<ExitCode, String> {
    if cfg!(debug_assertions) {
        return run_optimised(workspace);
    }
    if thread::available_parallelism().map_or(1, usize::from) < 2 {
        return Err(
            "the benchmark needs two cores, one for the proxy and one for the load; this machine has one"
                .to_owned(),
        );
    }
    let programs = Programs::find(workspace)?;
    let minio = tools::set_up(workspace)?;
    let scopegate = match &options.binary {
        Some(binary) => binary.canonicalize().map_err(|error| format!("{}: {error}", binary.display()))?,
        None => dist::build(workspace)?,
    };
    let builds = options.also.iter().map(|(name, binary)| (name.clone(), binary.as_path()));
    let builds: Vec<_> =
        std::iter::once(("scopegate".to_owned(), scopegate.as_path())).chain(builds).collect();
    let machine = machine::describe(workspace, &programs, &minio.minio, &builds);
    let variants = Variants::of(&programs, &scopegate, &options.also);
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    let mut plan = if options.quick { Plan::QUICK } else { Plan::FULL };
    plan.rounds = options.rounds.unwrap_or(plan.rounds);
    announce(&format!("rounds: {}; --seed {seed} repeats their order", plan.rounds));

    raise_file_limit()?;
    stay_on_core(LOAD_CORE)?;
    let rounds = plan.rounds;
    let mut tables = measure(options, plan, seed, &programs, &variants, &minio)?;
    // A failure of another proxy is only reported; one of this proxy fails the run.
    let failed =
        tables.iter().flat_map(|(_, table)| table.missing.keys()).any(|row| row.starts_with("Scopegate"));
    for page in &PAGES {
        let (here, others): (Vec<_>, Vec<_>) =
            tables.into_iter().partition(|(section, _)| page.sections.contains(section));
        tables = others;
        let report = Report {
            page,
            command: command_line(),
            seed,
            rounds,
            quick: options.quick,
            machine: machine.clone(),
            tables: here.into_iter().map(|(_, table)| table).collect(),
        };
        if !report.tables.is_empty() {
            publish(workspace, options, &report)?;
            print(&report.markdown(false))?;
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn measure(
    options: &Options,
    plan: Plan,
    seed: u64,
    programs: &Programs,
    variants: &Variants,
    minio: &crate::support::minio::Programs,
) -> Result<Vec<(Section, Table)>, String> {
    let origin = Origin::start(LOAD_CORE)?;
    let certificates = Certificates::create()?;
    let (issuer, session) = any_keys();
    let mut bench = Bench {
        plan,
        setup: Setup {
            behind: Behind { store: origin.address, sts: origin.address },
            issuer,
            session,
            certificates: &certificates,
            core: PROXY_CORE,
        },
        nginx: &programs.nginx,
        wrk: &programs.wrk,
        h2load: &programs.h2load,
        load_core: LOAD_CORE,
        random: fastrand::Rng::with_seed(seed),
        stopped: stopped_by_signal()?,
    };
    let mut tables = Vec::new();
    let mut section = |section, run: &mut dyn FnMut(&mut Bench<'_>) -> Result<Vec<Table>, String>| {
        if options.wants(section) {
            let start = Instant::now();
            tables.extend(run(&mut bench)?.into_iter().map(|table| (section, table)));
            announce(&format!("section {section:?} took {:.0} s", start.elapsed().as_secs_f64()));
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
    section(Section::Tls, &mut |bench| sections::tls::run(bench, variants))?;
    section(Section::Http2, &mut |bench| sections::http2::run(bench, variants))?;
    Ok(tables)
}

/// Writes a page of the report into the folder of `--out`, or a page of a full run into docs/ and the README.
fn publish(workspace: &Path, options: &Options, report: &Report) -> Result<(), String> {
    if let Some(folder) = &options.out {
        return report.write(folder);
    }
    let page = report.page;
    if !options.publishes(page.sections) {
        announce(&format!(
            "only a full run of all its sections writes docs/{}; use --out DIR to write this report",
            page.file
        ));
        return Ok(());
    }
    report.write(&workspace.join("docs"))?;
    if !page.is_summarized {
        return Ok(());
    }
    let readme = workspace.join("README.md");
    let failed = |error: std::io::Error| format!("{}: {error}", readme.display());
    let changed = report::with_summary(&fs::read_to_string(&readme).map_err(failed)?, &report.summary())?;
    fs::write(&readme, changed).map_err(failed)
}

/// Runs this task in an optimized build of this program, which serves as origin and load.
fn run_optimised(workspace: &Path) -> Result<ExitCode, String> {
    let mut build = cargo();
    build.args(["build", "--quiet", "--locked", "--release", "--package", "xtask"]);
    command::run(build.current_dir(workspace))?;
    let program = target_folder(workspace).join("release").join("xtask");
    // Replace this process, so that signals reach the benchmark.
    let error = Command::new(&program).args(env::args_os().skip(1)).exec();
    Err(format!("cannot start {}: {error}", program.display()))
}

/// Returns a flag that the first SIGINT or SIGTERM sets, so that the run ends in order. The second one ends this
/// program at once, and the kernel ends its children.
fn stopped_by_signal() -> Result<Arc<AtomicBool>, String> {
    use tokio::signal::unix::{SignalKind, signal};

    let stopped = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(|error| format!("cannot start a runtime: {error}"))?;
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

/// Returns an argument for the published report, without the folders of the machine it was made on.
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
    fn omits_folders() {
        for (argument, shown) in
            [("--quick", "--quick"), ("/home/a/scopegate", "scopegate"), ("old=/home/a/b", "old=b")]
        {
            assert_eq!(without_folder(&argument.into()), shown);
        }
    }
}
