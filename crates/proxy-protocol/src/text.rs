//! Version 1: one line of text.
//!
//! ```text
//! PROXY TCP4 203.0.113.9 10.0.0.1 51234 443\r\n
//! ```

use crate::header::{Header, Invalid, Parsed, Source, Version};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(crate) const PREFIX: &[u8] = b"PROXY ";
/// The length of `PROXY UNKNOWN` with its line end.
pub(crate) const SHORTEST: usize = 15;
/// The greatest length of a line, with its end.
const LONGEST: usize = 107;

/// The number of spaces in a line with addresses.
const SPACES: usize = 5;

const TOO_LONG: Invalid = Invalid::malformed("the line is longer than 107 bytes");

/// Parses a line that begins with [`PREFIX`].
pub(crate) fn parse(bytes: &[u8]) -> Result<Parsed, Invalid> {
    let Some(end) = bytes.iter().take(LONGEST).position(|byte| *byte == b'\n') else {
        let missing = missing(bytes);
        if bytes.len() + missing > LONGEST {
            return Err(TOO_LONG);
        }
        return Ok(Parsed::Partial { missing });
    };
    let line = bytes.get(PREFIX.len()..end).and_then(|line| line.strip_suffix(b"\r"));
    let line = line.ok_or(Invalid::malformed("the line does not end with CR and LF"))?;
    let line = str::from_utf8(line).map_err(|_| Invalid::malformed("the line is not ASCII"))?;
    let header = Header { version: Version::V1, source: source(line)? };
    Ok(Parsed::Whole { header, length: end + 1 })
}

/// Returns the number of bytes that an incomplete line lacks at least: a space and a byte for each field, and its end.
fn missing(bytes: &[u8]) -> usize {
    if bytes.ends_with(b"\r") {
        return 1;
    }
    let has_addresses = bytes.get(PREFIX.len()..).is_some_and(|rest| rest.starts_with(b"TCP"));
    let spaces = bytes.split(|byte| *byte == b' ').count() - 1;
    2 + if has_addresses { 2 * SPACES.saturating_sub(spaces) } else { 0 }
}

fn source(line: &str) -> Result<Source, Invalid> {
    let (family, rest) = line.split_once(' ').map_or((line, None), |(family, rest)| (family, Some(rest)));
    match (family, rest) {
        // What follows must be ignored.
        ("UNKNOWN", _) => Ok(Source::Unnamed),
        ("TCP4", Some(rest)) => client(rest, |text| text.parse::<Ipv4Addr>().ok().map(IpAddr::V4)),
        ("TCP6", Some(rest)) => client(rest, |text| text.parse::<Ipv6Addr>().ok().map(IpAddr::V6)),
        _ => Err(Invalid::malformed("the family is not TCP4, TCP6 or UNKNOWN, each followed by one space")),
    }
}

fn client(fields: &str, address: impl Fn(&str) -> Option<IpAddr>) -> Result<Source, Invalid> {
    let mut fields = fields.split(' ');
    let [Some(source), Some(destination), Some(source_port), Some(destination_port), None] =
        std::array::from_fn(|_| fields.next())
    else {
        return Err(Invalid::malformed("the line does not have two addresses and two ports"));
    };
    let wrong_address = Invalid::malformed("an address is not one of the line's family");
    let source = address(source).ok_or(wrong_address)?;
    address(destination).ok_or(wrong_address)?;
    let wrong_port = Invalid::malformed("a port is not a number from 0 to 65535");
    let source_port = port(source_port).ok_or(wrong_port)?;
    port(destination_port).ok_or(wrong_port)?;
    Source::client(source, source_port)
}

/// Parses a port without a sign or leading zeros.
fn port(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Versions, parse};

    fn source_of(line: &[u8]) -> Result<Source, &'static str> {
        match parse(line, Versions::Both).map_err(|invalid| invalid.why)? {
            Parsed::Whole { header, length } => {
                assert_eq!((header.version, length), (Version::V1, line.len()));
                Ok(header.source)
            }
            Parsed::Partial { .. } => Err("partial"),
        }
    }

    #[test]
    fn valid_lines_name_a_client_or_none() {
        let longest = [b"PROXY UNKNOWN ".as_slice(), &[b'f'; 91], b"\r\n"].concat();
        let v6 = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        for (line, client) in [
            ("PROXY TCP4 203.0.113.9 10.0.0.1 51234 443\r\n", Some("203.0.113.9:51234")),
            ("PROXY TCP4 1.2.3.4 255.255.255.255 0 65535\r\n", Some("1.2.3.4:0")),
            ("PROXY TCP4 1.2.3.4 0.0.0.0 1 1\r\n", Some("1.2.3.4:1")),
            ("PROXY TCP6 2001:DB8::9 ::1 51234 443\r\n", Some("[2001:db8::9]:51234")),
            ("PROXY TCP6 ::ffff:1.2.3.4 ::1 1 1\r\n", Some("1.2.3.4:1")),
            ("PROXY UNKNOWN\r\n", None),
            (&format!("PROXY UNKNOWN {v6} {v6} 65535 65535\r\n"), None),
            (str::from_utf8(&longest).unwrap(), None),
        ] {
            let expected = client.map_or(Source::Unnamed, |client| Source::Client(client.parse().unwrap()));
            assert_eq!(source_of(line.as_bytes()), Ok(expected), "{line:?}");
        }
        assert_eq!(longest.len(), LONGEST);
    }

    #[test]
    fn every_other_line_is_invalid() {
        let too_long = format!("PROXY UNKNOWN {}\r\n", "f".repeat(92));
        for (line, why) in [
            ("PROXY TCP4 203.0.113.9 10.0.0.1 51234 443\n", "CR and LF"),
            ("PROXY UNKNOWN\n", "CR and LF"),
            ("PROXY UNKNOWN\r\r\n", "family"),
            ("PROXY UNKNOWNX\r\n", "family"),
            ("PROXY unknown\r\n", "family"),
            ("PROXY tcp4 1.2.3.4 1.2.3.4 1 1\r\n", "family"),
            ("PROXY TCP5 1.2.3.4 1.2.3.4 1 1\r\n", "family"),
            ("PROXY  TCP4 1.2.3.4 1.2.3.4 1 1\r\n", "family"),
            ("PROXY TCP4\r\n", "family"),
            ("PROXY \r\n", "family"),
            ("PROXY TCP4 \r\n", "two addresses"),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "two addresses"),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 1 1 1\r\n", "two addresses"),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 1 1 \r\n", "two addresses"),
            ("PROXY TCP4  1.2.3.4 1.2.3.4 1 1\r\n", "two addresses"),
            ("PROXY TCP4 1.2.3.4 1.2.3.4  1 1\r\n", "two addresses"),
            ("PROXY TCP4 01.2.3.4 1.2.3.4 1 1\r\n", "an address"),
            ("PROXY TCP4 1.2.3.4 1.2.3 1 1\r\n", "an address"),
            ("PROXY TCP4 1.2.3.256 1.2.3.4 1 1\r\n", "an address"),
            ("PROXY TCP4 ::1 ::1 1 1\r\n", "an address"),
            ("PROXY TCP4 1.2.3.4 ::1 1 1\r\n", "an address"),
            ("PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r\n", "an address"),
            ("PROXY TCP6 fe80::1%eth0 ::1 1 1\r\n", "an address"),
            ("PROXY TCP6 [::2] ::1 1 1\r\n", "an address"),
            ("PROXY TCP4 1.2.3.4\t1.2.3.4 1.2.3.4 1 1\r\n", "an address"),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 65536 1\r\n", "a port"),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n", "a port"),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n", "a port"),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 1 00\r\n", "a port"),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 +1 1\r\n", "a port"),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 -1 1\r\n", "a port"),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r\r\n", "a port"),
            ("PROXY TCP4 0.0.0.0 1.2.3.4 1 1\r\n", "the source"),
            ("PROXY TCP4 224.0.0.1 1.2.3.4 1 1\r\n", "the source"),
            ("PROXY TCP4 255.255.255.255 1.2.3.4 1 1\r\n", "the source"),
            ("PROXY TCP6 :: ::1 1 1\r\n", "the source"),
            ("PROXY TCP6 ff02::1 ::1 1 1\r\n", "the source"),
            ("PROXY TCP6 ::ffff:0.0.0.0 ::1 1 1\r\n", "the source"),
            ("PROXY TCP6 ::ffff:224.0.0.1 ::1 1 1\r\n", "the source"),
            (&too_long, "longer than 107"),
            ("proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n", "does not begin"),
            ("GET / HTTP/1.1\r\n", "does not begin"),
            ("\x16\x03\x01", "does not begin"),
        ] {
            let found = source_of(line.as_bytes()).unwrap_err();
            assert!(found.contains(why), "{line:?}: {found}");
        }
        let not_utf8 = b"PROXY TCP4 1.2.3.4 1.2.3.\xff 1 1\r\n";
        assert_eq!(source_of(not_utf8), Err("the line is not ASCII"));
    }

    #[test]
    fn a_line_without_end_is_invalid_as_soon_as_it_is_too_long() {
        for (length, is_partial) in [(90, true), (105, true), (106, false), (107, false), (5000, false)] {
            let mut line = b"PROXY UNKNOWN ".to_vec();
            line.resize(length, b'f');
            let parsed = parse(&line, Versions::Both);
            assert_eq!(matches!(parsed, Ok(Parsed::Partial { .. })), is_partial, "{length}: {parsed:?}");
        }
    }
}
