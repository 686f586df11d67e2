//! Keys that verify signatures: public keys from a JWK Set (RFC 7517), and shared secrets.
//!
//! Signatures are verified with AWS-LC, which TLS uses as well. A library for JWTs would add little: choosing the key,
//! duplicate members, wrong types, `crit` and sizes are decided here in any case, and its cryptography would be these
//! same calls to AWS-LC.

use super::algorithm::{Algorithm, KeyKind};
use super::shown;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use std::ops::RangeInclusive;

/// The sizes of RSA keys, in bits. AWS-LC verifies with others neither.
const RSA_BITS: RangeInclusive<usize> = 2048..=8192;
/// Maximum length of a key's id, in bytes.
const MAX_KID: usize = 256;

/// A key.
#[derive(Clone, Debug)]
pub(super) struct Key {
    /// The id.
    pub(super) kid: Option<Box<str>>,
    /// The only algorithm that it is for, if it says so.
    algorithm: Option<Algorithm>,
    material: Material,
}

#[derive(Clone, Debug)]
enum Material {
    Rsa { modulus: Box<[u8]>, exponent: Box<[u8]> },
    P256(Box<[u8]>),
    P384(Box<[u8]>),
    Ed25519(Box<[u8]>),
    Secret(Box<[hmac::Key]>),
}

impl Key {
    /// Makes the key of a shared secret.
    pub(super) fn of_secret(secret: &[u8]) -> Self {
        let key = |algorithm| hmac::Key::new(algorithm, secret);
        let keys = [hmac::HMAC_SHA256, hmac::HMAC_SHA384, hmac::HMAC_SHA512].map(key);
        Self { kid: None, algorithm: None, material: Material::Secret(keys.into()) }
    }

    /// Reads a public key that may verify signatures.
    ///
    /// # Errors
    /// Returns why the key is not usable.
    pub(super) fn parse(jwk: &Map<String, Value>) -> Result<Self, String> {
        let kid = kid_of(jwk)?.map(Into::into);
        check_use(jwk)?;
        let algorithm = match text(jwk, "alg")? {
            None => None,
            Some(name) => Some(Algorithm::parse(name).ok_or_else(|| format!("its alg is {}", shown(name)))?),
        };
        if jwk.contains_key("d") {
            return Err("it is a private key: everyone who can read it can sign tokens".to_owned());
        }
        let material = material(jwk)?;
        let key = Self { kid, algorithm, material };
        match algorithm {
            Some(algorithm) if algorithm.key_kind() != key.kind() => {
                Err(format!("its alg is {}, which needs another kind of key", algorithm.name()))
            }
            _ => Ok(key),
        }
    }

    fn kind(&self) -> KeyKind {
        match &self.material {
            Material::Rsa { .. } => KeyKind::Rsa,
            Material::P256(_) => KeyKind::P256,
            Material::P384(_) => KeyKind::P384,
            Material::Ed25519(_) => KeyKind::Ed25519,
            Material::Secret(_) => KeyKind::Secret,
        }
    }

    /// Returns whether the key may verify signatures of `algorithm`.
    pub(super) fn fits(&self, algorithm: Algorithm) -> bool {
        self.kind() == algorithm.key_kind() && self.algorithm.is_none_or(|only| only == algorithm)
    }

    /// Returns whether both are the same public key for the same purpose.
    pub(super) fn is(&self, other: &Self) -> bool {
        let same = match (&self.material, &other.material) {
            (Material::Rsa { modulus, exponent }, Material::Rsa { modulus: n, exponent: e }) => {
                modulus == n && exponent == e
            }
            (Material::P256(one), Material::P256(other))
            | (Material::P384(one), Material::P384(other))
            | (Material::Ed25519(one), Material::Ed25519(other)) => one == other,
            // Secrets are part of the configuration and are compared there.
            _ => false,
        };
        same && self.kid == other.kid && self.algorithm == other.algorithm
    }

    /// Returns whether `signature` is that of `message`. A key that does not fit the algorithm verifies nothing.
    pub(super) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.fits(algorithm) {
            return false;
        }
        match &self.material {
            Material::Rsa { modulus, exponent } => {
                let key = RsaPublicKeyComponents { n: modulus, e: exponent };
                rsa_parameters(algorithm)
                    .is_some_and(|parameters| key.verify(parameters, message, signature).is_ok())
            }
            Material::P256(point) => verifies(&signature::ECDSA_P256_SHA256_FIXED, point, message, signature),
            Material::P384(point) => verifies(&signature::ECDSA_P384_SHA384_FIXED, point, message, signature),
            Material::Ed25519(point) => verifies(&signature::ED25519, point, message, signature),
            Material::Secret(keys) => {
                let at = Algorithm::SECRET.iter().position(|one| *one == algorithm);
                let key = at.and_then(|at| keys.get(at));
                key.is_some_and(|key| hmac::verify(key, message, signature).is_ok())
            }
        }
    }
}

fn verifies(
    algorithm: &'static dyn VerificationAlgorithm,
    point: &[u8],
    message: &[u8],
    signature: &[u8],
) -> bool {
    UnparsedPublicKey::new(algorithm, point).verify(message, signature).is_ok()
}

fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        _ => None,
    }
}

/// Returns the id of a key, or of the key that a token names.
pub(super) fn kid_of(object: &Map<String, Value>) -> Result<Option<&str>, String> {
    let kid = text(object, "kid")?;
    if kid.is_some_and(|kid| kid.len() > MAX_KID) {
        return Err(format!("its kid has more than {MAX_KID} bytes"));
    }
    Ok(kid)
}

/// Checks that a key is for verifying signatures, as far as it says what it is for.
fn check_use(jwk: &Map<String, Value>) -> Result<(), String> {
    if let Some(purpose) = text(jwk, "use")?
        && purpose != "sig"
    {
        return Err(format!("its use is {}", shown(purpose)));
    }
    match jwk.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(operations)) if operations.iter().any(|one| one == "verify") => Ok(()),
        Some(_) => Err("its key_ops do not contain \"verify\"".to_owned()),
    }
}

fn material(jwk: &Map<String, Value>) -> Result<Material, String> {
    let kty = text(jwk, "kty")?.ok_or("it has no kty")?;
    let curve = text(jwk, "crv")?;
    match (kty, curve) {
        ("RSA", _) => rsa(jwk),
        ("EC", Some("P-256")) => point(jwk, 32).map(Material::P256),
        ("EC", Some("P-384")) => point(jwk, 48).map(Material::P384),
        ("OKP", Some("Ed25519")) => coordinate(jwk, "x", 32).map(|x| Material::Ed25519(x.into())),
        ("oct", _) => Err("it is a secret, which does not belong in a set of public keys".to_owned()),
        (kty, None) => Err(format!("its kty is {}", shown(kty))),
        (kty, Some(curve)) => Err(format!("its kty is {} with the crv {}", shown(kty), shown(curve))),
    }
}

fn rsa(jwk: &Map<String, Value>) -> Result<Material, String> {
    // Some programs write the leading zero byte of a signed number (RFC 7518, section 6.3.1.1).
    let number = |name| {
        let bytes = bytes(jwk, name)?;
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        Ok::<_, String>(bytes.into_iter().skip(zeros).collect::<Box<[u8]>>())
    };
    let (modulus, exponent) = (number("n")?, number("e")?);
    let is_odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
    let bits = bits(&modulus);
    if !RSA_BITS.contains(&bits) {
        let (least, most) = (RSA_BITS.start(), RSA_BITS.end());
        return Err(format!("it is an RSA key of {bits} bits; {least} to {most} are accepted"));
    }
    if !is_odd(&modulus) || !is_odd(&exponent) || !(2..=33).contains(&self::bits(&exponent)) {
        return Err("it is an RSA key with an impossible modulus or exponent".to_owned());
    }
    Ok(Material::Rsa { modulus, exponent })
}

/// Returns the number of bits of a number without leading zero bytes.
fn bits(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

/// Returns a point in uncompressed form.
fn point(jwk: &Map<String, Value>, length: usize) -> Result<Box<[u8]>, String> {
    let (x, y) = (coordinate(jwk, "x", length)?, coordinate(jwk, "y", length)?);
    Ok([&[4], &*x, &*y].concat().into())
}

fn coordinate(jwk: &Map<String, Value>, name: &str, length: usize) -> Result<Vec<u8>, String> {
    let bytes = bytes(jwk, name)?;
    if bytes.len() != length {
        return Err(format!("its {name} has {} bytes instead of {length}", bytes.len()));
    }
    Ok(bytes)
}

fn bytes(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, String> {
    let text = text(jwk, name)?.ok_or_else(|| format!("it has no {name}"))?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| format!("its {name} is not base64url without padding"))
}

/// Returns a string member. A member of another type is a mistake and not absent.
pub(super) fn text<'v>(object: &'v Map<String, Value>, name: &str) -> Result<Option<&'v str>, String> {
    match object.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("its {name} is not a string")),
    }
}
