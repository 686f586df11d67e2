//! Which rights each S3 operation asks of a session: one table.

/// What a session must be allowed for one operation. Of several actions, any one is enough.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// On the object of the request.
    Object(&'static [&'static str]),
    /// On the bucket of the request, by a statement without a condition.
    Bucket(&'static [&'static str]),
    /// Listing, with the prefix of the query.
    Listing,
    /// Writing the object of the request and reading the one that `x-amz-copy-source` names.
    Copy,
    /// Deleting each key that the body names: judged when the body has been read.
    EachKey,
}

pub(super) const DELETE_OBJECT: &[&str] = &["s3:DeleteObject"];
pub(super) const GET_OBJECT: &[&str] = &["s3:GetObject"];
pub(super) const LIST_BUCKET: &[&str] = &["s3:ListBucket"];
pub(super) const PUT_OBJECT: &[&str] = &["s3:PutObject"];

/// What `operation`, by its name in S3's API, needs. `None`: no session may do it.
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

/// Whether a file system, asked for `key`, can only mean that key: no empty segment but the last, no
/// `.` or `..`, no backslash. MinIO refuses the rest too.
pub(super) fn is_plain_key(key: &str) -> bool {
    let named = key.strip_suffix('/').unwrap_or(key);
    !key.contains(['\\', '\0']) && named.split('/').all(|segment| !matches!(segment, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_in_the_table_is_for_no_session() {
        for operation in ["ListBuckets", "CreateBucket", "PostObject", "PutObjectAcl", ""] {
            assert_eq!(need(operation), None, "{operation}");
        }
    }

    #[test]
    fn keys_that_climb_or_stutter_are_not_plain() {
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
