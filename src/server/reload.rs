//! Reads the configuration again on SIGHUP.

use super::notify;
use super::running::Running;
use crate::config::Config;
use crate::net::wall_clock::WallClock;
use std::future::pending;
use std::io;
use std::path::Path;
use std::thread;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// The requests to read the configuration again.
pub(super) struct Hangups<'p>(Option<(Signal, &'p Path)>);

impl<'p> Hangups<'p> {
    /// Handles SIGHUP from now on. Without a configuration file it still ends the process.
    pub(super) fn listen(source: Option<&'p Path>) -> io::Result<Self> {
        let listening = source.map(|source| signal(SignalKind::hangup()).map(|signal| (signal, source)));
        listening.transpose().map(Self)
    }

    /// Waits for the next request. Returns the file to read.
    pub(super) async fn next(&mut self) -> &'p Path {
        if let Some((signal, source)) = &mut self.0
            && signal.recv().await.is_some()
        {
            return source;
        }
        pending().await
    }
}

/// A configuration, or all mistakes in its file.
pub(super) type Loaded = Result<Config, Vec<String>>;

/// Reads a configuration on a new thread, because files may be slow and the current thread refreshes the sessions.
/// The process does not wait for that thread when it ends.
pub(super) async fn load(source: &Path) -> Loaded {
    notify::reloading();
    let (done, loaded) = oneshot::channel();
    let source = source.to_owned();
    let reading = move || {
        // The receiver is gone if the server stops meanwhile.
        let _ = done.send(read(&source));
    };
    if let Err(error) = thread::Builder::new().name("reload".to_owned()).spawn(reading) {
        return Err(vec![format!("cannot start a thread to read the configuration: {error}")]);
    }
    loaded.await.unwrap_or_else(|_| Err(vec!["reading the configuration panicked".to_owned()]))
}

fn read(source: &Path) -> Loaded {
    Config::load(source).map_err(|error| error.to_lines())
}

/// Applies a configuration. An invalid one changes nothing, and everything wrong with it is logged.
pub(super) fn apply(running: &mut Running, loaded: Loaded) {
    let reloads = running.shared().clone();
    match loaded.and_then(|config| running.reload(config)) {
        Ok(()) => reloads.metrics.reloads.took_effect(WallClock::SYSTEM.now(), true),
        Err(errors) => {
            for error in &errors {
                tracing::error!(%error, "not reloaded");
            }
            tracing::error!(
                mistakes = errors.len(),
                "the configuration was not reloaded: the one before stays in effect"
            );
            reloads.metrics.reloads.failed(WallClock::SYSTEM.now(), errors);
        }
    }
    notify::ready();
}
