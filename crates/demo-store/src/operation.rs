//! The table of operations, with the rights that each needs.

/// The rights that an operation needs. Any one of several actions is enough.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// An action on the object of the request.
    Object(&'static [&'static str]),
    /// An action on the bucket of the request, granted without a condition.
    Bucket(&'static [&'static str]),
    /// Listing, with the prefix of the query.
    Listing,
    /// Writing the object of the request and reading the one that `x-amz-copy-source` names.
    Copy,
    /// Deleting each key that the body names, checked once the body is read.
    EachKey,
}

pub(super) const DELETE_OBJECT: &[&str] = &["s3:DeleteObject"];
pub(super) const GET_OBJECT: &[&str] = &["s3:GetObject"];
pub(super) const LIST_BUCKET: &[&str] = &["s3:ListBucket"];
pub(super) const PUT_OBJECT: &[&str] = &["s3:PutObject"];

/// Returns the rights that an operation of S3's API needs, by its name. `None` means that no session may use it.
pub(super) fn need(operation: &str) -> Option<Need> {
    Some(match operation {
        "GetObject" | "HeadObject" => Need::Object(GET_OBJECT),
        "GetObjectAttributes" => Need::Object(&["s3:GetObjectAttributes", "s3:GetObject"]),
        "GetObjectTagging" => Need::Object(&["s3:GetObjectTagging"]),
        "PutObjectTagging" => Need::Object(&["s3:PutObjectTagging"]),
        "DeleteObjectTagging" => Need::Object(&["s3:DeleteObjectTagging"]),
        "PutObject" | "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload" => {
            Need::Object(PUT_OBJECT)
        }
        "AbortMultipartUpload" => Need::Object(&["s3:AbortMultipartUpload"]),
        "ListParts" => Need::Object(&["s3:ListMultipartUploadParts"]),
        "CopyObject" | "UploadPartCopy" => Need::Copy,
        "DeleteObject" => Need::Object(DELETE_OBJECT),
        "DeleteObjects" => Need::EachKey,
        "ListObjects" | "ListObjectsV2" => Need::Listing,
        "HeadBucket" => Need::Bucket(&["s3:HeadBucket", "s3:ListBucket"]),
        "ListMultipartUploads" => Need::Bucket(&["s3:ListBucketMultipartUploads"]),
        "GetBucketLocation" => Need::Bucket(&["s3:GetBucketLocation"]),
        _ => return None,
    })
}

/// Returns whether a file system reads `key` as exactly that key: no empty segment except the last, no `.` or `..`, no
/// backslash. MinIO refuses the others too.
pub(super) fn is_plain_key(key: &str) -> bool {
    let named = key.strip_suffix('/').unwrap_or(key);
    !key.contains(['\\', '\0']) && named.split('/').all(|segment| !matches!(segment, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_outside_the_table_are_refused() {
        for operation in ["ListBuckets", "CreateBucket", "PostObject", "PutObjectAcl", ""] {
            assert_eq!(need(operation), None, "{operation}");
        }
    }

    #[test]
    fn rejects_keys_with_dot_or_empty_segments() {
        for key in
            ["../secret", "media/../other/x", "media/./x", "media//x", "/etc/passwd", "/", "", "a\\..\\b"]
        {
            assert!(!is_plain_key(key), "{key}");
        }
        for key in ["media/hello.txt", "media/", "..media/x..", "media/...", "日本/é.txt"] {
            assert!(is_plain_key(key), "{key}");
        }
    }
}
