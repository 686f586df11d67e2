//! How the signature of a request covers its body.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::fmt;

/// The part of a signature that covers the body. The body is verified against it while it arrives.
#[derive(Debug, Default)]
pub(crate) enum SignedBody {
    /// The body is not covered.
    #[default]
    Open,
    /// The SHA-256 of the whole body is signed.
    Sha256([u8; 32]),
    /// Each chunk of an aws-chunked envelope is signed.
    Chunks(Box<ChunkChain>),
    /// An aws-chunked envelope whose chunks are not signed, with a checksum after them.
    Checksummed,
}

/// The error for a signature that the key did not make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WrongSignature;

/// The SHA-256 of nothing.
pub(crate) const EMPTY_SHA256: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27,
    0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// A signature in lower-case hexadecimal.
pub(crate) type HexSignature = [u8; 64];

/// The chain of the signatures of a body's chunks. Each signature covers the one before it, the first covers that of
/// the request.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html>
pub(crate) struct ChunkChain {
    key: Hmac<Sha256>,
    /// The date and the scope, each with a line feed.
    context: Box<str>,
    previous: HexSignature,
    chunk: Sha256,
    has_trailer: bool,
}

impl ChunkChain {
    /// Makes the chain that begins with the signature of a request.
    pub(crate) fn new(
        key: Hmac<Sha256>,
        date: &str,
        scope: &str,
        seed: HexSignature,
        has_trailer: bool,
    ) -> Self {
        let context = format!("{date}\n{scope}\n").into();
        Self { key, context, previous: seed, chunk: Sha256::new(), has_trailer }
    }

    /// Returns whether a signed trailer ends the body.
    pub(crate) fn has_trailer(&self) -> bool {
        self.has_trailer
    }

    /// Takes data of the current chunk.
    pub(crate) fn update(&mut self, data: &[u8]) {
        self.chunk.update(data);
    }

    /// Verifies the signature of the chunk that ends here.
    pub(crate) fn end_chunk(&mut self, signature: HexSignature) -> Result<(), WrongSignature> {
        let hash = self.chunk.finalize_reset();
        let nothing = hex(&EMPTY_SHA256);
        self.verify(signature, &[b"AWS4-HMAC-SHA256-PAYLOAD\n"], &[&nothing, b"\n", &hex(&hash.into())])
    }

    /// Verifies the signature of the trailer, given as lines of names and values.
    pub(crate) fn end_trailer(
        &mut self,
        lines: &[u8],
        signature: HexSignature,
    ) -> Result<(), WrongSignature> {
        let hash = Sha256::digest(lines);
        self.verify(signature, &[b"AWS4-HMAC-SHA256-TRAILER\n"], &[&hex(&hash.into())])
    }

    fn verify(
        &mut self,
        signature: HexSignature,
        algorithm: &[&[u8]],
        hashes: &[&[u8]],
    ) -> Result<(), WrongSignature> {
        let mut mac = self.key.clone();
        for part in algorithm {
            mac.update(part);
        }
        mac.update(self.context.as_bytes());
        mac.update(&self.previous);
        mac.update(b"\n");
        for part in hashes {
            mac.update(part);
        }
        let claimed = parse_hex(&signature).ok_or(WrongSignature)?;
        // Constant in time.
        mac.verify_slice(&claimed).map_err(|_| WrongSignature)?;
        self.previous = signature;
        Ok(())
    }
}

impl fmt::Debug for ChunkChain {
    /// Leaves out the key and the signatures.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkChain").field("has_trailer", &self.has_trailer).finish_non_exhaustive()
    }
}

/// Parses a signature, which is in lower case.
pub(crate) fn parse_signature(text: &[u8]) -> Option<HexSignature> {
    let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.try_into().ok().filter(|signature: &HexSignature| signature.iter().all(is_hex))
}

/// Decodes 64 hexadecimal digits.
pub(crate) fn parse_hex(text: &[u8]) -> Option<[u8; 32]> {
    if text.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks(2)) {
        let [high, low] = *pair else { return None };
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(bytes)
}

/// Writes bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8; 32]) -> HexSignature {
    let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'a' - 10 };
    let mut written = [0; 64];
    for (pair, byte) in written.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *pair = [digit(byte >> 4), digit(byte & 15)];
    }
    written
}

/// Returns the HMAC that a key of bytes keys.
pub(crate) fn hmac(key: &[u8]) -> Option<Hmac<Sha256>> {
    Hmac::<Sha256>::new_from_slice(key).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_is_written_and_parsed() {
        assert_eq!(EMPTY_SHA256, <[u8; 32]>::from(Sha256::digest(b"")));
        assert_eq!(parse_hex(&hex(&EMPTY_SHA256)), Some(EMPTY_SHA256));
        let text = hex(&EMPTY_SHA256);
        assert_eq!(parse_signature(&text), Some(text));
        assert_eq!(parse_signature(&text.to_ascii_uppercase()), None);
        assert_eq!(parse_hex(&text[1..]), None);
        assert_eq!(parse_hex(&[b'g'; 64]), None);
    }

    /// The example of the documentation of AWS: 65 KiB and 1 KiB of the letter a.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html>
    #[test]
    fn verifies_the_chunks_of_the_documented_example() {
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let mut key = format!("AWS4{secret}").into_bytes();
        for part in ["20130524", "us-east-1", "s3", "aws4_request"] {
            let mut mac = hmac(&key).unwrap();
            mac.update(part.as_bytes());
            key = mac.finalize().into_bytes().to_vec();
        }
        let chain = || {
            let seed = parse_signature(b"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9");
            let scope = "20130524/us-east-1/s3/aws4_request";
            ChunkChain::new(hmac(&key).unwrap(), "20130524T000000Z", scope, seed.unwrap(), false)
        };
        let signatures = [
            &b"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"[..],
            b"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
            b"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
        ]
        .map(|text| parse_signature(text).unwrap());
        let mut whole = chain();
        for (length, signature) in [65536, 1024, 0].into_iter().zip(signatures) {
            whole.update(&vec![b'a'; length]);
            assert_eq!(whole.end_chunk(signature), Ok(()), "{length}");
        }
        let mut short = chain();
        short.update(&vec![b'a'; 65535]);
        assert_eq!(short.end_chunk(signatures[0]), Err(WrongSignature));
        // A chunk cannot be left out.
        let mut skipping = chain();
        skipping.update(&[b'a'; 1024]);
        assert_eq!(skipping.end_chunk(signatures[1]), Err(WrongSignature));
    }
}
