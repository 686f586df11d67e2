//! Connections to the store and to STS, clocks, and peers' text made safe to show.
//!
//! May use: nothing.

pub mod connect;
pub mod endpoint;
pub mod terminal;
pub mod wall_clock;
