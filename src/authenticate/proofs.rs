//! Remembers verified credentials, so that a password is hashed once and not for every request.
//!
//! A proof is found by the HMAC of its credentials with a key of this process. Neither the credentials nor anything
//! that another process could compare them with is kept. Only credentials that verified enter, so a client cannot
//! push out the proofs of others with wrong ones.

use crate::identify::identity::{Identity, Scheme};
use dashmap::DashMap;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::SystemTime;

/// The part of the proofs that is forgotten at once when there are too many, as a divisor.
const FORGOTTEN: usize = 8;

/// What vouches for credentials, such as one user of the configuration. It ends when that is changed or removed, and
/// every proof ends with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source(Arc<AtomicBool>);

impl Source {
    /// Ends the source.
    pub(crate) fn end(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Returns whether the source has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Returns whether both are the same source.
    #[cfg(test)]
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The proof that credentials are valid.
#[derive(Clone, Debug)]
pub(crate) struct Proof {
    /// The identity that they prove.
    pub identity: Arc<Identity>,
    /// The time of the verification.
    pub since: SystemTime,
    /// The time from which they must be verified again.
    pub until: SystemTime,
    /// What vouches for them.
    pub source: Source,
}

impl Proof {
    /// Returns whether the proof holds. A clock that was set back does not make it last longer.
    fn holds(&self, now: SystemTime) -> bool {
        self.since <= now && now < self.until && !self.source.has_ended()
    }
}

/// The key of a proof: the HMAC of the credentials.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProofKey([u8; 32]);

impl Hash for ProofKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.first_chunk().map_or(0, |start| u64::from_le_bytes(*start)));
    }
}

/// The hasher of proofs' keys. They are uniform already, and no client can choose one.
#[derive(Default)]
struct Uniform(u64);

impl Hasher for Uniform {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl fmt::Debug for ProofKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProofKey(redacted)")
    }
}

/// A proof and the time of its last use.
#[derive(Debug)]
struct Entry {
    proof: Proof,
    /// In seconds since 1970.
    used: AtomicU64,
}

/// The proofs of a process, up to a maximum number.
pub(crate) struct Proofs {
    secret: Hmac<Sha256>,
    entries: DashMap<ProofKey, Entry, BuildHasherDefault<Uniform>>,
    capacity: usize,
    /// One thread at a time forgets old proofs.
    is_forgetting: AtomicBool,
}

impl fmt::Debug for Proofs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proofs({} of {})", self.entries.len(), self.capacity)
    }
}

impl Proofs {
    /// Makes an empty memory of at most `capacity` proofs, with a random key.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub(crate) fn new(capacity: usize) -> io::Result<Self> {
        let mut key = zeroize::Zeroizing::new([0_u8; 32]);
        getrandom::fill(&mut *key)?;
        let secret = Hmac::new_from_slice(&*key).map_err(io::Error::other)?;
        let entries = DashMap::with_hasher(BuildHasherDefault::default());
        Ok(Self { secret, entries, capacity, is_forgetting: AtomicBool::new(false) })
    }

    /// Returns the key of the proof of these credentials.
    pub(crate) fn key(&self, scheme: Scheme, credentials: &[u8]) -> ProofKey {
        let mut mac = self.secret.clone();
        mac.update(&[scheme as u8]);
        mac.update(credentials);
        ProofKey(mac.finalize().into_bytes().into())
    }

    /// Returns the identity that a proof still shows.
    pub(crate) fn find(&self, key: &ProofKey, now: SystemTime) -> Option<Arc<Identity>> {
        let entry = self.entries.get(key)?;
        if entry.proof.holds(now) {
            let now = seconds(now);
            // Most requests are in the second of the one before, and need not take the value from other processors.
            if entry.used.load(Ordering::Relaxed) != now {
                entry.used.store(now, Ordering::Relaxed);
            }
            return Some(Arc::clone(&entry.proof.identity));
        }
        drop(entry);
        self.entries.remove_if(key, |_, entry| !entry.proof.holds(now));
        None
    }

    /// Remembers a proof. If there are too many, those that were not used for longest are forgotten.
    pub(crate) fn remember(&self, key: ProofKey, proof: Proof) {
        let now = proof.since;
        if self.entries.len() >= self.capacity && !self.make_room(now) {
            return;
        }
        self.entries.insert(key, Entry { proof, used: AtomicU64::new(seconds(now)) });
    }

    /// Forgets the proofs that no longer hold, and an eighth of the others if that is not enough. Forgetting many at
    /// once makes each insertion cheap however fast new proofs come.
    fn make_room(&self, now: SystemTime) -> bool {
        if self.is_forgetting.swap(true, Ordering::Acquire) {
            return false;
        }
        self.entries.retain(|_, entry| entry.proof.holds(now));
        if self.entries.len() >= self.capacity {
            self.forget_oldest();
        }
        self.is_forgetting.store(false, Ordering::Release);
        self.entries.len() < self.capacity
    }

    fn forget_oldest(&self) {
        let mut used: Vec<u64> =
            self.entries.iter().map(|entry| entry.used.load(Ordering::Relaxed)).collect();
        let mut left = (used.len() / FORGOTTEN).max(1);
        if used.len() < left {
            return;
        }
        let (_, newest, _) = used.select_nth_unstable(left - 1);
        let newest = *newest;
        // Many may have been used in the same second as the newest one to forget.
        self.entries.retain(|_, entry| {
            let is_kept = left == 0 || entry.used.load(Ordering::Relaxed) > newest;
            left -= usize::from(!is_kept);
            is_kept
        });
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::Duration;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
    }

    fn proof(name: &str, since: u64, until: u64, source: &Source) -> Proof {
        let identity = Arc::new(Identity::User(name.into()));
        Proof { identity, since: at(since), until: at(until), source: source.clone() }
    }

    fn key(proofs: &Proofs, text: &str) -> ProofKey {
        proofs.key(Scheme::Basic, text.as_bytes())
    }

    #[test]
    fn a_proof_ends_with_its_time_and_with_its_source() {
        let proofs = Proofs::new(10).unwrap();
        let (kept, changed) = (Source::default(), Source::default());
        let (alice, bob) = (key(&proofs, "alice"), key(&proofs, "bob"));
        proofs.remember(alice, proof("alice", 0, 300, &kept));
        proofs.remember(bob, proof("bob", 0, 300, &changed));
        assert_eq!(*proofs.find(&alice, at(299)).unwrap(), Identity::User("alice".into()));
        assert!(proofs.find(&bob, at(299)).is_some());
        changed.end();
        assert!(proofs.find(&bob, at(299)).is_none());
        proofs.remember(bob, proof("bob", 0, 300, &changed));
        assert!(proofs.find(&bob, at(1)).is_none(), "the source ended during the verification");
        assert!(proofs.find(&alice, at(300)).is_none());
        assert_eq!(proofs.entries.len(), 0, "proofs that ended leave nothing behind");
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_lengthen_a_proof() {
        let proofs = Proofs::new(10).unwrap();
        let alice = key(&proofs, "alice");
        proofs.remember(alice, proof("alice", 1000, 1300, &Source::default()));
        assert!(proofs.find(&alice, at(999)).is_none());
    }

    #[test]
    fn keys_differ_by_scheme_credentials_and_process() {
        let (one, other) = (Proofs::new(1).unwrap(), Proofs::new(1).unwrap());
        let alice = key(&one, "alice");
        assert!(alice == key(&one, "alice") && alice != key(&one, "alicf"));
        assert!(alice != one.key(Scheme::Bearer, b"alice") && alice != key(&other, "alice"));
        assert_eq!(format!("{alice:?}"), "ProofKey(redacted)");
    }

    #[test]
    fn the_proofs_that_are_used_stay_when_there_are_too_many() {
        let proofs = Proofs::new(64).unwrap();
        let source = Source::default();
        let used = key(&proofs, "used");
        proofs.remember(used, proof("used", 0, 100_000, &source));
        for number in 1..10_000 {
            let name = format!("{number}");
            proofs.remember(key(&proofs, &name), proof(&name, number, 100_000, &source));
            assert!(proofs.find(&used, at(number)).is_some(), "{number}");
            assert!(proofs.find(&key(&proofs, &name), at(number)).is_some(), "the newest is there");
            assert!(proofs.entries.len() <= 64);
        }
    }

    #[test]
    fn proofs_of_one_second_are_bounded_too() {
        let proofs = Proofs::new(64).unwrap();
        for number in 0..1000 {
            let name = format!("{number}");
            proofs.remember(key(&proofs, &name), proof(&name, 0, 100, &Source::default()));
            assert!((1..=64).contains(&proofs.entries.len()));
        }
    }

    #[test]
    fn threads_together_do_not_exceed_the_capacity() {
        let proofs = Proofs::new(64).unwrap();
        thread::scope(|scope| {
            for thread in 0..4_u64 {
                let proofs = &proofs;
                scope.spawn(move || {
                    for number in 0..500_u64 {
                        let name = format!("{thread} {number}");
                        proofs
                            .remember(key(proofs, &name), proof(&name, number, 100_000, &Source::default()));
                        // Each thread may be between its check and its insertion.
                        assert!(proofs.entries.len() <= 64 + 4);
                    }
                });
            }
        });
    }
}
