//! Simulations of hours of sessions. tokio's clock is paused and advances with each sleep. The wall clock follows it,
//! and jumps where a test says so. The store judges sessions by true time, as MinIO does.

use super::keeper::error;
use super::*;
use crate::net::endpoint::NodeIndex;
use crate::net::wall_clock::WallClock;
use crate::sessions::minting::{Mint, MintError, MintFailure, MintRequest};
use crate::sessions::refresh::Reason;
use crate::sessions::session::tests::minted;
use crate::sessions::session::{Minted, Session};
use std::cell::Cell;
use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::time::{Instant, sleep};

mod table;

const BASE: SystemTime = SystemTime::UNIX_EPOCH;
const LIFE: Duration = Duration::from_mins(15);

thread_local! {
    static START: Cell<Option<Instant>> = const { Cell::new(None) };
    static JUMP: Cell<i64> = const { Cell::new(0) };
}

fn seconds() -> u64 {
    START.get().map_or(0, |start| start.elapsed().as_secs())
}

/// Returns the true time, which the store uses.
fn truth() -> SystemTime {
    BASE + Duration::from_secs(1_000_000_000) + START.get().map_or(Duration::ZERO, |start| start.elapsed())
}

/// Returns the time of this machine's wall clock.
fn wall() -> SystemTime {
    let jump = Duration::from_secs(JUMP.get().unsigned_abs());
    if JUMP.get() < 0 { truth() - jump } else { truth() + jump }
}

/// An STS that follows a script by the simulated second.
struct ScriptedSts {
    script: fn(u64) -> Behaviour,
    calls: AtomicU64,
    running: AtomicU64,
}

enum Behaviour {
    Fine,
    Slow(Duration),
    Fails,
    Hangs,
    Panics,
}

impl Mint for ScriptedSts {
    async fn mint(&self, _: &MintRequest, _: Reason) -> Result<Minted, MintError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        assert_eq!(self.running.fetch_add(1, Ordering::Relaxed), 0, "one mint at a time");
        let _running = Running(&self.running);
        match (self.script)(seconds()) {
            Behaviour::Fine => {}
            Behaviour::Slow(by) => sleep(by).await,
            Behaviour::Fails => return Err(error(MintFailure::Failed, "scripted")),
            Behaviour::Hangs => pending().await,
            Behaviour::Panics => panic!("scripted"),
        }
        Ok(minted(truth() + LIFE))
    }
}

struct Running<'a>(&'a AtomicU64);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A judge for a store that denies nothing.
struct Unasked;

impl Judge for Unasked {
    async fn judge(&self, _: &Session, _: &[NodeIndex]) -> Verdict {
        panic!("nothing was denied")
    }
}

struct World {
    slot: Arc<Slot>,
    handle: Arc<SessionHandle>,
    sts: Arc<ScriptedSts>,
}

const CLOCK: WallClock = WallClock::new(wall);
const WAIT: Duration = Duration::from_secs(10);

fn budget(per_second: u32) -> Arc<MintBudget> {
    Arc::new(MintBudget::new(per_second, Duration::from_secs(10)))
}

impl World {
    fn start(eager: bool, script: fn(u64) -> Behaviour) -> Self {
        START.set(Some(Instant::now()));
        JUMP.set(0);
        Self::of(Slot::new(eager, Arc::default()), script)
    }

    fn of(slot: Slot, script: fn(u64) -> Behaviour) -> Self {
        Self::with_budgets(slot, script, budget(10), None)
    }

    fn with_budgets(
        slot: Slot,
        script: fn(u64) -> Behaviour,
        budget: Arc<MintBudget>,
        missing: Option<Arc<MintBudget>>,
    ) -> Self {
        let slot = Arc::new(slot);
        let sts = Arc::new(ScriptedSts { script, calls: AtomicU64::new(0), running: AtomicU64::new(0) });
        let keeper = Keeper {
            slot: Arc::clone(&slot),
            mint: Arc::clone(&sts),
            request: MintRequest { name: "sim".into(), policy: SessionPolicy::compile(&[]), duration: LIFE },
            kind: SessionKind::Get,
            region: "us-east-1".into(),
            clock: CLOCK,
            budget,
            missing,
            judge: Unasked,
            issuer_doubts: Arc::default(),
        };
        Self { slot, sts, handle: keeper.start() }
    }

    fn mints(&self) -> u64 {
        self.sts.calls.load(Ordering::Relaxed)
    }

    /// Makes a request. The store accepts a session that is live in true time; a dead one is replaced once.
    async fn request(&self) -> bool {
        for _ in 0..2 {
            let Ok(session) = self.slot.obtain(CLOCK, WAIT).await else { return false };
            if truth() < session.expiration() {
                return true;
            }
            self.slot.reject(session.id());
        }
        false
    }

    /// Makes a request every five seconds until `end`. Returns the seconds at which requests failed.
    async fn load_until(&self, end: u64) -> Vec<u64> {
        let mut failed = Vec::new();
        while seconds() < end {
            let at = seconds();
            if !self.request().await {
                failed.push(at);
            }
            sleep(Duration::from_secs(5)).await;
        }
        failed
    }
}

const HOUR: u64 = 3600;
const NONE: [u64; 0] = [];

#[tokio::test(start_paused = true)]
async fn six_quiet_hours_have_one_mint_per_refresh() {
    let world = World::start(false, |_| Behaviour::Fine);
    assert_eq!(world.load_until(6 * HOUR).await, NONE);
    // Refreshed between 60 and 80 % of 900 s.
    assert!((29..=41).contains(&world.mints()), "{}", world.mints());
}

/// Hundreds of new identities wait for their budget, and a session of another mapping is minted at once.
#[tokio::test(start_paused = true)]
async fn a_crowd_of_identities_does_not_delay_other_sessions() {
    let quiet = World::start(false, |_| Behaviour::Fine);
    let (shared, identities) = (budget(10), budget(5));
    let empty = || Slot::new(false, Arc::default());
    let of = |missing| World::with_budgets(empty(), |_| Behaviour::Fine, Arc::clone(&shared), missing);
    let crowd: Vec<World> = (0..500).map(|_| of(Some(Arc::clone(&identities)))).collect();
    for World { slot, .. } in &crowd {
        let slot = Arc::clone(slot);
        tokio::spawn(async move { slot.obtain(CLOCK, WAIT).await.is_ok() });
    }
    sleep(Duration::from_secs(3)).await;
    let began = Instant::now();
    of(None).slot.obtain(CLOCK, WAIT).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    sleep(Duration::from_secs(100)).await;
    let minted: u64 = crowd.iter().map(World::mints).sum();
    assert_eq!(minted, 500, "and each of them has its turn");
    drop(quiet);
}

#[tokio::test(start_paused = true)]
async fn short_failures_of_sts_fail_no_request() {
    // 150 s in every 20 minutes; a refresh leaves at least 180 s to the session's end.
    let world =
        World::start(false, |at| if at > 60 && at % 1200 < 150 { Behaviour::Fails } else { Behaviour::Fine });
    assert_eq!(world.load_until(12 * HOUR).await, NONE);
}

#[tokio::test(start_paused = true)]
async fn a_slow_sts_fails_no_request() {
    let world = World::start(false, |_| Behaviour::Slow(Duration::from_secs(8)));
    assert_eq!(world.load_until(4 * HOUR).await, NONE);
}

#[tokio::test(start_paused = true)]
async fn a_dead_sts_is_retried_with_backoff() {
    let world =
        World::start(
            false,
            |at| if (HOUR..2 * HOUR).contains(&at) { Behaviour::Fails } else { Behaviour::Fine },
        );
    assert_eq!(world.load_until(HOUR).await, NONE);
    let before = world.mints();
    let failed = world.load_until(2 * HOUR).await;
    assert!(
        failed.first().is_some_and(|first| *first >= HOUR + 180),
        "the old session serves to its end: {failed:?}"
    );
    assert!(world.mints() - before < 240, "{} mints in an hour of failure", world.mints() - before);
    let late = world.load_until(3 * HOUR).await;
    assert!(late.iter().all(|at| *at <= 2 * HOUR + 30), "back within the longest pause: {late:?}");
}

#[tokio::test(start_paused = true)]
async fn a_hanging_mint_times_out_and_is_retried() {
    let world = World::start(false, |at| if at < 15 { Behaviour::Hangs } else { Behaviour::Fine });
    assert!(!world.request().await);
    sleep(Duration::from_secs(20)).await;
    assert!(world.request().await);
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_one_attempt() {
    let world = World::start(false, |at| if at < 5 { Behaviour::Panics } else { Behaviour::Fine });
    assert!(!world.request().await, "STS does not answer within the wait");
    sleep(Duration::from_secs(5)).await;
    assert!(world.request().await);
}

#[tokio::test(start_paused = true)]
async fn a_jumping_clock_fails_no_request() {
    for jump in [600, -600, 3600, -3600, 86_400, -86_400] {
        let world = World::start(false, |_| Behaviour::Fine);
        assert_eq!(world.load_until(HOUR).await, NONE);
        // Set ahead by more than a session's lifetime, every session looks dead; the clamp leaves that case out.
        JUMP.set(if jump > 800 { 800 } else { jump });
        assert_eq!(world.load_until(2 * HOUR).await, NONE, "jump by {jump}");
        JUMP.set(0);
        assert_eq!(world.load_until(3 * HOUR).await, NONE, "jump back from {jump}");
        assert!(world.mints() < 80, "jump by {jump}: {} mints", world.mints());
    }
}

#[tokio::test(start_paused = true)]
async fn mints_are_single_flight_and_survive_leaving_requests() {
    let world = World::start(false, |_| Behaviour::Slow(Duration::from_secs(3)));
    let leaving: Vec<_> = (0..50)
        .map(|_| {
            let slot = Arc::clone(&world.slot);
            tokio::spawn(async move { slot.obtain(CLOCK, WAIT).await.map(|session| session.id()) })
        })
        .collect();
    sleep(Duration::from_secs(1)).await;
    let staying: Vec<_> = (0..50)
        .map(|_| {
            let slot = Arc::clone(&world.slot);
            tokio::spawn(async move { slot.obtain(CLOCK, WAIT).await.map(|session| session.id()) })
        })
        .collect();
    for gone in leaving {
        gone.abort();
    }
    for waiting in staying {
        assert_eq!(waiting.await.unwrap().unwrap(), 1);
    }
    assert_eq!(world.mints(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_session_rejected_by_many_is_replaced_once() {
    let world = World::start(true, |_| Behaviour::Fine);
    let first = world.slot.obtain(CLOCK, WAIT).await.unwrap();
    sleep(Duration::from_secs(90)).await;
    for _ in 0..50 {
        world.slot.reject(first.id());
    }
    let second = world.slot.obtain(CLOCK, WAIT).await.unwrap();
    assert_eq!((second.id(), world.mints()), (2, 2));
}

/// The keeper may notice a rejection long before the rejected request asks for a new session.
#[tokio::test(start_paused = true)]
async fn a_rejection_is_replaced_whenever_the_keeper_notices() {
    for pause in [0, 1, 100, 100_000] {
        let world = World::start(false, |_| Behaviour::Fine);
        let first = world.slot.obtain(CLOCK, WAIT).await.unwrap();
        world.slot.reject(first.id());
        sleep(Duration::from_millis(pause)).await;
        let second = world.slot.obtain(CLOCK, WAIT).await.unwrap();
        assert_eq!(second.id(), 2, "after {pause} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_back_after_a_session_ended_fails_no_request() {
    let world = World::start(false, |_| Behaviour::Fine);
    assert!(world.request().await);
    sleep(Duration::from_mins(50)).await;
    assert!(world.slot.expiration().is_none(), "expired and dropped");
    JUMP.set(-600);
    assert!(world.request().await);
}

#[tokio::test(start_paused = true)]
async fn sessions_that_die_at_once_are_minted_with_backoff() {
    let world = World::start(false, |_| Behaviour::Fine);
    while seconds() < 600 {
        if let Ok(session) = world.slot.obtain(CLOCK, WAIT).await {
            world.slot.reject(session.id());
        }
        sleep(Duration::from_millis(100)).await;
    }
    assert!(world.mints() <= 26, "{} mints in ten minutes", world.mints());
}

#[tokio::test(start_paused = true)]
async fn idle_mappings_are_not_minted_for() {
    let world = World::start(false, |_| Behaviour::Fine);
    sleep(Duration::from_secs(HOUR)).await;
    assert_eq!(world.mints(), 0);
    assert!(world.request().await);
    sleep(Duration::from_secs(HOUR)).await;
    assert!(world.mints() <= 3, "used once, refreshed at most while that session lived: {}", world.mints());
    assert!(world.slot.expiration().is_none(), "dead credentials are dropped");
}

/// Everything that belongs to a session is dropped when the next one is minted.
#[tokio::test(start_paused = true)]
async fn a_day_of_refreshes_leaks_nothing() {
    let world = World::start(true, |at| if at % 5000 > 4900 { Behaviour::Fails } else { Behaviour::Fine });
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert!(world.request().await);
    let (tasks, mut sessions) = (alive(), Vec::new());
    while seconds() < 24 * HOUR {
        if let Ok(session) = world.slot.obtain(CLOCK, WAIT).await {
            let known = sessions
                .last()
                .is_some_and(|last: &Weak<SlotSession>| last.as_ptr() == Arc::as_ptr(&session));
            if !known {
                sessions.push(Arc::downgrade(&session));
            }
        }
        sleep(Duration::from_mins(1)).await;
    }
    // A new session may have been minted since the last request.
    let current = world.slot.live(CLOCK.now()).unwrap();
    sessions.retain(|session| session.as_ptr() != Arc::as_ptr(&current));
    sessions.push(Arc::downgrade(&current));
    drop(current);
    assert!(sessions.len() > 110, "{} sessions in a day", sessions.len());
    let living = sessions.iter().filter(|session| session.strong_count() > 0).count();
    assert_eq!((living, alive()), (1, tasks), "one session, and the tasks of the start");

    let (slot, sts) = (Arc::downgrade(&world.slot), Arc::downgrade(&world.sts));
    drop(world);
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    assert_eq!(
        (slot.strong_count(), sts.strong_count(), alive()),
        (0, 0, 0),
        "dropped with everything it held"
    );
    assert!(sessions.iter().all(|session| session.strong_count() == 0));
}

#[tokio::test(start_paused = true)]
async fn a_keeper_ends_with_its_last_handle() {
    let world = World::start(false, |_| Behaviour::Slow(Duration::from_secs(3)));
    let World { slot, sts, handle } = world;
    let waiting = tokio::spawn({
        let handle = Arc::clone(&handle);
        async move { handle.slot().obtain(CLOCK, WAIT).await.is_ok() }
    });
    sleep(Duration::from_secs(1)).await;
    drop(handle);
    assert!(waiting.await.unwrap(), "a request that waits gets its session");
    sleep(Duration::from_secs(HOUR)).await;
    assert_eq!(sts.calls.load(Ordering::Relaxed), 1, "nothing refreshes it");
    assert!(slot.live(CLOCK.now()).is_none());
}

/// The secret of the new issuer is wrong for a minute, and the session of the old one is good.
#[tokio::test(start_paused = true)]
async fn an_inherited_session_serves_until_the_first_mint() {
    let old = World::start(false, |_| Behaviour::Fine);
    let first = old.slot.obtain(CLOCK, WAIT).await.unwrap();
    let slot = Slot::new(false, Arc::default()).inheriting(&old.slot, CLOCK.now());
    let new = World::of(slot, |second| if second < 60 { Behaviour::Fails } else { Behaviour::Fine });
    assert!(new.slot.is_inheriting());
    while seconds() < 59 {
        assert_eq!(new.slot.obtain(CLOCK, WAIT).await.unwrap().id(), first.id());
        sleep(Duration::from_secs(1)).await;
    }
    assert!(new.mints() >= 3, "it is minted without a request");
    sleep(Duration::from_mins(1)).await;
    assert!(!new.slot.is_inheriting());
    assert!(new.slot.obtain(CLOCK, WAIT).await.unwrap().id() > first.id());

    // A dead session is not inherited.
    old.slot.reject(first.id());
    assert!(!Slot::new(false, Arc::default()).inheriting(&old.slot, CLOCK.now()).is_inheriting());
    // An inherited session that ends before the first mint is not used any longer, and no session is minted without a
    // request.
    let other = World::start(false, |_| Behaviour::Fine);
    other.slot.obtain(CLOCK, WAIT).await.unwrap();
    let slot = Slot::new(false, Arc::default()).inheriting(&other.slot, CLOCK.now());
    let never = World::of(slot, |_| Behaviour::Fails);
    sleep(LIFE).await;
    assert!(never.slot.live(CLOCK.now()).is_none());
    let mints = never.mints();
    sleep(LIFE).await;
    assert!(never.mints() <= mints + 1, "{mints}, then {}", never.mints());
}
