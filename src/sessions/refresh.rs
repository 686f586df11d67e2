//! Refreshing values in the background: the plan for one value. Pure, with time as an argument.
//!
//! Sessions are such values. [`value`] holds one and carries out its plan.

mod past;
mod value;

use std::time::{Duration, SystemTime};

pub(crate) use past::Past;
pub(crate) use value::{Entry, Perishable, Reason, Refreshed, Retry, Source, Unavailable};

/// The end of a value's life during which it is not used any more, since it must still be valid when the server
/// checks it.
pub(crate) const LAST_MOMENTS: Duration = Duration::from_secs(2);
/// The least time between two fetches of one value.
pub(crate) const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// The longest pause between fetches while they fail or while new values are rejected.
pub(crate) const MAX_BACKOFF: Duration = Duration::from_secs(30);
/// The longest sleep while there is a live value. A jump of the wall clock is noticed within this time.
pub(crate) const MAX_NAP: Duration = Duration::from_secs(30);
/// The age below which a rejected value may have been rejected for a reason that a new one does not cure. Fetches
/// then back off.
const YOUNG: Duration = Duration::from_mins(1);

/// A session is refreshed after this share of its life, plus up to [`REFRESH_JITTER`] of it.
const REFRESH_AFTER: f64 = 0.6;
/// The width of the window, as a share of a session's life, over which refreshes are spread.
const REFRESH_JITTER: f64 = 0.2;

/// Returns how many mints a second it takes, on average, to keep `sessions` sessions of this `lifetime` refreshed.
///
/// A budget below this lets sessions end before their refresh has its turn. Rates of sessions with different lifetimes
/// add up.
pub(crate) fn mints_per_second_needed(sessions: usize, lifetime: Duration) -> f64 {
    let sessions = f64::from(u32::try_from(sessions).unwrap_or(u32::MAX));
    let mean_refresh = REFRESH_AFTER + REFRESH_JITTER / 2.0;
    sessions / (lifetime.as_secs_f64() * mean_refresh)
}

/// Returns whether a value that ends at `expires` can be used at `now`.
pub(crate) fn is_live(expires: SystemTime, now: SystemTime) -> bool {
    now.checked_add(LAST_MOMENTS).is_some_and(|soon| soon < expires)
}

/// A point in time on two clocks: the wall clock, which expirations refer to and which may jump, and a monotonic one,
/// on which pauses are measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// The wall clock.
    pub wall: SystemTime,
    /// The monotonic clock: the time since a fixed start.
    pub mono: Duration,
}

/// The facts about a value that its plan does not track.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Facts {
    /// Whether a reader waits for a value.
    pub wanted: bool,
    /// The current value, live or not.
    pub held: Held,
}

/// The state of the current value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Held {
    /// There is no value.
    #[default]
    Nothing,
    /// No reader has used the value.
    Unused,
    /// A reader has used the value.
    Used,
    /// The value was fetched under another plan and is used until the first fetch of this one succeeds.
    Inherited,
    /// The value was rejected.
    Rejected,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Fetch now.
    Fetch,
    /// Look again after this time, or when a reader asks.
    Sleep(Duration),
    /// Do nothing until a reader asks.
    Rest,
}

/// A plan that decides when one value is fetched, refreshed and given up.
#[derive(Debug)]
pub(crate) struct Plan {
    eager: bool,
    lifetime: Duration,
    lease: Option<Lease>,
    /// The number of consecutive failed fetches.
    failures: u32,
    /// The number of consecutive values that were rejected young.
    strikes: u32,
    not_before: Duration,
}

/// The life of the last value fetched.
#[derive(Clone, Copy, Debug)]
struct Lease {
    expires: SystemTime,
    fetched: Duration,
    refresh_wall: SystemTime,
    refresh_mono: Duration,
}

impl Plan {
    /// Makes a plan without a value. With `eager`, it fetches before a reader asks, and refreshes unused values too.
    /// `lifetime` is the requested lifetime of values.
    pub(crate) fn new(eager: bool, lifetime: Duration) -> Self {
        Self { eager, lifetime, lease: None, failures: 0, strikes: 0, not_before: Duration::ZERO }
    }

    /// Returns what to do at `now`.
    pub(crate) fn step(&self, now: Now, facts: Facts) -> Step {
        let usable = matches!(facts.held, Held::Unused | Held::Used);
        let live = self.lease.filter(|lease| usable && is_live(lease.expires, now.wall));
        let due = match live {
            None => self.eager || facts.wanted || facts.held == Held::Inherited,
            Some(lease) => {
                (self.eager || facts.held == Held::Used)
                    && (now.wall >= lease.refresh_wall || now.mono >= lease.refresh_mono)
            }
        };
        if due {
            return match self.not_before.checked_sub(now.mono) {
                None | Some(Duration::ZERO) => Step::Fetch,
                Some(pause) => Step::Sleep(pause),
            };
        }
        match live {
            None => Step::Rest,
            Some(lease) => Step::Sleep(nap(now, lease)),
        }
    }

    /// Records a successful fetch. `jitter`, from 0 to 1, spreads the refreshes of many values and proxies.
    /// `replaces_rejected` says whether the previous value was rejected.
    pub(crate) fn fetched(&mut self, now: Now, expires: SystemTime, jitter: f64, replaces_rejected: bool) {
        let died_young = replaces_rejected
            && self.lease.is_some_and(|lease| now.mono.saturating_sub(lease.fetched) < YOUNG);
        self.strikes = if died_young { self.strikes.saturating_add(1) } else { 0 };
        self.failures = 0;
        self.not_before = now.mono + backoff(self.strikes);
        // A wall clock that is behind would make the life look longer than it is.
        let life = expires.duration_since(now.wall).unwrap_or_default().min(self.lifetime);
        let refresh = life.mul_f64(REFRESH_AFTER + REFRESH_JITTER * jitter.clamp(0.0, 1.0));
        self.lease = Some(Lease {
            expires,
            fetched: now.mono,
            refresh_wall: now.wall + refresh,
            refresh_mono: now.mono + refresh,
        });
    }

    /// Records a failed fetch. Returns the pause before the next one.
    pub(crate) fn failed(&mut self, now: Now, jitter: f64) -> Duration {
        let pause = backoff(self.failures).mul_f64(0.75 + 0.25 * jitter.clamp(0.0, 1.0));
        self.failures = self.failures.saturating_add(1);
        // While the current value lives, attempts become more frequent towards its end.
        let left = self.lease.and_then(|lease| lease.expires.duration_since(now.wall).ok());
        let pause = left.map_or(pause, |left| pause.min((left / 4).max(MIN_INTERVAL)));
        self.not_before = now.mono + pause;
        pause
    }

    /// Returns the time from which on a value that is in use is fetched again.
    pub(crate) fn refresh_at(&self) -> Option<SystemTime> {
        self.lease.map(|lease| lease.refresh_wall)
    }

    /// Returns the number of consecutive failures.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }
}

fn backoff(failures: u32) -> Duration {
    MIN_INTERVAL.saturating_mul(2_u32.saturating_pow(failures)).min(MAX_BACKOFF)
}

/// Returns the sleep until the refresh, cut short so that a jump of the wall clock is noticed.
fn nap(now: Now, lease: Lease) -> Duration {
    let wall = lease.refresh_wall.duration_since(now.wall).unwrap_or_default();
    let mono = lease.refresh_mono.saturating_sub(now.mono);
    // Past the refresh point, an unused value waits for its end or its first reader, who does not wake the task.
    let nap = if wall.is_zero() || mono.is_zero() { MAX_NAP } else { wall.min(mono) };
    nap.clamp(Duration::from_millis(1), MAX_NAP)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_mins(15);
    const START: SystemTime = SystemTime::UNIX_EPOCH;

    fn at(seconds: u64) -> Now {
        let since = Duration::from_secs(seconds);
        Now { wall: START + Duration::from_secs(1_000_000) + since, mono: since }
    }

    fn leased(eager: bool) -> Plan {
        let mut plan = Plan::new(eager, LIFE);
        plan.fetched(at(0), at(900).wall, 0.5, false);
        plan
    }

    const UNUSED: Facts = Facts { wanted: false, held: Held::Unused };
    const USED: Facts = Facts { wanted: false, held: Held::Used };
    const WANTED: Facts = Facts { wanted: true, held: Held::Nothing };

    #[test]
    fn a_value_is_not_used_in_its_last_moments() {
        assert!(is_live(at(900).wall, at(897).wall));
        assert!(!is_live(at(900).wall, at(898).wall));
    }

    #[test]
    fn a_lazy_session_waits_for_a_request() {
        assert_eq!(Plan::new(false, LIFE).step(at(0), Facts::default()), Step::Rest);
        assert_eq!(Plan::new(false, LIFE).step(at(0), WANTED), Step::Fetch);
        assert_eq!(Plan::new(true, LIFE).step(at(0), Facts::default()), Step::Fetch);
    }

    #[test]
    fn used_sessions_are_refreshed_and_unused_ones_end() {
        let plan = leased(false);
        assert_eq!(plan.step(at(629), USED), Step::Sleep(Duration::from_secs(1)));
        assert_eq!(plan.step(at(630), USED), Step::Fetch);
        assert_eq!(plan.step(at(630), UNUSED), Step::Sleep(MAX_NAP));
        assert_eq!(plan.step(at(899), UNUSED), Step::Rest);
        assert_eq!(leased(true).step(at(630), UNUSED), Step::Fetch);
    }

    #[test]
    fn a_dropped_session_is_replaced_whatever_the_clock_says() {
        assert_eq!(leased(false).step(at(10), WANTED), Step::Fetch);
    }

    #[test]
    fn an_inherited_session_is_replaced_until_a_mint_succeeds() {
        let mut plan = Plan::new(false, LIFE);
        let inherited = Facts { wanted: false, held: Held::Inherited };
        assert_eq!(plan.step(at(0), inherited), Step::Fetch);
        plan.failed(at(0), 1.0);
        assert_eq!(plan.step(at(0), inherited), Step::Sleep(Duration::from_secs(1)));
        assert_eq!(plan.step(at(1), inherited), Step::Fetch);
        plan.fetched(at(1), at(901).wall, 0.5, false);
        assert_eq!(plan.step(at(100), USED), Step::Sleep(MAX_NAP));
    }

    #[test]
    fn jitter_spreads_refreshes() {
        for (jitter, due) in [(0.0, 540), (0.999, 719)] {
            let mut plan = Plan::new(false, LIFE);
            plan.fetched(at(0), at(900).wall, jitter, false);
            assert_ne!(plan.step(at(due - 1), USED), Step::Fetch);
            assert_eq!(plan.step(at(due + 1), USED), Step::Fetch);
        }
    }

    #[test]
    fn ten_thousand_sessions_need_sixteen_mints_a_second() {
        let needed = mints_per_second_needed(10_000, LIFE);
        assert!((15.8..16.0).contains(&needed), "{needed}");
        assert!((mints_per_second_needed(10_000, 2 * LIFE) - needed / 2.0).abs() < 1e-9);
        assert!(mints_per_second_needed(0, LIFE).abs() < f64::EPSILON);
    }

    #[test]
    fn a_wall_clock_set_back_does_not_delay_the_refresh() {
        let back = Now { wall: at(0).wall - Duration::from_hours(1), mono: at(630).mono };
        assert_eq!(leased(false).step(back, USED), Step::Fetch);
    }

    #[test]
    fn a_clock_that_is_behind_does_not_delay_the_refresh() {
        let behind =
            |seconds| Now { wall: at(seconds).wall - Duration::from_hours(24), mono: at(seconds).mono };
        let mut plan = Plan::new(false, LIFE);
        plan.fetched(behind(0), at(900).wall, 0.5, false);
        assert_eq!(plan.step(behind(630), USED), Step::Fetch);
    }

    #[test]
    fn retries_back_off_and_grow_denser_towards_the_end() {
        let mut plan = leased(false);
        let pauses: Vec<u64> = (0..8).map(|_| plan.failed(at(630), 1.0).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(plan.failed(at(880), 1.0), Duration::from_secs(5));
        assert_eq!(plan.step(at(884), USED), Step::Sleep(Duration::from_secs(1)));
        assert_eq!(plan.step(at(885), USED), Step::Fetch);
    }

    #[test]
    fn rejected_sessions_are_replaced_with_backoff() {
        let mut plan = leased(false);
        let rejected = Facts { wanted: true, held: Held::Rejected };
        assert_eq!(plan.step(at(100), rejected), Step::Fetch);
        plan.fetched(at(100), at(1000).wall, 0.5, true);
        assert_eq!(plan.step(at(100), rejected), Step::Sleep(Duration::from_secs(1)));
        plan.fetched(at(101), at(1001).wall, 0.5, true);
        assert_eq!(plan.step(at(101), rejected), Step::Sleep(Duration::from_secs(2)));
        plan.fetched(at(103), at(1003).wall, 0.5, true);
        assert_eq!(plan.step(at(103), rejected), Step::Sleep(Duration::from_secs(4)));
    }
}
