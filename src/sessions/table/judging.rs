//! Judging: finds out whether a session is still alive after the store denied a request.
//!
//! A store checks the signature first and the rights later. A session that ends in between looks as if it lacked a
//! right. So a denial alone does not say whether a new session would help, but a try with a request that changes
//! nothing does. The judge tries a session once at a time, and all requests that were denied before a try began share
//! its verdict.

use super::keeper::Keeper;
use super::slot::Slot;
use super::verdict::{Judge, Judged, PATIENCE, SPACING, Verdict, lock};
use crate::net::endpoint::NodeIndex;
use crate::sessions::minting::Mint;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// The interval of tries without denied requests, while the store denies what the mapping grants.
const RECHECK: Duration = Duration::from_secs(5);
/// The interval at which continuing denials are logged.
const QUIET: Duration = Duration::from_mins(1);

impl Slot {
    /// Records that a node denied a request that the mapping grants, and starts a try.
    pub(crate) fn doubt(&self, node: NodeIndex) {
        let mut nodes = lock(&self.denials.nodes);
        if !nodes.contains(&node) {
            nodes.push(node);
        }
        drop(nodes);
        self.denials.wake.notify_one();
    }

    /// Starts a try like [`Self::doubt`], and returns the verdict on the session `id`.
    pub(crate) async fn judge(&self, id: u64, node: NodeIndex) -> Verdict {
        if self.sessions.has_replaced(id) {
            return Verdict::Dead;
        }
        let since = Instant::now();
        self.doubt(node);
        self.denials.wait_for(id, since).await
    }

    /// Returns the code with which the store denies everything that the mapping grants, if the last try showed that.
    pub(crate) fn denial(&self) -> Option<Box<str>> {
        lock(&self.denials.denied).clone()
    }
}

impl<M: Mint, J: Judge> Keeper<M, J> {
    /// Tries the session when it is doubted, and regularly while the store denies it, for as long as this is polled.
    pub(super) async fn keep_judging(&self) {
        let denials = &self.slot.denials;
        let mut denial_log = DenialLog::default();
        loop {
            let is_denied = self.slot.denial().is_some();
            tokio::select! {
                () = denials.wake.notified() => {}
                () = sleep(RECHECK), if is_denied => {}
            }
            let asked = denials.take_nodes();
            let began = Instant::now();
            let Some(session) = self.slot.sessions.unrejected() else {
                // There is no session to try, and the waiting requests need a new one.
                *lock(&denials.denied) = None;
                self.conclude(Judged { session: 0, began, verdict: Verdict::Unknown });
                continue;
            };
            let nodes = if asked.is_empty() { vec![NodeIndex(0)] } else { asked.clone() };
            // Boxed, because an idle keeper would otherwise hold the memory that a try needs.
            let trying = Box::pin(self.judge.judge(&session, &nodes));
            let verdict = timeout(PATIENCE, trying).await.unwrap_or(Verdict::Unknown);
            denial_log.log((&self.request.name, self.kind.name()), &verdict, is_denied, !asked.is_empty());
            self.conclude(Judged { session: session.id(), began, verdict });
            sleep_until(began + SPACING).await;
        }
    }

    fn conclude(&self, judged: Judged) {
        let denials = &self.slot.denials;
        match &judged.verdict {
            Verdict::Dead => {
                *lock(&denials.denied) = None;
                self.slot.reject(judged.session);
            }
            Verdict::Denied(code) => {
                *lock(&denials.denied) = Some(code.clone());
                self.issuer_doubts.notify_one();
            }
            Verdict::Works => *lock(&denials.denied) = None,
            Verdict::Unknown => {}
        }
        denials.last.send_replace(Some(judged));
    }
}

/// Limits how often a mapping's denials are logged, because clients can cause them.
#[derive(Debug, Default)]
struct DenialLog {
    at: Option<Instant>,
}

impl DenialLog {
    /// Logs a verdict: at once if it is new, otherwise at intervals.
    fn log(&mut self, (mapping, session): (&str, &str), verdict: &Verdict, was_denied: bool, asked: bool) {
        let is_new = matches!(verdict, Verdict::Denied(_)) && !was_denied;
        let is_due = self.at.is_none_or(|at| at.elapsed() >= QUIET);
        match verdict {
            Verdict::Denied(code) if is_new || is_due => {
                let help = help(code);
                tracing::warn!(mapping, session, code, help, "the store denies what the mapping grants");
                self.at = Some(Instant::now());
            }
            Verdict::Works if was_denied => {
                tracing::info!(mapping, session, "the store allows again what the mapping grants");
                self.at = None;
            }
            Verdict::Works if asked && is_due => {
                let help = "the issuer's own policy may allow only a part of the mapping's scopes: \
                    see what `scopegate check --live` says of each";
                tracing::warn!(mapping, session, help, "the store denied a request that the mapping grants");
                self.at = Some(Instant::now());
            }
            _ => {}
        }
    }
}

/// Returns what an operator can do about a denial with this code.
fn help(code: &str) -> &'static str {
    match code {
        "RequestTimeTooSkewed" => {
            "this machine's clock and the store's differ by more than 15 minutes: set the clock (NTP)"
        }
        "AuthorizationHeaderMalformed" => "the region differs from the store's: correct upstream.region",
        "SignatureDoesNotMatch" => {
            "the store got another request than was signed: see whether a proxy in between changes requests"
        }
        _ => {
            "the issuer is disabled or removed, or its own policy does not allow this: see \
             `mc admin user info ALIAS USER` and `scopegate check --live`"
        }
    }
}

#[cfg(test)]
mod tests;
