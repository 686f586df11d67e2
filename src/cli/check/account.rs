//! Asks MinIO for the issuer's policy, to warn about an issuer that can do everything.

use crate::authorize::operations::grammar::Dialect;
use crate::config::{Config, Diagnostic, root};
use crate::net::connect::Connector;
use crate::net::endpoint::Endpoint;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use bytes::Bytes;
use http::{Request, header};
use http_body_util::Empty;
use serde_json::Value;
use std::error::Error;
use std::time::{Duration, SystemTime};
use tokio::time::timeout;

/// The path at which MinIO tells any user its own name and policy.
/// <https://github.com/minio/madmin-go>
const PATH: &str = "/minio/admin/v3/accountinfo";
const PATIENCE: Duration = Duration::from_secs(10);
/// Maximum size of the response, which has an entry for each bucket.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// Returns a warning if the issuer is root or can administer the store like root. Returns `None` if MinIO does not
/// respond.
pub(super) async fn warning(config: &Config) -> Option<Diagnostic> {
    let endpoint = config.sts().first().filter(|_| config.upstream.store == Dialect::Minio)?;
    let account = timeout(PATIENCE, ask(config, endpoint)).await.ok()?.ok()?;
    account.get("Policy").is_some_and(administers).then(root)
}

async fn ask(config: &Config, endpoint: &Endpoint) -> Result<Value, Box<dyn Error + Send + Sync>> {
    let mut request =
        Request::get(PATH).header(header::HOST, endpoint.authority()).body(Empty::<Bytes>::new())?;
    sign_as_issuer(config, endpoint, &mut request)?;
    let connector = Connector::new(endpoint.clone(), config.limits.connect_timeout, &config.issuer.tls)?;
    let answer = connector.exchange(request, MAX_ANSWER).await?;
    Ok(serde_json::from_slice(answer.body())?)
}

/// Signs with the issuer's own keys, because MinIO would answer a session with the session's policy.
fn sign_as_issuer<B>(
    config: &Config,
    endpoint: &Endpoint,
    request: &mut Request<B>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let keys = &config.issuer.keys;
    let (access, secret) = (keys.access_key.reveal(), keys.secret_key.reveal());
    let identity = Credentials::new(access, secret, None, None, "scopegate").into();
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let params = SigningParams::builder()
        .identity(&identity)
        .region(&config.upstream.region)
        .name("s3")
        .time(SystemTime::now())
        .settings(settings)
        .build()?
        .into();
    let host = endpoint.authority();
    let headers = [(header::HOST.as_str(), &*host)].into_iter();
    let signable = SignableRequest::new("GET", PATH, headers, SignableBody::Bytes(b""))?;
    let (instructions, _) = sign(signable, &params)?.into_parts();
    instructions.apply_to_request_http1x(request);
    Ok(())
}

/// Returns whether a policy allows everything that root can administer.
fn administers(policy: &Value) -> bool {
    let allows_all = |statement: &Value| {
        let actions = match statement.get("Action") {
            Some(Value::Array(actions)) => &actions[..],
            Some(one) => std::slice::from_ref(one),
            None => &[],
        };
        statement.get("Effect").is_some_and(|effect| effect == "Allow")
            && actions.iter().any(|action| action == "admin:*" || action == "*")
    };
    policy
        .get("Statement")
        .and_then(Value::as_array)
        .is_some_and(|statements| statements.iter().any(allows_all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn policies_that_administer_are_found() {
        let policy =
            |effect: &str, action: Value| json!({ "Statement": [{ "Effect": effect, "Action": action }] });
        assert!(administers(&policy("Allow", json!(["s3:*", "admin:*"]))));
        assert!(administers(&policy("Allow", json!("admin:*"))));
        assert!(!administers(&policy("Deny", json!("admin:*"))));
        assert!(!administers(&policy("Allow", json!(["s3:*", "admin:ServerInfo"]))));
        assert!(!administers(&Value::Null) && !administers(&json!({ "Statement": "x" })));
    }
}
