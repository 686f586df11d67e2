//! `scopegate serve`: runs the proxy until SIGTERM or SIGINT.

use super::CommandError;
use crate::config::{Config, Environment, SystemEnvironment};
use crate::server::{Ended, Inherited, Server, descriptors};
use crate::telemetry::log;
use crate::telemetry::panics;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use std::path::{Path, PathBuf};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// The arguments of `serve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Path of the configuration
    #[arg(long, short, default_value = "proxy.toml", value_name = "FILE")]
    pub config: PathBuf,
}

/// Serves until a signal stops it.
///
/// # Errors
/// When the configuration is invalid (exit code 78) or an address cannot be bound.
pub fn run(args: &Args) -> Result<(), CommandError> {
    // This must come before the log, which starts a thread.
    let inherited = Inherited::take().map_err(|error| CommandError::failed(error.to_string()))?;
    let config = load(&args.config)?;
    let _flush = log::start(&config.log);
    serve(config, inherited, Some(&args.config), |_| {})
}

/// Loads a configuration for a command.
///
/// # Errors
/// Returns exit code 78 with every mistake in the configuration.
pub(super) fn load(path: &Path) -> Result<Config, CommandError> {
    load_with(path, &SystemEnvironment)
}

/// Loads a configuration for a command, with secrets from `environment`.
///
/// # Errors
/// Returns exit code 78 with every mistake in the configuration.
pub(super) fn load_with(path: &Path, environment: &dyn Environment) -> Result<Config, CommandError> {
    Config::load_with(path, environment).map_err(|error| CommandError::from(&error))
}

/// Serves `config`, which was read from the file `source`, if any. Calls `bound` once the sockets are bound.
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
        .map_err(|error| CommandError::failed(format!("cannot start the runtime: {error}")))?;
    let ended = runtime.block_on(async {
        let stop = stop_signal()
            .map_err(|error| CommandError::failed(format!("cannot install signal handlers: {error}")))?;
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

/// Logs the startup, so that a log shows which version ran with which configuration.
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

/// Forbids core files and reads of this process's memory by other processes of the same user, since the memory
/// contains secrets.
fn forbid_core_files() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "a crash may leave a core file, which holds secrets");
    }
}

/// Returns a future that is ready at the first SIGTERM or SIGINT. A second signal ends the process at once.
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
            tracing::warn!("stopped by a second signal without waiting for running requests");
            std::process::exit(1);
        });
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::dumpable_behavior;

    #[test]
    fn serve_leaves_no_core_file() {
        assert_eq!(dumpable_behavior(), Ok(DumpableBehavior::Dumpable));
        forbid_core_files();
        assert_eq!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
    }
}
