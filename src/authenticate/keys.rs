//! Local access keys: Scopegate alone knows them, and verifies what clients sign with them.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html>

mod canonical;
mod claim;
mod day_key;
mod payload;
mod secret;

pub(crate) use self::secret::check as check_secret;

use self::canonical::SignedHeaders;
use self::claim::{Claim, Times};
use self::secret::KeySecret;
use super::failure::{Cause, Failure};
use super::followed::Followed;
use crate::identify::client::{Connection, ListenerName};
use crate::identify::credentials::SignatureIn;
use crate::identify::identity::Identity;
use crate::refusal::Rule;
use crate::s3::signed_body::{ChunkChain, SignedBody, hex, parse_hex};
use crate::sigv4::secret::Secret;
use arc_swap::ArcSwap;
use hmac::{Hmac, Mac};
use http1::Request;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The largest difference between the clocks of client and server, as on S3.
const MAX_SKEW: Duration = Duration::from_mins(15);

/// A local access key.
#[derive(Debug)]
pub(crate) struct LocalKey {
    identity: Arc<Identity>,
    secret: ArcSwap<KeySecret>,
    /// The file of the secret.
    file: Option<Box<Path>>,
    /// Whether a body that no signature covers is accepted over plain TCP.
    allows_unsigned: bool,
}

impl LocalKey {
    /// Makes a key.
    pub(crate) fn new(access_key: &str, secret: Secret, allows_unsigned: bool) -> Self {
        let identity = Arc::new(Identity::Key(access_key.into()));
        Self { identity, secret: ArcSwap::from_pointee(KeySecret::new(secret)), file: None, allows_unsigned }
    }

    /// Sets the file of the secret, which is read again when it changes.
    #[must_use]
    pub(crate) fn in_file(self, file: Option<Box<Path>>) -> Self {
        Self { file, ..self }
    }

    /// Returns the HMAC of a day's signing key.
    fn of_day(&self, day: &str, region: &str) -> Option<Hmac<Sha256>> {
        self.secret.load().of_day(day, region)
    }

    /// Replaces the secret. Returns whether it is another one.
    fn follow(&self, text: &str) -> bool {
        let is_new = !self.secret.load().is(text);
        if is_new {
            self.secret.store(Arc::new(KeySecret::new(Secret::new(text.to_owned()))));
        }
        is_new
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

    /// Returns whether a key has this secret.
    #[cfg(test)]
    pub(crate) fn has_secret(&self, id: &str, secret: &str) -> bool {
        self.by_id.get(id).is_some_and(|key| key.secret.load().is(secret))
    }

    /// Returns the files of secrets. A file may hold the secret of several keys.
    pub(super) fn files(&self) -> impl Iterator<Item = Followed<'_>> {
        let mut by_path: BTreeMap<&Path, Vec<&LocalKey>> = BTreeMap::new();
        for key in self.by_id.values() {
            if let Some(path) = &key.file {
                by_path.entry(path).or_default().push(key);
            }
        }
        by_path.into_iter().map(|(path, keys)| Followed {
            name: "keys",
            path,
            follow: Box::new(move |text| follow(&keys, text)),
        })
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

/// Puts the new text of a file into effect. Returns the number of keys that have another secret, unless there are none.
fn follow(keys: &[&LocalKey], text: &str) -> Result<Option<usize>, Vec<String>> {
    let text = text.trim_end_matches(['\r', '\n']);
    check_secret(text).map_err(|why| vec![why])?;
    let changed = keys.iter().filter(|key| key.follow(text)).count();
    Ok((changed > 0).then_some(changed))
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
