//! What MinIO does, shown on MinIO: the facts that the proxy is built on.
//!
//! What was found, at the pinned version, beside what its documentation says:
//!
//! **Policy size.** At most 2048 bytes of the policy as the server writes it: no white space, unknown
//! top-level fields dropped, a single action or resource turned into an array, `&`, `<` and `>` six bytes
//! each as Go escapes them, other characters their UTF-8 bytes.
//!
//! **Reading.** `GetObject` alone also reads old versions, and `GetObjectVersion` alone also the current
//! one: a policy cannot keep old versions from a reader, only the proxy can. The same holds for tags
//! (`GetObjectTagging`, `DeleteObjectTagging`; the `…VersionTagging` actions do nothing). A key that is not
//! there is 404 to whoever may read but not list. `?attributes` needs `GetObjectAttributes` and `GetObject`; of an old version `GetObjectVersionAttributes` and `GetObjectVersion`, the latter by name.
//!
//! **Multipart.** `PutObject` creates and uploads parts; listing parts needs `ListMultipartUploadParts` and
//! aborting `AbortMultipartUpload`, neither of which another right implies.
//!
//! **Deleting.** An old version needs `DeleteObject` and `DeleteObjectVersion`, also in a multi-delete,
//! which needs a Content-MD5 or checksum header. `x-minio-force-delete` makes of `DeleteObject` the
//! removal of a whole prefix.
//!
//! **Listing.** The condition on `s3:prefix` denies an absent prefix, is beaten by a header `Prefix` and
//! by a doubled query parameter, and `P/*` does not match `P`. `ListBucket` under it lists versions too;
//! `ListBucketVersions` lists only these. `ListBucketMultipartUploads` does not take it. HEAD of a bucket
//! needs `HeadBucket`, or `ListBucket` without a condition.
//!
//! **Sessions.** They survive a restart and the time for which their issuer is disabled (AccessDenied);
//! removing the issuer leaves AccessDenied; revoking them or a new root password ends them for good
//! (InvalidAccessKeyId), while the issuer can mint again.
//!
//! **Requests.** `?policy` and `?cors` on a key answer the object; `x-amz-meta-*` in the query becomes
//! metadata; `x-amz-tagging` passes with `PutObject` alone; a CORS preflight is answered to anyone, and an
//! `Origin` is echoed with credentials allowed even on a 403; any session may ask the admin API for its
//! issuer's name. With `Expect`, a 403 comes in place of the 100.
//!
//! **Bodies.** A checksum behind signed chunks is verified (`XAmzContentChecksumMismatch`) and kept, for objects and
//! parts, whether or not `Content-Encoding` says `aws-chunked`, which is never stored; a wrong signature behind
//! them is `SignatureDoesNotMatch`. Neither commits anything.

mod actions;
mod listing;
mod payloads;
mod policy_size;
mod requests;
mod sessions;
mod versions;

use crate::support::http::Response;

/// A session policy with one statement that allows these actions on these resources.
fn allowing(actions: &[&str], resources: &[&str]) -> String {
    let resources: Vec<String> = resources.iter().map(|r| format!("arn:aws:s3:::{r}")).collect();
    let statement = serde_json::json!({ "Effect": "Allow", "Action": actions, "Resource": resources });
    serde_json::json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

/// The status, with the S3 code where there is one: `200`, `403 AccessDenied`.
fn outcome(answer: &Response) -> String {
    match answer.code() {
        Some(code) => format!("{} {code}", answer.status()),
        None => answer.status().to_string(),
    }
}
