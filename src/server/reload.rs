//! Reading the configuration again on SIGHUP.

use super::notify;
use super::running::Running;
use crate::config::Config;
use crate::session_table::Clock;
use std::future::pending;
use std::io;
use std::path::Path;
use std::thread;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// The wishes to read a configuration again.
pub(super) struct Hangups<'p>(Option<(Signal, &'p Path)>);

impl<'p> Hangups<'p> {
    /// From now on SIGHUP ends the process no more; without a file there is nothing to read, and it does.
    pub(super) fn listen(source: Option<&'p Path>) -> io::Result<Self> {
        let listening = source.map(|source| signal(SignalKind::hangup()).map(|signal| (signal, source)));
        listening.transpose().map(Self)
    }

    /// Ready with the next, with what is to be read.
    pub(super) async fn next(&mut self) -> &'p Path {
        if let Some((signal, source)) = &mut self.0
            && signal.recv().await.is_some()
        {
            return source;
        }
        pending().await
    }
}

/// What was read of a configuration file, or everything that is wrong with it.
pub(super) type Loaded = Result<Config, Vec<String>>;

/// Reads a configuration, on a thread of its own: files may be slow, and sessions are kept on this one meanwhile.
/// Nobody waits for that thread when the process ends.
pub(super) async fn load(source: &Path) -> Loaded {
    notify::reloading();
    let (done, loaded) = oneshot::channel();
    let source = source.to_owned();
    let reading = move || {
        // The receiver may be gone.
        let _ = done.send(read(&source));
    };
    if let Err(error) = thread::Builder::new().name("reload".to_owned()).spawn(reading) {
        return Err(vec![format!("no thread to read the configuration: {error}")]);
    }
    loaded.await.unwrap_or_else(|_| Err(vec!["reading the configuration panicked".to_owned()]))
}

fn read(source: &Path) -> Loaded {
    Config::load(source).map_err(|error| error.to_lines())
}

/// Puts a configuration into effect; a bad one changes nothing, and everything wrong with it is logged.
pub(super) fn apply(running: &mut Running, loaded: Loaded) {
    let reloads = running.shared().clone();
    match loaded.and_then(|config| running.reload(config)) {
        Ok(()) => reloads.metrics.reloads.took_effect(Clock::SYSTEM.now(), true),
        Err(errors) => {
            for error in &errors {
                tracing::error!(%error, "not reloaded");
            }
            let mistakes = errors.len();
            tracing::error!(mistakes, "the configuration was not reloaded: the one before stays in effect");
            reloads.metrics.reloads.failed();
        }
    }
    notify::ready();
}
