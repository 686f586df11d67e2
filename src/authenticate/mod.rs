//! Credentials: verifies what requests carry, and so identifies their clients.
//!
//! May use: `identify`, `refusal`, `sigv4`, `net`.

pub(crate) mod authenticator;
pub(crate) mod counts;
pub(crate) mod failure;
pub(crate) mod jwt;
pub(crate) mod proofs;
