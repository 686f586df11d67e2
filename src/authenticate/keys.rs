//! Local access keys: Scopegate alone knows them, and verifies what clients sign with them.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html>

mod canonical;
mod claim;
mod day_key;
mod payload;

use self::canonical::SignedHeaders;
use self::claim::{Claim, Times};
use self::day_key::DayKey;
use super::failure::{Cause, Failure};
use crate::identify::client::{Connection, ListenerName};
use crate::identify::credentials::SignatureIn;
use crate::identify::identity::Identity;
use crate::refusal::Rule;
use crate::s3::signed_body::{ChunkChain, SignedBody, hex, parse_hex};
use crate::sigv4::secret::Secret;
use arc_swap::ArcSwapOption;
use hmac::{Hmac, Mac};
use http1::Request;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The largest difference between the clocks of client and server, as on S3.
const MAX_SKEW: Duration = Duration::from_mins(15);

/// A local access key.
#[derive(Debug)]
pub(crate) struct LocalKey {
    identity: Arc<Identity>,
    secret: Secret,
    /// Whether a body that no signature covers is accepted over plain TCP.
    allows_unsigned: bool,
    day: ArcSwapOption<DayKey>,
}

impl LocalKey {
    /// Makes a key.
    pub(crate) fn new(access_key: &str, secret: Secret, allows_unsigned: bool) -> Self {
        let identity = Arc::new(Identity::Key(access_key.into()));
        Self { identity, secret, allows_unsigned, day: ArcSwapOption::empty() }
    }

    /// Returns the HMAC of a day's signing key. Only the last day's is kept.
    fn of_day(&self, day: &str, region: &str) -> Option<Hmac<Sha256>> {
        let kept = self.day.load();
        if let Some(kept) = kept.as_deref().filter(|kept| kept.is_of(day)) {
            return Some(kept.mac().clone());
        }
        let derived = DayKey::derive(&self.secret, day, region)?;
        let mac = derived.mac().clone();
        self.day.store(Some(Arc::new(derived)));
        Some(mac)
    }
}

/// The local access keys of a configuration.
pub(crate) struct Keys {
    by_id: HashMap<Box<str>, LocalKey>,
    /// The key that unknown ones are verified with, so that they cost the same.
    decoy: LocalKey,
    region: Arc<str>,
    /// The listeners that refuse unknown keys.
    strict: Vec<ListenerName>,
}

/// A signature that verified.
#[derive(Debug)]
pub(crate) struct VerifiedKey {
    /// The id of the key.
    pub identity: Arc<Identity>,
    /// The part of the signature that covers the body, which is still to be verified.
    pub body: SignedBody,
}

impl Keys {
    /// Makes the keys of a configuration, which sign for `region`. The listeners of `strict` refuse other keys.
    pub(crate) fn new(keys: Vec<LocalKey>, region: Arc<str>, strict: Vec<ListenerName>) -> Self {
        let by_id = keys.into_iter().map(|key| (Box::from(key.identity.name()), key)).collect();
        let decoy = LocalKey::new("", Secret::new("a key that no client has".to_owned()), false);
        Self { by_id, decoy, region, strict }
    }

    /// Returns the ids of the keys.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_id.keys().map(|name| &**name)
    }

    /// Verifies the signature of a request. Returns `None` if the key is unknown, so that the credentials count as
    /// dummy ones of an S3 client.
    ///
    /// # Errors
    /// When the signature is malformed or not supported, or a known key did not make it, and when the key is unknown
    /// to a listener that refuses unknown ones.
    pub(crate) fn verify(
        &self,
        request: &Request,
        signature: SignatureIn<'_>,
        connection: &Connection,
        now: SystemTime,
    ) -> Result<Option<VerifiedKey>, Failure> {
        let claim = Claim::read(request, signature)?;
        let known = self.by_id.get(claim.access_key());
        let verified = self.verify_with(known.unwrap_or(&self.decoy), &claim, request, connection, now);
        match known {
            Some(_) => verified.map(Some),
            None if self.strict.contains(connection.listener().name()) => Err(unknown_key()),
            None => Ok(None),
        }
    }

    fn verify_with(
        &self,
        key: &LocalKey,
        claim: &Claim<'_>,
        request: &Request,
        connection: &Connection,
        now: SystemTime,
    ) -> Result<VerifiedKey, Failure> {
        let claim = claim.supported()?;
        claim.check_no_token(request)?;
        claim.check_scope(&self.region)?;
        let date = claim.date(request)?;
        check_time(claim.times(&date)?, now)?;
        let headers = SignedHeaders::parse(claim.signed_headers(), claim.is_presigned())?;
        headers.check(request, claim.is_presigned())?;
        let mode = payload::Mode::of(request, claim.query(), claim.is_presigned())?;
        mode.check(request, connection, key.allows_unsigned, claim.is_presigned())?;
        let canonical =
            canonical::request(request, claim.query(), &headers, mode.text(), claim.is_presigned())?;
        let mut mac = key.of_day(date.day(), &self.region).ok_or_else(wrong_signature)?;
        let fresh = mac.clone();
        let scope = format!("{}/{}/s3/aws4_request", date.day(), self.region);
        for part in ["AWS4-HMAC-SHA256\n", date.as_str(), "\n", &scope, "\n"] {
            mac.update(part.as_bytes());
        }
        mac.update(&hex(&Sha256::digest(&canonical).into()));
        let signature = claim.signature()?;
        let claimed = parse_hex(&signature).ok_or_else(wrong_signature)?;
        // Constant in time.
        mac.verify_slice(&claimed).map_err(|_| wrong_signature())?;
        let body = mode
            .signed_body(|has_trailer| ChunkChain::new(fresh, date.as_str(), &scope, signature, has_trailer));
        Ok(VerifiedKey { identity: Arc::clone(&key.identity), body })
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self::new(Vec::new(), "us-east-1".into(), Vec::new())
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("count", &self.by_id.len()).finish_non_exhaustive()
    }
}

/// Returns whether a text can be the id of a key: its alphabet is that of S3's ids and of base64.
pub(crate) fn is_access_key(text: &str) -> bool {
    let is_allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'+' | b'=' | b'_' | b'-');
    (3..=128).contains(&text.len()) && text.bytes().all(is_allowed)
}

/// Checks when a signature was made, and until when it holds.
fn check_time(times: Times, now: SystemTime) -> Result<(), Failure> {
    let skewed = |why: &str| {
        failure(Cause::ClockSkew, Rule::RequestTimeSkewed, format!("{why} by more than 15 minutes"))
    };
    if times.signed > now + MAX_SKEW {
        return Err(skewed("the client's clock is ahead"));
    }
    match times.lifetime {
        // The life of a presigned URL is its own, not that of a signed header.
        Some(lifetime) if now > times.signed + lifetime => {
            Err(failure(Cause::ExpiredSignature, Rule::ExpiredSignature, "the presigned URL has expired"))
        }
        None if now > times.signed + MAX_SKEW => Err(skewed("the client's clock is behind")),
        _ => Ok(()),
    }
}

fn failure(cause: Cause, rule: Rule, detail: impl Into<String>) -> Failure {
    Failure { rule, ..Failure::wrong(cause, detail) }
}

fn malformed(is_presigned: bool, detail: impl Into<String>) -> Failure {
    let rule = if is_presigned { Rule::MalformedPresigned } else { Rule::MalformedSignature };
    failure(Cause::Malformed, rule, detail)
}

fn wrong_signature() -> Failure {
    failure(Cause::WrongSignature, Rule::WrongSignature, "the key did not make this signature")
}

pub(super) fn unknown_key() -> Failure {
    failure(Cause::UnknownKey, Rule::UnknownKey, "no [[key]] has this id")
}

#[cfg(test)]
mod tests;
