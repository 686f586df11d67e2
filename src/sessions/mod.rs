//! STS sessions: when to mint them, and the last good one of each mapping.
//!
//! May use: `authorize`, `s3`, `sigv4`, `net`.

pub mod minting;
pub mod refresh;
pub mod session;
pub mod table;
pub mod token;
