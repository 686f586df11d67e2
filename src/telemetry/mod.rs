//! The access log, metrics and caught panics.
//!
//! May use: `store`, `config`, `sessions`, `outgoing`, `authorize`, `bounds`, `identify`, `trace`, `refusal`, `s3`, `net`.

pub mod access;
pub mod log;
pub mod metrics;
pub mod panics;
