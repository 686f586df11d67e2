//! The embedded S3 store with STS behind `scopegate demo`: for trying out only, on loopback only.
//!
//! s3s speaks S3 and checks signatures, s3s-fs keeps the objects in a directory. What neither does is
//! here: minting sessions, and holding every request to its session's token, expiry and policy.
//!
//! ```text
//! serve -> s3s (SigV4, secret from session) -> access (token, expiry, operation, policy) -> s3s-fs
//!                                              mend (where s3s-fs strays from S3)
//!                                           -> sts    (AssumeRole, for the issuer only)
//! ```
//!
//! `policy`, `operation`, `form` and `session` are pure: no socket, no clock.

mod access;
mod form;
mod mend;
mod operation;
mod policy;
mod random;
mod refusal;
mod seed;
mod serve;
mod session;
mod store;
mod sts;

pub use store::{BUCKET, REGION, Store, StoreConfig, start};

#[cfg(test)]
mod tests;
