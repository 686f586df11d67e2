//! bounds

pub mod admission;
pub mod connections;
pub mod holdings;
pub mod limits;
pub mod memory;
pub mod places;
