//! Limits failed attempts to prove an identity, per client address and over all.
//!
//! Each limit is a bucket of tokens. An attempt takes a token before anything expensive runs, and returns it if it
//! succeeds. So attempts at the same time cannot exceed the limit, and only failures use it up. Nobody is locked out by
//! name: a failed attempt never counts against the user that it names.

use crate::bounds::limits::Limits;
use crate::identify::client::ClientKey;
use dashmap::DashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// The time in which a bucket fills.
const MINUTE: u64 = 60_000_000_000;
const SECOND: u64 = 1_000_000_000;

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
    /// A bucket is the time at which it is full again, in nanoseconds since 1970.
    all: AtomicU64,
    /// The buckets of clients that are not full. A bucket is made by an attempt that all clients' bucket allows, so there
    /// are never many more than that bucket refills in a minute.
    clients: DashMap<ClientKey, u64>,
}

/// A token that an attempt has taken. Dropping it spends the token, also if the client leaves before the result.
#[derive(Debug)]
pub(crate) struct Reservation<'a> {
    attempts: &'a Attempts,
    client: ClientKey,
}

impl Attempts {
    /// Makes the limits, with full buckets.
    pub(crate) fn new(limits: AttemptLimits) -> Self {
        let attempts = Self {
            all_interval: AtomicU64::new(0),
            client_interval: AtomicU64::new(0),
            all: AtomicU64::new(0),
            clients: DashMap::new(),
        };
        attempts.set_limits(limits);
        attempts
    }

    /// Changes the limits. Attempts that failed before still count.
    pub(crate) fn set_limits(&self, limits: AttemptLimits) {
        self.all_interval.store(MINUTE / u64::from(limits.all.get()), Ordering::Relaxed);
        self.client_interval.store(MINUTE / u64::from(limits.per_client.get()), Ordering::Relaxed);
    }

    /// Checks whether a client may make an attempt, without making one.
    ///
    /// # Errors
    /// When it may not.
    pub(crate) fn check(&self, client: ClientKey, now: SystemTime) -> Result<(), TooMany> {
        let now = nanos(now);
        let of_client = self.clients.get(&client).map_or(0, |full_at| *full_at);
        let all = self.all.load(Ordering::Relaxed);
        take(of_client, now, self.client_interval.load(Ordering::Relaxed)).and(take(
            all,
            now,
            self.all_interval.load(Ordering::Relaxed),
        ))?;
        Ok(())
    }

    /// Takes a token for an attempt.
    ///
    /// # Errors
    /// When the client, or all clients together, failed too often.
    pub(crate) fn reserve(&self, client: ClientKey, now: SystemTime) -> Result<Reservation<'_>, TooMany> {
        let now = nanos(now);
        let interval = self.all_interval.load(Ordering::Relaxed);
        let all = self
            .all
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| take(full_at, now, interval).ok());
        all.map_err(|full_at| take(full_at, now, interval).err().unwrap_or(TooMany(1)))?;
        let interval = self.client_interval.load(Ordering::Relaxed);
        self.make_room(now);
        let taken = {
            let mut bucket = self.clients.entry(client).or_default();
            take(*bucket, now, interval).map(|full_at| *bucket = full_at)
        };
        if let Err(too_many) = taken {
            // The attempt is not made, so others may.
            self.give_back_to_all();
            return Err(too_many);
        }
        Ok(Reservation { attempts: self, client })
    }

    /// Counts a failed attempt that cost nothing.
    ///
    /// # Errors
    /// When the client, or all clients together, failed too often.
    pub(crate) fn spend(&self, client: ClientKey, now: SystemTime) -> Result<(), TooMany> {
        self.reserve(client, now).map(drop)
    }

    fn give_back_to_all(&self) {
        self.all.fetch_sub(self.all_interval.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Removes full buckets, which say the same as absent ones, once most may be full.
    fn make_room(&self, now: u64) {
        let interval = self.all_interval.load(Ordering::Relaxed).max(1);
        let refilled = usize::try_from(MINUTE / interval).unwrap_or(usize::MAX);
        if self.clients.len() >= refilled.saturating_mul(4) {
            self.clients.retain(|_, full_at| *full_at > now);
        }
    }
}

impl Reservation<'_> {
    /// Returns the token, because the attempt succeeded or its result is unknown through no fault of the client.
    pub(crate) fn give_back(self) {
        if let Some(mut bucket) = self.attempts.clients.get_mut(&self.client) {
            *bucket = bucket.saturating_sub(self.attempts.client_interval.load(Ordering::Relaxed));
        }
        self.attempts.give_back_to_all();
    }
}

/// Takes a token from a bucket. Returns the time at which the bucket is full again.
fn take(full_at: u64, now: u64, interval: u64) -> Result<u64, TooMany> {
    // Only a clock that was set back since makes it so late. It would lock clients out for as long.
    let is_from_the_future = full_at > now.saturating_add(2 * MINUTE);
    let next = if is_from_the_future { now } else { full_at.max(now) }.saturating_add(interval);
    match next.checked_sub(now.saturating_add(MINUTE)) {
        None | Some(0) => Ok(next),
        Some(wait) => Err(TooMany(wait.div_ceil(SECOND))),
    }
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Barrier;
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
            attempts.reserve(ONE, at(0)).unwrap().give_back();
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
                usize::from(reserved.is_ok())
            };
            let threads: Vec<_> = (0..64).map(|_| scope.spawn(try_once)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(made, 5);
        assert!(attempts.check(ONE, at(0)).is_err(), "a reservation that is dropped is spent");
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
