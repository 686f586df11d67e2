//! The keys of one issuer in memory: read again in the background, and used without a lock.
//!
//! `Refreshed`, which keeps sessions, does not fit. A session is replaced because it ends, and its plan derives from
//! its lifetime. Keys have no lifetime: they are read again at their origin's pace, also when a token names an
//! unknown one, and serve for a day after the last success.

use super::key_set::KeySet;
use super::origin::Read;
use super::settings::{JwtSettings, KeyOrigin};
use super::shown;
use crate::authenticate::failure::{Cause, Failure};
use crate::net::wall_clock::WallClock;
use arc_swap::ArcSwapOption;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

/// The time for which a request waits for keys.
const WAIT: Duration = Duration::from_secs(2);
/// The first pause after a failed attempt.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The keys of an issuer, and the task that reads them again. The task ends when this is dropped.
#[derive(Debug)]
pub(super) struct Keys {
    state: Arc<State>,
    _keeper: JoinSet<()>,
}

#[derive(Debug)]
pub(super) struct State {
    issuer: Box<str>,
    name: Box<str>,
    origin: KeyOrigin,
    max_stale: Duration,
    held: ArcSwapOption<Held>,
    /// Whether another configuration has taken effect, in which these keys verify nothing.
    has_ended: AtomicBool,
    progress: watch::Sender<Progress>,
    wanted: Notify,
    counts: Arc<Counts>,
}

/// A set of keys as it was at one time.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// The keys.
    pub(super) set: KeySet,
    /// The time at which they were the issuer's.
    as_of: SystemTime,
}

/// The attempts to read keys.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// The attempts that succeeded.
    pub(super) ok: AtomicU64,
    /// The attempts that failed.
    pub(super) failed: AtomicU64,
}

/// The state of reading.
#[derive(Clone, Debug, Default)]
struct Progress {
    /// The number of finished attempts.
    finished: u64,
    /// The beginning of the last attempt.
    began: Option<Instant>,
    /// Whether that attempt has not finished.
    is_running: bool,
    /// The error of the last finished attempt.
    error: Option<Arc<str>>,
}

impl Keys {
    /// Starts reading the keys of an issuer, on the current runtime. Until that succeeds, the keys of `old` are used,
    /// as keys of their own: what they verified before does not count any more.
    pub(super) fn start(settings: &JwtSettings, old: Option<&Self>, clock: WallClock) -> Self {
        let held = old
            .and_then(|old| old.state.held.load_full())
            .map(|held| Arc::new(Held { set: held.set.clone().with_own_sources(), as_of: held.as_of }));
        let state = Arc::new(State {
            issuer: settings.issuer.clone(),
            name: settings.name.clone(),
            origin: settings.keys.clone(),
            max_stale: settings.max_stale,
            held: ArcSwapOption::new(held),
            has_ended: AtomicBool::new(false),
            progress: watch::Sender::default(),
            wanted: Notify::new(),
            counts: old.map(|old| Arc::clone(&old.state.counts)).unwrap_or_default(),
        });
        let mut keeper = JoinSet::new();
        if let KeyOrigin::Secret(secret) = &state.origin {
            let set = KeySet::of_secret(secret.reveal().as_bytes());
            state.held.store(Some(Arc::new(Held { set, as_of: clock.now() })));
        } else {
            keeper.spawn(Arc::clone(&state).keep(clock));
        }
        Self { state, _keeper: keeper }
    }

    /// Returns the state that requests read.
    pub(super) fn state(&self) -> &State {
        &self.state
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.state.end();
    }
}

impl State {
    /// Ends what the keys have verified.
    pub(super) fn end(&self) {
        // Requests of the configuration before keep the task alive, and it may read further keys.
        self.has_ended.store(true, Ordering::SeqCst);
        if let Some(held) = &*self.held.load() {
            held.set.end();
        }
    }

    /// Returns the attempts to read the keys.
    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Returns the error of the last attempt, if it failed.
    pub(super) fn error(&self) -> Option<Arc<str>> {
        self.progress.borrow().error.clone()
    }

    /// Returns the age of the keys, if there are any. A secret has none.
    pub(super) fn age(&self, now: SystemTime) -> Option<Duration> {
        let held = self.held.load();
        let aging = held.as_ref().filter(|_| !matches!(self.origin, KeyOrigin::Secret(_)));
        aging.map(|held| held.age(now))
    }

    /// Returns whether tokens can be verified.
    pub(super) fn is_usable(&self, now: SystemTime) -> bool {
        self.held.load().as_ref().is_some_and(|held| self.is_fresh(held, now))
    }

    /// Returns the time until which the present keys are used if they cannot be read again. A secret has none.
    pub(super) fn held_until(&self) -> Option<SystemTime> {
        self.held.load().as_ref().and_then(|held| self.usable_until(held))
    }

    /// Returns the time until which keys are used if they cannot be read again.
    pub(super) fn usable_until(&self, held: &Held) -> Option<SystemTime> {
        match self.origin {
            KeyOrigin::Secret(_) => None,
            _ => held.as_of.checked_add(self.max_stale),
        }
    }

    fn is_fresh(&self, held: &Held, now: SystemTime) -> bool {
        matches!(self.origin, KeyOrigin::Secret(_)) || held.age(now) <= self.max_stale
    }

    /// Returns the keys. Waits for the first ones.
    ///
    /// # Errors
    /// When no keys were read yet, or they are too old.
    pub(super) async fn obtain(&self, now: SystemTime) -> Result<Arc<Held>, Failure> {
        match self.held.load_full() {
            Some(held) if self.is_fresh(&held, now) => Ok(held),
            Some(held) => Err(self.unavailable(&format!(
                "the keys are {} s old, which is more than max_stale",
                held.age(now).as_secs()
            ))),
            None => {
                let mut progress = self.progress.subscribe();
                let first = progress.wait_for(|progress| progress.finished > 0);
                let _ = timeout_at(Instant::now() + WAIT, first).await;
                self.held.load_full().ok_or_else(|| self.unavailable("there are no keys yet"))
            }
        }
    }

    /// Returns newer keys than `held`, which lack the key of a token: has them read again, unless that was done just
    /// now. `unknown` is the failure if the newest keys lack it.
    ///
    /// # Errors
    /// With `unknown` if these are the newest keys, and otherwise that the keys cannot be read: then nobody knows
    /// whether the token is valid.
    pub(super) async fn newer(&self, held: &Arc<Held>, unknown: Failure) -> Result<Arc<Held>, Failure> {
        let mut progress = self.progress.subscribe();
        let before = progress.borrow_and_update().clone();
        let is_recent = before.began.is_some_and(|began| began.elapsed() < self.origin.unknown_key_pace());
        if !before.is_running && is_recent {
            return self.replaced(held).ok_or(match before.error {
                None => unknown,
                Some(_) => self.undecided(&unknown),
            });
        }
        self.wanted.notify_one();
        let finished = progress.wait_for(|progress| progress.finished > before.finished);
        let error = match timeout_at(Instant::now() + WAIT, finished).await {
            Ok(Ok(progress)) => progress.error.clone(),
            _ => return Err(self.undecided(&unknown)),
        };
        match self.replaced(held) {
            Some(newer) => Ok(newer),
            None if error.is_some() => Err(self.undecided(&unknown)),
            None => Err(unknown),
        }
    }

    fn replaced(&self, held: &Arc<Held>) -> Option<Arc<Held>> {
        self.held.load_full().filter(|current| !Arc::ptr_eq(current, held))
    }

    fn undecided(&self, unknown: &Failure) -> Failure {
        self.unavailable(&unknown.detail)
    }

    fn unavailable(&self, what: &str) -> Failure {
        let detail = match self.error() {
            Some(error) => format!("issuer {}: {what}, and they cannot be read: {error}", shown(&self.name)),
            None => format!("issuer {}: {what}, and they are being read", shown(&self.name)),
        };
        Failure::unavailable(Cause::KeysUnavailable, detail).retry_after(FIRST_PAUSE.as_secs())
    }
}

impl Held {
    fn age(&self, now: SystemTime) -> Duration {
        now.duration_since(self.as_of).unwrap_or_default()
    }
}

/// The part of the task that reads.
impl State {
    async fn keep(self: Arc<Self>, clock: WallClock) {
        let mut pause = FIRST_PAUSE;
        let mut skipped = Vec::new();
        loop {
            let (began, as_of) = (Instant::now(), clock.now());
            self.progress.send_modify(|progress| {
                progress.began = Some(began);
                progress.is_running = true;
            });
            let read = self.origin.read(&self.issuer).await;
            let next = match read {
                Ok(Read { set, again_after }) => {
                    pause = FIRST_PAUSE;
                    self.log_skipped(&set, &mut skipped);
                    self.replace(set, as_of);
                    again_after
                }
                Err(error) => {
                    self.fail(&error);
                    let next = pause.mul_f64(0.75 + 0.25 * fastrand::f64());
                    pause = (pause * 2).min(self.origin.max_pause());
                    next
                }
            };
            self.rest(began, next).await;
        }
    }

    /// Waits for `pause`, or until an unknown key may be looked for.
    async fn rest(&self, began: Instant, pause: Duration) {
        let unknown = async {
            self.wanted.notified().await;
            sleep_until(began + self.origin.unknown_key_pace()).await;
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = unknown => {}
        }
    }

    fn replace(&self, set: KeySet, as_of: SystemTime) {
        let old = self.held.load_full();
        let set = match &old {
            Some(old) => set.succeeding(&old.set),
            None => set,
        };
        self.held.store(Some(Arc::new(Held { set, as_of })));
        if self.has_ended.load(Ordering::SeqCst) {
            self.end();
        }
        self.counts.ok.fetch_add(1, Ordering::Relaxed);
        let failed_before = self.finish(None);
        if old.is_none() || failed_before {
            let keys = self.held.load().as_ref().map_or(0, |held| held.set.len());
            tracing::info!(issuer = %self.name, keys, "the keys of an issuer were read");
        }
    }

    fn fail(&self, error: &str) {
        self.counts.failed.fetch_add(1, Ordering::Relaxed);
        if !self.finish(Some(error.into())) {
            let still_serves = self.held.load().is_some();
            tracing::warn!(issuer = %self.name, error, still_serves, "the keys of an issuer cannot be read");
        }
    }

    /// Notes the end of an attempt. Returns whether the one before had failed.
    fn finish(&self, error: Option<Arc<str>>) -> bool {
        let mut failed_before = false;
        self.progress.send_modify(|progress| {
            failed_before = progress.error.is_some();
            progress.finished += 1;
            progress.is_running = false;
            progress.error = error;
        });
        failed_before
    }

    /// Logs the keys that are not usable, once for each set of them.
    fn log_skipped(&self, set: &KeySet, before: &mut Vec<String>) {
        let skipped = set.skipped();
        if !skipped.is_empty() && skipped != *before {
            tracing::warn!(issuer = %self.name, keys = skipped.join("; "), "keys of an issuer are not usable");
        }
        *before = skipped;
    }
}
