//! The decoder of a message's body, for any framing.

mod chunked;

use self::chunked::Chunked;
pub(crate) use self::chunked::Decoded;
use crate::{Framing, Malformed};
use bytes::BytesMut;

/// The state of reading a body.
#[derive(Debug)]
pub(crate) enum Decoder {
    /// The number of bytes to come.
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

    /// Takes the next piece of the body out of `buf`.
    ///
    /// # Errors
    /// When the chunked coding is invalid.
    #[inline]
    pub(crate) fn decode(&mut self, buf: &mut BytesMut) -> Result<Decoded, Malformed> {
        match self {
            Self::Length(0) => Ok(Decoded::End),
            Self::Chunked(chunked) => chunked.decode(buf),
            Self::Length(_) if buf.is_empty() => Ok(Decoded::NeedMore),
            Self::Length(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(buf.len());
                *left -= here as u64;
                Ok(Decoded::Data(buf.split_to(here).freeze()))
            }
        }
    }

    /// Returns whether the body has ended.
    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunked) => chunked.is_done(),
        }
    }

    /// Records that `bytes` of a body of known length were taken from the stream without being read.
    pub(crate) fn pass(&mut self, bytes: usize) {
        if let Self::Length(left) = self {
            *left = left.saturating_sub(bytes as u64);
        }
    }

    /// Returns whether the body ends within `bytes`, which follow.
    pub(crate) fn ends_within(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Length(left) => *left <= bytes.len() as u64,
            Self::Chunked(chunked) => chunked.ends_within(bytes),
        }
    }

    /// Returns the number of bytes to come, if it is known.
    #[inline]
    pub(crate) fn remaining(&self) -> Option<u64> {
        match self {
            Self::Length(left) => Some(*left),
            Self::Chunked(_) => None,
        }
    }
}
