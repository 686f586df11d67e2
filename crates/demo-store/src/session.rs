//! The sessions minted by `AssumeRole`, until they expire. Time is an argument.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use s3s::auth::SecretKey;
use sha2::Sha256;

use super::policy::Policy;
use super::random;

/// The maximum number of live sessions, so that the table cannot grow without bound.
const MAX_SESSIONS: usize = 4096;

/// The lengths of MinIO's own keys.
const ACCESS_KEY_LEN: usize = 20;
const SECRET_KEY_LEN: usize = 40;
const TOKEN_LEN: usize = 128;

/// A long-lived key, or a session's key without the token.
#[derive(Clone)]
pub(super) struct KeyPair {
    pub(super) access_key: String,
    pub(super) secret_key: SecretKey,
}

impl KeyPair {
    /// Generates a random key pair.
    ///
    /// # Errors
    /// When there is no randomness.
    pub(super) fn random() -> io::Result<Self> {
        Ok(Self {
            access_key: random::text(ACCESS_KEY_LEN)?,
            secret_key: SecretKey::from(random::text(SECRET_KEY_LEN)?),
        })
    }
}

/// The result of `AssumeRole`. Nothing else holds the token itself.
pub(super) struct Minted {
    pub(super) key: KeyPair,
    pub(super) token: String,
    pub(super) expires: SystemTime,
}

/// A session as the store remembers it.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) secret_key: SecretKey,
    pub(super) policy: Arc<Policy>,
    token: TokenDigest,
    expires: SystemTime,
}

impl Session {
    pub(super) fn token_is(&self, presented: &str) -> bool {
        self.token.is_of(presented)
    }
}

/// All sessions of one store.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<String, Session>>);

impl Sessions {
    /// Makes a session that ends `lifetime` after `now`, to the second.
    ///
    /// # Errors
    /// When the table is full of live sessions or there is no randomness.
    pub(super) fn mint(&self, policy: Policy, lifetime: Duration, now: SystemTime) -> io::Result<Minted> {
        let key = KeyPair::random()?;
        let token = random::text(TOKEN_LEN)?;
        let expires = whole_second(now + lifetime);
        let session = Session {
            secret_key: key.secret_key.clone(),
            policy: Arc::new(policy),
            token: TokenDigest::of(&token)?,
            expires,
        };
        let mut table = self.lock();
        if table.len() >= MAX_SESSIONS {
            table.retain(|_, session| now <= session.expires);
        }
        if table.len() >= MAX_SESSIONS {
            return Err(io::Error::other("too many sessions are alive"));
        }
        table.insert(key.access_key.clone(), session);
        Ok(Minted { key, token, expires })
    }

    /// Returns the session of `access_key` if it is alive at `now`. It lives through the second of its expiry. An
    /// expired session is forgotten.
    pub(super) fn alive(&self, access_key: &str, now: SystemTime) -> Option<Session> {
        let mut table = self.lock();
        let session = table.get(access_key)?;
        if now > session.expires {
            table.remove(access_key);
            return None;
        }
        Some(session.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        // Every change is a single call to the map, so a panic elsewhere leaves no partial change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rounds down to a second: the expiration is reported in seconds, and must not be reported later than it is.
fn whole_second(time: SystemTime) -> SystemTime {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// The HMAC of a token under a separate key: compared in constant time, and useless to a thief.
#[derive(Clone)]
struct TokenDigest(Hmac<Sha256>, Vec<u8>);

impl TokenDigest {
    fn of(token: &str) -> io::Result<Self> {
        let keyed = Hmac::new_from_slice(&random::bytes(32)?).map_err(io::Error::other)?;
        let digest = keyed.clone().chain_update(token).finalize().into_bytes().to_vec();
        Ok(Self(keyed, digest))
    }

    fn is_of(&self, presented: &str) -> bool {
        self.0.clone().chain_update(presented).verify_slice(&self.1).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = UNIX_EPOCH;
    const LIFETIME: Duration = Duration::from_mins(15);

    fn mint(sessions: &Sessions, now: SystemTime) -> Minted {
        sessions.mint(Policy::everything(), LIFETIME, now).unwrap()
    }

    #[test]
    fn a_session_lives_through_the_second_of_its_expiry() {
        let sessions = Sessions::default();
        let minted = mint(&sessions, NOW + Duration::from_millis(700));
        assert_eq!(minted.expires, NOW + LIFETIME);
        let access_key = &minted.key.access_key;
        assert!(sessions.alive(access_key, minted.expires).is_some());
        assert!(sessions.alive(access_key, minted.expires + Duration::from_millis(1)).is_none());
        assert!(sessions.lock().is_empty());
    }

    #[test]
    fn only_its_own_token_is_a_sessions_token() {
        let sessions = Sessions::default();
        let (one, other) = (mint(&sessions, NOW), mint(&sessions, NOW));
        let session = sessions.alive(&one.key.access_key, NOW).unwrap();
        assert!(session.token_is(&one.token));
        assert!(!session.token_is(&other.token));
        assert!(!session.token_is(&one.token[1..]));
        assert!(!session.token_is(""));
    }

    #[test]
    fn a_full_table_makes_room_for_new_sessions_only_by_expiry() {
        let sessions = Sessions::default();
        for _ in 0..MAX_SESSIONS {
            mint(&sessions, NOW);
        }
        assert!(sessions.mint(Policy::everything(), LIFETIME, NOW + LIFETIME).is_err());
        let later = NOW + LIFETIME + Duration::from_secs(1);
        mint(&sessions, later);
        assert_eq!(sessions.lock().len(), 1);
    }
}
