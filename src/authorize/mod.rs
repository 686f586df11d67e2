//! What a client may do: the table of operations, scopes, mounts, grants and session policies.
//!
//! May use: `identify`, `refusal`, `s3`.

pub(crate) mod homes;
pub(crate) mod list_buckets;
pub(crate) mod list_uploads;
pub(crate) mod mapping;
pub(crate) mod mount;
pub(crate) mod operations;
pub(crate) mod policy;
pub(crate) mod rights;
pub(crate) mod scope;
pub(crate) mod template;
