//! Bounds on everything a peer controls, and the queues and shares that enforce them.
//!
//! May use: `identify`, `trace`, `refusal`, `s3`.

pub(crate) mod admission;
pub(crate) mod completions;
pub(crate) mod connections;
pub(crate) mod holdings;
pub(crate) mod limits;
pub(crate) mod memory;
pub(crate) mod part_budget;
pub(crate) mod places;
pub(crate) mod residents;
pub(crate) mod streams;
