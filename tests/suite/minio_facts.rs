//! Facts about MinIO that the proxy relies on, shown on MinIO itself.
//!
//! At the pinned version, and in addition to its documentation:
//!
//! **Policy size.** A session policy may have at most 2048 bytes in the form that the server writes: without white
//! space and unknown top-level fields, with single actions and resources turned into arrays, with `&`, `<` and `>` as
//! six bytes each (Go's escapes), and with other characters as UTF-8.
//!
//! **Reading.** `GetObject` alone also allows reading old versions, and `GetObjectVersion` alone the current one. So
//! no policy can keep a reader from old versions; only the proxy can. The same is true of tags (`GetObjectTagging`,
//! `DeleteObjectTagging`; the `…VersionTagging` actions have no effect). A missing key is 404 even for a client that
//! may read but not list. `?attributes` needs `GetObjectAttributes` and `GetObject`; for an old version it needs
//! `GetObjectVersionAttributes` and, explicitly, `GetObjectVersion`.
//!
//! **Multipart.** `PutObject` allows creating uploads and uploading parts. Listing parts needs
//! `ListMultipartUploadParts` and aborting needs `AbortMultipartUpload`; no other action implies either.
//!
//! **Deleting.** Deleting an old version needs `DeleteObject` and `DeleteObjectVersion`, also in a multi-object
//! delete, which requires a Content-MD5 or checksum header. With `x-minio-force-delete`, `DeleteObject` removes a
//! whole prefix.
//!
//! **Listing.** The condition on `s3:prefix` denies a missing prefix. A header `Prefix` and a duplicate query
//! parameter bypass it. `P/*` does not match `P`. `ListBucket` with the condition also lists versions;
//! `ListBucketVersions` lists only versions. `ListBucketMultipartUploads` does not support the condition. HEAD of a
//! bucket needs `HeadBucket`, or `ListBucket` without a condition.
//!
//! **Sessions.** Sessions survive a restart. While their issuer is disabled they get AccessDenied, and work again
//! afterwards. After the issuer is removed they get AccessDenied. Revoking them, or a new root password, ends them
//! for good (InvalidAccessKeyId), while the issuer can mint again.
//!
//! **Requests.** `?policy` and `?cors` on a key return the object. `x-amz-meta-*` in the query becomes metadata.
//! `x-amz-tagging` needs only `PutObject`. Anyone gets an answer to a CORS preflight, and `Origin` is echoed with
//! credentials allowed even on a 403. Any session may ask the admin API for its issuer's name. With `Expect`, a 403
//! replaces the 100. A refused HEAD names the code and the message in `x-minio-error-code` and `x-minio-error-desc`, and `mc`
//! reads them.
//!
//! **Bodies.** A checksum that trails signed chunks is verified (`XAmzContentChecksumMismatch`) and stored, for
//! objects and parts, whether or not `Content-Encoding` says `aws-chunked`, which is never stored. A wrong signature
//! after the chunks is `SignatureDoesNotMatch`. Neither error stores anything.
//!
//! **TLS.** No connection is refused because of its client's certificate. The server asks for one only with
//! `MINIO_IDENTITY_TLS_ENABLE=on`, and verifies it only for `AssumeRoleWithCertificate`.

mod actions;
mod listing;
mod payloads;
mod policy_size;
mod requests;
mod sessions;
mod tls;
mod versions;

use crate::support::http::Response;

/// Returns a session policy with one statement that allows these actions on these resources.
fn allowing(actions: &[&str], resources: &[&str]) -> String {
    let resources: Vec<String> = resources.iter().map(|r| format!("arn:aws:s3:::{r}")).collect();
    let statement = serde_json::json!({ "Effect": "Allow", "Action": actions, "Resource": resources });
    serde_json::json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

/// Returns the status and the S3 code, if there is one: `200`, `403 AccessDenied`.
fn outcome(answer: &Response) -> String {
    match answer.code() {
        Some(code) => format!("{} {code}", answer.status()),
        None => answer.status().to_string(),
    }
}
