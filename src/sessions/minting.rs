//! The interface to a minter of sessions: the request, the trait and the errors.

use crate::authorize::policy::SessionPolicy;
use crate::net::connect::Trouble;
use crate::s3::error as s3_error;
use crate::sessions::refresh::Reason;
use crate::sessions::session::Minted;
use arc_swap::ArcSwap;
use std::fmt;
use std::future::Future;
use std::time::Duration;

/// The parameters of a mint.
#[derive(Clone, Debug)]
pub(crate) struct MintRequest {
    /// The mapping's name, which becomes the role session's name.
    pub name: String,
    /// The policy that restricts the session.
    pub policy: SessionPolicy,
    /// The requested lifetime. The server may decide otherwise.
    pub duration: Duration,
}

/// The kind of a failed mint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum MintFailure {
    /// STS refused (4xx).
    Refused,
    /// STS failed (5xx), or its response is invalid.
    Failed,
    /// STS could not be reached, or not in time.
    Unreachable,
}

/// The error of a mint. It holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MintError {
    /// The kind.
    pub failure: MintFailure,
    /// The S3 or STS error code, if the response has one.
    pub code: Option<String>,
    /// The message of STS, or of the failed connection.
    pub message: String,
    /// The recognised cause of a failed connection.
    pub trouble: Option<Trouble>,
}

impl MintError {
    /// Returns what an operator can do about it, if the cause was recognised.
    pub(crate) fn help(&self) -> Option<&'static str> {
        let says = |words: &str| self.message.contains(words);
        if let Some(trouble) = self.trouble {
            Some(trouble.help())
        } else if says("does not exist in our records") {
            Some("the issuer's access key is unknown to the server: create the user, or correct access_key")
        } else if says("signature we calculated does not match") {
            Some(
                "the issuer's secret key is wrong: correct secret_key, or the variable or file that it names",
            )
        } else if says("account is disabled") {
            Some("the issuer is disabled: enable it with `mc admin user enable ALIAS USER`")
        } else if self.code.as_deref() == Some("RequestTimeTooSkewed") {
            Some("this machine's clock and the server's differ by more than 15 minutes: set the clock (NTP)")
        } else if self.code.as_deref() == Some("AuthorizationHeaderMalformed") || says("region") {
            Some("the region differs from the server's: correct region")
        } else if self.failure == MintFailure::Unreachable {
            Some("check the endpoint's host and port, and that the server is up")
        } else if says("must be made to API port") {
            Some("the endpoint is MinIO's console: name the store's S3 port, 9000 unless set otherwise")
        } else if self.code.as_deref() == Some("AccessDenied") {
            Some(
                "use a user's own keys (service accounts and temporary credentials may not call AssumeRole), \
                 at the store itself",
            )
        } else if self.code.is_none() {
            Some(
                "the endpoint does not answer as STS does: name the store's S3 port, without a proxy in front",
            )
        } else {
            None
        }
    }
}

impl MintError {
    /// Returns whether no session can be minted at all: STS refused the issuer itself, or the endpoint is not an STS.
    pub(crate) fn is_about_issuer(&self) -> bool {
        match self.code.as_deref() {
            None => true,
            Some(code) => {
                s3_error::is_denial(code)
                    || s3_error::is_dead_session(code)
                    || WRONG_KEY_CODES.contains(&code)
            }
        }
    }
}

/// The codes of other stores for an unknown key or a wrong signature.
const WRONG_KEY_CODES: [&str; 4] =
    ["InvalidClientTokenId", "UnrecognizedClientException", "IncompleteSignature", "AuthFailure"];

impl fmt::Display for MintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{code}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for MintError {}

/// A minter of sessions.
pub(crate) trait Mint: Send + Sync + 'static {
    /// Returns a session that serves `reason`.
    fn mint(
        &self,
        request: &MintRequest,
        reason: Reason,
    ) -> impl Future<Output = Result<Minted, MintError>> + Send;
}

/// Mints with the current minter, which a reload may replace.
impl<M: Mint> Mint for ArcSwap<M> {
    async fn mint(&self, request: &MintRequest, reason: Reason) -> Result<Minted, MintError> {
        let current = self.load_full();
        current.mint(request, reason).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_the_cause() {
        let error = |code: &str, message: &str| MintError {
            failure: MintFailure::Refused,
            code: Some(code.into()),
            message: message.into(),
            trouble: None,
        };
        let cases = [
            ("AccessDenied", "The Access Key Id you provided does not exist in our records.", "access_key"),
            (
                "AccessDenied",
                "The request signature we calculated does not match the signature you provided.",
                "secret_key",
            ),
            ("AccessDenied", "Your account is disabled; please contact your administrator.", "enable"),
            ("RequestTimeTooSkewed", "x", "clock"),
            ("AuthorizationHeaderMalformed", "x", "region"),
            ("InvalidArgument", "S3 API Requests must be made to API port.", "S3 port"),
            ("AccessDenied", "Access Denied.", "user's own keys"),
        ];
        for (code, message, word) in cases {
            assert!(error(code, message).help().unwrap().contains(word), "{message}");
        }
        let elsewhere = MintError { code: None, ..error("", "STS answered with status 405") };
        assert!(elsewhere.help().unwrap().contains("S3 port"));
        let over_tls = MintError { trouble: Some(Trouble::TlsServer), ..elsewhere };
        assert!(over_tls.help().unwrap().contains("https://"));
    }
}
