//! Sessions: the credentials that one mint returned, with the key that signs with them.

use crate::sessions::refresh::Perishable;
use crate::sigv4::amz_date::AmzDate;
use crate::sigv4::secret::{Credentials, Secret};
use arc_swap::ArcSwap;
use aws_sigv4::sign::v4::generate_signing_key;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;
use zeroize::Zeroize;

/// The credentials that STS returned.
#[derive(Clone, Debug)]
pub struct Minted {
    /// The session's key pair.
    pub keys: Credentials,
    /// The session's token, which every request carries.
    pub token: Secret,
    /// The end of the session. It alone counts, not the requested lifetime.
    pub expiration: SystemTime,
}

/// A session ready for signing, shared without a lock by all requests of a mapping.
pub struct Session {
    keys: Credentials,
    token: Secret,
    expiration: SystemTime,
    region: Arc<str>,
    day: ArcSwap<DayKey>,
}

/// The error for a token or access key that cannot be written in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadToken;

impl Session {
    /// Makes a session from the credentials that STS returned.
    ///
    /// # Errors
    /// When the token or the access key cannot be written in a header unchanged.
    pub fn new(minted: Minted, region: Arc<str>, now: SystemTime) -> Result<Self, BadToken> {
        let is_plain = |secret: &Secret| {
            !secret.is_empty() && secret.reveal().bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !is_plain(&minted.token) || !is_plain(&minted.keys.access_key) {
            return Err(BadToken);
        }
        let day = ArcSwap::from_pointee(DayKey::derive(&minted.keys, &region, &AmzDate::new(now)));
        let Minted { keys, token, expiration } = minted;
        Ok(Self { keys, token, expiration, region, day })
    }

    /// Returns when the session ends.
    pub fn expiration(&self) -> SystemTime {
        self.expiration
    }

    /// Returns the key pair.
    pub fn keys(&self) -> &Credentials {
        &self.keys
    }

    /// Returns the token.
    pub fn token(&self) -> &Secret {
        &self.token
    }

    /// Returns the region that requests are signed for.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Returns the signing key of `date`'s day. It is derived again only when the day changes.
    pub fn day_key(&self, date: &AmzDate) -> arc_swap::Guard<Arc<DayKey>> {
        let kept = self.day.load();
        if date.is_in(kept.day()) {
            return kept;
        }
        self.day.store(Arc::new(DayKey::derive(&self.keys, &self.region, date)));
        self.day.load()
    }
}

impl Perishable for Session {
    fn expires(&self) -> SystemTime {
        self.expiration
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("expiration", &self.expiration).finish_non_exhaustive()
    }
}

/// The SigV4 signing key of one day, region and service.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html>
pub struct DayKey {
    scope: String,
    mac: Hmac<Sha256>,
    authorization: String,
}

impl DayKey {
    fn derive(keys: &Credentials, region: &str, date: &AmzDate) -> Self {
        let key = generate_signing_key(keys.secret_key.reveal(), date.time(), region, "s3");
        let mut block = Zeroizing64::of(key.as_ref());
        let mac = Hmac::<Sha256>::new(&block.0.into());
        block.0.zeroize();
        let scope = format!("{}/{region}/s3/aws4_request", date.day());
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders=", keys.access_key.reveal());
        Self { scope, mac, authorization }
    }

    fn day(&self) -> &str {
        self.scope.get(..8).unwrap_or_default()
    }

    /// Returns the credential scope: day, region, service.
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// Returns the `Authorization` header up to the list of signed headers.
    pub fn authorization(&self) -> &str {
        &self.authorization
    }

    /// Returns the HMAC-SHA-256 of the string to sign.
    pub fn sign(&self, string_to_sign: &[u8]) -> [u8; 32] {
        let mut mac = self.mac.clone();
        mac.update(string_to_sign);
        mac.finalize().into_bytes().into()
    }
}

/// An HMAC key padded to the block of SHA-256, which cannot have a wrong length.
struct Zeroizing64([u8; 64]);

impl Zeroizing64 {
    fn of(key: &[u8]) -> Self {
        let mut block = [0; 64];
        for (to, from) in block.iter_mut().zip(key) {
            *to = *from;
        }
        Self(block)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::time::Duration;

    pub(crate) fn minted(expiration: SystemTime) -> Minted {
        Minted {
            keys: Credentials {
                access_key: Secret::new("AKIDEXAMPLE".into()),
                secret_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into()),
            },
            token: Secret::new("the.session.token".into()),
            expiration,
        }
    }

    #[test]
    fn tokens_that_would_add_a_header_are_rejected() {
        let now = SystemTime::UNIX_EPOCH;
        for text in ["", "a b", "a\r\nx-amz-date: x", "a\n", "\u{fc}"] {
            let secret = || Secret::new(text.into());
            let token = Minted { token: secret(), ..minted(now) };
            let keys = Credentials { access_key: secret(), ..minted(now).keys };
            assert!(Session::new(token, "r".into(), now).is_err(), "{text:?}");
            assert!(Session::new(Minted { keys, ..minted(now) }, "r".into(), now).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_signing_key_follows_the_day() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400 * 20_000 - 1);
        let session = Session::new(minted(now + Duration::from_mins(15)), "us-east-1".into(), now).unwrap();
        let before = session.day_key(&AmzDate::new(now)).sign(b"x");
        let after = session.day_key(&AmzDate::new(now + Duration::from_secs(1))).sign(b"x");
        assert_ne!(before, after);
        assert_eq!(session.day_key(&AmzDate::new(now)).sign(b"x"), before);
    }

    #[test]
    fn debug_shows_no_secret() {
        let now = SystemTime::UNIX_EPOCH;
        let session = Session::new(minted(now), "r".into(), now).unwrap();
        let shown = format!("{session:?}");
        assert!(
            !shown.contains("AKID") && !shown.contains("token\"") && !shown.contains("the.session"),
            "{shown}"
        );
    }
}
