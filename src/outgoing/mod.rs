//! The request as the store receives it: path, query, headers and body, rebuilt from a grant.
//!
//! May use: `authorize`, `refusal`, `s3`.

pub mod content;
pub mod continuation;
pub mod document;
pub mod multi_delete;
pub mod payload;
pub mod presigned;
pub mod request;
pub mod spool;
pub mod upload;
pub mod upload_error;
