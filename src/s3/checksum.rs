//! Checksums of bodies: the algorithms, the values that clients send, and their verification.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;
use http::{HeaderName, HeaderValue};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// A checksum's algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// `x-amz-checksum-crc32`
    Crc32,
    /// `x-amz-checksum-crc32c`
    Crc32c,
    /// `x-amz-checksum-crc64nvme`
    Crc64Nvme,
    /// `x-amz-checksum-sha1`
    Sha1,
    /// `x-amz-checksum-sha256`
    Sha256,
    /// `Content-MD5`
    Md5,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 6] =
        [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256, Self::Md5];

    /// Returns the header or trailer that carries it, in lower case.
    pub const fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
            Self::Md5 => "content-md5",
        }
    }

    /// Returns the same as a header name.
    pub const fn header_name(self) -> HeaderName {
        HeaderName::from_static(self.header())
    }

    /// Returns its name in `x-amz-checksum-algorithm`. MD5 has none there.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Md5 => "MD5",
        }
    }

    /// Returns the element that carries it in S3's XML.
    pub const fn element(self) -> &'static str {
        match self {
            Self::Crc32 => "ChecksumCRC32",
            Self::Crc32c => "ChecksumCRC32C",
            Self::Crc64Nvme => "ChecksumCRC64NVME",
            Self::Sha1 => "ChecksumSHA1",
            Self::Sha256 => "ChecksumSHA256",
            Self::Md5 => "ChecksumMD5",
        }
    }

    /// Returns the algorithm of a header, in any case.
    pub fn of_header(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.header().eq_ignore_ascii_case(name))
    }

    /// Returns the algorithm whose checksum an element of S3's XML carries.
    pub fn of_element(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| *algorithm != Self::Md5 && algorithm.element() == name)
    }

    /// Returns whether the checksum of an object can be computed from those of its parts (`FULL_OBJECT`).
    pub const fn is_of_whole_objects(self) -> bool {
        matches!(self, Self::Crc32 | Self::Crc32c | Self::Crc64Nvme)
    }

    /// Returns the length of a value, in bytes.
    pub const fn size(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }
}

/// A checksum, received from a client or computed.
#[derive(Clone, PartialEq, Eq)]
pub struct Checksum {
    algorithm: Algorithm,
    value: Vec<u8>,
}

/// The error for a value that is not a checksum of its algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadChecksum;

/// The error for a body that does not match its checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch(pub Algorithm);

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the body does not match its {}", self.0.header())
    }
}

impl std::error::Error for Mismatch {}

impl Checksum {
    /// Parses a value in canonical base64: padded, without spaces, unused bits zero. Stores accept further spellings,
    /// each a different set.
    ///
    /// # Errors
    /// When it is spelled in another way or does not have the algorithm's length.
    pub fn parse(algorithm: Algorithm, base64: &[u8]) -> Result<Self, BadChecksum> {
        let value = STANDARD.decode(base64).map_err(|_| BadChecksum)?;
        if value.len() == algorithm.size() { Ok(Self { algorithm, value }) } else { Err(BadChecksum) }
    }

    /// Parses a SHA-256 in hexadecimal, the form of `x-amz-content-sha256`.
    ///
    /// # Errors
    /// When it is not 64 hexadecimal digits.
    pub fn parse_sha256_hex(hex: &[u8]) -> Result<Self, BadChecksum> {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let pairs = hex.chunks_exact(2);
        if hex.len() != 64 {
            return Err(BadChecksum);
        }
        let value = pairs
            .map(|pair| match *pair {
                [high, low] => Some((digit(high)? << 4) | digit(low)?),
                _ => None,
            })
            .collect::<Option<Vec<u8>>>();
        value.map(|value| Self { algorithm: Algorithm::Sha256, value }).ok_or(BadChecksum)
    }

    /// Returns its algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Returns its value in base64.
    pub fn base64(&self) -> String {
        STANDARD.encode(&self.value)
    }

    /// Returns its value as a header.
    pub fn header_value(&self) -> HeaderValue {
        // Base64 is always a valid header value.
        HeaderValue::try_from(self.base64()).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.base64())
    }
}

/// An incremental checksum.
#[derive(Clone, Debug)]
pub struct Hasher(State);

#[derive(Clone, Debug)]
enum State {
    Crc(Algorithm, crc_fast::Digest),
    Md5(Md5),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Hasher {
    /// Returns a hasher that has seen no data.
    pub fn new(algorithm: Algorithm) -> Self {
        let crc = |of| State::Crc(algorithm, crc_fast::Digest::new(of));
        Self(match algorithm {
            Algorithm::Crc32 => crc(CrcAlgorithm::Crc32IsoHdlc),
            Algorithm::Crc32c => crc(CrcAlgorithm::Crc32Iscsi),
            Algorithm::Crc64Nvme => crc(CrcAlgorithm::Crc64Nvme),
            Algorithm::Sha1 => State::Sha1(Sha1::new()),
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
            Algorithm::Md5 => State::Md5(Md5::new()),
        })
    }

    /// Adds the next data.
    pub fn update(&mut self, data: &[u8]) {
        match &mut self.0 {
            State::Crc(_, crc) => crc.update(data),
            State::Md5(md5) => md5.update(data),
            State::Sha1(sha1) => sha1.update(data),
            State::Sha256(sha256) => sha256.update(data),
        }
    }

    /// Returns the checksum of all data.
    pub fn finish(self) -> Checksum {
        match self.0 {
            State::Crc(algorithm, crc) => {
                let sum = crc.finalize().to_be_bytes();
                let value = sum.get(sum.len() - algorithm.size()..).unwrap_or_default().to_vec();
                Checksum { algorithm, value }
            }
            State::Md5(md5) => Checksum { algorithm: Algorithm::Md5, value: md5.finalize().to_vec() },
            State::Sha1(sha1) => Checksum { algorithm: Algorithm::Sha1, value: sha1.finalize().to_vec() },
            State::Sha256(sha256) => {
                Checksum { algorithm: Algorithm::Sha256, value: sha256.finalize().to_vec() }
            }
        }
    }

    /// Compares the data with a checksum.
    ///
    /// # Errors
    /// When it does not match.
    pub fn verify(self, said: &Checksum) -> Result<(), Mismatch> {
        let computed = self.finish();
        if computed == *said { Ok(()) } else { Err(Mismatch(said.algorithm)) }
    }
}

/// The checksums announced for a body, verified while it passes.
#[derive(Debug, Default)]
pub(crate) struct Verifier(Vec<(Checksum, Hasher)>);

impl Verifier {
    /// Returns a verifier of these checksums.
    pub(crate) fn new(said: impl IntoIterator<Item = Checksum>) -> Self {
        Self(said.into_iter().map(|said| (said.clone(), Hasher::new(said.algorithm))).collect())
    }

    /// Adds the next data.
    pub(crate) fn update(&mut self, data: &[u8]) {
        for (_, hasher) in &mut self.0 {
            hasher.update(data);
        }
    }

    /// Verifies all checksums.
    ///
    /// # Errors
    /// The first that does not match.
    pub(crate) fn verify(self) -> Result<(), Mismatch> {
        self.0.into_iter().try_for_each(|(said, hasher)| hasher.verify(&said))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(algorithm: Algorithm, data: &[u8]) -> Checksum {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(data);
        hasher.finish()
    }

    /// The check values from the CRC catalogue and the hash standards, for "123456789" and "abc".
    #[test]
    fn known_answers() {
        let crcs = [
            (Algorithm::Crc32, &[0xcb, 0xf4, 0x39, 0x26][..]),
            (Algorithm::Crc32c, &[0xe3, 0x06, 0x92, 0x83]),
            (Algorithm::Crc64Nvme, &[0xae, 0x8b, 0x14, 0x86, 0x0a, 0x79, 0x98, 0x88]),
        ];
        for (algorithm, value) in crcs {
            assert_eq!(of(algorithm, b"123456789").value, value, "{algorithm:?}");
        }
        let hashes = [
            (Algorithm::Sha1, "qZk+NkcGgWq6PiVxeFDCbJzQ2J0="),
            (Algorithm::Sha256, "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="),
            (Algorithm::Md5, "kAFQmDzST7DWlj99KOF/cg=="),
        ];
        for (algorithm, value) in hashes {
            assert_eq!(of(algorithm, b"abc").base64(), value, "{algorithm:?}");
        }
        let hex = b"BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Checksum::parse_sha256_hex(hex), Ok(of(Algorithm::Sha256, b"abc")));
    }

    #[test]
    fn values_have_their_algorithms_form() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::of_header(&algorithm.header().to_uppercase()), Some(algorithm));
            let good = of(algorithm, b"x").base64();
            assert_eq!(Checksum::parse(algorithm, good.as_bytes()), Ok(of(algorithm, b"x")));
            for bad in ["", "AAAA", "AAAAA", "!", &format!("{good} "), &good[1..], good.trim_end_matches('=')]
            {
                if bad != good {
                    assert_eq!(
                        Checksum::parse(algorithm, bad.as_bytes()),
                        Err(BadChecksum),
                        "{algorithm:?} {bad:?}"
                    );
                }
            }
        }
        for bad in [&[b'0'; 63][..], &[b'0'; 65], &[b'g'; 64], b""] {
            assert_eq!(Checksum::parse_sha256_hex(bad), Err(BadChecksum));
        }
        assert_eq!(Algorithm::of_header("x-amz-checksum-type"), None);
    }

    proptest! {
        #[test]
        fn verifies_data_in_any_split(data in proptest::collection::vec(any::<u8>(), 0..300), at in 0..300_usize) {
            for algorithm in Algorithm::ALL {
                let whole = of(algorithm, &data);
                let (one, other) = data.split_at(at.min(data.len()));
                let mut verifier = Verifier::new([whole.clone()]);
                verifier.update(one);
                verifier.update(other);
                prop_assert_eq!(verifier.verify(), Ok(()));
                let mut wrong = data.clone();
                wrong.push(0);
                let mut verifier = Verifier::new([whole]);
                verifier.update(&wrong);
                prop_assert_eq!(verifier.verify(), Err(Mismatch(algorithm)));
            }
        }
    }
}
