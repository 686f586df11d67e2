//! Failures to verify credentials: what the log and the metrics say, and what the client is told.

use super::attempts::TooMany;
use crate::identify::identity::{Scheme, Schemes};
use crate::refusal::{Challenge, Refusal, Rule};
use http::HeaderValue;

/// Credentials that were not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The cause, for the metrics.
    pub cause: Cause,
    /// The expected and the actual value, for the log and `explain`. It contains no secret.
    pub detail: String,
    /// The rule that refuses the request.
    pub rule: Rule,
    /// The number of seconds after which to try again.
    pub retry_after: Option<u64>,
}

/// Declares the causes. The variants follow the order of the table.
macro_rules! causes {
    ($($(#[$doc:meta])* $cause:ident: $name:literal;)*) => {
        /// The cause of a failure to verify credentials.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Cause {
            $($(#[$doc])* $cause,)*
        }

        impl Cause {
            /// Every cause, in the order of the table.
            pub(crate) const ALL: [Self; [$(Self::$cause),*].len()] = [$(Self::$cause),*];

            /// Returns the name in metrics.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$cause => $name,)*
                }
            }
        }
    };
}

causes! {
    /// The text is not a credential of its scheme.
    Malformed: "malformed";
    /// No bearer token has this text.
    UnknownToken: "unknown-token";
    /// No user has this name.
    UnknownUser: "unknown-user";
    /// The user has another password.
    WrongPassword: "wrong-password";
    /// The token is not valid yet.
    NotYetValid: "not-yet-valid";
    /// The token is no longer valid.
    Expired: "expired";
    /// The token is longer than is accepted.
    TooLarge: "too-large";
    /// The token is encrypted.
    Encrypted: "encrypted";
    /// The token's header demands an extension.
    Extension: "extension";
    /// No issuer has the token's `iss`.
    UnknownIssuer: "unknown-issuer";
    /// The issuer may not use the token's algorithm, or its key is for another one.
    Algorithm: "algorithm";
    /// The issuer has no key with the token's `kid`.
    UnknownKid: "unknown-kid";
    /// Several of the issuer's keys could have signed the token.
    AmbiguousKey: "ambiguous-key";
    /// The issuer's key did not make the token's signature.
    BadSignature: "bad-signature";
    /// A claim is missing or has the wrong type.
    BadClaim: "bad-claim";
    /// The token is for another audience.
    Audience: "audience";
    /// The token lives longer than is accepted.
    Lifetime: "lifetime";
    /// The keys of the token's issuer are not known.
    KeysUnavailable: "keys-unavailable";
    /// The client's address, or all together, failed too often.
    TooManyFailures: "too-many-failures";
    /// Too many credentials are being verified.
    Busy: "busy";
    /// No local key has this id.
    UnknownKey: "unknown-key";
    /// A local key did not make the signature.
    WrongSignature: "wrong-signature";
    /// The time of the signature is more than 15 minutes away.
    ClockSkew: "clock-skew";
    /// The presigned URL has expired.
    ExpiredSignature: "expired-signature";
    /// A header that changes what the request means is not signed.
    HeaderNotSigned: "header-not-signed";
    /// The version of the signature is not supported.
    UnsupportedSignature: "unsupported-signature";
    /// A session token comes with a local key.
    SessionToken: "session-token";
    /// The body is not signed, and others could change it on its way.
    UnsignedBody: "unsigned-body";
}

impl Failure {
    /// Makes the failure of credentials that are wrong.
    pub(crate) fn wrong(cause: Cause, detail: impl Into<String>) -> Self {
        Self { cause, detail: detail.into(), rule: Rule::BadCredentials, retry_after: None }
    }

    /// Makes the failure of credentials that cannot be verified at the moment.
    pub(crate) fn unavailable(cause: Cause, detail: impl Into<String>) -> Self {
        Self { rule: Rule::CredentialsUnavailable, ..Self::wrong(cause, detail) }
    }

    /// Makes the failure of credentials that are too long.
    pub(crate) fn too_large(detail: impl Into<String>) -> Self {
        Self { rule: Rule::HeaderTooLarge, ..Self::wrong(Cause::TooLarge, detail) }
    }

    /// Sets the number of seconds after which to try again.
    #[must_use]
    pub(crate) fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// Returns the refusal. The client learns neither the cause nor the detail.
    pub(crate) fn into_refusal(self, challenges: Vec<Challenge>) -> Refusal {
        let message = match self.rule {
            Rule::BadCredentials => "the credentials are not valid",
            Rule::HeaderTooLarge => "the credentials are too long",
            Rule::UnknownKey => "The AWS Access Key Id you provided does not exist in our records.",
            Rule::WrongSignature => {
                "The request signature we calculated does not match the signature you provided. Check your key and \
                 signing method."
            }
            Rule::RequestTimeSkewed => {
                "The difference between the request time and the current time is too large."
            }
            Rule::ExpiredSignature => "Request has expired",
            // The client alone can mend these.
            Rule::HeaderNotSigned
            | Rule::MalformedSignature
            | Rule::MalformedPresigned
            | Rule::UnsupportedSignature
            | Rule::UnexpectedToken
            | Rule::PayloadForm
            | Rule::UnsignedBody => &self.detail,
            Rule::TooManyFailures => "too many credentials were not valid: try again later",
            _ => "the credentials cannot be verified at the moment",
        };
        let refusal = Refusal::new(self.rule, message).caused_by(&format_args!(
            "{}: {}",
            self.cause.name(),
            self.detail
        ));
        let refusal = match self.retry_after {
            Some(seconds) => refusal.retry_after(seconds),
            None => refusal,
        };
        if self.rule == Rule::BadCredentials { refusal.challenging(challenges) } else { refusal }
    }
}

impl From<TooMany> for Failure {
    fn from(TooMany(seconds): TooMany) -> Self {
        let detail = "this address, or all addresses together, sent too many credentials that are not valid";
        let failure = Self::wrong(Cause::TooManyFailures, detail).retry_after(seconds);
        Self { rule: Rule::TooManyFailures, ..failure }
    }
}

/// Returns the challenges of schemes, in the order in which clients should prefer them. Signatures have none: SDKs do not know 401.
///
/// `refused` is the scheme of the credentials that were not valid.
pub(crate) fn challenges(schemes: Schemes, refused: Option<Scheme>) -> Vec<Challenge> {
    let bearer = match refused {
        Some(Scheme::Bearer) => "Bearer realm=\"scopegate\", error=\"invalid_token\"",
        _ => "Bearer realm=\"scopegate\"",
    };
    let basic = "Basic realm=\"scopegate\", charset=\"UTF-8\"";
    [(Scheme::Bearer, bearer), (Scheme::Basic, basic)]
        .into_iter()
        .filter(|(scheme, _)| schemes.has(*scheme))
        .map(|(_, value)| Challenge::new(HeaderValue::from_static(value)))
        .collect()
}
