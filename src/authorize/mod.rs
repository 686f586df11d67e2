//! What a client may do: the table of operations, scopes, mounts, grants and session policies.
//!
//! May use: `identify`, `refusal`, `s3`.

pub mod list_buckets;
pub mod list_uploads;
pub mod mapping;
pub mod mount;
pub mod operations;
pub mod policy;
pub mod rights;
pub mod scope;
