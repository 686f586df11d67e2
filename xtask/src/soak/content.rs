//! Contents of objects that are not kept: any range can be generated again and compared.

use std::io::{self, Error, ErrorKind, Write};

/// A prime, so that ranges at multiples of a power of two all differ and a misplaced one is noticed.
const PERIOD: usize = 1_048_583;

/// The content of every object: one block of noise, repeated, from an offset that differs by object.
pub(crate) struct Noise(Vec<u8>);

impl Noise {
    pub(crate) fn new() -> Self {
        let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
        let byte = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_be_bytes().first().copied()
        };
        Self(std::iter::from_fn(byte).take(PERIOD).collect())
    }

    /// Returns at most `limit` bytes from `offset` on, fewer where the block ends.
    pub(crate) fn piece(&self, offset: u64, limit: u64) -> &[u8] {
        let start = usize::try_from(offset % PERIOD as u64).unwrap_or_default();
        let rest = self.0.get(start..).unwrap_or_default();
        let length = usize::try_from(limit).unwrap_or(usize::MAX).min(rest.len());
        rest.get(..length).unwrap_or_default()
    }

    /// Returns `length` bytes from `offset` on.
    pub(crate) fn bytes(&self, offset: u64, length: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut at = 0;
        while at < length {
            let piece = self.piece(offset + at, length - at);
            bytes.extend_from_slice(piece);
            at += piece.len() as u64;
        }
        bytes
    }

    /// Returns a writer that compares with the bytes from `offset` on.
    pub(crate) fn compare(&self, offset: u64) -> Compare<'_> {
        Compare { noise: self, offset, written: 0 }
    }
}

/// A writer that fails at the first wrong byte.
pub(crate) struct Compare<'a> {
    noise: &'a Noise,
    offset: u64,
    written: u64,
}

impl Write for Compare<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let expected = self.noise.piece(self.offset + self.written, bytes.len() as u64);
        let compared = bytes.get(..expected.len()).unwrap_or_default();
        if compared != expected {
            let text = format!("a wrong byte in the {} bytes from {} on", compared.len(), self.written);
            return Err(Error::new(ErrorKind::InvalidData, text));
        }
        self.written += compared.len() as u64;
        Ok(compared.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generates_any_range_again() {
        let noise = Noise::new();
        let all = noise.bytes(5, 3 * PERIOD as u64);
        assert_eq!(all.len(), 3 * PERIOD);
        assert_eq!(noise.bytes(5 + 1000, 2000), all[1000..3000]);
        noise.compare(5).write_all(&all).unwrap();
        noise.compare(5 + PERIOD as u64 - 3).write_all(&all[PERIOD - 3..]).unwrap();
    }

    #[test]
    fn finds_one_wrong_byte_and_a_shift() {
        let noise = Noise::new();
        let mut wrong = noise.bytes(0, 2 << 20);
        wrong[1 << 20] ^= 1;
        assert!(noise.compare(0).write_all(&wrong).is_err());
        let shifted = noise.bytes(1 << 20, 1 << 20);
        assert!(noise.compare(0).write_all(&shifted).is_err());
    }
}
