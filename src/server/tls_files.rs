//! The files of TLS while the server runs, of listeners and towards the store and STS: their state for the metrics, their
//! warnings for the log, and new versions of them.

use super::file_group::{Group, Owner};
use crate::config::{Listener, SystemEnvironment, load_tls};
use crate::net::connect::FollowedTls;
use crate::net::terminal::plain;
use crate::net::tls_files::read_tls_file;
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

/// Returns whether a configuration names any file of TLS.
pub(super) fn exist(generation: &Generation) -> bool {
    generation.listeners.with_tls().next().is_some() || sections(generation).next().is_some()
}

/// Returns TLS towards servers that is made of files, by the section that configures it.
fn sections(generation: &Generation) -> impl Iterator<Item = (&'static str, &FollowedTls)> {
    generation.client_tls().filter(|(_, tls)| tls.files().next().is_some())
}

/// Shows the files of all listeners in the metrics, and the certificates for the store and STS.
pub(super) fn show(generation: &Generation, facts: &TlsFacts) {
    let files = |(listener, tls): (&Listener, &Arc<LiveTls>)| (Box::from(&*listener.name), files(tls));
    let certificate = |(section, tls): (&'static str, &FollowedTls)| {
        let tls = tls.current().ok()?;
        let certificate = tls.certificate()?;
        Some((section, (certificate.file.display().to_string(), certificate.not_after)))
    };
    let certificates = sections(generation).filter_map(certificate);
    facts.show(generation.listeners.with_tls().map(files), certificates);
}

fn files(live: &LiveTls) -> ListenerFiles {
    let shown = |file: &Path| file.display().to_string();
    let Some(tls) = live.current() else { return ListenerFiles::default() };
    let certificates = tls.certificates().iter();
    let revocations = tls.revocations().iter();
    ListenerFiles {
        certificates: certificates.map(|it| (shown(&it.file), it.not_after)).collect(),
        revocations: revocations.map(|it| (shown(&it.file), it.next_update)).collect(),
        mistakes: Vec::new(),
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

/// Returns what an operator must know about files of TLS although they work, with what configures each.
fn warnings(generation: &Generation, now: SystemTime) -> impl Iterator<Item = (Owner, String)> {
    let of_listener = move |(listener, live): (&Listener, &Arc<LiveTls>)| {
        let problems = live.current().map(|tls| tls.warnings(now)).unwrap_or_default();
        let owner = Owner::Listener(Box::from(&*listener.name));
        problems.into_iter().map(move |problem| (owner.clone(), line(&problem)))
    };
    let of_section = move |(section, tls): (&'static str, &FollowedTls)| {
        Some((Owner::Section(section), line(&tls.warning(now)?)))
    };
    generation.listeners.with_tls().flat_map(of_listener).chain(sections(generation).filter_map(of_section))
}

/// Returns what an operator must know about files of TLS although they work, one line each.
pub(super) fn notes(generation: &Generation, now: SystemTime) -> Vec<String> {
    let shown = |(owner, problem)| match owner {
        Owner::Listener(name) => format!("tls: listener {name:?}: {problem}"),
        Owner::Section(name) => format!("tls: {name}: {problem}"),
    };
    warnings(generation, now).map(shown).collect()
}

/// Logs what an operator must know about files of TLS although they work.
pub(super) fn warn(generation: &Generation, now: SystemTime) {
    for (owner, problem) in warnings(generation, now) {
        let (listener, section) = owner.names();
        tracing::warn!(listener, section, problem, "a certificate or revocation list needs attention");
    }
}

/// Looks for new versions of all files. Those of a listener, and those of a section, take effect together or not at all.
/// `look` returns what is wrong with them.
pub(super) fn look(
    generation: &Generation,
    shared: &Shared,
    mut look: impl FnMut(&Owner, &mut dyn Group) -> Vec<String>,
) {
    let (mut listeners_have_changed, mut sections_have_changed) = (false, false);
    for (listener, live) in generation.listeners.with_tls() {
        let load = || load_tls(live.settings(), &SystemEnvironment);
        let replace = |loaded: ServerTls| {
            let is_new = live.current().is_none_or(|current| !current.is_like(&loaded));
            if is_new {
                live.replace(loaded);
            }
            is_new
        };
        let paths = live.settings().files().collect();
        let mut files = Files { paths, load, replace, loaded: None, have_changed: false };
        let mistakes = look(&Owner::Listener(Box::from(&*listener.name)), &mut files);
        shared.metrics.tls.read(&listener.name, mistakes);
        listeners_have_changed |= files.have_changed;
    }
    for (section, tls) in sections(generation) {
        let load = || tls.read_again(&read_tls_file).map(Some);
        let (paths, replace) = (tls.files().collect(), |next| tls.replace(next));
        let mut files = Files { paths, load, replace, loaded: None, have_changed: false };
        let mistakes = look(&Owner::Section(section), &mut files);
        shared.metrics.credentials.read(section, mistakes);
        sections_have_changed |= files.have_changed;
    }
    if listeners_have_changed || sections_have_changed {
        show(generation, &shared.metrics.tls);
        warn(generation, shared.clock.now());
    }
    if listeners_have_changed {
        shared.tls_changes.send_replace(());
    }
}

/// The files of one listener or section.
struct Files<'f, T, L, R> {
    paths: Vec<&'f Path>,
    /// Loads the files. Returns `None` where they are not read.
    load: L,
    /// Puts what was loaded into effect. Returns whether it differs from what was.
    replace: R,
    loaded: Option<T>,
    have_changed: bool,
}

impl<T, L, R> Group for Files<'_, T, L, R>
where
    L: Fn() -> Result<Option<T>, Vec<Problem>>,
    R: Fn(T) -> bool,
{
    fn files(&self) -> Vec<&Path> {
        self.paths.clone()
    }

    fn load(&mut self) -> Result<(), Vec<String>> {
        let loaded = (self.load)();
        self.loaded = loaded.map_err(|problems| problems.iter().map(line).collect::<Vec<_>>())?;
        Ok(())
    }

    fn apply(&mut self) -> bool {
        self.have_changed = self.loaded.take().is_some_and(&self.replace);
        self.have_changed
    }
}
