//! Signs requests with aws-sigv4's `sign()`, independently of the product's signer.

use std::io;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SessionTokenMode, SignableBody, SignableRequest,
        SigningSettings, UriPathNormalizationMode, sign,
    },
    sign::v4,
};

use super::{
    http::{self, Response},
    keys::Keys,
    minio::Minio,
};

/// A request to sign.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) host: &'a str,
    /// Path and query, percent-encoded as sent.
    pub(crate) target: &'a str,
    /// Headers that are signed and returned with the others.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a [u8],
}

/// Returns the headers to send: `host`, the given ones, and those of the signature for `service`.
pub(crate) fn signed(keys: &Keys, service: &str, request: &Request<'_>) -> Vec<(String, String)> {
    signed_payload(keys, service, request, SignableBody::Bytes(request.body))
}

/// Like [`signed`], but what is signed of the body is `payload`.
pub(crate) fn signed_payload(
    keys: &Keys,
    service: &str,
    request: &Request<'_>,
    payload: SignableBody<'_>,
) -> Vec<(String, String)> {
    let identity =
        Credentials::new(&keys.access_key, &keys.secret_key, keys.token.clone(), None, "tests").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name(service)
        .time(SystemTime::now())
        .settings(s3_settings())
        .build()
        .unwrap()
        .into();
    let given = std::iter::once(("host", request.host)).chain(request.headers.iter().copied());
    let uri = format!("http://{}{}", request.host, request.target);
    let signable = SignableRequest::new(request.method, uri, given.clone(), payload).unwrap();
    let (instructions, _signature) = sign(signable, &params).unwrap().into_parts();
    given.chain(instructions.headers()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn s3_settings() -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.session_token_mode = SessionTokenMode::Include;
    settings
}

/// Sends a signed request directly to MinIO.
pub(crate) fn direct(
    minio: &Minio,
    keys: &Keys,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response {
    try_direct(minio, keys, method, target, headers, body)
        .unwrap_or_else(|error| panic!("{method} {target}: {error}"))
}

/// Like [`direct`], but returns an error if MinIO does not respond.
pub(crate) fn try_direct(
    minio: &Minio,
    keys: &Keys,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Response> {
    let host = minio.address.to_string();
    let signed = signed(keys, "s3", &Request { method, host: &host, target, headers, body });
    http::request(minio.address, method, target, &borrowed(&signed), body)
}

/// Returns header pairs in the form that [`http::request`] takes.
pub(crate) fn borrowed(headers: &[(String, String)]) -> Vec<(&str, &str)> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

impl Minio {
    /// Ends every session of a user at once. This is the fastest way to get a dead session, because none expires
    /// within 15 minutes.
    pub(crate) fn revoke_sessions(&self, user: &str) {
        let target = format!("/minio/admin/v3/revoke-tokens/builtin?fullRevoke=true&user={user}");
        let answer = direct(self, &self.root, "POST", &target, &[], b"");
        assert_eq!(answer.status(), 204, "revoke-tokens: {}", answer.text());
    }
}
