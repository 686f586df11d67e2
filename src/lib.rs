//! Scopegate: clients that cannot sign S3 requests get exactly their own corner of a MinIO.

pub mod amz_date;
pub mod client;
pub mod config;
pub mod endpoint;
pub mod limits;
pub mod mapping;
pub mod mint;
pub mod operation;
pub mod outgoing;
pub mod payload;
pub mod policy;
pub mod refresh;
pub mod refusal;
pub mod resign;
pub mod s3_error;
pub mod scope;
pub mod secret;
pub mod session;
pub mod session_table;
pub mod target;
