//! Secrets and dates as AWS Signature Version 4 uses them.
//!
//! May use: nothing.

pub(crate) mod amz_date;
pub(crate) mod secret;
