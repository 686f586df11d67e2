//! Corrections for requests that s3s-fs handles differently from S3, or dangerously.

use std::path::Path;

use s3s::access::S3AccessContext;
use s3s::dto::EncodingType;
use s3s::path::S3Path;
use s3s::{S3Request, S3Result};

use super::form::Form;
use super::{operation, refusal};

/// The longest file name on common file systems, in bytes.
const MAX_FILE_NAME: usize = 255;
const UUID_LEN: usize = 36;

/// Rejects requests that s3s-fs would mishandle, judging by their head. `root` is the directory of s3s-fs.
pub(super) fn check(cx: &S3AccessContext<'_>, query: &Form, root: &Path) -> S3Result<()> {
    let operation = cx.s3_op().name();
    let key = cx.s3_path().get_object_key();
    if key.is_some_and(|key| !operation::is_plain_key(key)) {
        return Err(refusal::invalid_key());
    }
    // No versions are kept. Using the current one would be wrong, and on DELETE would lose data.
    if !matches!(query.only("versionId"), Ok(None | Some("null"))) {
        return Err(refusal::no_such_version());
    }
    let Some(bucket) = cx.s3_path().get_bucket_name().map(|bucket| root.join(bucket)) else { return Ok(()) };
    // A write creates missing directories, including the bucket's.
    if operation != "CreateBucket" && !bucket.is_dir() {
        return Err(refusal::no_such_bucket());
    }
    let writes = matches!(operation, "PutObject" | "CopyObject" | "CreateMultipartUpload");
    if writes && sidecar_len(cx.s3_path()) > MAX_FILE_NAME {
        return Err(refusal::key_too_long());
    }
    // s3s-fs opens a directory and then fails with an internal error.
    let reads = matches!(operation, "GetObject" | "HeadObject");
    if reads && key.is_some_and(|key| bucket.join(key).is_dir()) {
        return Err(refusal::no_such_key());
    }
    Ok(())
}

/// Returns the length of the longest file name that s3s-fs uses beside an object: both names in Base64, the id of an
/// upload, and fixed words. If it is too long, s3s-fs writes the object and then fails.
fn sidecar_len(path: &S3Path) -> usize {
    let in_base64 = |name: Option<&str>| name.map_or(0, |name| (name.len() * 4).div_ceil(3));
    let words = ".bucket-.object-.upload-.metadata.json".len();
    in_base64(path.get_bucket_name()) + in_base64(path.get_object_key()) + UUID_LEN + words
}

/// Adjusts a listing. s3s-fs splits keys after their first letter at an empty delimiter, which many clients send to mean
/// none; it truncates a longer one to its first byte; it announces `encoding-type=url` and does not encode.
pub(super) fn listing(
    delimiter: &mut Option<String>,
    encoding_type: &mut Option<EncodingType>,
) -> S3Result<()> {
    *encoding_type = None;
    match delimiter.as_ref().map_or(0, String::len) {
        0 => *delimiter = None,
        1 => {}
        _ => return Err(refusal::not_implemented()),
    }
    Ok(())
}

/// Lets any session continue an upload. s3s-fs ties an upload to the access key that began it, which may expire before the
/// upload ends; MinIO ties it to its id alone. Always returns `Ok`, like the hooks of s3s that call it.
#[expect(clippy::unnecessary_wraps, reason = "each hook that calls it ends with it")]
pub(super) fn upload<T>(request: &mut S3Request<T>) -> S3Result<()> {
    request.credentials = None;
    Ok(())
}
