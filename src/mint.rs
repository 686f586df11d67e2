//! Mints sessions: one `AssumeRole` with a session policy returns one session.
//!
//! May use: `sessions`, `s3`, `sigv4`, `net`.
//!
//! <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>

use crate::net::connect::{AnyError, Connector, FollowedTls, Trouble, innermost};
use crate::net::endpoint::Endpoint;
use crate::net::terminal::plain;
use crate::s3::error as s3_error;
use crate::sessions::minting::{Mint, MintError, MintFailure, MintRequest};
use crate::sessions::refresh::Reason;
use crate::sessions::session::Minted;
use crate::sigv4::secret::{Credentials, Secret};
use aws_sdk_sts::config::{BehaviorVersion, Region};
use aws_sdk_sts::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Uri, header};
use http_body_util::Full;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

/// The role where none is configured: MinIO ignores it, AWS and Ceph need one.
const DEFAULT_ROLE: &str = "arn:aws:iam::000000000000:role/scopegate";

/// A client of STS that mints with the issuer's keys, at one of several endpoints.
#[derive(Debug)]
pub(crate) struct StsMint {
    clients: Vec<aws_sdk_sts::Client>,
    /// The index of the endpoint that responded last.
    current: AtomicUsize,
    role: String,
}

/// The parameters of one `AssumeRole`.
struct AssumeRole<'a> {
    session: &'a str,
    policy: &'a str,
    seconds: i32,
}

/// A policy and a duration in seconds that every STS rejects, but only after it has authenticated the issuer.
const NO_POLICY: &str = "{}";
const NO_DURATION: i32 = 1;

/// The time an endpoint has to accept a connection before the next one is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum size of a response, in bytes.
const MAX_ANSWER: usize = 1 << 20;

impl StsMint {
    /// Makes a minter that uses any of `endpoints`. Each response may take `timeout`. No connection is opened yet.
    ///
    /// # Errors
    /// When an endpoint uses TLS and there is no client of TLS.
    pub(crate) fn new(
        (endpoints, tls): (&[Endpoint], &FollowedTls),
        region: &str,
        issuer: &Credentials,
        role: Option<&str>,
        timeout: Duration,
    ) -> io::Result<Self> {
        let client = |endpoint: &Endpoint| {
            let http = Http::new(endpoint, timeout, tls)?;
            Ok(client(endpoint, http, region, issuer, timeout))
        };
        let clients = endpoints.iter().map(client).collect::<io::Result<_>>()?;
        Ok(Self { clients, current: AtomicUsize::new(0), role: role.unwrap_or(DEFAULT_ROLE).to_owned() })
    }

    /// Checks that STS accepts the issuer's key, with a request that mints nothing.
    ///
    /// # Errors
    /// When STS refuses the issuer, or its response leaves that open.
    pub(crate) async fn check(&self) -> Result<(), MintError> {
        let asked = AssumeRole { session: "check", policy: NO_POLICY, seconds: NO_DURATION };
        match self.ask(&asked).await {
            Err(error) if error.failure == MintFailure::Refused && !error.is_about_issuer() => Ok(()),
            other => other.map(drop),
        }
    }

    /// Asks the endpoint that responded last. Tries the others in turn if it cannot be reached.
    async fn ask(&self, asked: &AssumeRole<'_>) -> Result<Minted, MintError> {
        let first = self.current.load(Ordering::Relaxed);
        let mut last = MintError {
            failure: MintFailure::Unreachable,
            code: None,
            message: "there is no STS endpoint".to_owned(),
            trouble: None,
        };
        for step in 0..self.clients.len() {
            let index = first.wrapping_add(step) % self.clients.len();
            let Some(client) = self.clients.get(index) else { break };
            // Set before the response arrives, so that an endpoint that hangs is not the first to be asked next time.
            self.current.store(index.wrapping_add(1), Ordering::Relaxed);
            match self.ask_at(client, asked).await {
                Err(error) if error.failure == MintFailure::Unreachable => last = error,
                outcome => {
                    self.current.store(index, Ordering::Relaxed);
                    return outcome;
                }
            }
        }
        Err(last)
    }

    async fn ask_at(
        &self,
        client: &aws_sdk_sts::Client,
        asked: &AssumeRole<'_>,
    ) -> Result<Minted, MintError> {
        let response = client
            .assume_role()
            .role_arn(&self.role)
            .role_session_name(role_session_name(asked.session))
            .duration_seconds(asked.seconds)
            .policy(asked.policy)
            .send()
            .await
            .map_err(|error| explain(&error))?;
        let invalid = |what: &str| MintError {
            failure: MintFailure::Failed,
            code: None,
            message: what.to_owned(),
            trouble: None,
        };
        let keys = response.credentials.ok_or_else(|| invalid("STS returned no credentials"))?;
        let expiration = SystemTime::try_from(keys.expiration)
            .map_err(|_| invalid("STS returned an expiration that is not a time"))?;
        Ok(Minted {
            keys: Credentials {
                access_key: Secret::new(keys.access_key_id),
                secret_key: Secret::new(keys.secret_access_key),
            },
            token: Secret::new(keys.session_token),
            expiration,
        })
    }
}

/// The SDK's connections, which are those of the store: the same TLS, which follows its files, and the same time for name
/// resolution. The SDK's own client has neither client certificates nor a name for servers to prove. Each request has a
/// connection of its own, because mints are rare.
#[derive(Clone, Debug)]
struct Http {
    connector: Arc<Connector>,
    host: HeaderValue,
}

impl Http {
    fn new(endpoint: &Endpoint, timeout: Duration, tls: &FollowedTls) -> io::Result<Self> {
        let connector = Connector::new(endpoint.clone(), CONNECT_TIMEOUT.min(timeout), tls)?;
        let host = HeaderValue::from_str(&endpoint.authority());
        let host = host.map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "not a valid Host"))?;
        Ok(Self { connector: Arc::new(connector), host })
    }

    async fn send(self, request: HttpRequest) -> Result<HttpResponse, AnyError> {
        let (mut parts, body) = request.try_into_http1x()?.into_parts();
        let target = parts.uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        parts.uri = Uri::from(target);
        parts.headers.insert(header::HOST, self.host);
        parts.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        let body = Bytes::copy_from_slice(body.bytes().unwrap_or_default());
        let response =
            self.connector.exchange(Request::from_parts(parts, Full::new(body)), MAX_ANSWER).await?;
        Ok(response.map(SdkBody::from).try_into()?)
    }
}

impl HttpConnector for Http {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let sent = self.clone().send(request);
        HttpConnectorFuture::new(async move {
            sent.await.map_err(|error| match error.downcast_ref::<io::Error>().map(io::Error::kind) {
                Some(io::ErrorKind::TimedOut) => ConnectorError::timeout(error),
                _ => ConnectorError::io(error),
            })
        })
    }
}

fn client(
    endpoint: &Endpoint,
    http: Http,
    region: &str,
    issuer: &Credentials,
    timeout: Duration,
) -> aws_sdk_sts::Client {
    let http = SharedHttpConnector::new(http);
    let (access, secret) = (issuer.access_key.reveal(), issuer.secret_key.reveal());
    let config = aws_sdk_sts::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http_client_fn(move |_, _| http.clone()))
        .endpoint_url(endpoint.to_string())
        .region(Region::new(region.to_owned()))
        .credentials_provider(aws_credential_types::Credentials::new(access, secret, None, None, "scopegate"))
        // The keeper of the session decides when to try again.
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().operation_timeout(timeout).build())
        .build();
    aws_sdk_sts::Client::from_conf(config)
}

impl Mint for StsMint {
    /// Mints a new session for any reason: STS never returns the same one twice.
    async fn mint(&self, request: &MintRequest, _: Reason) -> Result<Minted, MintError> {
        let seconds = i32::try_from(request.duration.as_secs()).unwrap_or(i32::MAX);
        self.ask(&AssumeRole { session: &request.name, policy: request.policy.json(), seconds }).await
    }
}

/// Returns a name that STS accepts: 2 to 64 of `[\w+=,.@-]`.
fn role_session_name(name: &str) -> String {
    let safe = name.chars().filter(|c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(*c)).take(53);
    "scopegate-".chars().chain(safe).collect()
}

fn explain(error: &SdkError<AssumeRoleError, HttpResponse>) -> MintError {
    let unreachable = |message: &str| MintError {
        failure: MintFailure::Unreachable,
        code: None,
        message: message.into(),
        trouble: Trouble::of(error),
    };
    match error {
        SdkError::ServiceError(service) => refused(service.err(), service.raw()),
        SdkError::ResponseError(response) => MintError {
            failure: MintFailure::Failed,
            code: None,
            message: format!("the response (status {}) is not from an STS", response.raw().status().as_u16()),
            trouble: answered_by_tls(response.raw()),
        },
        SdkError::TimeoutError(_) => unreachable("STS did not answer in time"),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            unreachable("STS did not accept a connection in time")
        }
        SdkError::DispatchFailure(_) => {
            unreachable(&clean(&format!("STS cannot be reached: {}", innermost(error))))
        }
        _ => unreachable(&clean(&DisplayErrorContext(error).to_string())),
    }
}

fn refused(error: &AssumeRoleError, raw: &HttpResponse) -> MintError {
    let status = raw.status().as_u16();
    // MinIO reports clock skew and start-up as S3 errors, which the SDK does not parse.
    let body = raw.body().bytes().map(String::from_utf8_lossy).unwrap_or_default();
    let from = |given: Option<&str>, tag| given.map(str::to_owned).or_else(|| s3_error::element(&body, tag));
    let code = from(error.code(), "Code").map(|code| clean(&code));
    let message =
        from(error.message(), "Message").unwrap_or_else(|| format!("STS answered with status {status}"));
    let failure = if (400..500).contains(&status) { MintFailure::Refused } else { MintFailure::Failed };
    MintError { failure, code, message: clean(&message), trouble: answered_by_tls(raw) }
}

/// Recognises the response of a TLS server to a plain HTTP request.
fn answered_by_tls(raw: &HttpResponse) -> Option<Trouble> {
    // The body is missing if the server has reset the connection.
    let body = raw.body().bytes().map(String::from_utf8_lossy).unwrap_or_default();
    let is_bare = raw.headers().iter().next().is_none();
    Trouble::of_answer(raw.status().as_u16(), is_bare, &body)
}

/// Returns a server's text shortened, on one line and safe to print.
fn clean(text: &str) -> String {
    let start: String = text.chars().take(300).collect();
    plain(&start).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_session_names_are_valid() {
        assert_eq!(role_session_name("media-reader"), "scopegate-media-reader");
        assert_eq!(role_session_name("a b/ü"), "scopegate-ab");
        assert_eq!(role_session_name(&"x".repeat(100)).len(), 63);
    }
}
