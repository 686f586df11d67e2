//! The objects that `scopegate demo` shows.

use std::path::Path;

use bytes::Bytes;
use http::{Extensions, HeaderMap, Method, Uri};
use s3s::dto::{CreateBucketInput, PutObjectInput, StreamingBlob};
use s3s::{Body, S3, S3Request, S3Result};
use s3s_fs::FileSystem;

/// The bucket of these objects.
pub(super) const BUCKET: &str = "tmp";

/// The size of the object that is large enough for a Range, in bytes.
const BLOB_LEN: u32 = 256 * 1024;

const TEXTS: [(&str, &str, &str); 4] = [
    ("media/hello.txt", "text/plain", "Hello from Scopegate.\n"),
    ("media/index.html", "text/html", "<!doctype html>\n<title>Scopegate</title>\n<p>Out of a bucket.\n"),
    ("media/notes/today.txt", "text/plain", "A key is a whole path: this one has a folder in it.\n"),
    ("other/secret.txt", "text/plain", "Whoever reads this was allowed more than media/.\n"),
];

/// Returns whether `root` contains a bucket, which may hold a user's objects.
pub(super) fn is_in_use(root: &Path) -> std::io::Result<bool> {
    for entry in std::fs::read_dir(root)? {
        if entry?.file_type()?.is_dir() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Writes the objects to an empty store.
pub(super) async fn seed(store: &FileSystem) -> S3Result<()> {
    let bucket = CreateBucketInput { bucket: BUCKET.to_owned(), ..CreateBucketInput::default() };
    store.create_bucket(request(Method::PUT, bucket)).await?;
    for (key, kind, text) in TEXTS {
        put(store, key, kind, Bytes::from_static(text.as_bytes())).await?;
    }
    put(store, "media/blob.bin", "application/octet-stream", blob()).await
}

async fn put(store: &FileSystem, key: &str, kind: &str, content: Bytes) -> S3Result<()> {
    let object = PutObjectInput {
        bucket: BUCKET.to_owned(),
        key: key.to_owned(),
        content_type: Some(kind.to_owned()),
        body: Some(StreamingBlob::from(Body::from(content))),
        ..PutObjectInput::default()
    };
    store.put_object(request(Method::PUT, object)).await?;
    Ok(())
}

/// Returns bytes without a visible pattern, the same in every store.
pub(super) fn blob() -> Bytes {
    let byte = |index: u32| index.wrapping_mul(2_654_435_761).to_be_bytes()[0];
    (0..BLOB_LEN).map(byte).collect()
}

fn request<T>(method: Method, input: T) -> S3Request<T> {
    S3Request {
        input,
        method,
        uri: Uri::default(),
        headers: HeaderMap::new(),
        extensions: Extensions::new(),
        credentials: None,
        region: None,
        service: None,
        trailing_headers: None,
    }
}
