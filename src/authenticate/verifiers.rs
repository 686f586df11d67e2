//! What a configuration declares to verify credentials with.

use super::failure::{Cause, Failure};
use super::followed::Followed;
use super::jwt::{Issuers, Verified};
use super::lasting::Lasting;
use super::passwords::{BasicCredentials, Login, UserList, Users};
use super::proofs::{Proof, ProofKey};
use super::tokens::{PREFIX, TokenList, Tokens};
use crate::identify::client::ClientKey;
use crate::identify::credentials::Presented;
use crate::identify::identity::{Identity, Scheme};
use crate::net::wall_clock::WallClock;
use crate::refusal::Rule;
use std::sync::Arc;

/// The users and tokens of a configuration.
#[derive(Debug)]
pub(crate) struct Verifiers {
    users: Users,
    tokens: Arc<Tokens>,
    issuers: Arc<Issuers>,
    lasting: Arc<Lasting>,
}

/// What is known of credentials without verifying anything that takes long.
pub(super) enum Recalled<'r> {
    /// Whether they are valid.
    Decided(Result<Arc<Identity>, Failure>),
    /// They must be verified.
    Unknown(Unverified<'r>),
}

/// Credentials that must be verified, with the key of their proof.
pub(super) enum Unverified<'r> {
    /// A user and a password, in base64.
    Basic(&'r str, ProofKey),
    /// A JWT.
    Jwt(&'r str, ProofKey),
}

impl Verifiers {
    /// Makes the verifiers of a configuration. What is unchanged since `previous` keeps its proofs and its times of use.
    ///
    /// # Errors
    /// When the declarations do not go together.
    pub(crate) fn new(
        users: &UserList,
        tokens: &TokenList,
        lasting: Arc<Lasting>,
        previous: Option<&Self>,
    ) -> Result<Self, String> {
        Ok(Self {
            users: Users::new(users, previous.map(|before| &before.users))?,
            tokens: Arc::new(Tokens::new(tokens, previous.map(|before| &*before.tokens))?),
            issuers: Arc::default(),
            lasting,
        })
    }

    /// Adds the issuers whose tokens are verified.
    pub(crate) fn with_issuers(self, issuers: Issuers) -> Self {
        Self { issuers: Arc::new(issuers), ..self }
    }

    /// Returns the issuers whose tokens are verified.
    pub(crate) fn issuers(&self) -> &Arc<Issuers> {
        &self.issuers
    }

    /// Ends the proofs of everything that `next` does not have. Called when `next` takes effect.
    pub(crate) fn give_way_to(&self, next: &Self) {
        self.users.give_way_to(&next.users);
        self.issuers.give_way_to(&next.issuers);
    }

    /// Returns the bearer tokens.
    pub(crate) fn tokens(&self) -> &Arc<Tokens> {
        &self.tokens
    }

    /// Returns the files that declare users and tokens.
    pub(crate) fn files(&self) -> Vec<Followed<'_>> {
        let users = self.users.file().map(|path| Followed {
            name: "users",
            path,
            follow: Box::new(|text| self.users.follow_file(text)),
        });
        let tokens = self.tokens.file().map(|path| Followed {
            name: "tokens",
            path,
            follow: Box::new(|text| self.tokens.follow_file(text)),
        });
        users.into_iter().chain(tokens).collect()
    }

    /// Returns what is known of the credentials of a request. Allocates nothing for those that are remembered.
    pub(super) fn recall<'r>(
        &self,
        presented: Presented<'r>,
        client: ClientKey,
        clock: WallClock,
    ) -> Recalled<'r> {
        let Lasting { passwords, jwts, .. } = &*self.lasting;
        let now = clock.now();
        let (known, unverified) = match presented {
            Presented::Basic(text) => {
                let key = passwords.key(Scheme::Basic, text.as_bytes());
                (passwords.find(&key, now), Unverified::Basic(text, key))
            }
            Presented::Bearer(token) if token.starts_with(PREFIX) => {
                let verified = self.tokens.verify(token, now);
                return Recalled::Decided(verified.map_err(|failure| self.spend(failure, client, clock)));
            }
            Presented::Bearer(token) if !self.issuers.is_empty() => {
                let key = jwts.key(Scheme::Bearer, token.as_bytes());
                (jwts.find(&key, now), Unverified::Jwt(token, key))
            }
            Presented::Bearer(_) => {
                let failure =
                    Failure::wrong(Cause::UnknownToken, "it is neither a token of Scopegate nor a JWT");
                return Recalled::Decided(Err(self.spend(failure, client, clock)));
            }
            Presented::Nothing | Presented::Signature(_) => {
                return Recalled::Decided(Err(Failure::wrong(Cause::Malformed, "no credentials")));
            }
        };
        known.map_or(Recalled::Unknown(unverified), |identity| Recalled::Decided(Ok(identity)))
    }

    /// Verifies credentials, and remembers them if they are valid.
    ///
    /// # Errors
    /// When they are not valid, or cannot be verified at the moment.
    pub(super) async fn verify(
        &self,
        unverified: Unverified<'_>,
        client: ClientKey,
        clock: WallClock,
    ) -> Result<Arc<Identity>, Failure> {
        match unverified {
            Unverified::Basic(text, key) => {
                let Lasting { passwords, attempts, hashing, .. } = &*self.lasting;
                let credentials =
                    BasicCredentials::parse(text).map_err(|failure| self.spend(failure, client, clock))?;
                let login = Login { client, key, proofs: passwords, attempts, hashing, clock };
                self.users.verify(credentials, login).await
            }
            Unverified::Jwt(token, key) => self.verify_jwt(token, key, client, clock).await,
        }
    }

    async fn verify_jwt(
        &self,
        token: &str,
        key: ProofKey,
        client: ClientKey,
        clock: WallClock,
    ) -> Result<Arc<Identity>, Failure> {
        let Lasting { jwts, attempts, .. } = &*self.lasting;
        let now = clock.now();
        // Before the signature, which costs most.
        attempts.check(client, now)?;
        match self.issuers.verify(token, now).await {
            Ok(Verified { identity, expires, source, is_light }) => {
                let identity = Arc::new(Identity::Jwt(identity));
                // Within the leeway a token has expired and is still accepted. Each use is verified then.
                if is_light && now < expires {
                    let identity = Arc::clone(&identity);
                    jwts.remember(key, Proof { identity, since: now, until: expires, source });
                }
                Ok(identity)
            }
            // Missing keys are no fault of the client.
            Err(failure) if failure.rule == Rule::CredentialsUnavailable => Err(failure),
            Err(failure) => Err(self.spend(failure, client, clock)),
        }
    }

    /// Counts a failure that cost next to nothing. Beyond the limit the client learns that instead.
    pub(super) fn spend(&self, failure: Failure, client: ClientKey, clock: WallClock) -> Failure {
        self.lasting.attempts.spend(client, clock.now()).map_or_else(Failure::from, |()| failure)
    }
}
