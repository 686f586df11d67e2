//! What outlives a configuration: a reload neither forgets proofs of unchanged credentials nor forgives failures.

use super::attempts::{AttemptLimits, Attempts};
use super::passwords::Hashing;
use super::proofs::Proofs;
use std::io;

/// The number of passwords that are remembered.
const PASSWORDS: usize = 8192;

/// The number of JWTs that are remembered. Those with more than some tens of KiB of claims are not.
const JWTS: usize = 1024;

/// The state of authentication that one process has once.
#[derive(Debug)]
pub(crate) struct Lasting {
    /// The passwords that verified.
    pub passwords: Proofs,
    /// The JWTs that verified.
    pub jwts: Proofs,
    /// The failed attempts.
    pub attempts: Attempts,
    /// The places for hashing passwords.
    pub hashing: Hashing,
}

impl Lasting {
    /// Makes the state of a process that hashes as many passwords at once as it has workers.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub(crate) fn new(limits: AttemptLimits, workers: usize) -> io::Result<Self> {
        Ok(Self {
            passwords: Proofs::new(PASSWORDS)?,
            jwts: Proofs::new(JWTS)?,
            attempts: Attempts::new(limits),
            hashing: Hashing::new(workers),
        })
    }
}
