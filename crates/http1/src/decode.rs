//! A body out of the bytes that arrive, whatever its framing.

mod chunked;

use self::chunked::Chunked;
pub(crate) use self::chunked::Decoded;
use crate::{Framing, Malformed};
use bytes::BytesMut;

/// Where the reading of a body stands.
#[derive(Debug)]
pub(crate) enum Decoder {
    /// The number of bytes left.
    Length(u64),
    Chunked(Box<Chunked>),
}

impl Decoder {
    pub(crate) fn new(framing: Framing) -> Self {
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
    pub(crate) fn decode(&mut self, buf: &mut BytesMut) -> Result<Decoded, Malformed> {
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
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunked) => chunked.is_over(),
        }
    }

    /// Returns whether the body ends within `bytes`, which come next.
    pub(crate) fn ends_within(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Length(left) => *left <= bytes.len() as u64,
            Self::Chunked(chunked) => chunked.ends_within(bytes),
        }
    }

    /// The bytes that are left, where that is known.
    #[inline]
    pub(crate) fn left(&self) -> Option<u64> {
        match self {
            Self::Length(left) => Some(*left),
            Self::Chunked(_) => None,
        }
    }
}
