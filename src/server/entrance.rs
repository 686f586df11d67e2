//! The credentials of a configuration apart from the server, for the benches and for the test that counts allocations.

use crate::authenticate::attempts::AttemptLimits;
use crate::authenticate::authenticator::Authenticator;
use crate::authenticate::counts::AuthenticationCounts;
use crate::authenticate::jwt::Issuers;
use crate::authenticate::lasting::Lasting;
use crate::authenticate::verifiers::Verifiers;
use crate::config::Config;
use crate::identify::client::{Client, Connection, ListenerRegistry};
use crate::net::wall_clock::WallClock;
use crate::refusal::Refusal;
use http1::Request;
use std::io;
use std::sync::Arc;

/// What identifies the clients of a configuration.
#[derive(Debug)]
pub struct Entrance {
    authenticator: Authenticator,
    counts: AuthenticationCounts,
}

impl Entrance {
    /// Makes what identifies clients. Keys of JWT issuers are read on the current runtime. `listeners` are those of the
    /// configuration.
    ///
    /// # Errors
    /// When the declarations do not go together, or the system has no random numbers.
    pub fn new(config: &Config, listeners: &ListenerRegistry) -> io::Result<Self> {
        let lasting = Arc::new(Lasting::new(AttemptLimits::of(&config.limits), 1)?);
        let verifiers =
            Verifiers::new(&config.users, &config.tokens, lasting, None).map_err(io::Error::other)?;
        let verifiers = verifiers.with_issuers(Issuers::start(&config.jwt, None, WallClock::SYSTEM));
        let matchers = config.mappings.iter().map(|mapping| &*mapping.client);
        let authenticator = Authenticator::new(matchers, listeners, |name| config.certificates_at(name))
            .verifying(verifiers)
            .with_keys(Arc::clone(&config.keys));
        Ok(Self { authenticator, counts: AuthenticationCounts::default() })
    }

    /// Identifies the client of a request as the server does.
    ///
    /// # Errors
    /// When its credentials do not verify.
    pub async fn identify<'c>(
        &self,
        connection: &'c Connection,
        request: &Request,
    ) -> Result<Client<'c>, Refusal> {
        let client = Client::of_connection(connection);
        let identified = self.authenticator.identify(&client, request, WallClock::SYSTEM, &self.counts).await;
        identified.map(|identified| identified.client)
    }
}
