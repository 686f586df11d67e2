//! s3

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
