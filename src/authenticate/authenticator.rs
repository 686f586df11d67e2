//! The authenticator of a configuration, which identifies the client of each request.

use super::counts::AuthenticationCounts;
use super::failure::{Cause, Failure, challenges};
use super::jwt::Issuers;
use crate::identify::client::{Client, Connection, ListenerId, ListenerRegistry};
use crate::identify::credentials::{Presented, presented};
use crate::identify::identity::{Identity, Schemes};
use crate::identify::matcher::Matcher;
use crate::net::wall_clock::WallClock;
use crate::refusal::{Refusal, Rule};
use http1::Request;
use std::sync::Arc;

/// The schemes that listeners use, and the credentials that verify.
#[derive(Debug, Default)]
pub(crate) struct Authenticator {
    /// The schemes of each listener's mappings, by the listener's id.
    by_listener: Vec<Schemes>,
    /// The matchers that need credentials.
    matchers: Vec<Matcher>,
    /// The issuers of JWTs.
    issuers: Arc<Issuers>,
}

impl Authenticator {
    /// Makes the authenticator of mappings with these matchers.
    pub(crate) fn new<'m>(matchers: impl Iterator<Item = &'m Matcher>, listeners: &ListenerRegistry) -> Self {
        let matchers: Vec<Matcher> =
            matchers.filter(|matcher| !matcher.schemes().is_empty()).cloned().collect();
        let at = |name| {
            // Whether the listener is a unix socket decides only about conditions on the connection.
            let reach =
                |matcher: &&Matcher| matcher.can_match_at(name, false) || matcher.can_match_at(name, true);
            matchers
                .iter()
                .filter(reach)
                .fold(Schemes::default(), |all, matcher| all.union(matcher.schemes()))
        };
        Self { by_listener: listeners.names().iter().map(at).collect(), matchers, issuers: Arc::default() }
    }

    /// Sets the issuers whose tokens are verified.
    #[must_use]
    pub(crate) fn with_issuers(self, issuers: Arc<Issuers>) -> Self {
        Self { issuers, ..self }
    }

    /// Returns the issuers whose tokens are verified.
    pub(crate) fn issuers(&self) -> &Arc<Issuers> {
        &self.issuers
    }

    /// Returns the schemes that mappings at a listener use.
    pub(crate) fn schemes(&self, listener: ListenerId) -> Schemes {
        self.by_listener.get(listener.index()).copied().unwrap_or_default()
    }

    /// Identifies the client of a request by its connection and its credentials.
    ///
    /// # Errors
    /// When the request carries credentials that do not verify, or more than one. They never count as absent: a
    /// client must not get the rights of another mapping because its password is wrong.
    pub(crate) async fn identify<'c>(
        &self,
        connection: &'c Connection,
        request: &Request,
        clock: WallClock,
        counts: &AuthenticationCounts,
    ) -> Result<Client<'c>, Refusal> {
        let schemes = self.schemes(connection.listener().id());
        if schemes.is_empty() {
            return Ok(Client::of_connection(connection));
        }
        let presented = presented(request, schemes)?;
        let Some(scheme) = presented.scheme() else { return Ok(Client::of_connection(connection)) };
        let verified = Box::pin(self.verify(presented, clock)).await;
        counts.count(scheme, verified.as_ref().err().map(|failure| failure.cause));
        match verified {
            Ok(identity) => Ok(Client::proved(connection, identity)),
            Err(failure) => Err(failure.into_refusal(challenges(schemes, Some(scheme)))),
        }
    }

    async fn verify(&self, presented: Presented<'_>, clock: WallClock) -> Result<Arc<Identity>, Failure> {
        match presented {
            Presented::Nothing => Err(Failure::wrong(Cause::Malformed, "no credentials")),
            Presented::Basic(_) => Err(Failure::wrong(Cause::UnknownUser, "there are no users")),
            Presented::Bearer(token) if !self.issuers.is_empty() => {
                let verified = self.issuers.verify(token, clock.now()).await?;
                Ok(Arc::new(Identity::Jwt(verified.identity)))
            }
            Presented::Bearer(_) => Err(Failure::wrong(Cause::UnknownToken, "there are no tokens")),
            Presented::Signature(_) => Err(Failure::wrong(Cause::UnknownKey, "there are no keys")),
        }
    }

    /// Returns the refusal of a client that no mapping admits.
    pub(crate) fn refuse(&self, client: &Client<'_>) -> Refusal {
        let schemes = self.helpful(client);
        let challenges = challenges(schemes, None);
        if challenges.is_empty() || client.identity().is_some() {
            return Refusal::new(Rule::NoMapping, "this client matches no mapping");
        }
        let message = "this client must prove who it is: send credentials";
        Refusal::new(Rule::CredentialsRequired, message).challenging(challenges)
    }

    /// Returns the schemes by which a client could match a mapping that its connection alone does not match.
    pub(crate) fn helpful(&self, client: &Client<'_>) -> Schemes {
        if self.schemes(client.connection().listener().id()).is_empty() {
            return Schemes::default();
        }
        let admitted = self.matchers.iter().filter(|matcher| matcher.admits_connection(client));
        admitted.fold(Schemes::default(), |all, matcher| all.union(matcher.schemes()))
    }
}
