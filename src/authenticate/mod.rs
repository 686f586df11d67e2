//! Credentials: verifies what requests carry, and so identifies their clients.
//!
//! May use: `bounds`, `identify`, `refusal`, `s3`, `sigv4`, `net`.

pub(crate) mod attempts;
pub(crate) mod authenticator;
pub(crate) mod counts;
pub(crate) mod failure;
pub(crate) mod followed;
pub(crate) mod jwt;
pub(crate) mod keys;
pub(crate) mod lasting;
pub(crate) mod passwords;
pub(crate) mod proofs;
pub(crate) mod tokens;
pub(crate) mod verifiers;
