//! Which keys share a session, and how long entries stay.

use super::*;
use std::sync::atomic::AtomicUsize;

fn policy(bucket: &str) -> SessionPolicy {
    use crate::authorize::rights::Right;
    use crate::authorize::scope::Scope;
    use crate::s3::names::{BucketName, Prefix};
    let (bucket, prefix) = (BucketName::parse(bucket).unwrap(), Prefix::parse("media/").unwrap());
    SessionPolicy::compile(&[Scope::new(bucket, prefix, [Right::Read].into_iter().collect())])
}

fn key() -> SessionKey {
    SessionKey {
        purpose: Purpose {
            mapping: "reader".into(),
            kind: SessionKind::Get,
            policy: policy("tmp"),
            store: StoreId(0),
        },
        terms: Terms { issuer: IssuerId(0), lifetime: LIFE, eager: false },
    }
}

/// A table, and a count of the sessions that were started.
struct Table {
    table: SessionTable,
    started: AtomicUsize,
}

impl Table {
    fn new(capacity: usize) -> Self {
        START.set(Some(Instant::now()));
        JUMP.set(0);
        Self { table: SessionTable::new(capacity), started: AtomicUsize::new(0) }
    }

    fn get(&self, key: &SessionKey) -> Result<Arc<SessionHandle>, TableFull> {
        let slot = Slot::new(key.terms.eager, Arc::default());
        self.table.get_or_start(key, CLOCK.now(), slot, |slot| {
            self.started.fetch_add(1, Ordering::Relaxed);
            World::of(slot, |_| Behaviour::Fine).handle
        })
    }

    fn started(&self) -> usize {
        self.started.load(Ordering::Relaxed)
    }
}

/// Other keys than [`key`]: those for the same purpose, and those for another.
fn other_keys() -> ([SessionKey; 3], [SessionKey; 4]) {
    let terms = |change: fn(&mut Terms)| {
        let mut key = key();
        change(&mut key.terms);
        key
    };
    let purpose = |change: fn(&mut Purpose)| {
        let mut key = key();
        change(&mut key.purpose);
        key
    };
    (
        [
            terms(|terms| terms.issuer = IssuerId(1)),
            terms(|terms| terms.lifetime = 2 * LIFE),
            terms(|terms| terms.eager = true),
        ],
        [
            purpose(|purpose| purpose.mapping = "other".into()),
            purpose(|purpose| purpose.kind = SessionKind::Uploads),
            purpose(|purpose| purpose.policy = policy("other")),
            purpose(|purpose| purpose.store = StoreId(1)),
        ],
    )
}

#[tokio::test(start_paused = true)]
async fn equal_keys_share_a_session_and_others_do_not() {
    let table = Table::new(100);
    let first = table.get(&key()).unwrap();
    assert!(Arc::ptr_eq(&first, &table.get(&key()).unwrap()));
    assert_eq!(table.started(), 1);
    let (same_purpose, other_purpose) = other_keys();
    for other in same_purpose.iter().chain(&other_purpose) {
        let handle = table.get(other).unwrap();
        assert!(!Arc::ptr_eq(&first, &handle), "{other:?}");
        assert!(Arc::ptr_eq(&handle, &table.get(other).unwrap()), "{other:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_serves_until_another_for_the_same_purpose_is_minted() {
    let table = Table::new(100);
    let first = table.get(&key()).unwrap();
    let session = first.slot().obtain(CLOCK, WAIT).await.unwrap();
    let (same_purpose, other_purpose) = other_keys();
    for other in &same_purpose {
        let handle = table.get(other).unwrap();
        assert!(handle.slot().is_inheriting(), "{other:?}");
        assert_eq!(handle.slot().live(CLOCK.now()).unwrap().id(), session.id());
    }
    for other in &other_purpose {
        let handle = table.get(other).unwrap();
        assert!(handle.slot().live(CLOCK.now()).is_none(), "{other:?}");
    }
}

/// The newest session may be one that could not be minted yet.
#[tokio::test(start_paused = true)]
async fn the_newest_live_session_is_inherited() {
    let table = Table::new(100);
    let of_issuer = |number| {
        let mut key = key();
        key.terms.issuer = IssuerId(number);
        key
    };
    let oldest = table.get(&of_issuer(0)).unwrap();
    oldest.slot().obtain(CLOCK, WAIT).await.unwrap();
    let dead = table.get(&of_issuer(1)).unwrap();
    dead.slot().reject(u64::MAX);
    let newest = table.get(&of_issuer(2)).unwrap();
    assert!(newest.slot().is_inheriting());
    // Nothing is inherited from a session that nothing holds.
    drop((oldest, dead, newest));
    assert!(!table.get(&of_issuer(3)).unwrap().slot().is_inheriting());
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_with_its_last_holder() {
    /// Counts tasks once each has run as far as it can.
    async fn tasks() -> usize {
        sleep(Duration::from_millis(1)).await;
        tokio::runtime::Handle::current().metrics().num_alive_tasks()
    }
    let table = Table::new(100);
    let held = table.get(&key()).unwrap();
    let before = tasks().await;
    let (same_purpose, _) = other_keys();
    let others = same_purpose.map(|key| table.get(&key).unwrap());
    let also = Arc::clone(&others[0]);
    assert_eq!(table.table.held(), 4);
    assert!(tasks().await > before);
    drop(others);
    assert_eq!(table.table.held(), 2);
    drop(also);
    assert_eq!((table.table.held(), tasks().await), (1, before));
    assert!(Arc::ptr_eq(&held, &table.get(&key()).unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_full_table_has_room_again_when_a_session_ends() {
    let table = Table::new(3);
    let (_, keys) = other_keys();
    let mut handles: Vec<_> = keys[..3].iter().map(|key| table.get(key).unwrap()).collect();
    assert_eq!(table.get(&keys[3]).unwrap_err(), TableFull { capacity: 3 });
    assert!(table.get(&keys[0]).is_ok(), "one that is there needs no room");
    drop(handles.pop());
    assert!(table.get(&keys[3]).is_ok());
}

/// Identities that come and go must not leave their keys behind.
#[tokio::test(start_paused = true)]
async fn ended_sessions_leave_no_entries_behind() {
    let table = Table::new(usize::MAX);
    let mut longest = 0;
    for number in 0..1000 {
        let mut key = key();
        key.purpose.mapping = number.to_string().into();
        table.get(&key).unwrap();
        longest = longest.max(table.table.entries.lock().unwrap().by_purpose.len());
    }
    assert!(longest <= MIN_SWEEP, "{longest}");
}

/// An idle session costs two sleeping tasks and no timer: 10,000 mappings that nobody uses wake nothing.
#[tokio::test(start_paused = true)]
async fn idle_sessions_set_no_timer() {
    let table = Table::new(usize::MAX);
    let handles: Vec<_> = (0..100)
        .map(|number| {
            let mut key = key();
            key.purpose.mapping = number.to_string().into();
            table.get(&key).unwrap()
        })
        .collect();
    // Half of them are used once, and idle after that.
    for handle in handles.iter().step_by(2) {
        handle.slot().obtain(CLOCK, Duration::from_mins(1)).await.unwrap();
    }
    sleep(2 * LIFE).await;
    assert!(handles.iter().all(|handle| handle.slot().expiration().is_none()), "expired and dropped");
    let wakeups = || tokio::runtime::Handle::current().metrics().worker_park_count(0);
    let before = wakeups();
    sleep(Duration::from_hours(24)).await;
    assert!(wakeups() - before < 100, "{} wake-ups in an idle day", wakeups() - before);
}
