//! The embedded S3 store with STS behind `scopegate demo`: for trying out only, on loopback only.
//!
//! s3s speaks S3 and checks signatures; s3s-fs keeps the objects in a directory. This crate adds the sessions: it mints
//! them, and checks the token, expiry and policy of the session behind each request.
//!
//! ```text
//! serve -> s3s (SigV4, secret from session) -> access (token, expiry, operation, policy) -> s3s-fs
//!                                              mend (where s3s-fs differs from S3)
//!                                           -> sts    (AssumeRole, for the issuer only)
//! ```
//!
//! `policy`, `operation`, `form` and `session` are pure: they use neither sockets nor clocks.

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
