//! The secret of a local access key, with the signing key that was derived from it last.

use super::day_key::DayKey;
use crate::sigv4::secret::Secret;
use arc_swap::ArcSwapOption;
use hmac::Hmac;
use sha2::Sha256;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// Shortest secret, in bytes.
const SHORTEST: usize = 16;

/// A secret. A new one begins without the signing keys of the one before.
#[derive(Debug)]
pub(super) struct KeySecret {
    secret: Secret,
    day: ArcSwapOption<DayKey>,
}

impl KeySecret {
    pub(super) fn new(secret: Secret) -> Self {
        Self { secret, day: ArcSwapOption::empty() }
    }

    /// Returns the HMAC of a day's signing key. Only the last day's is kept.
    pub(super) fn of_day(&self, day: &str, region: &str) -> Option<Hmac<Sha256>> {
        let kept = self.day.load();
        if let Some(kept) = kept.as_deref().filter(|kept| kept.is_of(day)) {
            return Some(kept.mac().clone());
        }
        let derived = DayKey::derive(&self.secret, day, region)?;
        let mac = derived.mac().clone();
        self.day.store(Some(Arc::new(derived)));
        Some(mac)
    }

    /// Returns whether this is the secret.
    pub(super) fn is(&self, text: &str) -> bool {
        self.secret.reveal().as_bytes().ct_eq(text.as_bytes()).into()
    }
}

/// Checks that a secret is not so short that it can be guessed.
///
/// # Errors
/// Says how long it is.
pub(crate) fn check(secret: &str) -> Result<(), String> {
    let length = secret.len();
    if length >= SHORTEST {
        return Ok(());
    }
    Err(format!("the secret key has {length} characters; at least {SHORTEST} are needed"))
}
