//! The files of listeners' TLS while the server runs: their state for the metrics, their warnings for the log, and new
//! versions of them.

use super::files::Group;
use crate::config::{Listener, SystemEnvironment, load_tls};
use crate::net::terminal::plain;
use crate::proxy::generation::{Generation, Shared};
use crate::proxy::live_tls::LiveTls;
use crate::telemetry::metrics::{ListenerFiles, TlsFacts};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;
use tls::{Problem, ServerTls};

/// Returns what is wrong with a file, in one line.
pub(super) fn line(Problem { file, what, help }: &Problem) -> String {
    plain(&format!("{} {what}; {help}", file.display())).into_owned()
}

/// Shows the files of all listeners in the metrics.
pub(super) fn show(generation: &Generation, facts: &TlsFacts) {
    let files = |(listener, tls): (&Listener, &Arc<LiveTls>)| (Box::from(&*listener.name), files(tls));
    facts.show(generation.listeners.with_tls().map(files));
}

fn files(live: &LiveTls) -> ListenerFiles {
    let shown = |file: &Path| file.display().to_string();
    let Some(tls) = live.current() else { return ListenerFiles::default() };
    let certificates = tls.certificates().iter();
    let revocations = tls.revocations().iter();
    ListenerFiles {
        certificates: certificates.map(|it| (shown(&it.file), it.not_after)).collect(),
        revocations: revocations.map(|it| (shown(&it.file), it.next_update)).collect(),
        is_in_effect: true,
    }
}

/// Returns a line for each certificate that has expired, and for each revocation list that is out of date.
pub(super) fn ended(generation: &Generation, now: SystemTime) -> Vec<String> {
    let mut lines = Vec::new();
    for (listener, live) in generation.listeners.with_tls() {
        let Some(tls) = live.current() else { continue };
        let certificates = tls.certificates().iter().map(|it| (&it.file, it.not_after, "has expired"));
        let lists = tls.revocations().iter().map(|it| (&it.file, it.next_update, "is out of date"));
        for (file, _, what) in certificates.chain(lists).filter(|(_, end, _)| *end <= now) {
            let line = format!(
                "tls: listener {:?}: {} {what} (see the log for what to do)",
                listener.name,
                file.display()
            );
            lines.push(plain(&line).into_owned());
        }
    }
    lines
}

/// Returns what an operator must know about the files of all listeners, one line each.
pub(super) fn notes(generation: &Generation, now: SystemTime) -> Vec<String> {
    let mut lines = Vec::new();
    for (listener, live) in generation.listeners.with_tls() {
        let problems = live.current().map(|tls| tls.warnings(now)).unwrap_or_default();
        lines.extend(
            problems.iter().map(|problem| format!("tls: listener {:?}: {}", listener.name, line(problem))),
        );
    }
    lines
}

/// Logs what an operator must know about the files of all listeners although they work.
pub(super) fn warn(generation: &Generation, now: SystemTime) {
    for (listener, live) in generation.listeners.with_tls() {
        for problem in live.current().iter().flat_map(|tls| tls.warnings(now)) {
            tracing::warn!(listener = %listener.name, problem = line(&problem), "a certificate or revocation list needs attention");
        }
    }
}

/// Looks for new versions of the files of all listeners. All files of a listener take effect together, or none.
pub(super) fn look(
    generation: &Generation,
    shared: &Shared,
    mut look: impl FnMut(&str, &mut dyn Group) -> bool,
) {
    let mut has_changed = false;
    for (listener, live) in generation.listeners.with_tls() {
        let mut files = FilesOfListener { live, loaded: None, has_changed: false };
        let is_in_effect = look(&listener.name, &mut files);
        has_changed |= files.has_changed;
        if files.has_changed {
            tracing::info!(listener = %listener.name, "certificates read again");
        }
        shared.metrics.tls.read(&listener.name, is_in_effect);
    }
    if has_changed {
        show(generation, &shared.metrics.tls);
        warn(generation, shared.clock.now());
        shared.tls_changes.send_replace(());
    }
}

/// The files of one listener.
struct FilesOfListener<'l> {
    live: &'l LiveTls,
    loaded: Option<ServerTls>,
    has_changed: bool,
}

impl Group for FilesOfListener<'_> {
    fn files(&self) -> Vec<&Path> {
        self.live.settings().files().collect()
    }

    fn load(&mut self) -> Result<(), Vec<String>> {
        let loaded = load_tls(self.live.settings(), &SystemEnvironment);
        self.loaded = loaded.map_err(|problems| problems.iter().map(line).collect::<Vec<_>>())?;
        Ok(())
    }

    fn apply(&mut self) {
        let current = self.live.current();
        let is_new = |loaded: &ServerTls| current.is_none_or(|current| !current.is_like(loaded));
        if let Some(loaded) = self.loaded.take().filter(is_new) {
            self.live.replace(loaded);
            self.has_changed = true;
        }
    }
}
