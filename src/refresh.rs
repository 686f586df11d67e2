//! When to mint: the plan of one mapping's session, pure, with time as an argument.

use crate::session::LAST_MOMENTS;
use std::time::{Duration, SystemTime};

/// Mints of one mapping are at least this far apart, whatever happens.
pub const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// The longest pause between attempts while STS fails, or while sessions die young.
pub const MAX_BACKOFF: Duration = Duration::from_secs(30);
/// The longest sleep: a wall clock that jumps is noticed this late at most.
pub const MAX_NAP: Duration = Duration::from_secs(30);
/// A session that is rejected younger than this died of something a mint may not cure.
const YOUNG: Duration = Duration::from_mins(1);

/// A session is refreshed after this share of its life, plus up to [`REFRESH_JITTER`] of it.
const REFRESH_AFTER: f64 = 0.6;
/// The width of the window, as a share of a session's life, over which refreshes are spread.
const REFRESH_JITTER: f64 = 0.2;

/// Returns how many mints a second it takes, on average, to keep `sessions` sessions of this `lifetime` refreshed.
///
/// A budget below this lets sessions end before their refresh has its turn. Rates of sessions with different lifetimes
/// add up.
pub fn mints_per_second_needed(sessions: usize, lifetime: Duration) -> f64 {
    let sessions = f64::from(u32::try_from(sessions).unwrap_or(u32::MAX));
    let mean_refresh = REFRESH_AFTER + REFRESH_JITTER / 2.0;
    sessions / (lifetime.as_secs_f64() * mean_refresh)
}

/// A point in time on both clocks: the wall's, which expirations are told in and which may jump, and a monotonic
/// one (time since some start), which pauses are measured on.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The wall clock.
    pub wall: SystemTime,
    /// The monotonic clock.
    pub mono: Duration,
}

/// What the plan cannot know by itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    /// A request waits for a session.
    pub wanted: bool,
    /// The session there is, dead or alive.
    pub held: Held,
}

/// What is known of the session there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Held {
    /// There is none.
    #[default]
    Nothing,
    /// No request has used it.
    Unused,
    /// A request has used it.
    Used,
    /// It was minted for another plan, and serves until this one has its own.
    Inherited,
    /// The store has rejected it.
    Rejected,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Mint now.
    Mint,
    /// Look again after this long, or when a request asks.
    Sleep(Duration),
    /// Nothing to do until a request asks.
    Rest,
}

/// When one mapping's session is minted, refreshed and given up.
#[derive(Debug)]
pub struct Plan {
    always: bool,
    asked: Duration,
    lease: Option<Lease>,
    failures: u32,
    strikes: u32,
    not_before: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    expires: SystemTime,
    minted: Duration,
    refresh_wall: SystemTime,
    refresh_mono: Duration,
}

impl Plan {
    /// A plan without a session yet; `always` mints without being asked and refreshes unused sessions too. `asked` is
    /// the life that sessions are asked for.
    pub fn new(always: bool, asked: Duration) -> Self {
        Self { always, asked, lease: None, failures: 0, strikes: 0, not_before: Duration::ZERO }
    }

    /// What to do at `now`.
    pub fn step(&self, now: Now, facts: Facts) -> Step {
        let usable = matches!(facts.held, Held::Unused | Held::Used);
        let live = self.lease.filter(|lease| usable && now.wall + LAST_MOMENTS < lease.expires);
        let due = match live {
            None => self.always || facts.wanted || facts.held == Held::Inherited,
            Some(lease) => {
                (self.always || facts.held == Held::Used)
                    && (now.wall >= lease.refresh_wall || now.mono >= lease.refresh_mono)
            }
        };
        if due {
            return match self.not_before.checked_sub(now.mono) {
                None | Some(Duration::ZERO) => Step::Mint,
                Some(pause) => Step::Sleep(pause),
            };
        }
        match live {
            None => Step::Rest,
            Some(lease) => Step::Sleep(nap(now, lease)),
        }
    }

    /// A mint succeeded. `jitter` in 0..1 spreads the refreshes of many proxies and mappings. `replaces_rejected`
    /// tells that the session before was rejected by the store.
    pub fn minted(&mut self, now: Now, expires: SystemTime, jitter: f64, replaces_rejected: bool) {
        let died_young = replaces_rejected
            && self.lease.is_some_and(|lease| now.mono.saturating_sub(lease.minted) < YOUNG);
        self.strikes = if died_young { self.strikes.saturating_add(1) } else { 0 };
        self.failures = 0;
        self.not_before = now.mono + backoff(self.strikes);
        // A clock that is behind would see a longer life than there is.
        let life = expires.duration_since(now.wall).unwrap_or_default().min(self.asked);
        let refresh = life.mul_f64(REFRESH_AFTER + REFRESH_JITTER * jitter.clamp(0.0, 1.0));
        self.lease = Some(Lease {
            expires,
            minted: now.mono,
            refresh_wall: now.wall + refresh,
            refresh_mono: now.mono + refresh,
        });
    }

    /// A mint failed. Returns how long to pause before the next.
    pub fn failed(&mut self, now: Now, jitter: f64) -> Duration {
        let pause = backoff(self.failures).mul_f64(0.75 + 0.25 * jitter.clamp(0.0, 1.0));
        self.failures = self.failures.saturating_add(1);
        // While there is a session to save, attempts grow denser towards its end.
        let left = self.lease.and_then(|lease| lease.expires.duration_since(now.wall).ok());
        let pause = left.map_or(pause, |left| pause.min((left / 4).max(MIN_INTERVAL)));
        self.not_before = now.mono + pause;
        pause
    }

    /// Consecutive failures so far.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

fn backoff(failures: u32) -> Duration {
    MIN_INTERVAL.saturating_mul(2_u32.saturating_pow(failures)).min(MAX_BACKOFF)
}

/// Until the refresh, though not longer than it takes to notice that the wall clock jumped.
fn nap(now: Now, lease: Lease) -> Duration {
    let wall = lease.refresh_wall.duration_since(now.wall).unwrap_or_default();
    let mono = lease.refresh_mono.saturating_sub(now.mono);
    // Past the refresh, an unused session waits for its end or for its first user.
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

    fn leased(always: bool) -> Plan {
        let mut plan = Plan::new(always, LIFE);
        plan.minted(at(0), at(900).wall, 0.5, false);
        plan
    }

    const UNUSED: Facts = Facts { wanted: false, held: Held::Unused };
    const USED: Facts = Facts { wanted: false, held: Held::Used };
    const WANTED: Facts = Facts { wanted: true, held: Held::Nothing };

    #[test]
    fn lazy_waits_for_a_request() {
        assert_eq!(Plan::new(false, LIFE).step(at(0), Facts::default()), Step::Rest);
        assert_eq!(Plan::new(false, LIFE).step(at(0), WANTED), Step::Mint);
        assert_eq!(Plan::new(true, LIFE).step(at(0), Facts::default()), Step::Mint);
    }

    #[test]
    fn a_used_session_is_refreshed_ahead_and_an_unused_one_left_to_end() {
        let plan = leased(false);
        assert_eq!(plan.step(at(629), USED), Step::Sleep(Duration::from_secs(1)));
        assert_eq!(plan.step(at(630), USED), Step::Mint);
        assert_eq!(plan.step(at(630), UNUSED), Step::Sleep(MAX_NAP));
        assert_eq!(plan.step(at(899), UNUSED), Step::Rest);
        assert_eq!(leased(true).step(at(630), UNUSED), Step::Mint);
    }

    #[test]
    fn a_session_that_was_dropped_is_minted_anew_whatever_the_clock_says() {
        assert_eq!(leased(false).step(at(10), WANTED), Step::Mint);
    }

    #[test]
    fn an_inherited_session_is_replaced_at_once_and_however_long_it_takes() {
        let mut plan = Plan::new(false, LIFE);
        let inherited = Facts { wanted: false, held: Held::Inherited };
        assert_eq!(plan.step(at(0), inherited), Step::Mint);
        plan.failed(at(0), 1.0);
        assert_eq!(plan.step(at(0), inherited), Step::Sleep(Duration::from_secs(1)));
        assert_eq!(plan.step(at(1), inherited), Step::Mint);
        plan.minted(at(1), at(901).wall, 0.5, false);
        assert_eq!(plan.step(at(100), USED), Step::Sleep(MAX_NAP));
    }

    #[test]
    fn jitter_spreads_refreshes() {
        for (jitter, due) in [(0.0, 540), (0.999, 719)] {
            let mut plan = Plan::new(false, LIFE);
            plan.minted(at(0), at(900).wall, jitter, false);
            assert_ne!(plan.step(at(due - 1), USED), Step::Mint);
            assert_eq!(plan.step(at(due + 1), USED), Step::Mint);
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
    fn a_wall_clock_set_back_does_not_put_off_the_refresh() {
        let back = Now { wall: at(0).wall - Duration::from_hours(1), mono: at(630).mono };
        assert_eq!(leased(false).step(back, USED), Step::Mint);
    }

    #[test]
    fn a_clock_that_is_behind_does_not_put_off_the_refresh() {
        let behind =
            |seconds| Now { wall: at(seconds).wall - Duration::from_hours(24), mono: at(seconds).mono };
        let mut plan = Plan::new(false, LIFE);
        plan.minted(behind(0), at(900).wall, 0.5, false);
        assert_eq!(plan.step(behind(630), USED), Step::Mint);
    }

    #[test]
    fn failures_back_off_and_grow_denser_towards_the_end() {
        let mut plan = leased(false);
        let pauses: Vec<u64> = (0..8).map(|_| plan.failed(at(630), 1.0).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(plan.failed(at(880), 1.0), Duration::from_secs(5));
        assert_eq!(plan.step(at(884), USED), Step::Sleep(Duration::from_secs(1)));
        assert_eq!(plan.step(at(885), USED), Step::Mint);
    }

    #[test]
    fn a_rejected_session_is_replaced_once_and_then_ever_more_slowly() {
        let mut plan = leased(false);
        let rejected = Facts { wanted: true, held: Held::Rejected };
        assert_eq!(plan.step(at(100), rejected), Step::Mint);
        plan.minted(at(100), at(1000).wall, 0.5, true);
        assert_eq!(plan.step(at(100), rejected), Step::Sleep(Duration::from_secs(1)));
        plan.minted(at(101), at(1001).wall, 0.5, true);
        assert_eq!(plan.step(at(101), rejected), Step::Sleep(Duration::from_secs(2)));
        plan.minted(at(103), at(1003).wall, 0.5, true);
        assert_eq!(plan.step(at(103), rejected), Step::Sleep(Duration::from_secs(4)));
    }
}
