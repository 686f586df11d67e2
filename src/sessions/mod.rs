//! STS sessions: when to mint them, and the last good one of each mapping.
//!
//! May use: `authorize`, `s3`, `sigv4`, `net`.

pub(crate) mod minting;
pub(crate) mod refresh;
pub(crate) mod session;
pub(crate) mod table;
pub(crate) mod token;
