//! The settings of an issuer of tokens.

use super::algorithm::Algorithm;
use super::url::KeyUrl;
use crate::net::connect::TlsSettings;
use crate::sigv4::secret::Secret;
use std::path::PathBuf;
use std::time::Duration;

/// An issuer of tokens, as configured.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JwtSettings {
    /// The name in the configuration.
    pub name: Box<str>,
    /// The value of `iss`. No two issuers have the same.
    pub issuer: Box<str>,
    /// The audiences that tokens are accepted for.
    pub audience: Audience,
    /// The algorithms that tokens may use.
    pub algorithms: Vec<Algorithm>,
    /// The origin of its keys.
    pub keys: KeyOrigin,
    /// The difference that clocks may have.
    pub leeway: Duration,
    /// The longest time from `iat` to `exp`.
    pub max_lifetime: Option<Duration>,
    /// The time for which keys are used that cannot be fetched again.
    pub max_stale: Duration,
}

/// The audiences that tokens are accepted for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// The token names at least one of these.
    AnyOf(Vec<Box<str>>),
    /// The token has no audience.
    None,
}

/// The origin of an issuer's keys.
#[derive(Clone, Debug)]
pub(crate) enum KeyOrigin {
    /// A secret that the issuer shares.
    Secret(Secret),
    /// A file with a JWK Set.
    File(PathBuf),
    /// The URL of a JWK Set.
    Url(KeyUrl, Access),
    /// The issuer's discovery document, which names the URL of a JWK Set.
    Discovery(KeyUrl, Access),
}

/// How to reach an issuer. The files are read for each fetch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Access {
    /// Whom to trust, and what to show.
    pub tls: TlsSettings,
    /// A file with the bearer token to send.
    pub bearer_file: Option<PathBuf>,
}

// A derived impl would compare secrets, which have no equality of their own.
impl PartialEq for KeyOrigin {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            // Both are the operator's, so the comparison need not be constant in time.
            (Self::Secret(one), Self::Secret(other)) => one.reveal() == other.reveal(),
            (Self::File(one), Self::File(other)) => one == other,
            (Self::Url(one, access), Self::Url(other, others))
            | (Self::Discovery(one, access), Self::Discovery(other, others)) => {
                one == other && access == others
            }
            _ => false,
        }
    }
}
