//! Secrets that do not show and do not stay.

use std::fmt;
use zeroize::Zeroizing;

/// A secret key, session token or the like: zeroised when dropped, redacted by `Debug`, without `Display`.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a secret over.
    pub fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The secret itself, for the signer, the STS call, and output that asked for it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
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
    /// Access key id. Not printed either: knowing one is enough for some attacks on unpatched servers.
    pub access_key: Secret,
    /// Secret access key.
    pub secret_key: Secret,
}

impl Credentials {
    /// Whether both are the same. For what an operator wrote, not for what a client brings: it takes no constant time.
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
