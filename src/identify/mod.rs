//! Who sends a request: connections, clients, the conditions on them, and what browsers must not do.
//!
//! May use: `refusal`, `s3`.

pub mod browser;
pub mod client;
pub mod matcher;
pub mod virtual_host;
