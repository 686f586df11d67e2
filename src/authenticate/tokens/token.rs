//! The text of a token: `sgt_` and the base64url of 32 random bytes and their CRC-32.
//!
//! The prefix lets scanners for leaked secrets find tokens. The checksum tells a token that was not copied whole from
//! one that is not valid. 36 bytes are 48 characters without padding, so every token has exactly one spelling.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crc_fast::CrcAlgorithm;
use sha2::{Digest, Sha256};
use std::fmt;
use std::io;
use zeroize::Zeroizing;

/// The beginning of every token.
pub(crate) const PREFIX: &str = "sgt_";
/// The number of random bytes.
const RANDOM: usize = 32;
/// The number of bytes with the checksum.
const BYTES: usize = RANDOM + 4;
/// The length of a token.
const LENGTH: usize = PREFIX.len() + BYTES / 3 * 4;

/// The SHA-256 of a token's text. A token has 256 random bits, so nobody can find one that has a given digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Parses 64 hexadecimal digits.
    ///
    /// # Errors
    /// Says what the text is instead, without quoting it.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.contains(PREFIX) {
            return Err("it is the token itself, which must not be in a configuration");
        }
        if text.len() != 64 {
            return Err("it does not have 64 hexadecimal digits");
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digit = |at: usize| digits.get(at).and_then(|digit| char::from(*digit).to_digit(16));
            let (Some(high), Some(low)) = (digit(0), digit(1)) else {
                return Err("it does not have 64 hexadecimal digits");
            };
            *byte = u8::try_from(high << 4 | low).unwrap_or_default();
        }
        Ok(Self(bytes))
    }

    /// Returns the digest of a token.
    fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }
}

impl fmt::Display for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(redacted)")
    }
}

/// Makes a token, and its digest.
///
/// # Errors
/// When the system has no random numbers.
pub(crate) fn new() -> io::Result<(Zeroizing<String>, TokenDigest)> {
    let mut random = Zeroizing::new([0; RANDOM]);
    getrandom::fill(&mut *random)?;
    let token = Zeroizing::new(spell(&random));
    let digest = TokenDigest::of(&token);
    Ok((token, digest))
}

fn spell(random: &[u8; RANDOM]) -> String {
    let mut bytes = Zeroizing::new([0; BYTES]);
    let parts = random.iter().copied().chain(checksum(random));
    bytes.iter_mut().zip(parts).for_each(|(byte, part)| *byte = part);
    // One allocation, so that no part of the token stays behind in memory.
    let mut token = String::with_capacity(LENGTH);
    token.push_str(PREFIX);
    URL_SAFE_NO_PAD.encode_string(bytes.as_slice(), &mut token);
    token
}

/// Returns the CRC-32 of zip and Ethernet, the highest byte first.
fn checksum(random: &[u8]) -> [u8; 4] {
    let crc = crc_fast::checksum(CrcAlgorithm::Crc32IsoHdlc, random);
    u32::try_from(crc).unwrap_or_default().to_be_bytes()
}

/// Returns the digest of a token that is spelled correctly.
///
/// # Errors
/// Says what is wrong with the spelling.
pub(super) fn parse(token: &str) -> Result<TokenDigest, &'static str> {
    let Some(rest) = token.strip_prefix(PREFIX) else {
        return Err("it does not begin with \"sgt_\"");
    };
    if token.len() != LENGTH {
        return Err("it does not have 52 characters: it was not copied whole");
    }
    let mut bytes = Zeroizing::new([0; BYTES]);
    URL_SAFE_NO_PAD
        .decode_slice(rest, &mut *bytes)
        .map_err(|_| "it has a character that tokens do not have")?;
    match bytes.split_at_checked(RANDOM) {
        Some((random, sum)) if checksum(random) == sum => Ok(TokenDigest::of(token)),
        _ => Err("its checksum is wrong: a character was changed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn new_tokens_differ_and_are_spelled_correctly() {
        let tokens: Vec<_> = (0..100).map(|_| new().unwrap()).collect();
        let different: HashSet<&str> = tokens.iter().map(|(token, _)| token.as_str()).collect();
        assert_eq!(different.len(), 100);
        for (token, digest) in &tokens {
            assert!(token.len() == 52 && parse(token) == Ok(*digest), "{}", token.as_str());
        }
    }

    /// The CRC-32 of 32 zero bytes is 190a55ad, as zlib computes it.
    #[test]
    fn a_token_has_exactly_this_form() {
        let token = "sgt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAZClWt";
        assert_eq!(spell(&[0; 32]), token);
        let digest = parse(token).unwrap().to_string();
        assert!(TokenDigest::parse(&digest) == TokenDigest::parse(&digest.to_uppercase()));
        assert_eq!(TokenDigest::parse(&digest).unwrap().to_string(), digest);
    }

    #[test]
    fn every_change_of_one_character_is_noticed() {
        let token = spell(&[0xa5; 32]);
        for at in PREFIX.len()..LENGTH {
            for other in ["A", "b", "-", "_", "9"] {
                let mut changed = token.clone();
                changed.replace_range(at..=at, other);
                assert_eq!(parse(&changed).is_ok(), changed == token, "{changed}");
            }
        }
        for other in
            [&token[..51], &format!("{token}A"), &token[4..], "", "sgt_", &token.replacen('l', "+", 1)]
        {
            assert!(parse(other).is_err(), "{other}");
        }
    }

    #[test]
    fn only_a_digest_is_a_digest() {
        let digest = "0123456789abcdefABCDEF0123456789abcdefabcdef01234567890123456789";
        assert!(TokenDigest::parse(digest).is_ok());
        let not_hex = digest.replacen('a', "g", 1);
        for bad in ["", &digest[1..], &format!("{digest}0"), &not_hex, &"é".repeat(32), "+1"] {
            assert!(TokenDigest::parse(bad).is_err(), "{bad}");
        }
        let token = spell(&[1; 32]);
        let error = TokenDigest::parse(&token).unwrap_err();
        assert!(error.contains("the token itself") && !error.contains(&token[4..]));
        assert_eq!(format!("{:?}", TokenDigest::parse(digest).unwrap()), "TokenDigest(redacted)");
    }
}
