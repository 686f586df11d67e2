//! Finding out whether a session that the store denied something still lives.
//!
//! A store checks a signature first and rights later. A session that ends in between is answered as if it lacked a
//! right, so that a denial alone does not say whether another session helps. One try that changes nothing does: the
//! judge makes it, one at a time per mapping, and everybody who was denied something meanwhile learns from it.

use super::{Keeper, Slot};
use crate::mint::Mint;
use crate::nodes::NodeIndex;
use crate::session::Session;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

/// Tries of one mapping begin at least this far apart, however many requests are denied.
const SPACING: Duration = Duration::from_millis(100);
/// The time for one try.
const PATIENCE: Duration = Duration::from_secs(2);
/// While the store denies what a mapping grants, it is tried this often without being asked.
const RECHECK: Duration = Duration::from_secs(5);
/// Denials that go on are told this often.
const QUIET: Duration = Duration::from_mins(1);

/// What a try with a session showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The store does not know the session.
    Dead,
    /// The store denies what the mapping grants, with this code. No client can bring that about.
    Denied(Box<str>),
    /// The session works: a denial is about what was asked for.
    Works,
    /// There was no answer that says it.
    Unknown,
}

/// Something that tries a session.
pub trait Judge: Send + Sync + 'static {
    /// Tries a session at these nodes, of which there is at least one.
    fn judge(&self, session: &Session, nodes: &[NodeIndex]) -> impl Future<Output = Verdict> + Send;
}

/// What is known of denials in a slot.
#[derive(Debug)]
pub(super) struct Denials {
    /// Where requests were denied something since the last try began.
    nodes: Mutex<Vec<NodeIndex>>,
    wake: Notify,
    last: watch::Sender<Option<Judged>>,
    /// The code with which all that the mapping grants is denied.
    denied: Mutex<Option<Box<str>>>,
}

#[derive(Clone, Debug)]
struct Judged {
    session: u64,
    began: Instant,
    verdict: Verdict,
}

/// Held over a few instructions at most.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Denials {
    pub(super) fn new() -> Self {
        let (nodes, wake, last) = (Mutex::default(), Notify::new(), watch::Sender::new(None));
        Self { nodes, wake, last, denied: Mutex::default() }
    }

    fn take_nodes(&self) -> Vec<NodeIndex> {
        std::mem::take(&mut *lock(&self.nodes))
    }

    /// The try of a session that began no earlier than `since`, once it is over.
    async fn wait_for(&self, session: u64, since: Instant) -> Verdict {
        let mut last = self.last.subscribe();
        // One try may be under way, and the next is the one.
        let end = since + SPACING + 2 * PATIENCE;
        loop {
            if let Some(judged) = &*last.borrow_and_update()
                && judged.began >= since
            {
                return if judged.session == session { judged.verdict.clone() } else { Verdict::Dead };
            }
            if !matches!(timeout_at(end, last.changed()).await, Ok(Ok(()))) {
                return Verdict::Unknown;
            }
        }
    }
}

impl Slot {
    /// Notes that a node denied something that the mapping grants, and has its session tried.
    pub fn doubt(&self, node: NodeIndex) {
        let mut nodes = lock(&self.denials.nodes);
        if !nodes.contains(&node) {
            nodes.push(node);
        }
        drop(nodes);
        self.denials.wake.notify_one();
    }

    /// [`Self::doubt`], and what a try of the session `id` shows that begins after this.
    pub async fn judge(&self, id: u64, node: NodeIndex) -> Verdict {
        if self.sessions.has_replaced(id) {
            return Verdict::Dead;
        }
        let since = Instant::now();
        self.doubt(node);
        self.denials.wait_for(id, since).await
    }

    /// The code with which the store denies all that the mapping grants, as far as is known.
    pub fn denial(&self) -> Option<Box<str>> {
        lock(&self.denials.denied).clone()
    }
}

impl<M: Mint, J: Judge> Keeper<M, J> {
    /// Tries the session whenever it is doubted, and again and again while it is denied, for as long as it is polled.
    pub(super) async fn keep_judging(&self) {
        let denials = &self.slot.denials;
        let mut log = Told::default();
        loop {
            let is_denied = self.slot.denial().is_some();
            tokio::select! {
                () = denials.wake.notified() => {}
                () = sleep(RECHECK), if is_denied => {}
            }
            let asked = denials.take_nodes();
            let began = Instant::now();
            let Some(session) = self.slot.sessions.unrejected() else {
                // The keeper reports a missing session. Requests that wait need another one.
                *lock(&denials.denied) = None;
                self.conclude(Judged { session: 0, began, verdict: Verdict::Unknown });
                continue;
            };
            let nodes = if asked.is_empty() { vec![NodeIndex(0)] } else { asked.clone() };
            // Boxed: an idle keeper would otherwise hold the room that a try needs.
            let trying = Box::pin(self.judge.judge(&session, &nodes));
            let verdict = timeout(PATIENCE, trying).await.unwrap_or(Verdict::Unknown);
            log.tell(&self.request.name, &verdict, is_denied, !asked.is_empty());
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

/// What the log was told of a mapping's denials.
#[derive(Debug, Default)]
struct Told {
    at: Option<Instant>,
}

impl Told {
    /// Tells of a verdict: at once where it changes something, else now and then. Clients bring about the rest.
    fn tell(&mut self, mapping: &str, verdict: &Verdict, was_denied: bool, asked: bool) {
        let is_new = matches!(verdict, Verdict::Denied(_)) && !was_denied;
        let is_due = self.at.is_none_or(|at| at.elapsed() >= QUIET);
        match verdict {
            Verdict::Denied(code) if is_new || is_due => {
                let help = help(code);
                tracing::warn!(mapping, code, help, "the store denies what the mapping grants");
                self.at = Some(Instant::now());
            }
            Verdict::Works if was_denied => {
                tracing::info!(mapping, "the store allows again what the mapping grants");
                self.at = None;
            }
            Verdict::Works if asked && is_due => {
                let help = "the issuer's own policy may allow only a part of the mapping's scopes: \
                    see what `scopegate check --live` says of each";
                tracing::warn!(mapping, help, "the store denied a request that the mapping grants");
                self.at = Some(Instant::now());
            }
            _ => {}
        }
    }
}

/// What an operator can do about a code.
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
