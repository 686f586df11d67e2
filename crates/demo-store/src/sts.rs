//! STS: `AssumeRole` as MinIO implements it, for the issuer only.
//!
//! <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>

use std::time::Duration;

use async_trait::async_trait;
use http::header::CONTENT_TYPE;
use http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, Uri};
use s3s::route::S3Route;
use s3s::{Body, S3Request, S3Response, S3Result};

use super::access::Gate;
use super::form::Form;
use super::policy::{Malformed, Policy};
use super::session::Minted;

/// The maximum length of a request, in bytes. Its policy of 2048 bytes triples when it is percent-encoded.
const MAX_BODY: usize = 64 * 1024;
/// The maximum length of an inline policy, in bytes.
const MAX_POLICY: usize = 2048;
/// The allowed lifetimes of a session, in seconds.
const LIFETIME: std::ops::RangeInclusive<u64> = 900..=43_200;
const DEFAULT_LIFETIME: u64 = 3600;

/// The known parameters. Any other is refused, because it could restrict or widen the session.
const PARAMETERS: [&str; 6] =
    ["Action", "Version", "RoleArn", "RoleSessionName", "DurationSeconds", "Policy"];

/// The route of STS, next to S3 at the same address.
pub(super) struct Sts(pub(super) Gate);

#[async_trait]
impl S3Route for Sts {
    fn is_match(&self, method: &Method, uri: &Uri, headers: &HeaderMap, _: &mut Extensions) -> bool {
        let form = |kind: &HeaderValue| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded");
        method == Method::POST
            && uri.path() == "/"
            && uri.query().is_none()
            && headers.get(CONTENT_TYPE).is_some_and(form)
    }

    /// Leaves the check to [`Sts::call`], which refuses in a form that STS clients can read.
    async fn check_access(&self, _: &mut S3Request<Body>) -> S3Result<()> {
        Ok(())
    }

    async fn call(&self, request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let (status, text) = match self.assume_role(request).await {
            Ok(minted) => (StatusCode::OK, answer(&minted)),
            Err(refusal) => (refusal.status, refusal.text()),
        };
        let mut response = S3Response::with_status(Body::from(text), status);
        response.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
        Ok(response)
    }
}

impl Sts {
    async fn assume_role(&self, mut request: S3Request<Body>) -> Result<Minted, Refusal> {
        self.only_the_issuer(&request)?;
        let body = request.input.store_all_limited(MAX_BODY).await;
        let body =
            body.map_err(|_| Refusal::invalid("The request is too long or does not match its hash"))?;
        let form = std::str::from_utf8(&body).ok().and_then(Form::parse);
        let asked = AssumeRole::parse(&form.ok_or(Refusal::invalid("The request is not UTF-8"))?)?;
        self.0.sessions.mint(asked.policy, asked.lifetime, (self.0.clock)()).map_err(|_| Refusal {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "ServiceUnavailable",
            message: "No further session can be minted now",
        })
    }

    /// Allows only the issuer, so that no session mints one that outlives it. s3s has checked the signature.
    fn only_the_issuer(&self, request: &S3Request<Body>) -> Result<(), Refusal> {
        let signer = request.credentials.as_ref().map(|credentials| &credentials.access_key);
        let by_issuer = signer == Some(&self.0.issuer.access_key);
        let for_sts = request.service.as_deref() == Some("sts");
        if by_issuer && for_sts && !request.headers.contains_key("x-amz-security-token") {
            return Ok(());
        }
        Err(Refusal { status: StatusCode::FORBIDDEN, code: "AccessDenied", message: "Access Denied." })
    }
}

/// A request for a session, checked.
#[derive(Debug)]
struct AssumeRole {
    lifetime: Duration,
    policy: Policy,
}

impl AssumeRole {
    fn parse(form: &Form) -> Result<Self, Refusal> {
        let value = |name| form.only(name).map_err(|_| Refusal::invalid("A parameter is repeated"));
        if value("Action")? != Some("AssumeRole") {
            return Err(Refusal {
                code: "InvalidAction",
                ..Refusal::invalid("The only Action is AssumeRole")
            });
        }
        if value("Version")? != Some("2011-06-15") {
            return Err(Refusal::invalid("Version must be 2011-06-15"));
        }
        if !form.names().all(|name| PARAMETERS.contains(&name)) {
            return Err(Refusal::invalid("A parameter is not known to this store"));
        }
        Ok(Self { lifetime: lifetime(value("DurationSeconds")?)?, policy: policy(value("Policy")?)? })
    }
}

fn lifetime(seconds: Option<&str>) -> Result<Duration, Refusal> {
    let seconds = seconds.map_or(Some(DEFAULT_LIFETIME), |text| text.parse().ok());
    seconds
        .filter(|seconds| LIFETIME.contains(seconds))
        .map(Duration::from_secs)
        .ok_or(Refusal::invalid("DurationSeconds must be from 900 to 43200"))
}

fn policy(json: Option<&str>) -> Result<Policy, Refusal> {
    let Some(json) = json else { return Ok(Policy::everything()) };
    if json.len() > MAX_POLICY {
        return Err(Refusal::invalid("Session policy should not exceed 2048 characters"));
    }
    Policy::parse(json)
        .map_err(|Malformed(why)| Refusal { code: "MalformedPolicyDocument", ..Refusal::invalid(why) })
}

/// The reason no session was minted.
#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: &'static str,
}

impl Refusal {
    const fn invalid(message: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: "InvalidParameterValue", message }
    }

    fn text(&self) -> String {
        let Self { code, message, .. } = self;
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
             <Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
        )
    }
}

/// Returns the response of `AssumeRole`. Keys and tokens are letters and digits, so nothing needs escaping.
fn answer(minted: &Minted) -> String {
    let Minted { key, token, expires } = minted;
    let expiration = jiff::Timestamp::try_from(*expires).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
         <Credentials><AccessKeyId>{}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey>\
         <SessionToken>{token}</SessionToken><Expiration>{expiration}</Expiration></Credentials>\
         </AssumeRoleResult></AssumeRoleResponse>",
        key.access_key,
        key.secret_key.expose(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(form: &str) -> (&'static str, &'static str) {
        let refusal = AssumeRole::parse(&Form::parse(form).unwrap()).unwrap_err();
        assert_eq!(refusal.status, StatusCode::BAD_REQUEST);
        (refusal.code, refusal.message)
    }

    #[test]
    fn a_session_lives_an_hour_unless_asked_otherwise() {
        let lives = |seconds| lifetime(seconds).map(|lifetime| lifetime.as_secs()).ok();
        assert_eq!(lives(None), Some(3600));
        assert_eq!(lives(Some("900")), Some(900));
        assert_eq!(lives(Some("43200")), Some(43_200));
        for seconds in ["899", "43201", "-900", "", "15m"] {
            assert_eq!(lives(Some(seconds)), None, "{seconds}");
        }
    }

    #[test]
    fn refuses_everything_but_assume_role() {
        assert_eq!(refusal("Version=2011-06-15").0, "InvalidAction");
        assert_eq!(refusal("Action=GetCallerIdentity&Version=2011-06-15").0, "InvalidAction");
        assert_eq!(refusal("Action=AssumeRole&Action=AssumeRole").0, "InvalidParameterValue");
        assert_eq!(refusal("Action=AssumeRole").1, "Version must be 2011-06-15");
        let widened = "Action=AssumeRole&Version=2011-06-15&PolicyArns.member.1.arn=x";
        assert_eq!(refusal(widened).1, "A parameter is not known to this store");
    }

    #[test]
    fn a_policy_is_measured_in_bytes_before_it_is_read() {
        let policy = |length: usize| {
            refusal(&format!("Action=AssumeRole&Version=2011-06-15&Policy={}", "x".repeat(length)))
        };
        assert_eq!(
            policy(2049),
            ("InvalidParameterValue", "Session policy should not exceed 2048 characters")
        );
        assert_eq!(policy(2048).0, "MalformedPolicyDocument");
    }
}
