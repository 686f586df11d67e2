//! Limits failed attempts to prove an identity, per client address and over all.
//!
//! Each limit is a bucket of tokens. An attempt reserves a token before anything expensive runs, and gives it back if it
//! succeeds. So attempts at the same time cannot exceed the limit. Only failures use it up: an attempt for which no token
//! is left but the reserved ones waits until their attempts are settled. Nobody is locked out by name: a failed attempt
//! never counts against the user that it names.

use crate::bounds::limits::Limits;
use crate::identify::client::ClientKey;
use crate::net::wall_clock::WallClock;
use dashmap::DashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use tokio::sync::{Notify, Semaphore};

/// The time in which a bucket fills.
const MINUTE: u64 = 60_000_000_000;
const SECOND: u64 = 1_000_000_000;

/// The number of attempts that may wait for others to be settled.
const WAITING: usize = 256;

/// The failed attempts that are allowed in a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AttemptLimits {
    /// Over all clients.
    pub all: NonZeroU32,
    /// Of one IPv4 address, IPv6 /64 or unix user.
    pub per_client: NonZeroU32,
}

impl AttemptLimits {
    /// Returns the part of `limits` that applies to failed attempts.
    pub(crate) fn of(limits: &Limits) -> Self {
        Self { all: limits.failed_attempts, per_client: limits.failed_attempts_per_client }
    }
}

/// The number of seconds after which a client that failed too often may try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany(pub u64);

/// The failed attempts of a process.
#[derive(Debug)]
pub(crate) struct Attempts {
    /// The time that one attempt takes from a bucket, in nanoseconds.
    all_interval: AtomicU64,
    client_interval: AtomicU64,
    /// Where both buckets are locked, this one is first.
    all: Mutex<Bucket>,
    /// The buckets of clients that are not full. A bucket is made by an attempt that all clients' bucket allows, so there
    /// are never many more than that bucket refills in a minute.
    clients: DashMap<ClientKey, Bucket>,
    /// Notifies the attempts that wait whenever another is settled.
    settled: Notify,
    waiting: Semaphore,
}

/// A bucket of tokens.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    /// The time at which the tokens of failed attempts are back, in nanoseconds since 1970.
    full_at: u64,
    /// The attempts that have reserved a token and are not settled.
    pending: u32,
}

/// Whether a client may make an attempt that failures alone would allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chance {
    Free,
    /// If all pending attempts fail, this one would exceed the limit.
    Pending,
}

/// A token that an attempt has reserved. Dropping it spends the token, also if the client leaves before the result.
#[derive(Debug)]
pub(crate) struct Reservation<'a> {
    attempts: &'a Attempts,
    client: ClientKey,
    /// The time of the attempt, in nanoseconds since 1970.
    since: u64,
    has_failed: bool,
}

/// The error of an attempt that may not wait, because too many do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueFull;

impl Attempts {
    /// Makes the limits, with full buckets.
    pub(crate) fn new(limits: AttemptLimits) -> Self {
        let attempts = Self {
            all_interval: AtomicU64::new(0),
            client_interval: AtomicU64::new(0),
            all: Mutex::default(),
            clients: DashMap::new(),
            settled: Notify::new(),
            waiting: Semaphore::new(WAITING),
        };
        attempts.set_limits(limits);
        attempts
    }

    /// Changes the limits. Attempts that failed before still count.
    pub(crate) fn set_limits(&self, limits: AttemptLimits) {
        self.all_interval.store(MINUTE / u64::from(limits.all.get()), Ordering::Relaxed);
        self.client_interval.store(MINUTE / u64::from(limits.per_client.get()), Ordering::Relaxed);
    }

    /// Checks whether failures allow a client another attempt, without making one.
    ///
    /// # Errors
    /// When they do not.
    pub(crate) fn check(&self, client: ClientKey, now: SystemTime) -> Result<(), TooMany> {
        self.chance(client, now).map(drop)
    }

    /// Waits while only pending attempts stand in the way of another.
    ///
    /// # Errors
    /// When too many wait.
    pub(crate) async fn wait_for_chance(&self, client: ClientKey, clock: WallClock) -> Result<(), QueueFull> {
        let mut settled = self.settled.notified();
        if !self.is_pending(client, clock) {
            return Ok(());
        }
        let _waiting = self.waiting.try_acquire().map_err(|_| QueueFull)?;
        while self.is_pending(client, clock) {
            settled.await;
            settled = self.settled.notified();
        }
        Ok(())
    }

    /// Reserves a token for an attempt. Returns `None` while only pending attempts stand in its way.
    ///
    /// # Errors
    /// When the client, or all clients together, failed too often.
    pub(crate) fn reserve(
        &self,
        client: ClientKey,
        now: SystemTime,
    ) -> Result<Option<Reservation<'_>>, TooMany> {
        let now = nanos(now);
        self.make_room(now);
        let mut all = self.all();
        if all.chance(now, self.all_interval())? == Chance::Pending {
            return Ok(None);
        }
        let mut bucket = self.clients.entry(client).or_default();
        if bucket.chance(now, self.client_interval())? == Chance::Pending {
            return Ok(None);
        }
        all.pending += 1;
        bucket.pending += 1;
        Ok(Some(Reservation { attempts: self, client, since: now, has_failed: true }))
    }

    /// Counts a failed attempt that cost nothing.
    ///
    /// # Errors
    /// When the client, or all clients together, failed too often, or would have if the pending attempts fail.
    pub(crate) fn spend(&self, client: ClientKey, now: SystemTime) -> Result<(), TooMany> {
        self.reserve(client, now)?.map(drop).ok_or(TooMany(1))
    }

    fn chance(&self, client: ClientKey, now: SystemTime) -> Result<Chance, TooMany> {
        let now = nanos(now);
        let of_client = self.clients.get(&client).map_or_else(Bucket::default, |bucket| *bucket);
        let of_client = of_client.chance(now, self.client_interval())?;
        let of_all = self.all().chance(now, self.all_interval())?;
        Ok(if of_client == Chance::Pending { of_client } else { of_all })
    }

    fn is_pending(&self, client: ClientKey, clock: WallClock) -> bool {
        self.chance(client, clock.now()) == Ok(Chance::Pending)
    }

    fn settle(&self, reservation: &Reservation<'_>) {
        {
            let mut all = self.all();
            all.settle(reservation, self.all_interval());
            // A bucket with a pending attempt is not removed.
            if let Some(mut bucket) = self.clients.get_mut(&reservation.client) {
                bucket.settle(reservation, self.client_interval());
            }
        }
        self.settled.notify_waiters();
    }

    fn all(&self) -> MutexGuard<'_, Bucket> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all_interval(&self) -> u64 {
        self.all_interval.load(Ordering::Relaxed)
    }

    fn client_interval(&self) -> u64 {
        self.client_interval.load(Ordering::Relaxed)
    }

    /// Removes full buckets, which say the same as absent ones, once most may be full.
    fn make_room(&self, now: u64) {
        let refilled = usize::try_from(MINUTE / self.all_interval().max(1)).unwrap_or(usize::MAX);
        if self.clients.len() >= refilled.saturating_mul(4) {
            self.clients.retain(|_, bucket| bucket.full_at > now || bucket.pending > 0);
        }
    }
}

impl Reservation<'_> {
    /// Gives the token back, because the attempt succeeded or its result is unknown through no fault of the client.
    pub(crate) fn give_back(mut self) {
        self.has_failed = false;
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.attempts.settle(self);
    }
}

impl Bucket {
    /// Returns whether an attempt may be made now.
    fn chance(self, now: u64, interval: u64) -> Result<Chance, TooMany> {
        check_tokens(self.full_at, now, interval, 1)?;
        let with_pending = check_tokens(self.full_at, now, interval, self.pending.saturating_add(1));
        Ok(if with_pending.is_ok() { Chance::Free } else { Chance::Pending })
    }

    /// Takes the token of a failed attempt, as if that was done when the attempt began.
    fn settle(&mut self, reservation: &Reservation<'_>, interval: u64) {
        self.pending = self.pending.saturating_sub(1);
        if reservation.has_failed {
            self.full_at = since(self.full_at, reservation.since).saturating_add(interval);
        }
    }
}

/// Checks whether a bucket has this number of tokens.
fn check_tokens(full_at: u64, now: u64, interval: u64, tokens: u32) -> Result<(), TooMany> {
    let next = since(full_at, now).saturating_add(interval.saturating_mul(u64::from(tokens)));
    match next.checked_sub(now.saturating_add(MINUTE)) {
        None | Some(0) => Ok(()),
        Some(wait) => Err(TooMany(wait.div_ceil(SECOND))),
    }
}

/// Returns the time from which the bucket lacks what is taken from it now.
fn since(full_at: u64, now: u64) -> u64 {
    // Only a clock that was set back since makes it so late. It would lock clients out for as long.
    let is_from_the_future = full_at > now.saturating_add(2 * MINUTE);
    if is_from_the_future { now } else { full_at.max(now) }
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::{Arc, Barrier};
    use std::thread;
    use std::time::Duration;

    const ONE: ClientKey = ClientKey::V6(1);
    const OTHER: ClientKey = ClientKey::V6(2);

    fn limits(all: u32, per_client: u32) -> AttemptLimits {
        AttemptLimits { all: NonZeroU32::new(all).unwrap(), per_client: NonZeroU32::new(per_client).unwrap() }
    }

    fn at(millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_000_000_000 + millis)
    }

    #[test]
    fn only_failures_use_up_the_limit() {
        let attempts = Attempts::new(limits(1000, 3));
        for _ in 0..100 {
            attempts.reserve(ONE, at(0)).unwrap().unwrap().give_back();
        }
        for _ in 0..3 {
            attempts.check(ONE, at(0)).unwrap();
            attempts.spend(ONE, at(0)).unwrap();
        }
        assert_eq!(attempts.check(ONE, at(0)), Err(TooMany(20)));
        assert_eq!(attempts.spend(ONE, at(0)), Err(TooMany(20)));
        assert_eq!(attempts.spend(OTHER, at(0)), Ok(()), "other clients are not affected");
        assert_eq!(attempts.spend(ONE, at(19_500)), Err(TooMany(1)));
        assert_eq!(attempts.spend(ONE, at(20_000)), Ok(()));
    }

    #[test]
    fn all_clients_together_have_a_limit() {
        let attempts = Attempts::new(limits(10, 3));
        let failed = (0..100).filter(|client| attempts.spend(ClientKey::V6(*client), at(0)).is_ok()).count();
        assert_eq!(failed, 10);
        assert_eq!(attempts.check(ClientKey::V6(1000), at(0)), Err(TooMany(6)));
        attempts.set_limits(limits(20, 3));
        assert!(attempts.check(ClientKey::V6(1000), at(3000)).is_ok());
    }

    #[test]
    fn a_client_that_may_not_try_does_not_use_up_the_limit_of_all() {
        let attempts = Attempts::new(limits(10, 1));
        for _ in 0..100 {
            let _ = attempts.spend(ONE, at(0));
        }
        let failed = (10..100).filter(|client| attempts.spend(ClientKey::V6(*client), at(0)).is_ok()).count();
        assert_eq!(failed, 9);
    }

    /// 64 clients hold their reservations at the same time: a result that is not known yet counts.
    #[test]
    fn attempts_at_the_same_time_do_not_exceed_the_limit() {
        let attempts = Attempts::new(limits(1000, 5));
        let together = Barrier::new(64);
        let made: usize = thread::scope(|scope| {
            let try_once = || {
                together.wait();
                let reserved = attempts.reserve(ONE, at(0));
                together.wait();
                usize::from(reserved.unwrap().is_some())
            };
            let threads: Vec<_> = (0..64).map(|_| scope.spawn(try_once)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(made, 5);
        assert!(attempts.check(ONE, at(0)).is_err(), "a reservation that is dropped is spent");
    }

    /// An attempt that fails later counts from its beginning, as if its failure had been known at once.
    #[test]
    fn pending_attempts_count_until_they_are_settled() {
        let attempts = Attempts::new(limits(3, 2));
        let reserve = |client| attempts.reserve(client, at(0)).unwrap();
        let (first, second) = (reserve(ONE).unwrap(), reserve(ONE).unwrap());
        assert!(reserve(ONE).is_none(), "of this client");
        let third = reserve(OTHER).unwrap();
        assert!(reserve(ClientKey::V6(3)).is_none(), "of all");
        assert_eq!(attempts.check(ONE, at(0)), Ok(()), "no failure is known");
        assert_eq!(attempts.spend(ONE, at(0)), Err(TooMany(1)));
        first.give_back();
        second.give_back();
        drop(third);
        drop((reserve(ONE).unwrap(), reserve(ONE).unwrap()));
        assert_eq!(attempts.check(ONE, at(0)), Err(TooMany(30)));
        assert_eq!(attempts.check(OTHER, at(0)), Err(TooMany(20)));
    }

    #[tokio::test]
    async fn the_number_of_waiting_attempts_is_bounded() {
        let attempts = Arc::new(Attempts::new(limits(10, 1)));
        let pending = attempts.reserve(ONE, at(0)).unwrap().unwrap();
        let wait = || {
            let attempts = Arc::clone(&attempts);
            tokio::spawn(async move { attempts.wait_for_chance(ONE, WallClock::new(|| at(0))).await })
        };
        let waiting: Vec<_> = (0..WAITING).map(|_| wait()).collect();
        while attempts.waiting.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(wait().await.unwrap(), Err(QueueFull));
        pending.give_back();
        for one in waiting {
            assert_eq!(one.await.unwrap(), Ok(()));
        }
        assert_eq!(attempts.waiting.available_permits(), WAITING);
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out() {
        let attempts = Attempts::new(limits(100, 2));
        let later = at(100_000_000);
        attempts.spend(ONE, later).unwrap();
        attempts.spend(ONE, later).unwrap();
        assert!(attempts.check(ONE, later).is_err());
        for _ in 0..2 {
            attempts.spend(ONE, at(0)).unwrap();
        }
        assert_eq!(attempts.check(ONE, at(0)), Err(TooMany(30)));
        assert_eq!(attempts.check(OTHER, at(0)), Ok(()));
    }

    #[test]
    fn the_memory_for_clients_is_bounded() {
        let attempts = Attempts::new(limits(100, 10));
        for step in 0..100_000 {
            let _ = attempts.spend(ClientKey::V6(step), at(step * 100));
            assert!(attempts.clients.len() <= 400 + 1, "{step}");
        }
    }

    proptest! {
        /// At any spacing of attempts, no more fail than the rate and one full bucket allow.
        #[test]
        fn a_limit_holds(per_client in 1..1000_u32, gaps in prop::collection::vec(0..5_000_u64, 1..2000)) {
            let attempts = Attempts::new(limits(1_000_000, per_client));
            let (mut now, mut failed) = (0, 0_u64);
            for gap in gaps {
                now += gap;
                match attempts.spend(ONE, at(now)) {
                    Ok(()) => failed += 1,
                    Err(TooMany(seconds)) => prop_assert!((1..=60).contains(&seconds)),
                }
            }
            let most = u64::from(per_client) + now * u64::from(per_client) / 60_000 + 1;
            prop_assert!(failed <= most, "{failed} of {most}");
        }
    }
}
