//! `cargo xtask soak`: the deployed build before a real MinIO, under load for many minutes.

mod client;
mod content;
mod large;
mod load;
mod memory;
mod metrics;
mod report;
mod tally;

use crate::console::{announce, print};
use crate::support::http;
use crate::support::keys::Keys;
use crate::support::minio::Minio;
use crate::support::proxy::Proxy;
use crate::{dist, tools};
use clap::Args;
use content::Noise;
use load::Listeners;
use memory::Memory;
use report::Summary;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The options of `soak`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How long the load lasts; from 15 on, sessions are replaced meanwhile
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) minutes: u64,
    /// Write the summary into this file too
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Run this scopegate instead of a new build
    #[arg(long, value_name = "FILE")]
    pub(crate) binary: Option<PathBuf>,
}

const MAPPINGS: [&str; 2] = ["reader", "writer"];

/// Runs the soak and prints its summary. The exit code says whether everything went well.
///
/// # Errors
/// The soak cannot be set up, or its summary cannot be written.
pub(crate) fn run(workspace: &Path, options: &Options) -> Result<ExitCode, String> {
    let programs = tools::set_up(workspace)?;
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => dist::build(workspace)?,
    };
    let noise = Noise::new();
    announce("starting MinIO and the proxy");
    let minio = Minio::start_programs(programs);
    let issuer = set_up(&minio, &noise);
    let env = [
        ("SCOPEGATE_ACCESS_KEY", issuer.access_key.as_str()),
        ("SCOPEGATE_SECRET_KEY", issuer.secret_key.as_str()),
    ];
    let proxy = Proxy::start_binary(&binary, &config(minio.address), &env);

    let summary = measure(proxy, &noise, options.minutes)?;
    let text = summary.markdown();
    if let Some(out) = &options.out {
        fs::write(out, &text).map_err(|error| format!("cannot write {}: {error}", out.display()))?;
    }
    print(&text)?;
    Ok(if summary.problems().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measure(proxy: Proxy, noise: &Noise, minutes: u64) -> Result<Summary, String> {
    let listeners = Listeners { reader: proxy.address("reader"), writer: proxy.address("writer") };
    let memory = Memory::watch(proxy.id());

    announce("passing 5 GiB through the proxy and back");
    let large = large::run(listeners.writer, noise, proxy.id(), &memory);

    announce(&format!("loading the proxy for {minutes} minutes"));
    let (start, since) = (Instant::now(), memory.now());
    let load = load::run(listeners, noise, Duration::from_secs(minutes * 60))?;
    let took = start.elapsed();
    let memory = memory.by_minute(since);

    let sessions = metrics_of(proxy.address("admin")).map(|text| metrics::sessions(&text, &MAPPINGS));
    let (exit, stderr) = proxy.terminate();
    Ok(Summary { minutes, large, load, took, memory, sessions, exit, warnings: warnings(&stderr) })
}

/// Sets MinIO up as the README does and stores the objects that the load reads.
///
/// One more object stays in the folder of the writers: MinIO refuses a PUT with AccessDenied, also without a proxy, if
/// the folder loses its last object at that moment.
fn set_up(minio: &Minio, noise: &Noise) -> Keys {
    let issuer = minio.seed_issuer();
    for size in load::SIZES {
        minio.put(&format!("tmp/media/{size}"), &noise.bytes(size, size));
    }
    minio.put("tmp/inbox/kept", b"");
    issuer
}

/// Returns a configuration of two mappings on listeners of their own, with the shortest sessions that STS allows.
fn config(upstream: SocketAddr) -> String {
    let listeners =
        MAPPINGS.map(|name| format!("[[listener]]\nname = \"{name}\"\naddress = \"127.0.0.1:0\"\n"));
    let mapping = |name: &str, prefix: &str, allow: &str| {
        format!(
            "[[mapping]]\nname = \"{name}\"\nsession = \"15m\"\n\
             client = {{ network = [\"127.0.0.0/8\"], listener = \"{name}\" }}\n\
             [[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"{prefix}\"\nallow = [{allow}]\n"
        )
    };
    let rest = format!(
        "[admin]\naddress = \"127.0.0.1:0\"\n\
         [upstream]\nendpoints = [\"http://{upstream}\"]\nregion = \"us-east-1\"\n\
         [issuer]\naccess_key = {{ env = \"SCOPEGATE_ACCESS_KEY\" }}\n\
         secret_key = {{ env = \"SCOPEGATE_SECRET_KEY\" }}\n"
    );
    let [reader, writer] = MAPPINGS;
    let reader = mapping(reader, "media/", r#""read", "list""#);
    let writer = mapping(writer, "inbox/", r#""read", "list", "write", "delete""#);
    [listeners.concat(), rest, reader, writer].concat()
}

fn metrics_of(admin: SocketAddr) -> Result<String, String> {
    match http::get(admin, "/metrics") {
        Ok(answer) if answer.status() == 200 => Ok(answer.text()),
        Ok(answer) => Err(format!("/metrics answered {}", answer.status())),
        Err(error) => Err(format!("/metrics: {error}")),
    }
}

/// Returns the first warnings and errors of a log.
fn warnings(stderr: &str) -> Vec<String> {
    let warns = |line: &&str| line.contains(" WARN ") || line.contains(" ERROR ");
    stderr.lines().filter(warns).take(20).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configures_both_mappings_on_their_own_listeners() {
        let config = config(SocketAddr::from(([127, 0, 0, 1], 9000)));
        for line in [
            "endpoints = [\"http://127.0.0.1:9000\"]",
            "client = { network = [\"127.0.0.0/8\"], listener = \"writer\" }",
            "allow = [\"read\", \"list\", \"write\", \"delete\"]",
            "secret_key = { env = \"SCOPEGATE_SECRET_KEY\" }",
        ] {
            assert!(config.lines().any(|found| found == line), "{line} is not in\n{config}");
        }
    }

    #[test]
    fn finds_warnings_and_errors() {
        let log = "10:00  INFO a\n10:01  WARN b\n10:02 ERROR c\n10:03  INFO the WARNING d\n";
        assert_eq!(warnings(log), ["10:01  WARN b", "10:02 ERROR c"]);
    }
}
