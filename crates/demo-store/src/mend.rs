//! Where s3s-fs answers otherwise than S3 does, or more dangerously.

use std::path::Path;

use s3s::access::S3AccessContext;
use s3s::dto::EncodingType;
use s3s::path::S3Path;
use s3s::{S3Request, S3Result};

use super::form::Form;
use super::{operation, refusal};

/// Bytes of a file's name on the common file systems.
const MAX_FILE_NAME: usize = 255;
const UUID_LEN: usize = 36;

/// What can be told from a request's head. `root` is where s3s-fs keeps the objects.
pub(super) fn check(cx: &S3AccessContext<'_>, query: &Form, root: &Path) -> S3Result<()> {
    let operation = cx.s3_op().name();
    let key = cx.s3_path().get_object_key();
    if key.is_some_and(|key| !operation::is_plain_key(key)) {
        return Err(refusal::invalid_key());
    }
    // No versions are kept, and to answer with the current one would be a lie, or a loss on DELETE.
    if !matches!(query.only("versionId"), Ok(None | Some("null"))) {
        return Err(refusal::no_such_version());
    }
    let Some(bucket) = cx.s3_path().get_bucket_name().map(|bucket| root.join(bucket)) else { return Ok(()) };
    // A write makes the folders it needs, the bucket's too.
    if operation != "CreateBucket" && !bucket.is_dir() {
        return Err(refusal::no_such_bucket());
    }
    let writes = matches!(operation, "PutObject" | "CopyObject" | "CreateMultipartUpload");
    if writes && sidecar_len(cx.s3_path()) > MAX_FILE_NAME {
        return Err(refusal::key_too_long());
    }
    // A folder can be opened, and is then an internal error.
    let reads = matches!(operation, "GetObject" | "HeadObject");
    if reads && key.is_some_and(|key| bucket.join(key).is_dir()) {
        return Err(refusal::no_such_key());
    }
    Ok(())
}

/// Bytes of the longest name of a file that s3s-fs keeps beside an object: both names in Base64, the id of
/// an upload, and some words between. Past the limit it writes the object and then fails.
fn sidecar_len(path: &S3Path) -> usize {
    let in_base64 = |name: Option<&str>| name.map_or(0, |name| (name.len() * 4).div_ceil(3));
    let words = ".bucket-.object-.upload-.metadata.json".len();
    in_base64(path.get_bucket_name()) + in_base64(path.get_object_key()) + UUID_LEN + words
}

/// An empty delimiter, which is how many clients ask for no delimiter, cuts every key after its first
/// letter; a longer one is cut to its first byte. `encoding-type=url` is promised and not kept.
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

/// An upload is tied to the access key that began it, and a session's key does not live as long as an
/// upload may. MinIO ties it to nothing but its id. Always `Ok`, in the shape of the hooks of s3s.
#[expect(clippy::unnecessary_wraps, reason = "each hook that calls it ends with it")]
pub(super) fn upload<T>(request: &mut S3Request<T>) -> S3Result<()> {
    request.credentials = None;
    Ok(())
}
