//! Keys that sign tokens, for tests.

use super::algorithm::Algorithm;
use super::settings::{Audience, JwtSettings, KeyOrigin};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
    RsaKeyPair,
};
use aws_lc_rs::{hmac, rsa};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

/// The issuer of [`settings`].
pub(super) const ISSUER: &str = "https://id.test/";

/// A key pair.
#[derive(Clone)]
pub(super) enum Signer {
    Rsa(Arc<RsaKeyPair>),
    P256(Arc<EcdsaKeyPair>),
    P384(Arc<EcdsaKeyPair>),
    Ed25519(Arc<Ed25519KeyPair>),
    Secret(Vec<u8>),
}

impl Signer {
    /// Returns an RSA key, the same for all tests of a process: making one takes long.
    pub(super) fn rsa() -> Self {
        static KEY: OnceLock<Arc<RsaKeyPair>> = OnceLock::new();
        // Versions of openssl differ in the form of the key.
        let read = |der: &[u8]| RsaKeyPair::from_der(der).or_else(|_| RsaKeyPair::from_pkcs8(der));
        let make = || Arc::new(read(&rsa_der(2048)).unwrap());
        Self::Rsa(Arc::clone(KEY.get_or_init(make)))
    }

    pub(super) fn p256() -> Self {
        Self::P256(ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING))
    }

    pub(super) fn p384() -> Self {
        Self::P384(ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING))
    }

    pub(super) fn ed25519() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::Ed25519(Arc::new(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap()))
    }

    /// Returns the public key in JSON.
    pub(super) fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Rsa(pair) => {
                let public = rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({ "kty": "RSA", "kid": kid, "n": encoded(&public.n), "e": encoded(&public.e) })
            }
            Self::P256(pair) => point(pair, "P-256", kid),
            Self::P384(pair) => point(pair, "P-384", kid),
            Self::Ed25519(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": encoded(pair.public_key().as_ref()) })
            }
            Self::Secret(secret) => json!({ "kty": "oct", "kid": kid, "k": encoded(secret) }),
        }
    }

    /// Signs a message.
    pub(super) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let padding: &dyn aws_lc_rs::signature::RsaEncoding = match algorithm {
                    Algorithm::Rs384 => &RSA_PKCS1_SHA384,
                    Algorithm::Rs512 => &RSA_PKCS1_SHA512,
                    Algorithm::Ps256 => &RSA_PSS_SHA256,
                    Algorithm::Ps384 => &RSA_PSS_SHA384,
                    Algorithm::Ps512 => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
            Self::P256(pair) | Self::P384(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Self::Secret(secret) => {
                let hash = match algorithm {
                    Algorithm::Hs384 => hmac::HMAC_SHA384,
                    Algorithm::Hs512 => hmac::HMAC_SHA512,
                    _ => hmac::HMAC_SHA256,
                };
                hmac::sign(&hmac::Key::new(hash, secret), message).as_ref().to_vec()
            }
        }
    }

    /// Returns a token with this header and these claims.
    pub(super) fn token(&self, algorithm: Algorithm, header: &Value, claims: &Value) -> String {
        self.token_of(algorithm, header.to_string().as_bytes(), claims.to_string().as_bytes())
    }

    /// Returns a token with a header and claims of these bytes.
    pub(super) fn token_of(&self, algorithm: Algorithm, header: &[u8], claims: &[u8]) -> String {
        let message = format!("{}.{}", encoded(header), encoded(claims));
        format!("{message}.{}", encoded(&self.sign(algorithm, message.as_bytes())))
    }
}

/// Returns an RSA key of this size.
pub(super) fn rsa_der(bits: usize) -> Vec<u8> {
    let made = Command::new("openssl")
        .args(["genpkey", "-algorithm", "RSA", "-outform", "DER", "-pkeyopt"])
        .arg(format!("rsa_keygen_bits:{bits}"))
        .stderr(Stdio::null())
        .output()
        .expect("openssl makes the RSA keys of tests: install it");
    assert!(made.status.success(), "{}", made.status);
    made.stdout
}

fn ecdsa(algorithm: &'static aws_lc_rs::signature::EcdsaSigningAlgorithm) -> Arc<EcdsaKeyPair> {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    Arc::new(EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref()).unwrap())
}

fn point(pair: &EcdsaKeyPair, curve: &str, kid: &str) -> Value {
    let public = &pair.public_key().as_ref()[1..];
    let (x, y) = public.split_at(public.len() / 2);
    json!({ "kty": "EC", "crv": curve, "kid": kid, "x": encoded(x), "y": encoded(y) })
}

/// Encodes bytes in base64url without padding.
pub(super) fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Returns the time in seconds since 1970, with an offset.
pub(super) fn seconds(now: SystemTime, offset: i64) -> i64 {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    i64::try_from(since).unwrap() + offset
}

/// Returns claims that are valid at `now`.
pub(super) fn claims(now: SystemTime) -> Value {
    json!({
        "iss": ISSUER, "sub": "alice", "aud": "scopegate", "exp": seconds(now, 300), "iat": seconds(now, -10),
        "nbf": seconds(now, -10), "jti": "1", "groups": ["data"],
    })
}

/// Returns settings for tokens of [`ISSUER`] for the audience `scopegate`.
pub(super) fn settings(keys: KeyOrigin) -> JwtSettings {
    JwtSettings {
        name: "corp".into(),
        issuer: ISSUER.into(),
        audience: Audience::AnyOf(vec!["scopegate".into(), "other".into()]),
        algorithms: Algorithm::PUBLIC.to_vec(),
        keys,
        leeway: Duration::from_mins(1),
        max_lifetime: None,
        max_stale: Duration::from_hours(24),
    }
}
