//! Credentials: verifies what requests carry, and so identifies their clients.
//!
//! May use: `identify`, `refusal`, `net`.

pub(crate) mod authenticator;
pub(crate) mod counts;
pub(crate) mod failure;
