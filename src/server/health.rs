//! Readiness: not draining, at least one node responds, and the needed sessions are live.

use super::mistakes;
use super::probe::Prober;
use super::tls_files;
use crate::authenticate::jwt::IssuerStatus;
use crate::authenticate::verifiers::Verifiers;
use crate::authorize::operations::SessionKind;
use crate::net::terminal::plain;
use crate::proxy::generation::Shared;
use crate::s3::error as s3_error;
use crate::sessions::table::Sessions;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

/// The time for which the nodes' state is reused, however often `/readyz` is requested.
const REUSED_FOR: Duration = Duration::from_secs(1);

/// Determines the response to `/readyz`.
#[derive(Debug)]
pub(super) struct Readiness {
    shared: Arc<Shared>,
    prober: Arc<Prober>,
    stopping: watch::Receiver<bool>,
    last: Mutex<Option<(Instant, bool)>>,
}

impl Readiness {
    pub(super) fn new(
        shared: Arc<Shared>,
        prober: Arc<Prober>,
        stopping: watch::Receiver<bool>,
    ) -> Arc<Self> {
        Arc::new(Self { shared, prober, stopping, last: Mutex::new(None) })
    }

    /// Returns the prober of the nodes.
    pub(super) fn prober(&self) -> &Prober {
        &self.prober
    }

    /// Returns the state that the threads share, such as the counts for `/metrics`.
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Returns the reasons why the proxy is not ready, one line each. Empty if it is ready.
    pub(super) async fn obstacles(&self) -> Vec<String> {
        let mut obstacles = Vec::new();
        if *self.stopping.borrow() {
            obstacles.push("draining: the server is shutting down".to_owned());
        }
        if !self.upstream_answers().await {
            let trouble = self.prober.trouble();
            obstacles.push(trouble.map_or_else(
                || "upstream: no node answers (see the log for why)".to_owned(),
                |trouble| format!("upstream: no node answers: {trouble}"),
            ));
        }
        let now = self.shared.clock.now();
        let generation = self.shared.generation.load_full();
        let mut without = 0;
        for site in generation.sites.iter() {
            let sessions = SessionStates::of(&site.sessions, now);
            without += usize::from(!sessions.all_live);
            obstacles.extend(sessions.obstacle(&site.mapping.name));
        }
        // Live sessions remain usable even if STS rejects the issuer.
        if without > 0 && self.shared.metrics.issuer.is_refused() {
            obstacles.push("issuer: STS refuses its key (see the log for why)".to_owned());
        }
        obstacles.extend(tls_files::ended(&generation, now));
        obstacles
    }

    /// Returns a line for each JWT issuer whose keys are not there or cannot be read again, for each problem of a
    /// certificate, and for each mistake in a file whose version before stays in effect.
    ///
    /// They do not make the proxy unready: requests are served. Every replica asks the same issuer, so a failure there would
    /// take all of them from the clients that need no token.
    pub(super) fn notes(&self) -> Vec<String> {
        let generation = self.shared.generation.load();
        let issuers = generation.authenticator.verifiers().map(Verifiers::issuers);
        let now = self.shared.clock.now();
        let statuses = issuers.into_iter().flat_map(|issuers| issuers.statuses(now));
        let note = |status: IssuerStatus| {
            let name = status.name;
            let age = status.age.map_or("it has no keys yet".to_owned(), |age| {
                format!("its keys are {} s old", age.as_secs())
            });
            let effect = if status.is_usable { "" } else { ", so its tokens are answered with 503" };
            match status.error {
                Some(error) => Some(format!("jwt: issuer {name:?}: {age}{effect}: {}", plain(&error))),
                None if !status.is_usable => Some(format!("jwt: issuer {name:?}: {age}{effect}")),
                None => None,
            }
        };
        let of_certificates = tls_files::notes(&generation, now);
        statuses
            .filter_map(note)
            .chain(of_certificates)
            .chain(mistakes::notes(&self.shared.metrics))
            .collect()
    }

    async fn upstream_answers(&self) -> bool {
        let mut last = self.last.lock().await;
        if let Some((when, answers)) = *last
            && when.elapsed() < REUSED_FOR
        {
            return answers;
        }
        let answers = self.prober.any_answers().await;
        *last = Some((Instant::now(), answers));
        answers
    }
}

/// What readiness takes from the open sessions of a mapping. Those for lists of multipart uploads do not count: without
/// them only these lists fail.
#[derive(Debug, Default)]
struct SessionStates {
    /// Whether there is a session, and all are live.
    all_live: bool,
    /// A session that is needed and not live.
    missing: Option<SessionKind>,
    /// The code with which the store denies everything to a session.
    denial: Option<Box<str>>,
    /// Whether the store is not known to deny everything to a session that could show it.
    any_allowed: bool,
}

impl SessionStates {
    fn of(sessions: &Sessions, now: SystemTime) -> Self {
        let mut states = Self::default();
        let mut opened = sessions.opened().filter(|(kind, _)| *kind != SessionKind::Uploads).peekable();
        states.all_live = opened.peek().is_some();
        for (kind, slot) in opened {
            states.all_live &= slot.live(now).is_some();
            if !slot.is_ready(now) {
                states.missing.get_or_insert(kind);
            }
            states.add_denial(kind, slot.denial());
        }
        states
    }

    /// Adds whether the store denies everything to a session of this kind.
    fn add_denial(&mut self, kind: SessionKind, denial: Option<Box<str>>) {
        match denial {
            Some(code) => _ = self.denial.get_or_insert(code),
            // No request shows a denial of deletes without deleting something.
            None => self.any_allowed |= kind != SessionKind::Delete,
        }
    }

    /// Returns what keeps a mapping of this name from being served.
    fn obstacle(&self, name: &str) -> Option<String> {
        if let Some(kind) = self.missing {
            return Some(format!(
                "session: mapping {name:?} has no live session {kind} (see the log for why)"
            ));
        }
        // A part of what a mapping grants may be more than the issuer may do. The other part is served.
        let code = self.denial.as_deref().filter(|_| !self.any_allowed)?;
        let code = s3_error::shown_code(code);
        Some(format!("store: mapping {name:?} is denied what it grants: {code} (see the log for what to do)"))
    }
}

#[cfg(test)]
mod tests;
