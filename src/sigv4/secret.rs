//! Secrets: never printed, and erased from memory when dropped.

use std::fmt;
use zeroize::Zeroizing;

/// A secret key or session token: zeroised when dropped, redacted by `Debug`, without `Display`.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes ownership of a secret.
    pub fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// Returns the secret itself: for signing, for STS, and for output that the user asked for.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// An access key pair of a MinIO user, or of a session.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The access key id. Not printed either, because some attacks on unpatched servers need no more.
    pub access_key: Secret,
    /// The secret access key.
    pub secret_key: Secret,
}

impl Credentials {
    /// Compares both keys, not in constant time: for an operator's configuration, never for what a client sends.
    pub fn are(&self, other: &Self) -> bool {
        self.access_key.reveal() == other.access_key.reveal()
            && self.secret_key.reveal() == other.secret_key.reveal()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_redacts() {
        let keys = Credentials {
            access_key: Secret::new("AKIDEXAMPLE".into()),
            secret_key: Secret::new("hush".into()),
        };
        let shown = format!("{keys:?}");
        assert!(!shown.contains("hush") && !shown.contains("AKID"), "{shown}");
    }
}
