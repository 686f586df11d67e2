//! Names of identities that can be a segment of a prefix.

use crate::s3::names::check_segments;

/// A name that is safe as a whole segment of a key and in a session policy.
///
/// It holds nothing that a policy, a path or a file system gives a meaning to, and nothing that has two spellings: an
/// identity whose name is different is refused, and never changed into a name that may be another's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentityName(Box<str>);

impl IdentityName {
    /// Longest name, in bytes.
    pub const MAX: usize = 128;

    /// Checks a name.
    ///
    /// # Errors
    /// Says what a name is.
    pub fn parse(name: &str) -> Result<Self, &'static str> {
        let bytes = name.as_bytes();
        if !(1..=Self::MAX).contains(&bytes.len()) {
            return Err("it has 1 to 128 characters");
        }
        if !bytes.first().is_some_and(u8::is_ascii_alphanumeric) {
            return Err("it begins with a letter of a-z or A-Z or a digit");
        }
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._@=+-".contains(byte);
        if !bytes.iter().all(is_plain) {
            return Err("it holds only a-z, A-Z, 0-9 and . _ @ = + -");
        }
        if bytes.last() == Some(&b'.') {
            return Err("it does not end in '.'");
        }
        // Names such as `xl.meta`, which mean something to MinIO.
        check_segments(name)?;
        Ok(Self(name.into()))
    }

    /// Returns the longest name with at most `length` bytes.
    pub(crate) fn of_length(length: usize) -> Self {
        Self("x".repeat(length.clamp(1, Self::MAX)).into())
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
