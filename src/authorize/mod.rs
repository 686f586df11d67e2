//! authorize

pub mod list_buckets;
pub mod list_uploads;
pub mod mapping;
pub mod mount;
pub mod operations;
pub mod policy;
pub mod rights;
pub mod scope;
