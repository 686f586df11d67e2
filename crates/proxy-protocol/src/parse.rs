//! Tells the versions of a header apart, and parses it as the version that it is written in.

use crate::header::{Invalid, Parsed, Reason, Version, Versions};
use crate::{binary, text};

/// Parses the header at the beginning of a stream, of which `bytes` have arrived.
///
/// # Errors
/// When no header of the accepted versions begins with these bytes.
pub fn parse(bytes: &[u8], versions: Versions) -> Result<Parsed, Invalid> {
    let known = [(Version::V1, text::PREFIX), (Version::V2, binary::SIGNATURE)];
    let begins = |prefix: &[u8]| bytes.iter().zip(prefix).all(|(byte, expected)| byte == expected);
    let Some((version, prefix)) = known.into_iter().find(|(_, prefix)| begins(prefix)) else {
        return Err(Invalid { reason: Reason::Missing, why: "the connection does not begin with a header" });
    };
    if bytes.len() < prefix.len() {
        let shortest = if bytes.is_empty() { shortest_of(versions) } else { prefix.len() };
        return Ok(Parsed::Partial { missing: shortest - bytes.len() });
    }
    if !versions.accepts(version) {
        let why = match version {
            Version::V1 => "the header is of version 1, which the listener does not accept",
            Version::V2 => "the header is of version 2, which the listener does not accept",
        };
        return Err(Invalid { reason: Reason::Version, why });
    }
    match version {
        Version::V1 => text::parse(bytes),
        Version::V2 => binary::parse(bytes),
    }
}

/// Returns the length of the shortest header of these versions.
fn shortest_of(versions: Versions) -> usize {
    match versions {
        Versions::Only(Version::V2) => binary::FIXED,
        Versions::Only(Version::V1) | Versions::Both => text::SHORTEST,
    }
}
