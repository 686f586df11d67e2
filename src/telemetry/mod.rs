//! The access log, metrics and caught panics.
//!
//! May use: `store`, `config`, `sessions`, `outgoing`, `authenticate`, `authorize`, `bounds`, `identify`, `trace`, `refusal`, `s3`, `net`.

pub(crate) mod access;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod panics;
pub(crate) mod refused;
