//! A body out of the bytes that arrive, whatever its framing.

use super::chunked::Chunked;
pub(super) use super::chunked::Decoded;
use super::{Framing, Malformed};
use bytes::BytesMut;

/// Where the reading of a body stands.
#[derive(Debug)]
pub(super) enum Decoder {
    /// The number of bytes left.
    Length(u64),
    Chunked(Box<Chunked>),
}

impl Decoder {
    pub(super) fn new(framing: Framing) -> Self {
        match framing {
            Framing::Empty => Self::Length(0),
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(Box::default()),
        }
    }

    /// Takes what comes next out of `buf`.
    ///
    /// # Errors
    /// When it is not in its coding.
    #[inline]
    pub(super) fn decode(&mut self, buf: &mut BytesMut) -> Result<Decoded, Malformed> {
        match self {
            Self::Length(0) => Ok(Decoded::End),
            Self::Chunked(chunked) => chunked.decode(buf),
            Self::Length(_) if buf.is_empty() => Ok(Decoded::More),
            Self::Length(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(buf.len());
                *left -= here as u64;
                Ok(Decoded::Data(buf.split_to(here).freeze()))
            }
        }
    }

    /// Whether the body has ended.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunked) => chunked.is_over(),
        }
    }

    /// Returns whether the body ends within `bytes`, which come next.
    pub(super) fn ends_within(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Length(left) => *left <= bytes.len() as u64,
            Self::Chunked(chunked) => chunked.ends_within(bytes),
        }
    }

    /// The bytes that are left, where that is known.
    #[inline]
    pub(super) fn left(&self) -> Option<u64> {
        match self {
            Self::Length(left) => Some(*left),
            Self::Chunked(_) => None,
        }
    }
}
