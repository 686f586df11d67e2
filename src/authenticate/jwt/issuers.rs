//! The issuers of a configuration, which verify tokens.

use super::algorithm::{Algorithm, names};
use super::claims;
use super::json;
use super::key_set::NoKey;
use super::keys::Keys;
use super::settings::JwtSettings;
use super::shown;
use super::token::Token;
use crate::authenticate::failure::{Cause, Failure};
use crate::authenticate::proofs::Source;
use crate::identify::identity::JwtIdentity;
use crate::net::wall_clock::WallClock;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

/// The issuers of a configuration.
#[derive(Debug, Default)]
pub(crate) struct Issuers(Vec<Arc<Issuer>>);

/// An issuer with its keys.
#[derive(Debug)]
struct Issuer {
    settings: JwtSettings,
    keys: Keys,
}

/// The result of verifying a token.
#[derive(Debug)]
pub(crate) struct Verified {
    /// The identity that the token proves.
    pub identity: JwtIdentity,
    /// The time from which the token must be verified again.
    pub expires: SystemTime,
    /// The key that signed it. It ends when it leaves the issuer's keys, or the issuer's settings change.
    pub source: Source,
    /// Whether the claims take little enough memory to be remembered.
    pub is_light: bool,
}

/// The weight from which claims are not remembered. A thousand lighter ones take up to 60 MiB.
const HEAVY: usize = 500;

/// The state of an issuer's keys.
#[derive(Clone, Debug)]
pub(crate) struct IssuerStatus {
    /// The name in the configuration.
    pub name: Box<str>,
    /// The age of the keys, if there are any.
    pub age: Option<Duration>,
    /// The time until which these keys are used if they cannot be read again.
    pub usable_until: Option<SystemTime>,
    /// Whether tokens can be verified.
    pub is_usable: bool,
    /// The error of the last attempt to read the keys, if it failed.
    pub error: Option<Arc<str>>,
    /// The attempts that succeeded.
    pub ok: u64,
    /// The attempts that failed.
    pub failed: u64,
}

impl Issuers {
    /// Returns the issuers of a configuration, which replaces `old`. Their keys are read on the current
    /// runtime.
    ///
    /// An issuer that has not changed is taken over. One with other settings keeps its keys and not what they verified.
    pub(crate) fn start(settings: &[JwtSettings], old: Option<&Self>, clock: WallClock) -> Self {
        let old = old.map_or(&[][..], |old| &old.0);
        let issuer = |settings: &JwtSettings| {
            if let Some(same) = old.iter().find(|issuer| issuer.settings == *settings) {
                return Arc::clone(same);
            }
            let keys = old.iter().find(|issuer| issuer.has_keys_of(settings)).map(|issuer| &issuer.keys);
            let keys = Keys::start(settings, keys, clock);
            Arc::new(Issuer { settings: settings.clone(), keys })
        };
        Self(settings.iter().map(issuer).collect())
    }

    /// Ends the proofs of every issuer that `next` does not have. Called when `next` takes effect.
    pub(crate) fn give_way_to(&self, next: &Self) {
        let is_kept = |issuer: &&Arc<Issuer>| next.0.iter().any(|next| Arc::ptr_eq(next, issuer));
        for ended in self.0.iter().filter(|issuer| !is_kept(issuer)) {
            ended.keys.state().end();
        }
    }

    /// Returns whether no issuer is configured.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Verifies a token: its issuer, its signature, and its claims at `now`.
    ///
    /// # Errors
    /// When the token is not valid, or the issuer's keys are not known.
    pub(crate) async fn verify(&self, token: &str, now: SystemTime) -> Result<Verified, Failure> {
        let token = Token::parse(token)?;
        // No two issuers have the same `iss`, so this decides about keys, algorithms and audience together.
        let issuer = self.0.iter().find(|issuer| issuer.settings.issuer == token.issuer);
        let Some(issuer) = issuer else {
            let known: Vec<String> = self.0.iter().map(|issuer| shown(&issuer.settings.issuer)).collect();
            let detail =
                format!("iss is {}, and the issuers are: {}", shown(&token.issuer), known.join(", "));
            return Err(Failure::wrong(Cause::UnknownIssuer, detail));
        };
        issuer.verify(token, now).await
    }

    /// Returns the state of each issuer's keys.
    pub(crate) fn statuses(&self, now: SystemTime) -> impl Iterator<Item = IssuerStatus> {
        self.0.iter().map(move |issuer| issuer.status(now))
    }
}

impl Issuer {
    /// Returns whether the issuer's keys are those of one with these settings.
    fn has_keys_of(&self, settings: &JwtSettings) -> bool {
        self.settings.issuer == settings.issuer && self.settings.keys == settings.keys
    }

    async fn verify(&self, token: Token<'_>, now: SystemTime) -> Result<Verified, Failure> {
        let algorithm = self.algorithm(&token)?;
        let state = self.keys.state();
        let mut held = state.obtain(now).await?;
        let kid = token.kid.as_deref();
        if let Err(NoKey::Unknown(unknown)) = held.set.choose(kid, algorithm) {
            held = state.newer(&held, unknown).await?;
        }
        let trusted = held.set.choose(kid, algorithm).map_err(NoKey::into_failure)?;
        if !trusted.key.verifies(algorithm, token.signed, &token.signature) {
            let kid = trusted.key.kid.as_deref().map_or("without kid".to_owned(), shown);
            let detail = format!("the signature is not that of the issuer's key {kid}");
            return Err(Failure::wrong(Cause::BadSignature, detail));
        }
        let all = token.claims()?;
        let expires = claims::check(&all, &self.settings, now)?;
        let expires = state.usable_until(&held).map_or(expires, |until| until.min(expires));
        let is_light = json::weight(&all) < HEAVY;
        let identity = JwtIdentity { issuer: self.settings.name.clone(), claims: all };
        Ok(Verified { identity, expires, source: trusted.source.clone(), is_light })
    }

    /// Returns the algorithm of a token, if the issuer may use it.
    fn algorithm(&self, token: &Token<'_>) -> Result<Algorithm, Failure> {
        let allowed = &self.settings.algorithms;
        Algorithm::parse(&token.algorithm).filter(|algorithm| allowed.contains(algorithm)).ok_or_else(|| {
            let detail =
                format!("alg is {}, and this issuer may use: {}", shown(&token.algorithm), names(allowed));
            Failure::wrong(Cause::Algorithm, detail)
        })
    }

    fn status(&self, now: SystemTime) -> IssuerStatus {
        let state = self.keys.state();
        IssuerStatus {
            name: self.settings.name.clone(),
            age: state.age(now),
            usable_until: state.held_until(),
            is_usable: state.is_usable(now),
            error: state.error(),
            ok: state.counts().ok.load(Ordering::Relaxed),
            failed: state.counts().failed.load(Ordering::Relaxed),
        }
    }
}
