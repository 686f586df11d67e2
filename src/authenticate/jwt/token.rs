//! Tokens in compact form (RFC 7515, section 7.1), parsed and not verified.

use super::key::{kid_of, text};
use super::{json, shown};
use crate::authenticate::failure::{Cause, Failure};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// Maximum length of a token, in bytes. Tokens with many groups have 8 to 12 KiB.
pub(crate) const MAX_TOKEN: usize = 16 * 1024;

/// A token whose signature is not verified.
pub(super) struct Token<'t> {
    /// The name of the algorithm.
    pub(super) algorithm: Box<str>,
    /// The id of the key.
    pub(super) kid: Option<Box<str>>,
    /// The issuer.
    pub(super) issuer: Box<str>,
    /// The claims in base64. In memory they can take a hundred times as much, and a token may wait for its key.
    claims: &'t str,
    /// The bytes that are signed.
    pub(super) signed: &'t [u8],
    /// The signature.
    pub(super) signature: Vec<u8>,
}

impl<'t> Token<'t> {
    /// Parses a token.
    ///
    /// # Errors
    /// When it is not a signed token, or demands something of its recipient that is not supported.
    pub(super) fn parse(token: &'t str) -> Result<Self, Failure> {
        if token.len() > MAX_TOKEN {
            let detail = format!("the token has {} bytes; at most {MAX_TOKEN} are accepted", token.len());
            return Err(Failure::too_large(detail));
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong_parts(token));
        };
        let (algorithm, kid) = read_header(&object("header", header)?)?;
        let issuer = issuer_of(&object("claims", payload)?)?;
        let signature = decode("signature", signature)?;
        // The two parts and the dot between them.
        let signed = token.as_bytes().get(..header.len() + 1 + payload.len()).unwrap_or_default();
        Ok(Self { algorithm, kid, issuer, claims: payload, signed, signature })
    }

    /// Returns all claims.
    ///
    /// # Errors
    /// Never for a token that was parsed.
    pub(super) fn claims(&self) -> Result<Map<String, Value>, Failure> {
        object("claims", self.claims)
    }
}

fn malformed(part: &str, why: &str) -> Failure {
    Failure::wrong(Cause::Malformed, format!("{part}: {why}"))
}

fn decode(part: &str, text: &str) -> Result<Vec<u8>, Failure> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| malformed(part, "it is not base64url without padding"))
}

fn object(part: &str, text: &str) -> Result<Map<String, Value>, Failure> {
    json::parse_object(&decode(part, text)?).map_err(|why| malformed(part, &why))
}

fn issuer_of(claims: &Map<String, Value>) -> Result<Box<str>, Failure> {
    match claims.get("iss") {
        Some(Value::String(issuer)) => Ok(issuer.as_str().into()),
        Some(_) => Err(Failure::wrong(Cause::BadClaim, "iss is not a string")),
        None => Err(Failure::wrong(Cause::BadClaim, "the token has no iss")),
    }
}

fn wrong_parts(token: &str) -> Failure {
    match token.split('.').count() {
        5 => Failure::wrong(
            Cause::Encrypted,
            "the token is encrypted (JWE, five parts); signed ones have three",
        ),
        count => {
            Failure::wrong(Cause::Malformed, format!("the token has {count} parts; signed ones have three"))
        }
    }
}

/// Returns the algorithm and the id of the key.
///
/// `jku`, `jwk`, `x5u` and `x5c` name keys that the client chose. They are never read.
fn read_header(header: &Map<String, Value>) -> Result<(Box<str>, Option<Box<str>>), Failure> {
    let malformed = |why: String| malformed("header", &why);
    // Each asks the recipient to treat the token differently; `crit` may appear with extensions only.
    for name in ["crit", "b64"] {
        if header.contains_key(name) {
            let detail = format!("the header has {name}, and extensions are not supported");
            return Err(Failure::wrong(Cause::Extension, detail));
        }
    }
    let algorithm = text(header, "alg").map_err(malformed)?;
    let algorithm = algorithm.ok_or_else(|| malformed("it has no alg".to_owned()))?;
    if algorithm.len() > 32 {
        return Err(Failure::wrong(Cause::Algorithm, format!("alg is {}", shown(algorithm))));
    }
    text(header, "typ").map_err(malformed)?;
    let kid = kid_of(header).map_err(malformed)?;
    Ok((algorithm.into(), kid.map(Into::into)))
}
