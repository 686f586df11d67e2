//! Hours of simulated time: tokio's clock is paused and moved on by each sleep; the wall clock follows it, and
//! jumps where a case says so. The store judges sessions by true time, as MinIO does.

use super::keeper::error;
use super::*;
use crate::mint::{Mint, MintError, MintFailure, MintRequest};
use crate::nodes::NodeIndex;
use crate::refresh::Reason;
use crate::session::tests::minted;
use crate::session::{Minted, Session};
use crate::wall_clock::WallClock;
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

/// True time, which the store lives in.
fn truth() -> SystemTime {
    BASE + Duration::from_secs(1_000_000_000) + START.get().map_or(Duration::ZERO, |start| start.elapsed())
}

/// What this machine believes.
fn wall() -> SystemTime {
    let jump = Duration::from_secs(JUMP.get().unsigned_abs());
    if JUMP.get() < 0 { truth() - jump } else { truth() + jump }
}

/// An STS that behaves by a script of the simulated second.
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
    async fn mint(&self, _: &MintRequest, _: Reason<'_, Session>) -> Result<Minted, MintError> {
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

/// A judge where the store denies nothing.
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

impl World {
    fn start(eager: bool, script: fn(u64) -> Behaviour) -> Self {
        START.set(Some(Instant::now()));
        JUMP.set(0);
        Self::of(Slot::new(eager, Arc::default()), script)
    }

    fn of(slot: Slot, script: fn(u64) -> Behaviour) -> Self {
        let slot = Arc::new(slot);
        let sts = Arc::new(ScriptedSts { script, calls: AtomicU64::new(0), running: AtomicU64::new(0) });
        let keeper = Keeper {
            slot: Arc::clone(&slot),
            mint: Arc::clone(&sts),
            request: MintRequest { name: "sim".into(), policy: SessionPolicy::compile(&[]), duration: LIFE },
            kind: SessionKind::Scopes,
            region: "us-east-1".into(),
            clock: CLOCK,
            budget: Arc::new(MintBudget::new(10, Duration::from_secs(10))),
            judge: Unasked,
            issuer_doubts: Arc::default(),
        };
        Self { slot, sts, handle: keeper.start() }
    }

    fn mints(&self) -> u64 {
        self.sts.calls.load(Ordering::Relaxed)
    }

    /// A request: the store takes a session that is alive in true time; a dead one is replaced and tried once more.
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

    /// A request every five seconds until `end`; returns the seconds at which one failed.
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
async fn six_quiet_hours() {
    let world = World::start(false, |_| Behaviour::Fine);
    assert_eq!(world.load_until(6 * HOUR).await, NONE);
    // Refreshed between 60 and 80 % of 900 s.
    assert!((29..=41).contains(&world.mints()), "{}", world.mints());
}

#[tokio::test(start_paused = true)]
async fn an_sts_that_fails_now_and_then_is_not_noticed() {
    // 150 s in every 20 minutes; a refresh leaves at least 180 s to the session's end.
    let world =
        World::start(false, |at| if at > 60 && at % 1200 < 150 { Behaviour::Fails } else { Behaviour::Fine });
    assert_eq!(world.load_until(12 * HOUR).await, NONE);
}

#[tokio::test(start_paused = true)]
async fn a_slow_sts_is_not_noticed() {
    let world = World::start(false, |_| Behaviour::Slow(Duration::from_secs(8)));
    assert_eq!(world.load_until(4 * HOUR).await, NONE);
}

#[tokio::test(start_paused = true)]
async fn a_dead_sts_costs_what_it_must_and_no_storm() {
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
async fn a_hanging_sts_is_given_up_and_tried_again() {
    let world = World::start(false, |at| if at < 15 { Behaviour::Hangs } else { Behaviour::Fine });
    assert!(!world.request().await);
    sleep(Duration::from_secs(20)).await;
    assert!(world.request().await);
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_one_attempt() {
    let world = World::start(false, |at| if at < 5 { Behaviour::Panics } else { Behaviour::Fine });
    assert!(!world.request().await, "nobody answers within the wait");
    sleep(Duration::from_secs(5)).await;
    assert!(world.request().await);
}

#[tokio::test(start_paused = true)]
async fn a_jumping_clock_is_not_noticed() {
    for jump in [600, -600, 3600, -3600, 86_400, -86_400] {
        let world = World::start(false, |_| Behaviour::Fine);
        assert_eq!(world.load_until(HOUR).await, NONE);
        // Forward beyond a session's life every session looks dead, and says so: that is not tried here.
        JUMP.set(if jump > 800 { 800 } else { jump });
        assert_eq!(world.load_until(2 * HOUR).await, NONE, "jump by {jump}");
        JUMP.set(0);
        assert_eq!(world.load_until(3 * HOUR).await, NONE, "jump back from {jump}");
        assert!(world.mints() < 80, "jump by {jump}: {} mints", world.mints());
    }
}

#[tokio::test(start_paused = true)]
async fn however_many_wait_there_is_one_mint_and_leaving_cancels_nothing() {
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
async fn a_session_rejected_by_many_is_minted_anew_once() {
    let world = World::start(true, |_| Behaviour::Fine);
    let first = world.slot.obtain(CLOCK, WAIT).await.unwrap();
    sleep(Duration::from_secs(90)).await;
    for _ in 0..50 {
        world.slot.reject(first.id());
    }
    let second = world.slot.obtain(CLOCK, WAIT).await.unwrap();
    assert_eq!((second.id(), world.mints()), (2, 2));
}

/// The keeper may notice a rejection long before the request that met it asks for another session.
#[tokio::test(start_paused = true)]
async fn a_rejection_that_is_noticed_before_the_next_request() {
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
async fn a_clock_set_back_after_the_end_of_a_session() {
    let world = World::start(false, |_| Behaviour::Fine);
    assert!(world.request().await);
    sleep(Duration::from_mins(50)).await;
    assert!(world.slot.expiration().is_none(), "expired and dropped");
    JUMP.set(-600);
    assert!(world.request().await);
}

#[tokio::test(start_paused = true)]
async fn sessions_that_die_at_once_make_no_storm() {
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
async fn an_idle_mapping_is_not_minted_for() {
    let world = World::start(false, |_| Behaviour::Fine);
    sleep(Duration::from_secs(HOUR)).await;
    assert_eq!(world.mints(), 0);
    assert!(world.request().await);
    sleep(Duration::from_secs(HOUR)).await;
    assert!(world.mints() <= 3, "used once, refreshed at most while that session lived: {}", world.mints());
    assert!(world.slot.expiration().is_none(), "dead credentials are dropped");
}

/// Whatever is made for a session is gone when the next one is there.
#[tokio::test(start_paused = true)]
async fn a_day_of_refreshes_leaves_nothing_behind() {
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
    // One may have come since the last look.
    let current = world.slot.live(CLOCK.now()).unwrap();
    sessions.retain(|session| session.as_ptr() != Arc::as_ptr(&current));
    sessions.push(Arc::downgrade(&current));
    drop(current);
    assert!(sessions.len() > 110, "{} sessions in a day", sessions.len());
    let living = sessions.iter().filter(|session| session.strong_count() > 0).count();
    assert_eq!((living, alive()), (1, tasks), "one session, and the tasks there were at first");

    let (slot, sts) = (Arc::downgrade(&world.slot), Arc::downgrade(&world.sts));
    drop(world);
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    assert_eq!((slot.strong_count(), sts.strong_count(), alive()), (0, 0, 0), "retired with all it held");
    assert!(sessions.iter().all(|session| session.strong_count() == 0));
}

#[tokio::test(start_paused = true)]
async fn a_keeper_is_retired_with_the_last_that_holds_it_and_not_before() {
    let world = World::start(false, |_| Behaviour::Slow(Duration::from_secs(3)));
    let World { slot, sts, handle } = world;
    let waiting = tokio::spawn({
        let handle = Arc::clone(&handle);
        async move { handle.slot().obtain(CLOCK, WAIT).await.is_ok() }
    });
    sleep(Duration::from_secs(1)).await;
    drop(handle);
    assert!(waiting.await.unwrap(), "who waits for a session gets it");
    sleep(Duration::from_secs(HOUR)).await;
    assert_eq!(sts.calls.load(Ordering::Relaxed), 1, "nobody refreshes it");
    assert!(slot.live(CLOCK.now()).is_none());
}

/// Another issuer's secret is wrong for a minute, and the session of the one before is good.
#[tokio::test(start_paused = true)]
async fn a_slot_serves_with_what_it_inherits_until_it_has_its_own() {
    let old = World::start(false, |_| Behaviour::Fine);
    let first = old.slot.obtain(CLOCK, WAIT).await.unwrap();
    let slot = Slot::new(false, Arc::default()).inheriting(&old.slot, CLOCK.now());
    let new = World::of(slot, |second| if second < 60 { Behaviour::Fails } else { Behaviour::Fine });
    assert!(new.slot.is_inheriting());
    while seconds() < 59 {
        assert_eq!(new.slot.obtain(CLOCK, WAIT).await.unwrap().id(), first.id());
        sleep(Duration::from_secs(1)).await;
    }
    assert!(new.mints() >= 3, "nothing asks for it, and it is minted");
    sleep(Duration::from_mins(1)).await;
    assert!(!new.slot.is_inheriting());
    assert!(new.slot.obtain(CLOCK, WAIT).await.unwrap().id() > first.id());

    // One that is dead is not inherited.
    old.slot.reject(first.id());
    assert!(!Slot::new(false, Arc::default()).inheriting(&old.slot, CLOCK.now()).is_inheriting());
    // One that ends first is not used any longer than it lives, nor minted for without a request.
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
