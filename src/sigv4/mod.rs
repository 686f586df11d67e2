//! sigv4

pub mod amz_date;
pub mod secret;
