//! A value that is refreshed in the background. Readers share the last good one without a lock, and a single task
//! fetches the next.
//!
//! Fetches are single flight: however many readers wait, one fetch runs, and a reader that goes away cancels nothing.

use super::past::Past;
use super::{Facts, Held, Now, Plan, Step, is_live};
use crate::net::wall_clock::WallClock;
use arc_swap::ArcSwapOption;
use std::future::Future;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout_at};

/// The number of consecutive failures (about seven seconds) after which readers fail at once instead of waiting for
/// the next fetch.
const TRANSIENT_FAILURES: u32 = 3;

/// A value that expires.
pub(crate) trait Perishable: Send + Sync + 'static {
    /// Returns when the value ends.
    fn expires(&self) -> SystemTime;
}

/// A source of values.
pub(crate) trait Source: Send + Sync {
    /// The type of the value.
    type Value: Perishable;
    /// The error of a failed fetch.
    type Error: Send + Sync + 'static;

    /// Returns the lifetime to request for values. The source may decide otherwise.
    fn lifetime(&self) -> Duration;

    /// Returns whether a fetch has ever succeeded. If so, readers wait out the first failures.
    fn is_proven(&self) -> bool;

    /// Waits until a fetch may begin.
    fn turn(&self) -> impl Future<Output = ()> + Send;

    /// Fetches a live value.
    fn fetch(&self, reason: Reason) -> impl Future<Output = Result<Self::Value, Self::Error>> + Send;

    /// Reports a failed fetch.
    fn failed(&self, error: &Self::Error, retry: Retry);
}

/// The reason a value is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// There is no usable value.
    Missing,
    /// The current value expires soon, or was inherited.
    Due,
    /// The current value was rejected. The source must not return it again.
    Rejected,
}

/// The consequences of a failed fetch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retry {
    /// The number of consecutive failures so far.
    pub attempt: u32,
    /// The pause before the next fetch.
    pub pause: Duration,
    /// Whether the last good value is still usable.
    pub still_serves: bool,
}

/// A value as readers hold it.
#[derive(Debug)]
pub(crate) struct Entry<T> {
    id: u64,
    used: AtomicBool,
    value: T,
}

impl<T> Entry<T> {
    /// Returns the number of the fetch that returned the value. Later fetches have greater numbers.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Records that a reader uses the value. Unused values are not refreshed.
    fn mark_used(&self) {
        // Read first: a store by every reader would move the cache line from core to core.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }
}

impl<T> Deref for Entry<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// The state of fetching.
#[derive(Debug)]
enum Health<E> {
    /// Nothing was fetched yet, or the last fetch succeeded.
    Ok,
    /// The last fetch failed.
    Failing(Failing<E>),
}

#[derive(Debug)]
struct Failing<E> {
    error: Arc<E>,
    retry_at: Instant,
    /// Whether the source has worked before and only just began to fail, so that readers wait for the next fetch.
    transient: bool,
}

// A derived impl would require errors to be `Clone`.
impl<E> Clone for Health<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Ok => Self::Ok,
            Self::Failing(failing) => Self::Failing(failing.clone()),
        }
    }
}

impl<E> Clone for Failing<E> {
    fn clone(&self) -> Self {
        Self { error: Arc::clone(&self.error), ..*self }
    }
}

/// The error of a reader that gets no value.
#[derive(Debug)]
pub(crate) struct Unavailable<E> {
    /// The error of the last fetch, for the log.
    pub cause: Option<Arc<E>>,
    /// The time after which another attempt makes sense.
    pub retry_after: Duration,
}

/// A value that [`Refreshed::keep`] keeps fresh.
#[derive(Debug)]
pub(crate) struct Refreshed<T, E> {
    eager: bool,
    current: ArcSwapOption<Entry<T>>,
    /// Entries up to this id were inherited from another `Refreshed`. They are used until the first fetch succeeds.
    inherited: u64,
    last_id: AtomicU64,
    /// Entries up to this id are not used any more.
    rejected: AtomicU64,
    /// Whether a reader waits for a value.
    wanted: AtomicBool,
    wake: Notify,
    health: watch::Sender<Health<E>>,
    past: Mutex<Past<E>>,
}

impl<T: Perishable, E: Send + Sync + 'static> Refreshed<T, E> {
    /// Makes an empty one. With `eager`, the value is fetched before a reader asks and refreshed even if unused.
    pub(crate) fn new(eager: bool) -> Self {
        Self {
            eager,
            current: ArcSwapOption::empty(),
            inherited: 0,
            last_id: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            wanted: AtomicBool::new(false),
            wake: Notify::new(),
            health: watch::Sender::new(Health::Ok),
            past: Mutex::default(),
        }
    }

    /// Uses the value of `old`, if it is live, until the first fetch succeeds.
    #[must_use]
    pub(crate) fn inheriting(self, old: &Self, now: SystemTime) -> Self {
        let Some(entry) = old.live(now) else { return self };
        let inherited = entry.id;
        self.last_id.store(inherited, Ordering::Release);
        self.current.store(Some(entry));
        Self { inherited, ..self }
    }

    /// Returns whether an inherited value is in use.
    pub(crate) fn is_inheriting(&self) -> bool {
        self.current.load().as_ref().is_some_and(|entry| entry.id <= self.inherited)
    }

    /// Returns the value if it can be used at `now`.
    pub(crate) fn live(&self, now: SystemTime) -> Option<Arc<Entry<T>>> {
        let entry = self.current.load_full()?;
        (is_live(entry.expires(), now) && !self.is_rejected(entry.id)).then_some(entry)
    }

    /// Returns the value. Waits for a fetch if there is no usable value.
    ///
    /// # Errors
    /// At once while the source keeps failing, otherwise after `wait`.
    pub(crate) async fn obtain(
        &self,
        clock: WallClock,
        wait: Duration,
    ) -> Result<Arc<Entry<T>>, Unavailable<E>> {
        if let Some(entry) = self.live(clock.now()) {
            entry.mark_used();
            return Ok(entry);
        }
        // Boxed to keep the futures of requests small, since few requests wait here.
        Box::pin(self.wait_for_fetch(clock, wait)).await
    }

    async fn wait_for_fetch(
        &self,
        clock: WallClock,
        wait: Duration,
    ) -> Result<Arc<Entry<T>>, Unavailable<E>> {
        let deadline = Instant::now() + wait;
        let mut health = self.health.subscribe();
        let mut cause = None;
        loop {
            // Read before the value: a change after this line wakes us.
            let seen = health.borrow_and_update().clone();
            if let Some(entry) = self.live(clock.now()) {
                entry.mark_used();
                return Ok(entry);
            }
            if let Health::Failing(failing) = seen {
                let retry_after = failing.retry_at.saturating_duration_since(Instant::now());
                cause = Some(failing.error);
                if !retry_after.is_zero() && !failing.transient {
                    return Err(Unavailable { cause, retry_after });
                }
            }
            self.wanted.store(true, Ordering::Release);
            self.wake.notify_one();
            if timeout_at(deadline, health.changed()).await.is_err() {
                return Err(Unavailable { cause, retry_after: Duration::from_secs(1) });
            }
        }
    }

    /// Stops using the value `id` and all before it.
    pub(crate) fn reject(&self, id: u64) {
        self.rejected.fetch_max(id, Ordering::AcqRel);
        self.wake.notify_one();
    }

    /// Returns whether readers can be served: the value is live, or none was needed so far.
    pub(crate) fn is_ready(&self, now: SystemTime) -> bool {
        self.live(now).is_some() || (!self.eager && !matches!(*self.health.borrow(), Health::Failing(..)))
    }

    /// Returns when the current value ends.
    pub(crate) fn expires(&self) -> Option<SystemTime> {
        self.current.load().as_ref().map(|entry| entry.expires())
    }

    /// Returns the last events.
    pub(crate) fn past(&self) -> Past<E> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, change: impl FnOnce(&mut Past<E>)) {
        change(&mut self.past.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Returns the current value, live or not, unless it was rejected.
    pub(crate) fn unrejected(&self) -> Option<Arc<Entry<T>>> {
        self.current.load_full().filter(|entry| !self.is_rejected(entry.id))
    }

    /// Returns whether readers no longer get the value `id`: it was rejected, or there is a newer one.
    pub(crate) fn has_replaced(&self, id: u64) -> bool {
        self.current.load().as_ref().is_some_and(|entry| entry.id > id) || self.is_rejected(id)
    }

    fn is_rejected(&self, id: u64) -> bool {
        id <= self.rejected.load(Ordering::Acquire)
    }

    fn facts(&self, now: SystemTime) -> Facts {
        let held = match self.current.load().as_deref() {
            None => Held::Nothing,
            Some(entry) if self.is_rejected(entry.id) => Held::Rejected,
            Some(entry) if entry.id <= self.inherited && is_live(entry.expires(), now) => Held::Inherited,
            Some(entry) if entry.is_used() => Held::Used,
            Some(_) => Held::Unused,
        };
        Facts { wanted: self.wanted.load(Ordering::Acquire), held }
    }
}

/// The part of the task that fetches.
impl<T: Perishable, E: Send + Sync + 'static> Refreshed<T, E> {
    /// Fetches from `source` whenever the plan says so, for as long as this is polled. Without a live value and without
    /// readers it sleeps until a reader asks: an idle value costs no timer.
    pub(crate) async fn keep<S: Source<Value = T, Error = E>>(&self, source: &S, clock: WallClock) {
        let mut plan = Plan::new(self.eager, source.lifetime());
        let start = Instant::now();
        let now = || Now { wall: clock.now(), mono: start.elapsed() };
        loop {
            let at = now();
            match plan.step(at, self.facts(at.wall)) {
                Step::Fetch => {
                    source.turn().await;
                    self.fetch(source, &mut plan, now).await;
                }
                Step::Sleep(pause) => tokio::select! {
                    () = sleep(pause) => {}
                    () = self.wake.notified() => {}
                },
                Step::Rest => {
                    self.drop_expired(at.wall);
                    self.wake.notified().await;
                }
            }
        }
    }

    async fn fetch<S: Source<Value = T, Error = E>>(
        &self,
        source: &S,
        plan: &mut Plan,
        now: impl Fn() -> Now,
    ) {
        let wall = now().wall;
        let current = self.current.load_full();
        let reason = match (current.as_deref(), self.facts(wall).held) {
            (Some(_), Held::Rejected) => Reason::Rejected,
            (Some(entry), _) if is_live(entry.expires(), wall) => Reason::Due,
            _ => Reason::Missing,
        };
        let replaces_rejected = matches!(reason, Reason::Rejected);
        self.wanted.store(false, Ordering::Release);
        match source.fetch(reason).await {
            Ok(value) => {
                plan.fetched(now(), value.expires(), fastrand::f64(), replaces_rejected);
                let id = self.last_id.fetch_add(1, Ordering::AcqRel) + 1;
                self.current.store(Some(Arc::new(Entry { id, used: AtomicBool::new(false), value })));
                self.note(|past| (past.fetched, past.refresh) = (Some(now().wall), plan.refresh_at()));
                self.health.send_replace(Health::Ok);
            }
            Err(error) => {
                let at = now();
                let pause = plan.failed(at, fastrand::f64());
                let (attempt, still_serves) = (plan.failures(), self.live(at.wall).is_some());
                source.failed(&error, Retry { attempt, pause, still_serves });
                let transient = attempt <= TRANSIENT_FAILURES && source.is_proven();
                let retry_at = Instant::now() + pause;
                let error = Arc::new(error);
                self.note(|past| past.failed = Some((at.wall, Arc::clone(&error))));
                let failing = Failing { error, retry_at, transient };
                self.health.send_replace(Health::Failing(failing));
            }
        }
    }

    /// Drops an expired value, so that credentials do not outlive their use in memory.
    fn drop_expired(&self, now: SystemTime) {
        if self.current.load().as_ref().is_some_and(|entry| !is_live(entry.expires(), now)) {
            self.current.store(None);
        }
    }
}

#[cfg(test)]
mod tests;
