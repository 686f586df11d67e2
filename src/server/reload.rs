//! Reading the configuration again on SIGHUP.

use super::notify;
use super::running::Running;
use crate::config::{Config, ConfigError, Diagnostic};
use crate::session_table::Clock;
use std::future::pending;
use std::io;
use std::path::{Path, PathBuf};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;

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

/// Reads a configuration and puts it into effect; a bad one changes nothing, and everything wrong with it is logged.
pub(super) async fn reload(running: &mut Running, source: &Path) {
    notify::reloading();
    let reloads = running.shared().clone();
    let loaded = load(source.to_owned()).await.and_then(|config| running.reload(config));
    match loaded {
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

/// Files may be slow: sessions are kept on this thread meanwhile.
async fn load(source: PathBuf) -> Result<Config, Vec<String>> {
    match spawn_blocking(move || Config::load(&source)).await {
        Ok(Ok(config)) => Ok(config),
        Ok(Err(ConfigError::Wrong(path, diagnostics))) => {
            let path = path.display();
            let line = |Diagnostic { line, column, message, help }| {
                format!("{path}:{line}:{column}: {message}; {help}")
            };
            Err(diagnostics.into_iter().map(line).collect())
        }
        Ok(Err(error)) => Err(vec![error.to_string()]),
        Err(_) => Err(vec!["reading the configuration panicked".to_owned()]),
    }
}
