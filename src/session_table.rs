//! The session table: one slot for each session of a mapping, read without a lock, and the keeper that fills it.
//!
//! One keeper task per slot mints, so there is never more than one mint for a slot at a time, and a client that goes
//! away takes nothing with it. A second task tries the session when the store denies what it should allow.

mod kinds;
mod verdict;

use crate::mint::{Mint, MintError, MintFailure, MintRequest};
use crate::operation::SessionKind;
use crate::refresh::{Facts, Held, Now, Plan, Step};
use crate::session::{Minted, Session};
use arc_swap::ArcSwapOption;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use tokio::sync::{Mutex, Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use verdict::Denials;

pub use kinds::Sessions;
pub use verdict::{Judge, Verdict};

/// The wall clock, replaceable in tests.
#[derive(Clone, Copy, Debug)]
pub struct Clock(fn() -> SystemTime);

impl Clock {
    /// The machine's.
    pub const SYSTEM: Self = Self(SystemTime::now);

    /// One that asks `now`.
    pub const fn new(now: fn() -> SystemTime) -> Self {
        Self(now)
    }

    /// The time.
    pub fn now(self) -> SystemTime {
        (self.0)()
    }
}

/// The failures in a row (about seven seconds of them) after which requests do not wait for the next attempt any more.
const PASSING_FAILURES: u32 = 3;

/// How a slot stands with STS.
#[derive(Clone, Debug)]
enum Standing {
    /// Nothing was tried, or the last mint succeeded.
    Calm,
    /// The last mint failed.
    Failed(Failure),
}

#[derive(Clone, Debug)]
struct Failure {
    cause: Arc<MintError>,
    /// The next mint is not before then.
    until: Instant,
    /// STS has minted before and fails since a moment ago: it is worth waiting for.
    passing: bool,
}

/// Counts of a slot: its mints by result, and denials.
#[derive(Debug, Default)]
pub struct MintCounts {
    /// Mints that returned a session.
    pub minted: AtomicU64,
    /// Mints that STS refused.
    pub refused: AtomicU64,
    /// Mints that failed at STS.
    pub failed: AtomicU64,
    /// Mints that did not reach STS.
    pub unreachable: AtomicU64,
    /// Answers that deny what the mapping grants.
    pub denials: AtomicU64,
}

/// A session's place in the table.
#[derive(Debug)]
pub struct Slot {
    needed_always: bool,
    current: ArcSwapOption<Session>,
    /// Sessions up to this id are another slot's, which serve until there is one of its own.
    inherited: u64,
    /// Sessions minted so far; the last one's id.
    last_id: AtomicU64,
    rejected: AtomicU64,
    wanted: AtomicBool,
    wake: Notify,
    standing: watch::Sender<Standing>,
    counts: Arc<MintCounts>,
    denials: Denials,
}

/// Why there is no session for a request.
#[derive(Clone, Debug)]
pub struct Unavailable {
    /// What went wrong, for the log: a client is not told about the issuer.
    pub cause: Option<Arc<MintError>>,
    /// When it is worth trying again.
    pub retry_after: Duration,
}

impl Slot {
    /// An empty slot; `needed_always` for a mapping whose session is minted at start. Its mints are added to `counts`.
    pub fn new(needed_always: bool, counts: Arc<MintCounts>) -> Self {
        Self {
            needed_always,
            current: ArcSwapOption::empty(),
            inherited: 0,
            last_id: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            wanted: AtomicBool::new(false),
            wake: Notify::new(),
            standing: watch::Sender::new(Standing::Calm),
            counts,
            denials: Denials::new(),
        }
    }

    /// A slot that serves with the session of `old`, if that is alive, until it has minted one of its own. The session
    /// must be for the same policy and the same store.
    #[must_use]
    pub fn inheriting(self, old: &Self, now: SystemTime) -> Self {
        let Some(session) = old.live(now) else { return self };
        self.last_id.store(session.id(), Ordering::Release);
        let inherited = session.id();
        self.current.store(Some(session));
        Self { inherited, ..self }
    }

    /// Whether it serves with another slot's session.
    pub fn is_inheriting(&self) -> bool {
        self.current.load().as_ref().is_some_and(|session| session.id() <= self.inherited)
    }

    /// The session, if it can be used at `now`.
    pub fn live(&self, now: SystemTime) -> Option<Arc<Session>> {
        let session = self.current.load_full()?;
        let usable = session.is_live(now) && session.id() > self.rejected.load(Ordering::Acquire);
        usable.then_some(session)
    }

    /// The session, minted for the occasion if need be.
    ///
    /// # Errors
    /// When none can be had: at once while STS is known to fail for good, else after `wait`.
    pub async fn obtain(&self, clock: Clock, wait: Duration) -> Result<Arc<Session>, Unavailable> {
        if let Some(session) = self.live(clock.now()) {
            session.mark_used();
            return Ok(session);
        }
        Box::pin(self.obtain_minted(clock, wait)).await
    }

    async fn obtain_minted(&self, clock: Clock, wait: Duration) -> Result<Arc<Session>, Unavailable> {
        let deadline = Instant::now() + wait;
        let mut standing = self.standing.subscribe();
        let mut cause = None;
        loop {
            // Looked at first: what happens from here on wakes us.
            let seen = standing.borrow_and_update().clone();
            if let Some(session) = self.live(clock.now()) {
                session.mark_used();
                return Ok(session);
            }
            if let Standing::Failed(failure) = seen {
                let retry_after = failure.until.saturating_duration_since(Instant::now());
                cause = Some(failure.cause);
                if !retry_after.is_zero() && !failure.passing {
                    return Err(Unavailable { cause, retry_after });
                }
            }
            self.wanted.store(true, Ordering::Release);
            self.wake.notify_one();
            if timeout_at(deadline, standing.changed()).await.is_err() {
                return Err(Unavailable { cause, retry_after: Duration::from_secs(1) });
            }
        }
    }

    /// Notes that the store does not know the session `id` (any more): it is not used again.
    pub fn reject(&self, id: u64) {
        self.rejected.fetch_max(id, Ordering::AcqRel);
        self.wake.notify_one();
    }

    /// Whether requests of this mapping can be served as far as its session goes: it is live, or none was needed.
    pub fn is_ready(&self, now: SystemTime) -> bool {
        self.live(now).is_some()
            || (!self.needed_always && !matches!(*self.standing.borrow(), Standing::Failed(..)))
    }

    /// When the current session ends.
    pub fn expiration(&self) -> Option<SystemTime> {
        self.current.load().as_ref().map(|session| session.expiration())
    }

    /// What was minted so far.
    pub fn counts(&self) -> &MintCounts {
        &self.counts
    }

    /// The session that there is, unless the store has rejected it.
    fn current_unrejected(&self) -> Option<Arc<Session>> {
        let session = self.current.load_full();
        session.filter(|session| session.id() > self.rejected.load(Ordering::Acquire))
    }

    fn facts(&self, now: SystemTime) -> Facts {
        let held = match self.current.load().as_deref() {
            None => Held::Nothing,
            Some(session) if session.id() <= self.rejected.load(Ordering::Acquire) => Held::Rejected,
            Some(session) if session.id() <= self.inherited && session.is_live(now) => Held::Inherited,
            Some(session) if session.is_used() => Held::Used,
            Some(_) => Held::Unused,
        };
        Facts { wanted: self.wanted.load(Ordering::Acquire), held }
    }
}

/// Spaces the mints of all mappings, and bounds each in time.
#[derive(Debug)]
pub struct MintBudget {
    next: Mutex<Instant>,
    per_second: AtomicU32,
    timeout_millis: AtomicU64,
}

impl MintBudget {
    /// At most `per_second` mints a second, none longer than `timeout`.
    pub fn new(per_second: u32, timeout: Duration) -> Self {
        let budget = Self {
            next: Mutex::new(Instant::now()),
            per_second: AtomicU32::default(),
            timeout_millis: AtomicU64::default(),
        };
        budget.set(per_second, timeout);
        budget
    }

    /// Other bounds, for the mints that begin from now on.
    pub fn set(&self, per_second: u32, timeout: Duration) {
        self.per_second.store(per_second.max(1), Ordering::Relaxed);
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.timeout_millis.store(millis, Ordering::Relaxed);
    }

    async fn take(&self) {
        let mut next = self.next.lock().await;
        sleep_until(*next).await;
        *next = Instant::now() + Duration::from_secs(1) / self.per_second.load(Ordering::Relaxed);
    }

    fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_millis.load(Ordering::Relaxed))
    }
}

/// A slot that is kept filled for as long as somebody holds this.
#[derive(Debug)]
pub struct Kept {
    slot: Arc<Slot>,
    /// Ends the keeper when it is dropped.
    _keeper: JoinSet<()>,
}

impl Kept {
    /// The slot.
    pub fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }
}

/// What keeps one slot filled.
#[derive(Debug)]
pub struct Keeper<M, J> {
    /// The slot.
    pub slot: Arc<Slot>,
    /// What mints.
    pub mint: Arc<M>,
    /// What is minted.
    pub request: MintRequest,
    /// The kind of session that it is.
    pub kind: SessionKind,
    /// The region that sessions sign for.
    pub region: Arc<str>,
    /// The wall clock.
    pub clock: Clock,
    /// Shared by all keepers.
    pub budget: Arc<MintBudget>,
    /// What tries sessions.
    pub judge: J,
    /// Told when the store denies what the mapping grants, which may be the issuer's fault.
    pub issuer_doubts: Arc<Notify>,
}

impl<M: Mint, J: Judge> Keeper<M, J> {
    /// Keeps the slot, on the runtime that this is called in, until what is returned is dropped.
    pub fn start(self) -> Arc<Kept> {
        let slot = Arc::clone(&self.slot);
        let mut keeper = JoinSet::new();
        keeper.spawn(self.run_for_ever());
        Arc::new(Kept { slot, _keeper: keeper })
    }

    /// A panic ends one attempt, not the mapping.
    async fn run_for_ever(self) {
        let keeper = Arc::new(self);
        // Ends the attempt that runs together with this.
        let mut attempts = JoinSet::new();
        loop {
            let running = Arc::clone(&keeper);
            attempts.spawn(async move {
                tokio::select! {
                    () = running.run() => {}
                    () = running.keep_judging() => {}
                }
            });
            let ended = attempts.join_next().await;
            tracing::error!(
                mapping = keeper.request.name,
                session = keeper.kind.name(),
                ?ended,
                "the keeper of a session ended, and is started again"
            );
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// Keeps the slot for as long as it is polled.
    async fn run(&self) {
        let mut plan = Plan::new(self.slot.needed_always, self.request.duration);
        let start = Instant::now();
        loop {
            let now = || Now { wall: self.clock.now(), mono: start.elapsed() };
            match plan.step(now(), self.slot.facts(self.clock.now())) {
                Step::Mint => {
                    self.budget.take().await;
                    self.mint_once(&mut plan, now).await;
                }
                Step::Sleep(pause) => tokio::select! {
                    () = sleep(pause) => {}
                    () = self.slot.wake.notified() => {}
                },
                Step::Rest => {
                    self.drop_dead_session();
                    self.slot.wake.notified().await;
                }
            }
        }
    }

    async fn mint_once(&self, plan: &mut Plan, now: impl Fn() -> Now) {
        let rejected = self.slot.facts(self.clock.now()).held == Held::Rejected;
        self.slot.wanted.store(false, Ordering::Release);
        let minted = timeout(self.budget.timeout(), self.mint.mint(&self.request)).await;
        let session = minted
            .unwrap_or_else(|_| Err(error(MintFailure::Unreachable, "STS did not answer in time")))
            .and_then(|minted| self.session(minted));
        match session {
            Ok(session) => {
                let expires = session.expiration();
                plan.minted(now(), expires, fastrand::f64(), rejected);
                self.slot.current.store(Some(Arc::new(session)));
                self.slot.counts.minted.fetch_add(1, Ordering::Relaxed);
                let expiration = crate::amz_date::rfc3339(expires);
                tracing::info!(
                    mapping = self.request.name,
                    session = self.kind.name(),
                    expiration,
                    replaces_rejected = rejected,
                    "session minted"
                );
                self.slot.standing.send_replace(Standing::Calm);
            }
            Err(error) => self.note_failure(plan, error, &now),
        }
    }

    fn note_failure(&self, plan: &mut Plan, error: MintError, now: impl Fn() -> Now) {
        let pause = plan.failed(now(), fastrand::f64());
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
            attempt = plan.failures(),
            session_live = self.slot.live(now().wall).is_some(),
            retry_in_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            "mint failed"
        );
        let passing = plan.failures() <= PASSING_FAILURES && counts.minted.load(Ordering::Relaxed) > 0;
        let failure = Failure { cause: Arc::new(error), until: Instant::now() + pause, passing };
        self.slot.standing.send_replace(Standing::Failed(failure));
    }

    fn session(&self, minted: Minted) -> Result<Session, MintError> {
        let now = self.clock.now();
        let id = self.slot.last_id.fetch_add(1, Ordering::AcqRel) + 1;
        let session = Session::new(id, minted, Arc::clone(&self.region), now)
            .map_err(|_| error(MintFailure::Failed, "STS returned a token that cannot be a header"))?;
        if session.is_live(now) {
            return Ok(session);
        }
        Err(error(
            MintFailure::Failed,
            "STS returned a session that has expired already: this machine's clock is ahead of the server's",
        ))
    }

    /// Credentials that have expired do not stay in memory.
    fn drop_dead_session(&self) {
        let now = self.clock.now();
        if self.slot.current.load().as_ref().is_some_and(|session| !session.is_live(now)) {
            self.slot.current.store(None);
        }
    }
}

fn error(failure: MintFailure, message: &str) -> MintError {
    MintError { failure, code: None, message: message.to_owned(), trouble: None }
}

#[cfg(test)]
mod tests;
