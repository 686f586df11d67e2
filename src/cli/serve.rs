//! `scopegate serve`: the proxy, until SIGTERM or SIGINT.

use super::CommandError;
use crate::config::Config;
use crate::log;
use crate::server::{Ended, Server};
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
    let config = load(&args.config)?;
    let _flush = log::start(&config.log);
    serve(config, |_| {})
}

/// Reads a configuration for a command.
///
/// # Errors
/// With exit code 78 and every mistake in it.
pub(super) fn load(path: &Path) -> Result<Config, CommandError> {
    Config::load(path).map_err(|error| CommandError::configuration(error.to_string()))
}

/// Serves `config`; `bound` is called when the sockets are.
pub(super) fn serve(config: Config, bound: impl FnOnce(&Server)) -> Result<(), CommandError> {
    let server = Server::bind(config).map_err(|error| CommandError::failed(error.to_string()))?;
    bound(&server);
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::failed(format!("no runtime: {error}")))?;
    let ended = runtime.block_on(async {
        let stop = stop_signal().map_err(|error| CommandError::failed(format!("no signals: {error}")))?;
        server.run(stop).await.map_err(|error| CommandError::failed(error.to_string()))
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
