//! Verdicts on sessions after a denied request, and the requests that wait for them.

use crate::net::endpoint::NodeIndex;
use crate::sessions::session::Session;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

/// The minimum time between tries of one session, however many requests are denied.
pub(super) const SPACING: Duration = Duration::from_millis(100);
/// The time that one try may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// The result of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The store does not know the session.
    Dead,
    /// The store denies what the mapping grants, with this code. No client can cause that.
    Denied(Box<str>),
    /// The session works: a denied request asked for something that the session may not do.
    Works,
    /// The responses do not allow a verdict.
    Unknown,
}

/// A judge that tries sessions.
pub(crate) trait Judge: Send + Sync + 'static {
    /// Tries a session at these nodes, one or more.
    fn judge(&self, session: &Session, nodes: &[NodeIndex]) -> impl Future<Output = Verdict> + Send;
}

/// The denials of a slot's session.
#[derive(Debug)]
pub(super) struct Denials {
    /// The nodes that denied a request since the last try began.
    pub(super) nodes: Mutex<Vec<NodeIndex>>,
    pub(super) wake: Notify,
    pub(super) last: watch::Sender<Option<Judged>>,
    /// The code with which the store denies everything that the mapping grants.
    pub(super) denied: Mutex<Option<Box<str>>>,
}

#[derive(Clone, Debug)]
pub(super) struct Judged {
    pub(super) session: u64,
    pub(super) began: Instant,
    pub(super) verdict: Verdict,
}

/// Locks a mutex that is only held over a few instructions.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Denials {
    pub(super) fn new() -> Self {
        let (nodes, wake, last) = (Mutex::default(), Notify::new(), watch::Sender::new(None));
        Self { nodes, wake, last, denied: Mutex::default() }
    }

    pub(super) fn take_nodes(&self) -> Vec<NodeIndex> {
        std::mem::take(&mut *lock(&self.nodes))
    }

    /// Waits for a try that began no earlier than `since`. Returns its verdict on `session`.
    pub(super) async fn wait_for(&self, session: u64, since: Instant) -> Verdict {
        let mut last = self.last.subscribe();
        // A try may be running already, and only the next one counts.
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
