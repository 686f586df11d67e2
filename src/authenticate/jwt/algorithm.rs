//! The signature algorithms of tokens (RFC 7518, RFC 8037).

/// An algorithm. `none` is not one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// RSA with PKCS #1 v1.5 padding and SHA-256.
    Rs256,
    /// RSA with PKCS #1 v1.5 padding and SHA-384.
    Rs384,
    /// RSA with PKCS #1 v1.5 padding and SHA-512.
    Rs512,
    /// RSA with PSS padding and SHA-256.
    Ps256,
    /// RSA with PSS padding and SHA-384.
    Ps384,
    /// RSA with PSS padding and SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
    /// HMAC with SHA-256.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
}

/// The kind of key that an algorithm needs. An algorithm never verifies with a key of another kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    /// An RSA key.
    Rsa,
    /// A point on P-256.
    P256,
    /// A point on P-384.
    P384,
    /// A point on edwards25519.
    Ed25519,
    /// A secret that issuer and verifier share.
    Secret,
}

impl Algorithm {
    /// The algorithms with public keys.
    pub(crate) const PUBLIC: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];
    /// The algorithms with a shared secret.
    pub(crate) const SECRET: [Self; 3] = [Self::Hs256, Self::Hs384, Self::Hs512];
    /// The algorithms that an issuer with public keys may use by default.
    pub(crate) const DEFAULT: [Self; 4] = [Self::Rs256, Self::Ps256, Self::Es256, Self::EdDsa];

    /// Returns the name in a token's header.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
        }
    }

    /// Returns the algorithm of this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        // RFC 9864 gives EdDSA with Ed25519 a name of its own.
        if name == "Ed25519" {
            return Some(Self::EdDsa);
        }
        Self::PUBLIC.into_iter().chain(Self::SECRET).find(|algorithm| algorithm.name() == name)
    }

    /// Returns the kind of key that it needs.
    pub(crate) const fn key_kind(self) -> KeyKind {
        match self {
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 | Self::Ps384 | Self::Ps512 => KeyKind::Rsa,
            Self::Es256 => KeyKind::P256,
            Self::Es384 => KeyKind::P384,
            Self::EdDsa => KeyKind::Ed25519,
            Self::Hs256 | Self::Hs384 | Self::Hs512 => KeyKind::Secret,
        }
    }

    /// Returns the least length of a secret, in bytes: that of the hash (RFC 7518, section 3.2).
    pub(crate) const fn min_secret(self) -> usize {
        match self {
            Self::Hs384 => 48,
            Self::Hs512 => 64,
            _ => 32,
        }
    }
}

/// Lists the names of algorithms for a message.
pub(crate) fn names(algorithms: &[Algorithm]) -> String {
    algorithms.iter().map(|algorithm| algorithm.name()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_exactly() {
        for algorithm in Algorithm::PUBLIC.into_iter().chain(Algorithm::SECRET) {
            assert_eq!(Algorithm::parse(algorithm.name()), Some(algorithm));
            assert_eq!(Algorithm::parse(&algorithm.name().to_lowercase()), None);
        }
        for name in [
            "none", "None", "NONE", "nOnE", "", "RS1", "ES512", "ES256K", "Ed448", "RSA-OAEP", "dir",
            "HS256 ",
        ] {
            assert_eq!(Algorithm::parse(name), None, "{name}");
        }
        assert_eq!(Algorithm::parse("Ed25519"), Some(Algorithm::EdDsa));
    }
}
