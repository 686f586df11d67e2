//! The credentials of the client in question: verifies a bearer token, and checks that names are declared.

use crate::authenticate::failure::{Cause, Failure, challenges};
use crate::authenticate::jwt::Issuers;
use crate::authenticate::tokens::{PREFIX, Tokens};
use crate::cli::CommandError;
use crate::config::Config;
use crate::identify::identity::{Identity, Scheme};
use crate::net::guarded::read_guarded;
use crate::net::wall_clock::WallClock;
use crate::refusal::Refusal;
use std::path::Path;
use std::sync::Arc;

/// Maximum size of a file with a token, in bytes.
const MAX_TOKEN_FILE: u64 = 64 * 1024;

/// Verifies the bearer token in a file as the proxy does. The keys of an issuer of JWTs are read from their origin.
///
/// # Errors
/// Fails if the file cannot be read.
pub(super) fn verify_file(config: &Config, path: &Path) -> Result<Result<Identity, Refusal>, CommandError> {
    let help = "write the token alone into the file";
    let text = read_guarded(path, MAX_TOKEN_FILE, help)
        .map_err(|error| CommandError::usage(format!("{}; {}", error.message, error.help)))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CommandError::failed(error.to_string()))?;
    let verified = runtime.block_on(verify(config, text.trim()));
    let schemes = std::iter::once(Scheme::Bearer).collect();
    Ok(verified.map_err(|failure| failure.into_refusal(challenges(schemes, Some(Scheme::Bearer)))))
}

async fn verify(config: &Config, token: &str) -> Result<Identity, Failure> {
    let clock = WallClock::SYSTEM;
    if token.starts_with(PREFIX) {
        let tokens =
            Tokens::new(&config.tokens, None).map_err(|why| Failure::wrong(Cause::UnknownToken, why))?;
        return tokens.verify(token, clock.now()).map(Arc::unwrap_or_clone);
    }
    if config.jwt.is_empty() {
        let why = "it is not a token of Scopegate, and the configuration has no [[jwt]]";
        return Err(Failure::wrong(Cause::UnknownToken, why));
    }
    let issuers = Issuers::start(&config.jwt, None, clock);
    issuers.verify(token, clock.now()).await.map(|verified| Identity::Jwt(verified.identity))
}

/// Checks that the configuration declares the name of an identity.
///
/// # Errors
/// When it does not, and no file declares others.
pub(super) fn check_declared(config: &Config, identity: &Identity) -> Result<(), CommandError> {
    let (kind, names, is_open): (&str, Vec<&str>, bool) = match identity {
        Identity::User(_) => {
            let users = &config.users;
            ("user", users.configured.iter().map(|user| &*user.name).collect(), users.file.is_some())
        }
        Identity::Token(_) => {
            let tokens = &config.tokens;
            ("token", tokens.configured.iter().map(|token| &*token.name).collect(), tokens.file.is_some())
        }
        Identity::Key(_) => ("key", config.keys.names().collect(), false),
        Identity::Jwt(_) => return Ok(()),
    };
    if is_open || names.contains(&identity.name()) {
        return Ok(());
    }
    let there_are = match &names[..] {
        [] => "the configuration declares none".to_owned(),
        names => format!("there are: {}", names.iter().take(20).copied().collect::<Vec<_>>().join(", ")),
    };
    Err(CommandError::usage(format!("there is no {kind} {:?}; {there_are}", identity.name())))
}
