//! Version 2: 16 fixed bytes, addresses, and fields of type, length and value (TLV).
//!
//! | bytes | content |
//! |---|---|
//! | 0-11 | the signature |
//! | 12 | 2 as the version, and the command: 0 is `LOCAL`, 1 is `PROXY` |
//! | 13 | the family of the addresses and the protocol |
//! | 14-15 | the length of what follows |
//! | 16- | source, destination, source port, destination port, fields |

use crate::header::{Header, Invalid, Parsed, Reason, Source, Version};
use crc_fast::{CrcAlgorithm, Digest};
use std::net::IpAddr;

pub(crate) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The number of bytes before the addresses.
pub(crate) const FIXED: usize = 16;
/// The greatest length of addresses and fields. Load balancers send a few hundred bytes.
const LONGEST: usize = 4096;

const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
/// The type of the field with the checksum.
const CRC32C: u8 = 0x03;

const TOO_SHORT: Invalid = Invalid::malformed("the length is too small for the addresses");
const WRONG_FIELD: Invalid = Invalid::malformed("a field is longer than the header");

/// Parses a header that begins with [`SIGNATURE`].
pub(crate) fn parse(bytes: &[u8]) -> Result<Parsed, Invalid> {
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED>() else {
        return Ok(Parsed::Partial { missing: FIXED - bytes.len() });
    };
    let [.., command, family, high, low] = *fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if !matches!(command, LOCAL | PROXY) {
        return Err(Invalid::malformed("the version is not 2, or the command is neither LOCAL nor PROXY"));
    }
    if length > LONGEST {
        return Err(Invalid::malformed("the header is longer than 16 + 4096 bytes"));
    }
    let addresses = if command == LOCAL { Addresses::None } else { Addresses::of(family)? };
    if length < addresses.length() {
        return Err(TOO_SHORT);
    }
    let Some(block) = rest.get(..length) else {
        return Ok(Parsed::Partial { missing: length - rest.len() });
    };
    let source = match addresses {
        // The receiver must skip the block, whatever is in it.
        Addresses::None => Source::Unnamed,
        Addresses::V4 | Addresses::V6 => {
            let (addresses, fields) = block.split_at_checked(addresses.length()).ok_or(TOO_SHORT)?;
            check_fields(fixed, addresses, fields)?;
            client(addresses)?
        }
    };
    Ok(Parsed::Whole { header: Header { version: Version::V2, source }, length: FIXED + length })
}

/// The form of the addresses.
#[derive(Clone, Copy)]
enum Addresses {
    None,
    V4,
    V6,
}

impl Addresses {
    fn of(family: u8) -> Result<Self, Invalid> {
        match family {
            TCP4 => Ok(Self::V4),
            TCP6 => Ok(Self::V6),
            _ => Err(Invalid::malformed("the connection is neither TCP over IPv4 nor TCP over IPv6")),
        }
    }

    const fn length(self) -> usize {
        match self {
            Self::None => 0,
            Self::V4 => 2 * (4 + 2),
            Self::V6 => 2 * (16 + 2),
        }
    }
}

fn client(addresses: &[u8]) -> Result<Source, Invalid> {
    let [.., high, low, _, _] = *addresses else { return Err(TOO_SHORT) };
    let source: IpAddr = if let [a, b, c, d, _, _, _, _, _, _, _, _] = *addresses {
        [a, b, c, d].into()
    } else {
        (*addresses.first_chunk::<16>().ok_or(TOO_SHORT)?).into()
    };
    Source::client(source, u16::from_be_bytes([high, low]))
}

/// Checks that fields fill the rest of the header, and that it has its checksum if one of them is a checksum.
fn check_fields(fixed: &[u8], addresses: &[u8], fields: &[u8]) -> Result<(), Invalid> {
    let mut rest = fields;
    let mut checksum = None;
    while !rest.is_empty() {
        let [kind, high, low, value @ ..] = rest else { return Err(WRONG_FIELD) };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (value, after) = value.split_at_checked(length).ok_or(WRONG_FIELD)?;
        if *kind == CRC32C {
            let place = fields.len() - after.len() - value.len();
            let value = value.try_into().map_err(|_| Invalid::malformed("a checksum has four bytes"))?;
            if checksum.replace((place, value)).is_some() {
                return Err(Invalid::malformed("the header has two checksums"));
            }
        }
        rest = after;
    }
    let Some((place, expected)) = checksum else { return Ok(()) };
    let (before, after) = fields.split_at_checked(place).ok_or(WRONG_FIELD)?;
    let after = after.get(4..).ok_or(WRONG_FIELD)?;
    if crc32c(&[fixed, addresses, before, &[0; 4], after]) == u32::from_be_bytes(expected) {
        return Ok(());
    }
    Err(Invalid { reason: Reason::Checksum, why: "the header does not have the checksum that it names" })
}

/// Computes the checksum of a header, in which the checksum itself counts as zeros.
fn crc32c(parts: &[&[u8]]) -> u32 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    for part in parts {
        digest.update(part);
    }
    // A checksum of 32 bits.
    u32::try_from(digest.finalize()).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{Versions, parse};

    pub(crate) const V4: &[u8] = &[203, 0, 113, 9, 10, 0, 0, 1, 0xc8, 0x22, 1, 0xbb];

    /// Writes a header.
    pub(crate) fn header(command: u8, family: u8, block: &[&[u8]]) -> Vec<u8> {
        let block = block.concat();
        let length = u16::try_from(block.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family], &length, &block].concat()
    }

    fn v6(source: &str) -> Vec<u8> {
        let source: std::net::Ipv6Addr = source.parse().unwrap();
        [&source.octets()[..], &[0; 16], &[0xc8, 0x22, 1, 0xbb]].concat()
    }

    /// Computes a CRC-32C bit by bit, as its definition says.
    fn by_definition(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 * (crc & 1)))
        })
    }

    /// Writes a header with a checksum between two other fields.
    pub(crate) fn with_checksum() -> Vec<u8> {
        let fields: [&[u8]; 3] = [&[4, 0, 1, 9], &[3, 0, 4, 0, 0, 0, 0], &[5, 0, 2, 7, 7]];
        let mut whole = header(PROXY, TCP4, &[V4, &fields.concat()]);
        let checksum = by_definition(&whole).to_be_bytes();
        let place = FIXED + V4.len() + 4 + 3;
        whole[place..place + 4].copy_from_slice(&checksum);
        whole
    }

    fn source_of(bytes: &[u8]) -> Result<Source, Invalid> {
        match parse(bytes, Versions::Both)? {
            Parsed::Whole { header, length } => {
                assert_eq!((header.version, length), (Version::V2, bytes.len()));
                Ok(header.source)
            }
            Parsed::Partial { .. } => Err(Invalid::malformed("partial")),
        }
    }

    #[test]
    fn valid_headers_name_a_client_or_none() {
        let client = |text: &str| Source::Client(text.parse().unwrap());
        let (six, mapped) = (v6("2001:db8::9"), v6("::ffff:203.0.113.9"));
        for (bytes, source) in [
            (header(PROXY, TCP4, &[V4]), client("203.0.113.9:51234")),
            (header(PROXY, TCP6, &[&six]), client("[2001:db8::9]:51234")),
            (header(PROXY, TCP6, &[&mapped]), client("203.0.113.9:51234")),
            // The SSL field, whose inside is not looked at, an empty field and one of an unknown type.
            (
                header(PROXY, TCP4, &[V4, &[0x20, 0, 1, 0xff], &[4, 0, 0], &[0xee, 0, 1, 0]]),
                client("203.0.113.9:51234"),
            ),
            (header(PROXY, TCP4, &[V4, &[4, 0x0f, 0xf1], &[0; 0xff1]]), client("203.0.113.9:51234")),
            (with_checksum(), client("203.0.113.9:51234")),
            (header(LOCAL, 0, &[]), Source::Unnamed),
            (header(LOCAL, TCP4, &[]), Source::Unnamed),
            (header(LOCAL, TCP4, &[V4]), Source::Unnamed),
            (header(LOCAL, 0xff, &[&[0xff; 4096]]), Source::Unnamed),
        ] {
            assert_eq!(source_of(&bytes), Ok(source), "{bytes:?}");
        }
    }

    #[test]
    fn every_other_header_is_invalid() {
        let zeros = [0; 12];
        let multicast = v6("ff02::1");
        let mut other_checksum = with_checksum();
        *other_checksum.last_mut().unwrap() ^= 1;
        let field = |field: &[u8]| header(PROXY, TCP4, &[V4, field]);
        for (bytes, why) in [
            (header(0x11, TCP4, &[V4]), "version"),
            (header(0x31, TCP4, &[V4]), "version"),
            (header(0x01, TCP4, &[V4]), "version"),
            (header(0x22, TCP4, &[V4]), "command"),
            (header(0x2f, TCP4, &[V4]), "command"),
            (header(PROXY, 0x00, &[V4]), "neither TCP"),
            (header(PROXY, 0x10, &[V4]), "neither TCP"),
            (header(PROXY, 0x01, &[V4]), "neither TCP"),
            (header(PROXY, 0x12, &[V4]), "neither TCP"),
            (header(PROXY, 0x22, &[&multicast]), "neither TCP"),
            (header(PROXY, 0x31, &[&[b'/'; 216]]), "neither TCP"),
            (header(PROXY, 0x32, &[&[b'/'; 216]]), "neither TCP"),
            (header(PROXY, 0x41, &[V4]), "neither TCP"),
            (header(PROXY, TCP4, &[]), "too small"),
            (header(PROXY, TCP4, &[&V4[..11]]), "too small"),
            (header(PROXY, TCP6, &[V4]), "too small"),
            (header(PROXY, TCP6, &[&multicast[..35]]), "too small"),
            (header(PROXY, TCP4, &[&zeros]), "the source"),
            (header(PROXY, TCP6, &[&multicast]), "the source"),
            (header(PROXY, TCP4, &[V4, &[0; 4085]]), "longer than 16 + 4096"),
            (header(LOCAL, 0, &[&[0; 4097]]), "longer than 16 + 4096"),
            (field(&[4]), "a field"),
            (field(&[4, 0]), "a field"),
            (field(&[4, 0, 1]), "a field"),
            (field(&[4, 0xff, 0xff, 1]), "a field"),
            (field(&[4, 0, 0, 4]), "a field"),
            (field(&[3, 0, 3, 0, 0, 0]), "four bytes"),
            (field(&[3, 0, 5, 0, 0, 0, 0, 0]), "four bytes"),
            (field(&[3, 0, 4, 0, 0, 0, 0, 3, 0, 4, 0, 0, 0, 0]), "two checksums"),
            (field(&[3, 0, 4, 0, 0, 0, 0]), "the checksum that it names"),
            (other_checksum, "the checksum that it names"),
        ] {
            let found = source_of(&bytes).unwrap_err();
            assert!(found.why.contains(why), "{bytes:?}: {found}");
            assert_eq!(found.reason == Reason::Checksum, why == "the checksum that it names");
        }
    }
}
