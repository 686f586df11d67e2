//! The store's errors, in MinIO's words.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use s3s::{S3Error, S3ErrorCode};

/// The header with the error code of a response without a body, as to HEAD.
const ERROR_CODE: HeaderName = HeaderName::from_static("x-minio-error-code");

pub(super) fn access_denied() -> S3Error {
    refusal(S3ErrorCode::AccessDenied, StatusCode::FORBIDDEN, "Access Denied.")
}

/// Returns the error for an access key that the store does not know, or does not know any more.
pub(super) fn unknown_access_key() -> S3Error {
    refusal(
        S3ErrorCode::InvalidAccessKeyId,
        StatusCode::FORBIDDEN,
        "The Access Key Id you provided does not exist in our records.",
    )
}

/// Returns the error for a session token that is missing, belongs to another session, or comes with the issuer's own
/// key.
pub(super) fn invalid_token() -> S3Error {
    refusal(
        S3ErrorCode::Custom("InvalidTokenId".into()),
        StatusCode::FORBIDDEN,
        "The security token included in the request is invalid",
    )
}

/// Returns the error for a key that a file system could resolve to another one.
pub(super) fn invalid_key() -> S3Error {
    refusal(
        S3ErrorCode::Custom("XMinioInvalidObjectName".into()),
        StatusCode::BAD_REQUEST,
        "Object name contains unsupported characters.",
    )
}

pub(super) fn no_such_bucket() -> S3Error {
    refusal(S3ErrorCode::NoSuchBucket, StatusCode::NOT_FOUND, "The specified bucket does not exist")
}

pub(super) fn no_such_key() -> S3Error {
    refusal(S3ErrorCode::NoSuchKey, StatusCode::NOT_FOUND, "The specified key does not exist.")
}

pub(super) fn no_such_version() -> S3Error {
    refusal(S3ErrorCode::NoSuchVersion, StatusCode::NOT_FOUND, "The specified version does not exist.")
}

pub(super) fn key_too_long() -> S3Error {
    refusal(S3ErrorCode::KeyTooLongError, StatusCode::BAD_REQUEST, "Your key is too long for this store")
}

pub(super) fn not_implemented() -> S3Error {
    refusal(
        S3ErrorCode::NotImplemented,
        StatusCode::NOT_IMPLEMENTED,
        "A header or query you provided implies functionality that is not implemented.",
    )
}

fn refusal(code: S3ErrorCode, status: StatusCode, message: &'static str) -> S3Error {
    let mut headers = HeaderMap::new();
    // These headers replace those of s3s, so they must include the body's type.
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    if let Ok(code) = HeaderValue::from_str(code.as_str()) {
        headers.insert(ERROR_CODE, code);
    }
    let mut error = S3Error::with_message(code, message);
    error.set_status_code(status);
    error.set_headers(headers);
    error
}
