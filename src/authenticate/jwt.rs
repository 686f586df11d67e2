//! JSON Web Tokens (RFC 7519): parses and verifies them, and keeps the keys of their issuers.
//!
//! A token is parsed, its issuer is found by `iss`, the issuer's key is chosen, the signature is verified, and the
//! claims are checked, in this order. Only the keys come from the network.

mod algorithm;
mod claims;
mod fetch;
mod issuers;
mod json;
mod key;
mod key_set;
mod keys;
mod origin;
mod settings;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod token;
mod url;

pub(crate) use algorithm::{Algorithm, names as algorithm_names};
pub(crate) use issuers::{IssuerStatus, Issuers, Verified};
pub(crate) use key_set::{KeySet, MAX_SET};
pub(crate) use settings::{Access, Audience, JwtSettings, KeyOrigin};
pub(crate) use url::KeyUrl;

/// Quotes text from a token for the log: escaped, and cut to 100 characters.
fn shown(text: &str) -> String {
    let beginning: String = text.chars().take(100).collect();
    let more = if beginning.len() < text.len() { "..." } else { "" };
    format!("{beginning:?}{more}")
}
