//! What a configuration declares to verify credentials with.

use super::failure::{Cause, Failure};
use super::followed::Followed;
use super::jwt::{Issuers, Verified};
use super::lasting::Lasting;
use super::passwords::{BasicCredentials, Login, UserList, Users};
use super::proofs::Proof;
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

    /// Verifies the credentials of a request.
    ///
    /// # Errors
    /// When they are not valid, or cannot be verified at the moment.
    pub(super) async fn verify(
        &self,
        presented: Presented<'_>,
        client: ClientKey,
        clock: WallClock,
    ) -> Result<Arc<Identity>, Failure> {
        match presented {
            Presented::Nothing | Presented::Signature(_) => {
                Err(Failure::wrong(Cause::Malformed, "no credentials"))
            }
            Presented::Basic(text) => self.verify_basic(text, client, clock).await,
            Presented::Bearer(token) if token.starts_with(PREFIX) => {
                let verified = self.tokens.verify(token, clock.now());
                verified.map_err(|failure| self.spend(failure, client, clock))
            }
            Presented::Bearer(token) if !self.issuers.is_empty() => {
                self.verify_jwt(token, client, clock).await
            }
            Presented::Bearer(_) => {
                let failure =
                    Failure::wrong(Cause::UnknownToken, "it is neither a token of Scopegate nor a JWT");
                Err(self.spend(failure, client, clock))
            }
        }
    }

    async fn verify_jwt(
        &self,
        token: &str,
        client: ClientKey,
        clock: WallClock,
    ) -> Result<Arc<Identity>, Failure> {
        let Lasting { jwts, attempts, .. } = &*self.lasting;
        let (now, key) = (clock.now(), jwts.key(Scheme::Bearer, token.as_bytes()));
        if let Some(identity) = jwts.find(&key, now) {
            return Ok(identity);
        }
        // Before the signature, which costs most.
        attempts.check(client, now)?;
        match self.issuers.verify(token, now).await {
            Ok(Verified { identity, expires, source }) => {
                let identity = Arc::new(Identity::Jwt(identity));
                // Within the leeway a token has expired and is still accepted. Each use is verified then.
                if now < expires {
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

    async fn verify_basic(
        &self,
        text: &str,
        client: ClientKey,
        clock: WallClock,
    ) -> Result<Arc<Identity>, Failure> {
        let Lasting { passwords, attempts, hashing, .. } = &*self.lasting;
        let key = passwords.key(Scheme::Basic, text.as_bytes());
        if let Some(identity) = passwords.find(&key, clock.now()) {
            return Ok(identity);
        }
        let credentials =
            BasicCredentials::parse(text).map_err(|failure| self.spend(failure, client, clock))?;
        let login = Login { client, key, proofs: passwords, attempts, hashing, clock };
        self.users.verify(credentials, login).await
    }

    /// Counts a failure that cost next to nothing. Beyond the limit the client learns that instead.
    pub(super) fn spend(&self, failure: Failure, client: ClientKey, clock: WallClock) -> Failure {
        self.lasting.attempts.spend(client, clock.now()).map_or_else(Failure::from, |()| failure)
    }
}
