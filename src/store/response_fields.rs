//! The header fields of the store's responses that are read at all.

use http1::is_named;

/// The header in which MinIO names the error of a response without a body. It is read here and not passed on.
pub(crate) const ERROR_CODE: &str = "x-minio-error-code";

/// Checks whether a header of the store is read: only those that S3 clients know, in any case. The others reveal the
/// store, grant access to other origins, or belong to the connection.
pub(crate) fn is_wanted(name: &[u8]) -> bool {
    // Length and first letters leave one name to compare with, spelled as MinIO does. Comparing with each name of a
    // list costs more (docs/performance.md, "a response's text is checked at once, and its names are matched as
    // bytes").
    let [first, second, ..] = *name else { return false };
    match (name.len(), first | 0x20, second | 0x20) {
        (3, b'a', b'g') => is_named(name, b"Age"),
        (4, b'd', b'a') => is_named(name, b"Date"),
        (4, b'e', b't') => is_named(name, b"ETag"),
        (7, b'e', b'x') => is_named(name, b"Expires"),
        (11, b'r', b'e') => is_named(name, b"Retry-After"),
        (13, b'l', b'a') => is_named(name, b"Last-Modified"),
        (13, b'a', b'c') => is_named(name, b"Accept-Ranges"),
        (13, b'c', b'a') => is_named(name, b"Cache-Control"),
        (12, b'c', b'o') => is_named(name, b"Content-Type"),
        (13, b'c', b'o') => is_named(name, b"Content-Range"),
        (14, b'c', b'o') => is_named(name, b"Content-Length"),
        (16, b'c', b'o') => is_named(name, b"Content-Encoding") || is_named(name, b"Content-Language"),
        (19, b'c', b'o') => is_named(name, b"Content-Disposition"),
        (20, b'x', _) if is_named(name, b"X-Amz-Security-Token") => false,
        (18, b'x', _) if is_named(name, b"X-Minio-Error-Code") => true,
        (_, b'x', _) => name.first_chunk::<6>().is_some_and(|start| is_named(start, b"X-Amz-")),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_headers_that_s3_clients_do_not_know() {
        for (name, wanted) in [
            ("Age", true),
            ("Date", true),
            ("etag", true),
            ("Expires", true),
            ("Retry-After", true),
            ("Content-Type", true),
            ("Accept-Ranges", true),
            ("Cache-Control", true),
            ("Content-Range", true),
            ("Last-Modified", true),
            ("Content-Length", true),
            ("Content-Encoding", true),
            ("Content-Language", true),
            ("Content-Disposition", true),
            ("x-amz-meta-a", true),
            ("X-Amz-Version-Id", true),
            ("X-Minio-Error-Code", true),
            ("server", false),
            ("Server", false),
            ("vary", false),
            ("set-cookie", false),
            ("access-control-allow-origin", false),
            ("access-control-allow-credentials", false),
            ("connection", false),
            ("transfer-encoding", false),
            ("location", false),
            ("refresh", false),
            ("link", false),
            ("service-worker-allowed", false),
            ("content-security-policy", false),
            ("x-content-type-options", false),
            ("clear-site-data", false),
            ("Strict-Transport-Security", false),
            ("x-amz-security-token", false),
            ("X-Amz-Security-Token", false),
            ("x-minio-deployment-id", false),
            ("www-authenticate", false),
        ] {
            assert_eq!(is_wanted(name.as_bytes()), wanted, "{name}");
        }
    }
}
