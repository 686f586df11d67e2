//! Connections to the store and to STS, clocks, and peers' text made safe to show.
//!
//! May use: nothing.

pub(crate) mod congestion;
pub(crate) mod connect;
pub(crate) mod endpoint;
pub(crate) mod guarded;
pub(crate) mod terminal;
pub(crate) mod tls_files;
pub(crate) mod wall_clock;
