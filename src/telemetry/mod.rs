//! telemetry

pub mod access;
pub mod log;
pub mod metrics;
pub mod panics;
