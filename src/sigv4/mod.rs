//! Secrets and dates as AWS Signature Version 4 uses them.
//!
//! May use: nothing.

pub mod amz_date;
pub mod secret;
