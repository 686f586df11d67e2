//! The access log, metrics, traces and caught panics.
//!
//! May use: `store`, `config`, `sessions`, `outgoing`, `authenticate`, `authorize`, `bounds`, `identify`, `trace`, `refusal`, `s3`, `net`.

pub(crate) mod access;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod panics;
mod redact;
pub(crate) mod refused;
pub(crate) mod traces;
