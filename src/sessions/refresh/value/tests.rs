//! A source of numbered values, and tests of a refreshed value over it.

use super::*;
use std::cell::Cell;
use std::sync::Mutex;
use tokio::task::JoinSet;

const LIFE: Duration = Duration::from_mins(15);
const WAIT: Duration = Duration::from_secs(1);
const CLOCK: WallClock = WallClock::new(now);

thread_local! {
    static START: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Returns a wall clock that follows the paused clock of the runtime.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + START.get().map_or(Duration::ZERO, |start| start.elapsed())
}

#[derive(Debug)]
struct Number {
    number: usize,
    expires: SystemTime,
}

impl Perishable for Number {
    fn expires(&self) -> SystemTime {
        self.expires
    }
}

/// A source that records the reasons of its fetches.
#[derive(Default)]
struct Counter {
    reasons: Mutex<Vec<String>>,
    is_down: AtomicBool,
    failures: AtomicU64,
}

impl Source for Counter {
    type Value = Number;
    type Error = &'static str;

    fn lifetime(&self) -> Duration {
        LIFE
    }

    fn is_proven(&self) -> bool {
        false
    }

    async fn turn(&self) {}

    async fn fetch(&self, reason: Reason) -> Result<Number, &'static str> {
        if self.is_down.load(Ordering::Relaxed) {
            return Err("down");
        }
        let mut reasons = self.reasons.lock().unwrap();
        reasons.push(match reason {
            Reason::Missing => "missing".to_owned(),
            Reason::Due => "due".to_owned(),
            Reason::Rejected => "rejected".to_owned(),
        });
        Ok(Number { number: reasons.len(), expires: now() + LIFE })
    }

    fn failed(&self, _: &&'static str, _: Retry) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }
}

struct World {
    value: Arc<Refreshed<Number, &'static str>>,
    source: Arc<Counter>,
    _keeping: JoinSet<()>,
}

impl World {
    fn start(value: Refreshed<Number, &'static str>) -> Self {
        let (value, source) = (Arc::new(value), Arc::new(Counter::default()));
        let mut keeping = JoinSet::new();
        let (kept, from) = (Arc::clone(&value), Arc::clone(&source));
        keeping.spawn(async move { kept.keep(&*from, CLOCK).await });
        Self { value, source, _keeping: keeping }
    }

    async fn number(&self) -> Result<usize, Unavailable<&'static str>> {
        self.value.obtain(CLOCK, WAIT).await.map(|entry| entry.number)
    }

    fn reasons(&self) -> Vec<String> {
        self.source.reasons.lock().unwrap().clone()
    }
}

#[tokio::test(start_paused = true)]
async fn sources_learn_why_they_are_asked() {
    START.set(Some(Instant::now()));
    let world = World::start(Refreshed::new(false));
    assert_eq!(world.number().await.unwrap(), 1);
    sleep(Duration::from_mins(13)).await;
    assert_eq!(world.number().await.unwrap(), 2, "refreshed before its end");
    world.value.reject(world.value.live(now()).unwrap().id());
    assert_eq!(world.number().await.unwrap(), 3);
    let heir = World::start(Refreshed::new(false).inheriting(&world.value, now()));
    assert_eq!(heir.number().await.unwrap(), 3);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(heir.number().await.unwrap(), 1, "replaced by the first fetch of its own");
    sleep(3 * LIFE).await;
    assert_eq!(world.number().await.unwrap(), 5);
    assert_eq!(world.reasons(), ["missing", "due", "rejected", "due", "missing"]);
    assert_eq!(heir.reasons(), ["due", "due"]);
}

#[tokio::test(start_paused = true)]
async fn the_last_good_value_serves_while_fetches_fail() {
    START.set(Some(Instant::now()));
    let world = World::start(Refreshed::new(true));
    assert_eq!(world.number().await.unwrap(), 1);
    world.source.is_down.store(true, Ordering::Relaxed);
    sleep(Duration::from_secs(890)).await;
    assert!(world.source.failures.load(Ordering::Relaxed) > 3);
    assert_eq!(world.number().await.unwrap(), 1);
    assert!(world.value.is_ready(now()));
    sleep(Duration::from_secs(10)).await;
    let unavailable = world.number().await.unwrap_err();
    assert_eq!(unavailable.cause.as_deref(), Some(&"down"));
    assert!(!world.value.is_ready(now()));
    world.source.is_down.store(false, Ordering::Relaxed);
    sleep(super::super::MAX_BACKOFF).await;
    assert_eq!(world.number().await.unwrap(), 2);
}
