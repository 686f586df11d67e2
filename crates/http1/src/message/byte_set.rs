//! Sets of bytes.

/// A set of bytes with constant-time lookup.
pub(crate) struct ByteSet([bool; 256]);

impl ByteSet {
    /// Makes the set of ASCII letters, digits and `others`.
    #[expect(
        clippy::indexing_slicing,
        reason = "evaluated at compile time, where an index out of bounds is an error"
    )]
    pub(crate) const fn alphanumeric_and(mut others: &[u8]) -> Self {
        let mut has = [false; 256];
        let mut byte = 0;
        while byte < 128_u8 {
            has[byte as usize] = byte.is_ascii_alphanumeric();
            byte += 1;
        }
        while let [byte, rest @ ..] = others {
            has[*byte as usize] = true;
            others = rest;
        }
        Self(has)
    }

    /// Adds every byte that is not ASCII.
    pub(crate) const fn with_non_ascii(mut self) -> Self {
        let (_, non_ascii) = self.0.split_at_mut(128);
        let mut rest = non_ascii;
        while let [has, more @ ..] = rest {
            *has = true;
            rest = more;
        }
        self
    }

    #[inline]
    pub(crate) fn has(&self, byte: u8) -> bool {
        self.0.get(usize::from(byte)).copied().unwrap_or_default()
    }
}
