//! The keys of one issuer: a JWK Set (RFC 7517, section 5), or a shared secret.

use super::algorithm::Algorithm;
use super::key::{Key, kid_of};
use super::{json, shown};
use crate::authenticate::failure::{Cause, Failure};
use crate::authenticate::proofs::Source;
use serde_json::Value;

/// Maximum size of a set, in bytes.
pub(crate) const MAX_SET: usize = 256 * 1024;
/// Maximum number of keys in a set.
const MAX_KEYS: usize = 100;

/// The keys of an issuer.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeySet {
    keys: Vec<Trusted>,
    skipped: Vec<Skipped>,
    /// Whether it is a shared secret, which has no id.
    is_secret: bool,
}

/// A key, and what ends when the key leaves its set.
#[derive(Clone, Debug)]
pub(super) struct Trusted {
    pub(super) key: Key,
    pub(super) source: Source,
}

/// A key of the set that is not usable.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Skipped {
    kid: Option<Box<str>>,
    why: String,
}

/// The reason why a set has no key for a token.
#[derive(Debug)]
pub(super) enum NoKey {
    /// The set has no such key. A newer set may have one.
    Unknown(Failure),
    /// A newer set would not help.
    Final(Failure),
}

impl NoKey {
    /// Returns the failure.
    pub(super) fn into_failure(self) -> Failure {
        match self {
            Self::Unknown(failure) | Self::Final(failure) => failure,
        }
    }
}

impl KeySet {
    /// Makes the set of a shared secret.
    pub(super) fn of_secret(secret: &[u8]) -> Self {
        let key = Trusted { key: Key::of_secret(secret), source: Source::default() };
        Self { keys: vec![key], skipped: Vec::new(), is_secret: true }
    }

    /// Reads a JWK Set. Keys that are not usable are skipped: a set may contain kinds of keys that nobody knew when
    /// this was written, and one malformed key must not end the others.
    ///
    /// # Errors
    /// When it is not a JWK Set, or has too many keys.
    pub(crate) fn parse(document: &[u8]) -> Result<Self, String> {
        if document.len() > MAX_SET {
            return Err(format!("it has more than {MAX_SET} bytes"));
        }
        let set = json::parse_object(document)?;
        let Some(Value::Array(members)) = set.get("keys") else {
            return Err("it has no array \"keys\", so it is not a JWK Set".to_owned());
        };
        if members.len() > MAX_KEYS {
            return Err(format!("it has {} keys; at most {MAX_KEYS} are accepted", members.len()));
        }
        let mut read = Self::default();
        for member in members {
            let Value::Object(jwk) = member else {
                read.skipped.push(Skipped { kid: None, why: "it is not an object".to_owned() });
                continue;
            };
            match Key::parse(jwk) {
                Ok(key) => read.keys.push(Trusted { key, source: Source::default() }),
                Err(why) => {
                    let kid = kid_of(jwk).ok().flatten().map(Into::into);
                    read.skipped.push(Skipped { kid, why });
                }
            }
        }
        Ok(read)
    }

    /// Returns the number of usable keys.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Describes the keys that are not usable.
    pub(crate) fn skipped(&self) -> Vec<String> {
        let describe = |skipped: &Skipped| {
            let kid = skipped.kid.as_deref().map_or("without kid".to_owned(), shown);
            format!("key {kid}: {}", skipped.why)
        };
        self.skipped.iter().map(describe).collect()
    }

    /// Returns this set as the successor of `old`: keys of both remain the same sources, and the other sources of
    /// `old` end.
    pub(super) fn succeeding(mut self, old: &Self) -> Self {
        let mut stays = vec![false; old.keys.len()];
        for new in &mut self.keys {
            let same = old.keys.iter().zip(&mut stays).find(|(one, stays)| !**stays && one.key.is(&new.key));
            if let Some((same, stays)) = same {
                *stays = true;
                new.source = same.source.clone();
            }
        }
        for (left, _) in old.keys.iter().zip(stays).filter(|(_, stays)| !stays) {
            left.source.end();
        }
        self
    }

    /// Returns these keys with sources of their own.
    pub(super) fn with_own_sources(mut self) -> Self {
        for trusted in &mut self.keys {
            trusted.source = Source::default();
        }
        self
    }

    /// Ends every source.
    pub(super) fn end(&self) {
        for trusted in &self.keys {
            trusted.source.end();
        }
    }

    /// Chooses the only key that can have signed a token with this header.
    ///
    /// # Errors
    /// When no key fits, or more than one.
    pub(super) fn choose(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<&Trusted, NoKey> {
        let mut fitting = self.keys.iter().filter(|trusted| {
            let named = self.is_secret || kid.is_none() || trusted.key.kid.as_deref() == kid;
            named && trusted.key.fits(algorithm)
        });
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => Ok(only),
            (Some(_), Some(_)) => Err(NoKey::Final(Self::ambiguous(kid, algorithm))),
            (None, _) => Err(self.unknown(kid, algorithm)),
        }
    }

    fn ambiguous(kid: Option<&str>, algorithm: Algorithm) -> Failure {
        let algorithm = algorithm.name();
        let detail = match kid {
            Some(kid) => format!("the issuer has several keys for {algorithm} with the kid {}", shown(kid)),
            None => format!("the token has no kid, and the issuer has several keys for {algorithm}"),
        };
        Failure::wrong(Cause::AmbiguousKey, detail)
    }

    fn unknown(&self, kid: Option<&str>, algorithm: Algorithm) -> NoKey {
        let algorithm = algorithm.name();
        let Some(kid) = kid else {
            let detail = format!("the issuer has no key for {algorithm}, and the token has no kid");
            return NoKey::Unknown(Failure::wrong(Cause::UnknownKid, detail));
        };
        if self.keys.iter().any(|trusted| trusted.key.kid.as_deref() == Some(kid)) {
            let detail = format!("the issuer's key {} is not for {algorithm}", shown(kid));
            return NoKey::Final(Failure::wrong(Cause::Algorithm, detail));
        }
        if let Some(skipped) = self.skipped.iter().find(|skipped| skipped.kid.as_deref() == Some(kid)) {
            let detail = format!("the issuer's key {} is not usable: {}", shown(kid), skipped.why);
            return NoKey::Unknown(Failure::wrong(Cause::UnknownKid, detail));
        }
        let known: Vec<String> = self
            .keys
            .iter()
            .take(10)
            .map(|trusted| trusted.key.kid.as_deref().map_or("none".to_owned(), shown))
            .collect();
        let detail =
            format!("kid is {}, and the issuer's {} keys have: {}", shown(kid), self.len(), known.join(", "));
        NoKey::Unknown(Failure::wrong(Cause::UnknownKid, detail))
    }
}
