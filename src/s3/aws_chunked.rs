//! The aws-chunked envelope that clients put around a body. It is removed here: the store could not verify its
//! signatures, and would store it as part of the object. Signatures of local keys are verified here. Handwritten because the decoder of s3s buffers whole chunks and
//! requires valid signatures.
//!
//! ```text
//! body    = *chunk last-chunk *trailer CRLF
//! chunk   = size [";chunk-signature=" signature] CRLF data CRLF      ; size in hexadecimal, not 0
//! last    = "0" [";chunk-signature=" signature] CRLF
//! trailer = name ":" value [LF] CRLF                                 ; minio-go writes the LF
//! ```
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html>
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>

use crate::s3::checksum::{Algorithm, Checksum};
use crate::s3::signed_body::{ChunkChain, HexSignature, WrongSignature, parse_signature};
use bytes::{Buf, Bytes};
use std::fmt;

/// Longest chunk header, with its line end. A `SigV4A` signature has 144 bytes.
const MAX_CHUNK_LINE: usize = 256;
/// Longest trailer, with its line end.
const MAX_TRAILER_LINE: usize = 1024;
/// Maximum number of trailers: a checksum, a signature, and two more.
const MAX_TRAILERS: usize = 4;
/// Largest chunk with a signature, in bytes. Data before its signature is verified has no other bound.
const MAX_SIGNED_CHUNK: u64 = 16 << 20;
const CHUNK_SIGNATURE: &[u8] = b";chunk-signature=";
const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature";

/// An envelope as the request's headers announce it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// The length of the content (`x-amz-decoded-content-length`).
    pub decoded: Option<u64>,
    /// The algorithm of the checksum that follows the content (`x-amz-trailer`).
    pub trailer: Option<Algorithm>,
}

/// The reason an envelope is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvelopeError {
    /// It is malformed, or not what was announced.
    Malformed(&'static str),
    /// The signature of a chunk or of the trailer is missing or wrong.
    Signature,
}

use EnvelopeError::Malformed;

impl fmt::Display for EnvelopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Malformed(why) => why,
            Self::Signature => "the signature of a chunk or of the trailer is missing or wrong",
        })
    }
}

impl std::error::Error for EnvelopeError {}

impl From<WrongSignature> for EnvelopeError {
    fn from(_: WrongSignature) -> Self {
        Self::Signature
    }
}

/// A decoder of one envelope, in any chunks. It passes the content on without copying it.
#[derive(Debug)]
pub struct Decoder {
    envelope: Envelope,
    state: State,
    line: Vec<u8>,
    decoded: u64,
    trailers: usize,
    sum: Option<Checksum>,
    signed: Option<Signed>,
}

/// The signatures of an envelope's chunks and its trailer.
#[derive(Debug)]
struct Signed {
    chain: Box<ChunkChain>,
    /// The signature of the current chunk.
    claimed: HexSignature,
    /// The trailer as it is signed.
    trailer: Vec<u8>,
    /// Whether the signature of the trailer was verified.
    has_verified_trailer: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    ChunkLine,
    Data(u64),
    DataEnd,
    Trailers,
    End,
}

impl Decoder {
    /// Returns a decoder at the beginning of an envelope.
    pub fn new(envelope: Envelope) -> Self {
        let (state, line) = (State::ChunkLine, Vec::new());
        Self { envelope, state, line, decoded: 0, trailers: 0, sum: None, signed: None }
    }

    /// Requires each chunk and the trailer to be signed in this chain.
    pub(crate) fn require_signatures(&mut self, chain: Box<ChunkChain>) {
        let (claimed, trailer) = ([0; 64], Vec::new());
        self.signed = Some(Signed { chain, claimed, trailer, has_verified_trailer: false });
    }

    /// Returns the next piece of content, taken from the front of `input`. Returns `None` when `input` is used up.
    ///
    /// # Errors
    /// At the first byte that does not belong to the announced envelope.
    pub fn next(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, EnvelopeError> {
        while !input.is_empty() {
            match self.state {
                State::ChunkLine => {
                    if self.take_line(input, MAX_CHUNK_LINE)? {
                        self.open_chunk()?;
                    }
                }
                State::Data(rest) => {
                    let here = usize::try_from(rest).unwrap_or(usize::MAX).min(input.len());
                    let piece = input.split_to(here);
                    // No more than `rest` was taken, and `rest` was counted when the chunk began.
                    let left = rest.saturating_sub(here as u64);
                    self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
                    self.decoded = self.decoded.saturating_add(here as u64);
                    if let Some(signed) = &mut self.signed {
                        signed.chain.update(&piece);
                        if left == 0 {
                            signed.chain.end_chunk(signed.claimed)?;
                        }
                    }
                    return Ok(Some(piece));
                }
                State::DataEnd => {
                    if self.take_line(input, 2)? {
                        self.line.clear();
                        self.state = State::ChunkLine;
                    }
                }
                State::Trailers => {
                    if self.take_line(input, MAX_TRAILER_LINE)? {
                        self.take_trailer()?;
                    }
                }
                State::End => return Err(Malformed("there are bytes after the last chunk")),
            }
        }
        Ok(None)
    }

    /// Returns whether all announced content has been passed on.
    pub fn is_whole(&self) -> bool {
        self.envelope.decoded == Some(self.decoded)
    }

    /// Ends the envelope. Returns the checksum that followed, if one was announced.
    ///
    /// # Errors
    /// When the envelope is incomplete.
    pub fn finish(&mut self) -> Result<Option<Checksum>, EnvelopeError> {
        if self.state == State::End {
            Ok(self.sum.take())
        } else {
            Err(Malformed("the body ends before the last chunk"))
        }
    }

    /// Collects a line up to CRLF. Returns whether it is complete. The line end is removed.
    fn take_line(&mut self, input: &mut Bytes, limit: usize) -> Result<bool, EnvelopeError> {
        while input.has_remaining() {
            let byte = input.get_u8();
            self.line.push(byte);
            if self.line.ends_with(b"\r\n") {
                self.line.truncate(self.line.len() - 2);
                return Ok(true);
            }
            if self.line.len() >= limit {
                return Err(Malformed("a line is longer than it can be, or does not end in CRLF"));
            }
        }
        Ok(false)
    }

    fn open_chunk(&mut self) -> Result<(), EnvelopeError> {
        let size = chunk_size(&self.line)?;
        if let Some(signed) = &mut self.signed {
            signed.open_chunk(&self.line, size)?;
        }
        self.line.clear();
        let total = self.decoded.checked_add(size).ok_or(Malformed("a chunk is too large"))?;
        if self.envelope.decoded.is_some_and(|announced| total > announced) {
            return Err(Malformed("the chunks hold more than x-amz-decoded-content-length says"));
        }
        self.state = if size == 0 { State::Trailers } else { State::Data(size) };
        if size == 0 && self.envelope.decoded.is_some_and(|announced| total < announced) {
            return Err(Malformed("the chunks hold less than x-amz-decoded-content-length says"));
        }
        Ok(())
    }

    fn take_trailer(&mut self) -> Result<(), EnvelopeError> {
        if self.line.is_empty() {
            if self.sum.is_none() && self.envelope.trailer.is_some() {
                return Err(Malformed("the checksum that x-amz-trailer announces is missing"));
            }
            if let Some(signed) = &self.signed
                && signed.chain.has_trailer()
                && !signed.has_verified_trailer
            {
                return Err(EnvelopeError::Signature);
            }
            self.state = State::End;
            return Ok(());
        }
        self.trailers += 1;
        if self.trailers > MAX_TRAILERS {
            return Err(Malformed("there are too many trailers"));
        }
        let line = std::mem::take(&mut self.line);
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = str::from_utf8(text).map_err(|_| Malformed("a trailer is not text"))?;
        if text.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(Malformed("a trailer holds a control character"));
        }
        let (name, value) = text.split_once(':').ok_or(Malformed("a trailer has no colon"))?;
        if let Some(signed) = &mut self.signed {
            signed.take_trailer(name, value.trim_matches(' '))?;
        }
        if name.eq_ignore_ascii_case(TRAILER_SIGNATURE) {
            return Ok(());
        }
        let algorithm =
            self.envelope.trailer.filter(|algorithm| algorithm.header().eq_ignore_ascii_case(name));
        let algorithm = algorithm.ok_or(Malformed("a trailer is not one that x-amz-trailer announces"))?;
        if self.sum.is_some() {
            return Err(Malformed("the trailing checksum is given twice"));
        }
        let sum = Checksum::parse(algorithm, value.trim_matches(' ').as_bytes());
        self.sum = Some(sum.map_err(|_| Malformed("the trailing checksum is not one of its algorithm"))?);
        Ok(())
    }
}

impl Signed {
    fn open_chunk(&mut self, line: &[u8], size: u64) -> Result<(), EnvelopeError> {
        if size > MAX_SIGNED_CHUNK {
            return Err(Malformed("a signed chunk has more than 16 MiB"));
        }
        let (_, signature) = split_chunk_line(line);
        let signature = signature.strip_prefix(CHUNK_SIGNATURE).and_then(parse_signature);
        self.claimed = signature.ok_or(EnvelopeError::Signature)?;
        if size == 0 {
            self.chain.end_chunk(self.claimed)?;
        }
        Ok(())
    }

    fn take_trailer(&mut self, name: &str, value: &str) -> Result<(), EnvelopeError> {
        // After its signature nothing of the trailer would be signed.
        if !self.chain.has_trailer() || self.has_verified_trailer {
            return Err(EnvelopeError::Signature);
        }
        if name.eq_ignore_ascii_case(TRAILER_SIGNATURE) {
            let signature = parse_signature(value.as_bytes()).ok_or(EnvelopeError::Signature)?;
            self.has_verified_trailer = true;
            return Ok(self.chain.end_trailer(&self.trailer, signature)?);
        }
        for part in [&*name.to_ascii_lowercase(), ":", value, "\n"] {
            self.trailer.extend_from_slice(part.as_bytes());
        }
        Ok(())
    }
}

fn split_chunk_line(line: &[u8]) -> (&[u8], &[u8]) {
    line.split_at(line.iter().position(|byte| *byte == b';').unwrap_or(line.len()))
}

/// Returns the size in a chunk header. Only the form of its signature is checked.
fn chunk_size(line: &[u8]) -> Result<u64, EnvelopeError> {
    let (digits, extension) = split_chunk_line(line);
    if !(1..=16).contains(&digits.len()) {
        return Err(Malformed("a chunk's size is not 1 to 16 hexadecimal digits"));
    }
    let mut size = 0_u64;
    for byte in digits {
        let digit = char::from(*byte).to_digit(16).ok_or(Malformed("a chunk's size is not hexadecimal"))?;
        size = (size << 4) | u64::from(digit);
    }
    if !extension.is_empty() && !is_chunk_signature(extension) {
        return Err(Malformed("a chunk's size is followed by something other than a signature"));
    }
    Ok(size)
}

/// Checks the form of a signature. HMAC signatures have 64 digits; ECDSA signatures are padded with `*` to 144.
fn is_chunk_signature(extension: &[u8]) -> bool {
    let Some(signature) = extension.strip_prefix(CHUNK_SIGNATURE) else { return false };
    let digits = signature.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let filled = signature.iter().skip(digits).all(|byte| *byte == b'*');
    filled && (64..=144).contains(&signature.len()) && digits >= 64
}

#[cfg(test)]
mod tests;
