//! A body in chunks that are signed with our own session, with its checksum behind it: how a checksum that is known
//! only at the end reaches the store, which verifies and keeps it.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>

use crate::amz_date::AmzDate;
use crate::checksum::{Algorithm, Checksum};
use crate::session::DayKey;
use bytes::{BufMut, Bytes, BytesMut};
use sha2::{Digest, Sha256};
use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

/// What is inside a chunk, save the last. S3 wants at least 8 KiB, MinIO takes at most 16 MiB.
const CHUNK: usize = 64 * 1024;
const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const CHUNK_SIGNATURE: &str = ";chunk-signature=";
const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature:";
/// A signature in hexadecimal.
const SIGNATURE: usize = 64;
/// Room for the longest line that opens a chunk.
const LINE: usize = 16 + CHUNK_SIGNATURE.len() + SIGNATURE + 2;

/// Signs chunk after chunk, each signature with the one before it.
pub struct ChunkSigner {
    key: Arc<DayKey>,
    date: AmzDate,
    previous: String,
}

impl fmt::Debug for ChunkSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkSigner").finish_non_exhaustive()
    }
}

impl ChunkSigner {
    /// A signer that goes on from the signature of the request, in hexadecimal.
    pub fn new(key: Arc<DayKey>, date: AmzDate, seed: String) -> Self {
        Self { key, date, previous: seed }
    }

    fn chunk(&mut self, data: &[u8]) -> &str {
        let hash = hex(&Sha256::digest(data));
        self.sign("AWS4-HMAC-SHA256-PAYLOAD", &[EMPTY_SHA256, &hash])
    }

    /// `line` is the trailer as it is sent, with a single line feed for its end.
    fn trailer(&mut self, line: &str) -> &str {
        let hash = hex(&Sha256::digest(line));
        self.sign("AWS4-HMAC-SHA256-TRAILER", &[&hash])
    }

    fn sign(&mut self, algorithm: &str, hashes: &[&str]) -> &str {
        let mut text =
            format!("{algorithm}\n{}\n{}\n{}", self.date.as_str(), self.key.scope(), self.previous);
        for hash in hashes {
            text.push('\n');
            text.push_str(hash);
        }
        self.previous = hex(&self.key.sign(text.as_bytes()));
        &self.previous
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Wraps content into signed chunks. It holds one chunk and the piece of content that goes into it.
#[derive(Debug)]
pub struct SignedChunks {
    signer: ChunkSigner,
    piece: Bytes,
    /// Room for the line that opens the chunk, then what is inside.
    chunk: BytesMut,
    left: u64,
}

impl SignedChunks {
    /// For `length` bytes with a trailing checksum of `algorithm`.
    pub fn new(signer: ChunkSigner, length: u64, algorithm: Algorithm) -> Self {
        let left = wire_length(length, algorithm);
        Self { signer, piece: Bytes::new(), chunk: empty_chunk(), left }
    }

    /// The bytes that are still to come out of it.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Takes the next piece of content. To be asked for chunks before the next one is given.
    pub fn push(&mut self, piece: Bytes) {
        self.piece = piece;
    }

    /// The next whole chunk, if there is content enough.
    pub fn next_chunk(&mut self) -> Option<Bytes> {
        let room = (LINE + CHUNK).saturating_sub(self.chunk.len());
        self.chunk.put(self.piece.split_to(room.min(self.piece.len())));
        (self.chunk.len() == LINE + CHUNK).then(|| self.close_chunk())
    }

    /// The end: what is left of the content, the last chunk and the checksum. Given once.
    pub fn finish(&mut self, sum: &Checksum) -> Option<Bytes> {
        if self.left == 0 {
            return None;
        }
        let mut end = BytesMut::new();
        if self.chunk.len() > LINE {
            end.put(self.close_chunk());
        }
        let _ = write!(end, "0{CHUNK_SIGNATURE}{}\r\n", self.signer.chunk(b""));
        let trailer = format!("{}:{}", sum.algorithm().header(), sum.base64());
        let signature = self.signer.trailer(&format!("{trailer}\n"));
        let _ = write!(end, "{trailer}\r\n{TRAILER_SIGNATURE}{signature}\r\n\r\n");
        self.left = 0;
        Some(end.freeze())
    }

    fn close_chunk(&mut self) -> Bytes {
        let mut chunk = std::mem::replace(&mut self.chunk, empty_chunk());
        let inside = chunk.get(LINE..).unwrap_or_default();
        let line = format!("{:x}{CHUNK_SIGNATURE}{}\r\n", inside.len(), self.signer.chunk(inside));
        let start = LINE.saturating_sub(line.len());
        if let Some(place) = chunk.get_mut(start..LINE) {
            place.copy_from_slice(line.as_bytes());
        }
        let _unused = chunk.split_to(start);
        chunk.put_slice(b"\r\n");
        self.left = self.left.saturating_sub(chunk.len() as u64);
        chunk.freeze()
    }
}

fn empty_chunk() -> BytesMut {
    let mut chunk = BytesMut::with_capacity(LINE + CHUNK + 2);
    chunk.put_bytes(0, LINE);
    chunk
}

/// The `Content-Length` of `length` bytes in signed chunks with a trailing checksum.
pub fn wire_length(length: u64, algorithm: Algorithm) -> u64 {
    let chunk = |inside: u64| {
        let digits = u64::from(inside.checked_ilog(16).unwrap_or(0)) + 1;
        digits + (CHUNK_SIGNATURE.len() + SIGNATURE + 2) as u64
    };
    let (whole, rest) = (length / CHUNK as u64, length % CHUNK as u64);
    let base64 = algorithm.size().div_ceil(3) * 4;
    let trailer = algorithm.header().len() + 1 + base64 + 2 + TRAILER_SIGNATURE.len() + SIGNATURE + 4;
    let last = if rest > 0 { chunk(rest) + rest + 2 } else { 0 };
    whole * (chunk(CHUNK as u64) + CHUNK as u64 + 2) + last + chunk(0) + trailer as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws_chunked::{Decoder, Envelope};
    use crate::checksum::Hasher;
    use crate::session::Session;
    use crate::session::tests::minted;
    use aws_credential_types::Credentials;
    use aws_sigv4::http_request::SigningSettings;
    use aws_sigv4::sign::v4::{SigningParams, sign_chunk, sign_trailer};
    use aws_smithy_runtime_api::http::Headers;
    use proptest::prelude::*;
    use std::time::{Duration, SystemTime};

    fn session(time: SystemTime) -> Session {
        Session::new(1, minted(time + Duration::from_mins(15)), "us-east-1".into(), time).unwrap()
    }

    fn wrap(content: &[u8], piece: usize, algorithm: Algorithm, time: SystemTime) -> Vec<u8> {
        let date = AmzDate::new(time);
        let signer = ChunkSigner::new(Arc::clone(&session(time).day_key(&date)), date, "5eed".repeat(16));
        let mut chunks = SignedChunks::new(signer, content.len() as u64, algorithm);
        let (mut hasher, mut wire) = (Hasher::new(algorithm), Vec::new());
        for piece in content.chunks(piece) {
            hasher.update(piece);
            chunks.push(Bytes::copy_from_slice(piece));
            while let Some(chunk) = chunks.next_chunk() {
                wire.extend_from_slice(&chunk);
                assert_eq!(chunks.left() + wire.len() as u64, wire_length(content.len() as u64, algorithm));
            }
        }
        let sum = hasher.finish();
        wire.extend_from_slice(&chunks.finish(&sum).unwrap());
        assert_eq!((chunks.left(), chunks.finish(&sum)), (0, None));
        wire
    }

    /// Every signature of an envelope, as aws-sigv4 gives it.
    fn oracle(content: &[u8], trailer: (&'static str, String), time: SystemTime) -> Vec<String> {
        let session = session(time);
        let keys = session.keys();
        let identity =
            Credentials::new(keys.access_key.reveal(), keys.secret_key.reveal(), None, None, "test").into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("s3")
            .time(time)
            .settings(SigningSettings::default())
            .build()
            .unwrap();
        let mut signatures = vec!["5eed".repeat(16)];
        for chunk in content.chunks(CHUNK).chain([&b""[..]]) {
            let signed = sign_chunk(&Bytes::copy_from_slice(chunk), signatures.last().unwrap(), &params);
            signatures.push(signed.unwrap().signature().to_owned());
        }
        let mut headers = Headers::new();
        headers.insert(trailer.0, trailer.1);
        let signed = sign_trailer(&headers, signatures.last().unwrap(), &params).unwrap();
        signatures.push(signed.signature().to_owned());
        signatures.split_off(1)
    }

    fn signatures(wire: &[u8]) -> Vec<String> {
        let text = String::from_utf8_lossy(wire);
        let found = text.split("-signature").skip(1).map(|rest| rest.chars().skip(1).take(64).collect());
        found.collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn signed_as_aws_sigv4_signs_and_unwrapped_again(
            length in prop_oneof![Just(0), 1..200_usize, 65_000..66_000_usize, Just(CHUNK), 130_000..200_000_usize, Just(2 * CHUNK)],
            piece in prop_oneof![1..9_000_usize, Just(CHUNK), Just(3 * CHUNK)],
            algorithm in 0..5_usize, seconds in 0..4_000_000_000_u64,
        ) {
            let (algorithm, time) = (Algorithm::ALL[algorithm], SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
            let content: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let wire = wrap(&content, piece, algorithm, time);
            prop_assert_eq!(wire.len() as u64, wire_length(length as u64, algorithm));
            let mut hasher = Hasher::new(algorithm);
            hasher.update(&content);
            let sum = hasher.finish();
            prop_assert_eq!(signatures(&wire), oracle(&content, (algorithm.header(), sum.base64()), time));
            let mut decoder = Decoder::new(Envelope { decoded: Some(length as u64), trailer: Some(algorithm) });
            let (mut input, mut inside) = (Bytes::from(wire), Vec::new());
            while let Some(piece) = decoder.next(&mut input).unwrap() { inside.extend_from_slice(&piece); }
            prop_assert_eq!(decoder.finish(), Ok(Some(sum)));
            prop_assert_eq!(inside, content);
        }
    }
}
