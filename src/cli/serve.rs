//! `scopegate serve`: the proxy, until SIGTERM or SIGINT.

use super::CommandError;
use crate::config::{Config, Environment, SystemEnvironment};
use crate::log;
use crate::panics;
use crate::server::{Ended, Inherited, Server, descriptors};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use std::path::{Path, PathBuf};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// What `serve` is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration
    #[arg(long, short, default_value = "proxy.toml", value_name = "FILE")]
    pub config: PathBuf,
}

/// Serves until it is told to stop.
///
/// # Errors
/// On a bad configuration (exit code 78), an address that cannot be bound, and a shutdown that had to cut requests
/// short.
pub fn run(args: &Args) -> Result<(), CommandError> {
    // Before the log, which has a thread of its own.
    let inherited = Inherited::take().map_err(|error| CommandError::failed(error.to_string()))?;
    let config = load(&args.config)?;
    let _flush = log::start(&config.log);
    serve(config, inherited, Some(&args.config), |_| {})
}

/// Reads a configuration for a command.
///
/// # Errors
/// With exit code 78 and every mistake in it.
pub(super) fn load(path: &Path) -> Result<Config, CommandError> {
    load_with(path, &SystemEnvironment)
}

/// Reads a configuration for a command, with secrets from `environment`.
///
/// # Errors
/// With exit code 78 and every mistake in it.
pub(super) fn load_with(path: &Path, environment: &dyn Environment) -> Result<Config, CommandError> {
    Config::load_with(path, environment).map_err(|error| CommandError::from(&error))
}

/// Serves `config`, which was read from `source`, if from a file; `bound` is called when the sockets are.
pub(super) fn serve(
    config: Config,
    inherited: Inherited,
    source: Option<&Path>,
    bound: impl FnOnce(&Server),
) -> Result<(), CommandError> {
    panics::watch();
    forbid_core_files();
    descriptors::raise(config.limits.connections);
    announce(&config, source);
    let server = Server::bind(config, inherited).map_err(|error| CommandError::failed(error.to_string()))?;
    bound(&server);
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::failed(format!("no runtime: {error}")))?;
    let ended = runtime.block_on(async {
        let stop = stop_signal().map_err(|error| CommandError::failed(format!("no signals: {error}")))?;
        server.run(stop, source).await.map_err(|error| CommandError::failed(error.to_string()))
    })?;
    match ended {
        Ended::Drained => Ok(()),
        Ended::CutShort => {
            tracing::warn!(
                "requests were still running at the end of limits.drain_timeout and were cut short"
            );
            Ok(())
        }
    }
}

/// Logs what starts, so that a log shows which version ran with which configuration.
fn announce(config: &Config, source: Option<&Path>) {
    let upstream: Vec<String> = config.upstream.endpoints.iter().map(ToString::to_string).collect();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        config = source.and_then(Path::to_str),
        upstream = upstream.join(" "),
        listeners = config.listeners.len(),
        mappings = config.mappings.len(),
        "scopegate starts"
    );
}

/// Secrets stay in this process's memory: no core file, and no other process of the same user reads it.
fn forbid_core_files() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "a crash may leave a core file, which holds secrets");
    }
}

/// Ready with the first SIGTERM or SIGINT; a second one does what it does by default: it ends the process.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::warn!("told to stop a second time: not waiting for running requests");
            std::process::exit(1);
        });
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::dumpable_behavior;

    #[test]
    fn what_serves_leaves_no_core_file() {
        assert_eq!(dumpable_behavior(), Ok(DumpableBehavior::Dumpable));
        forbid_core_files();
        assert_eq!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
    }
}
