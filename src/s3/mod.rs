//! S3's vocabulary: names, operations, targets, checksums, limits, error codes and XML.
//!
//! May use: nothing.

pub(crate) mod aws_chunked;
pub(crate) mod checksum;
pub(crate) mod error;
pub(crate) mod form;
pub(crate) mod limits;
pub(crate) mod names;
pub(crate) mod operation;
pub(crate) mod signed_body;
pub(crate) mod target;
pub(crate) mod verb;
pub(crate) mod xml;
pub(crate) mod xml_tokens;
