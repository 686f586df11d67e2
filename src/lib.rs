//! Scopegate: clients that cannot sign S3 requests get exactly their own corner of a MinIO.

pub mod amz_date;
pub mod client;
pub mod config;
pub mod endpoint;
pub mod limits;
pub mod mapping;
pub mod operation;
pub mod outgoing;
pub mod payload;
pub mod policy;
pub mod refusal;
pub mod resign;
pub mod scope;
pub mod secret;
pub mod session;
pub mod target;
