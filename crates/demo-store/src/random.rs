//! Random keys and tokens, from the operating system's generator through AWS-LC.

use std::io;

use rustls::crypto::aws_lc_rs;

/// The 32 characters of keys and tokens: five bits of a random byte choose one without bias.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Returns `len` random letters and digits, with five bits of randomness each.
///
/// # Errors
/// When the operating system has no randomness.
pub(super) fn text(len: usize) -> io::Result<String> {
    Ok(bytes(len)?.into_iter().map(letter).collect())
}

/// Returns `len` random bytes.
///
/// # Errors
/// When the operating system has no randomness.
pub(super) fn bytes(len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| io::Error::other("the operating system gave no randomness"))?;
    Ok(bytes)
}

fn letter(byte: u8) -> char {
    let index = usize::from(byte) % ALPHABET.len();
    ALPHABET.get(index).map_or('A', |&letter| char::from(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_as_long_as_asked_and_never_the_same() {
        let (one, other) = (text(40).unwrap(), text(40).unwrap());
        assert_eq!(one.len(), 40);
        assert!(one.bytes().all(|byte| ALPHABET.contains(&byte)));
        assert_ne!(one, other);
    }
}
