//! Direct calls of `AssumeRole` with the issuer's keys.

use super::{
    http::{self, Response},
    keys::Keys,
    minio::Minio,
    sigv4::{Request, borrowed, signed},
};

/// A session from `AssumeRole`.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) keys: Keys,
    /// RFC 3339, as written by the server.
    pub(crate) expiration: String,
}

/// Requests a session of 15 minutes from MinIO, restricted to `policy` if there is one.
///
/// # Errors
/// The response, if it contains no session.
pub(crate) fn assume_role(minio: &Minio, issuer: &Keys, policy: Option<&str>) -> Result<Session, Response> {
    let policy = policy.map(|policy| format!("&Policy={}", form_encoded(policy))).unwrap_or_default();
    let form = format!("Action=AssumeRole&Version=2011-06-15&DurationSeconds=900{policy}");
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let host = minio.address.to_string();
    let request =
        Request { method: "POST", host: &host, target: "/", headers: &headers, body: form.as_bytes() };
    let signed = signed(issuer, "sts", &request);
    let answer = http::request(minio.address, "POST", "/", &borrowed(&signed), form.as_bytes())
        .unwrap_or_else(|error| panic!("AssumeRole: {error}"));
    session(&answer).ok_or(answer)
}

/// Like [`assume_role`], but must succeed.
pub(crate) fn scoped(minio: &Minio, issuer: &Keys, policy: &str) -> Keys {
    match assume_role(minio, issuer, Some(policy)) {
        Ok(session) => session.keys,
        Err(answer) => panic!("AssumeRole with {policy}: {} {}", answer.status(), answer.text()),
    }
}

fn session(answer: &Response) -> Option<Session> {
    let keys = Keys {
        access_key: answer.element("AccessKeyId")?,
        secret_key: answer.element("SecretAccessKey")?,
        token: Some(answer.element("SessionToken")?),
    };
    Some(Session { keys, expiration: answer.element("Expiration")? })
}

fn form_encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
