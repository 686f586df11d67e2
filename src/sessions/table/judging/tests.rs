use super::*;
use crate::authorize::operations::SessionKind;
use crate::authorize::policy::SessionPolicy;
use crate::net::wall_clock::WallClock;
use crate::sessions::minting::{MintError, MintRequest};
use crate::sessions::refresh::Reason;
use crate::sessions::session::tests::minted;
use crate::sessions::session::{Minted, Session};
use crate::sessions::table::{MintBudget, SessionHandle, SlotSession};
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

const CLOCK: WallClock = WallClock::new(|| SystemTime::UNIX_EPOCH);
const NODE: NodeIndex = NodeIndex(3);

struct Mints;

impl Mint for Mints {
    async fn mint(&self, _: &MintRequest, _: Reason) -> Result<Minted, MintError> {
        Ok(minted(SystemTime::UNIX_EPOCH + Duration::from_hours(1)))
    }
}

/// A judge whose tries take a while and return scripted verdicts. A try without a verdict never ends.
struct Scripted {
    script: fn(u64) -> Option<Verdict>,
    tries: Arc<AtomicU64>,
}

const A_WHILE: Duration = Duration::from_millis(20);

impl Judge for Scripted {
    async fn judge(&self, _: &Session, nodes: &[NodeIndex]) -> Verdict {
        assert_eq!(nodes.len(), 1);
        let number = self.tries.fetch_add(1, Ordering::Relaxed);
        sleep(A_WHILE).await;
        match (self.script)(number) {
            Some(verdict) => verdict,
            None => pending().await,
        }
    }
}

struct World {
    slot: Arc<Slot>,
    tries: Arc<AtomicU64>,
    _handle: Arc<SessionHandle>,
    session: Arc<SlotSession>,
}

impl World {
    async fn start(script: fn(u64) -> Option<Verdict>) -> Self {
        let (slot, tries) = (Arc::new(Slot::new(false, Arc::default())), Arc::new(AtomicU64::new(0)));
        let keeper = Keeper {
            slot: Arc::clone(&slot),
            mint: Arc::new(Mints),
            request: MintRequest {
                name: "m".into(),
                policy: SessionPolicy::compile(&[]),
                duration: Duration::from_hours(1),
            },
            kind: SessionKind::Get,
            region: "us-east-1".into(),
            clock: CLOCK,
            budget: Arc::new(MintBudget::new(10, Duration::from_secs(10))),
            missing: None,
            judge: Scripted { script, tries: Arc::clone(&tries) },
            issuer_doubts: Arc::default(),
        };
        let handle = keeper.start();
        let session = slot.obtain(CLOCK, Duration::from_secs(10)).await.unwrap();
        Self { slot, tries, _handle: handle, session }
    }

    async fn judge(&self) -> Verdict {
        self.slot.judge(self.session.id(), NODE).await
    }

    fn tries(&self) -> u64 {
        self.tries.load(Ordering::Relaxed)
    }
}

#[tokio::test(start_paused = true)]
async fn one_try_serves_all_requests_denied_before_it_began() {
    let world = World::start(|_| Some(Verdict::Works)).await;
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (slot, id) = (Arc::clone(&world.slot), world.session.id());
        all.spawn(async move { slot.judge(id, NODE).await });
    }
    assert!(all.join_all().await.iter().all(|verdict| *verdict == Verdict::Works));
    assert_eq!(world.tries(), 1);
}

/// The session may have ended after the running try was answered.
#[tokio::test(start_paused = true)]
async fn a_try_that_began_before_a_denial_does_not_count_for_it() {
    let world = World::start(|number| Some(if number == 0 { Verdict::Works } else { Verdict::Dead })).await;
    let late = async {
        sleep(A_WHILE / 2).await;
        world.judge().await
    };
    assert_eq!(tokio::join!(world.judge(), late), (Verdict::Works, Verdict::Dead));
    assert_eq!(world.tries(), 2);
}

#[tokio::test(start_paused = true)]
async fn justified_denials_cost_few_tries() {
    let world = World::start(|_| Some(Verdict::Works)).await;
    let start = Instant::now();
    for _ in 0..20 {
        assert_eq!(world.judge().await, Verdict::Works);
    }
    assert!(start.elapsed() >= 19 * SPACING, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_dead_session_is_rejected_and_not_tried_again() {
    let world = World::start(|_| Some(Verdict::Dead)).await;
    assert_eq!(world.judge().await, Verdict::Dead);
    assert!(world.slot.live(CLOCK.now()).is_none());
    assert_eq!((world.judge().await, world.tries()), (Verdict::Dead, 1));
    // A request that was sent with the old session before there was a new one gets the verdict too.
    let next = world.slot.obtain(CLOCK, Duration::from_secs(10)).await.unwrap();
    assert!(next.id() > world.session.id());
    assert_eq!((world.judge().await, world.tries()), (Verdict::Dead, 1));
}

#[tokio::test(start_paused = true)]
async fn unanswered_tries_time_out() {
    let world = World::start(|number| (number > 0).then_some(Verdict::Works)).await;
    let start = Instant::now();
    assert_eq!((world.judge().await, start.elapsed()), (Verdict::Unknown, PATIENCE));
    assert_eq!(world.judge().await, Verdict::Works);
}

#[tokio::test(start_paused = true)]
async fn a_denied_session_is_tried_until_it_is_allowed() {
    let world = World::start(|number| match number {
        0 | 2 => Some(Verdict::Denied("AccessDenied".into())),
        1 => Some(Verdict::Unknown),
        _ => Some(Verdict::Works),
    })
    .await;
    assert_eq!(world.judge().await, Verdict::Denied("AccessDenied".into()));
    sleep(SPACING).await;
    for _ in 0..3 {
        assert_eq!(world.slot.denial().as_deref(), Some("AccessDenied"));
        sleep(RECHECK + SPACING).await;
    }
    assert_eq!((world.slot.denial(), world.tries()), (None, 4));
    sleep(10 * RECHECK).await;
    assert_eq!(world.tries(), 4, "nothing doubts it any more");
    assert!(world.slot.live(CLOCK.now()).is_some());
}
