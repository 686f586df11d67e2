//! S3's own limits.

/// Largest object: 5 TiB.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
pub(crate) const MAX_OBJECT: u64 = 5 << 40;

/// Largest object in one PUT, and largest part: 5 GiB.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
pub(crate) const MAX_SINGLE_PUT: u64 = 5 << 30;

/// Most parts of an object.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
pub(crate) const MAX_PARTS: u32 = 10_000;

/// Longest key, in bytes of UTF-8.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>
pub(crate) const MAX_KEY_BYTES: usize = 1024;

/// Most keys, versions or uploads on one page of a list, and most keys of a multi-object delete.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>
pub(crate) const MAX_PAGE: usize = 1000;

/// Most buckets on one page of `ListBuckets`.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html>
pub(crate) const MAX_BUCKETS: usize = 10_000;
