//! The request as the store receives it: path, query, headers and body, rebuilt from a grant.
//!
//! May use: `authorize`, `refusal`, `s3`.

pub(crate) mod content;
pub(crate) mod continuation;
pub(crate) mod document;
pub(crate) mod multi_delete;
pub(crate) mod payload;
pub(crate) mod presigned;
pub(crate) mod request;
pub(crate) mod spool;
pub(crate) mod upload;
pub(crate) mod upload_error;
