//! S3's vocabulary: names, operations, targets, checksums, limits, error codes and XML.
//!
//! May use: nothing.

pub mod aws_chunked;
pub mod checksum;
pub mod error;
pub mod limits;
pub mod names;
pub mod operation;
pub mod target;
pub mod verb;
pub mod xml;
pub mod xml_tokens;
