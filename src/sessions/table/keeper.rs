//! The keeper of one slot: tasks that mint its session, and that try it when the store denies a request.

use super::budget::MintBudget;
use super::slot::Slot;
use super::verdict::Judge;
use crate::authorize::operations::SessionKind;
use crate::net::wall_clock::WallClock;
use crate::sessions::minting::{Mint, MintError, MintFailure, MintRequest};
use crate::sessions::refresh::{Reason, Retry, Source, is_live};
use crate::sessions::session::{Minted, Session};
use crate::sigv4::amz_date::rfc3339;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// A handle to a slot that is kept filled until the handle is dropped.
#[derive(Debug)]
pub(crate) struct SessionHandle {
    slot: Arc<Slot>,
    /// Ends the keeper when it is dropped.
    _keeper: JoinSet<()>,
}

impl Drop for SessionHandle {
    fn drop(&mut self) {
        self.slot.counts.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl SessionHandle {
    fn new(slot: Arc<Slot>, keeper: JoinSet<()>) -> Arc<Self> {
        slot.counts.open.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self { slot, _keeper: keeper })
    }

    /// Returns a handle to a slot that is never filled, for tests.
    #[cfg(test)]
    pub(crate) fn unfilled() -> Arc<Self> {
        Self::new(Arc::new(Slot::new(false, Arc::default())), JoinSet::new())
    }

    /// Returns the slot.
    pub(crate) fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }
}

/// The task that fills one slot.
#[derive(Debug)]
pub(crate) struct Keeper<M, J> {
    /// The slot.
    pub slot: Arc<Slot>,
    /// The source of sessions.
    pub mint: Arc<M>,
    /// The parameters of each mint.
    pub request: MintRequest,
    /// The kind of the session.
    pub kind: SessionKind,
    /// The region that sessions sign for.
    pub region: Arc<str>,
    /// The clock that expirations refer to.
    pub clock: WallClock,
    /// The budget, shared by all keepers.
    pub budget: Arc<MintBudget>,
    /// The budget for mints while there is no live session, which come before their turn in the shared budget.
    pub missing: Option<Arc<MintBudget>>,
    /// The judge that tries sessions.
    pub judge: J,
    /// Notified when the store denies what the mapping grants, which may be the issuer's fault.
    pub issuer_doubts: Arc<Notify>,
}

impl<M: Mint, J: Judge> Keeper<M, J> {
    /// Keeps the slot filled, on the current runtime, until the handle is dropped.
    pub(crate) fn start(self) -> Arc<SessionHandle> {
        let slot = Arc::clone(&self.slot);
        let mut keeper = JoinSet::new();
        keeper.spawn(self.run_for_ever());
        SessionHandle::new(slot, keeper)
    }

    /// Runs the keeper in a task of its own, and starts it again after a panic. A panic thus ends only one attempt.
    async fn run_for_ever(self) {
        let keeper = Arc::new(self);
        // Aborts the attempt when this future is dropped.
        let mut attempts = JoinSet::new();
        loop {
            let running = Arc::clone(&keeper);
            attempts.spawn(async move {
                tokio::select! {
                    () = running.slot.sessions.keep(&*running, running.clock) => {}
                    () = running.keep_judging() => {}
                }
            });
            let ended = attempts.join_next().await;
            tracing::error!(
                mapping = keeper.request.name,
                session = keeper.kind.name(),
                ?ended,
                "the keeper of a session panicked and is restarted"
            );
            sleep(Duration::from_secs(1)).await;
        }
    }

    fn session(&self, minted: Minted) -> Result<Session, MintError> {
        let now = self.clock.now();
        let expires = minted.expiration;
        let session = Session::new(minted, Arc::clone(&self.region), now)
            .map_err(|_| error(MintFailure::Failed, "STS returned a token that cannot be a header"))?;
        if is_live(expires, now) {
            return Ok(session);
        }
        Err(error(
            MintFailure::Failed,
            "STS returned a session that has expired already: this machine's clock is ahead of the server's",
        ))
    }
}

impl<M: Mint, J: Judge> Source for Keeper<M, J> {
    type Value = Session;
    type Error = MintError;

    fn lifetime(&self) -> Duration {
        self.request.duration
    }

    fn is_proven(&self) -> bool {
        self.slot.counts.minted.load(Ordering::Relaxed) > 0
    }

    async fn turn(&self) {
        if let Some(missing) = &self.missing
            && self.slot.live(self.clock.now()).is_none()
        {
            missing.take().await;
        }
        self.budget.take().await;
    }

    async fn fetch(&self, reason: Reason) -> Result<Session, MintError> {
        let replaces_rejected = matches!(reason, Reason::Rejected);
        // Boxed, because an idle keeper would otherwise hold the memory that a mint needs.
        let minting = Box::pin(self.mint.mint(&self.request, reason));
        let minted = timeout(self.budget.timeout(), minting)
            .await
            .unwrap_or_else(|_| Err(error(MintFailure::Unreachable, "STS did not answer in time")))?;
        let session = self.session(minted)?;
        self.slot.counts.minted.fetch_add(1, Ordering::Relaxed);
        tracing::info!(
            mapping = self.request.name,
            session = self.kind.name(),
            expiration = rfc3339(session.expiration()),
            replaces_rejected,
            "session minted"
        );
        Ok(session)
    }

    fn failed(&self, error: &MintError, retry: Retry) {
        let counts = &self.slot.counts;
        let count = match error.failure {
            MintFailure::Refused => &counts.refused,
            MintFailure::Failed => &counts.failed,
            MintFailure::Unreachable => &counts.unreachable,
        };
        count.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(
            mapping = self.request.name,
            session = self.kind.name(),
            %error,
            help = error.help(),
            attempt = retry.attempt,
            session_live = retry.still_serves,
            retry_in_ms = u64::try_from(retry.pause.as_millis()).unwrap_or(u64::MAX),
            "mint failed"
        );
    }
}

/// Makes an error with Scopegate's own message.
pub(super) fn error(failure: MintFailure, message: &str) -> MintError {
    MintError { failure, code: None, message: message.to_owned(), trouble: None }
}
