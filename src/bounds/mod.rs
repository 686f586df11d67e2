//! Bounds on everything a peer controls, and the queues and shares that enforce them.
//!
//! May use: `identify`, `trace`, `refusal`, `s3`.

pub mod admission;
pub mod completions;
pub mod connections;
pub mod holdings;
pub mod limits;
pub mod memory;
pub mod part_budget;
pub mod places;
