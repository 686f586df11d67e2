//! PROXY headers: an accepted header means the same when it is written again, and no byte after it is part of it.

use proxy_protocol::{Header, Parsed, Source, Version, Versions, parse};
use std::net::{IpAddr, SocketAddr};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

pub(crate) const WORDS: &[&[u8]] = &[
    b"PROXY ",
    b"PROXY TCP4 ",
    b"PROXY TCP6 ",
    b"PROXY UNKNOWN",
    b"\r\n",
    b" ",
    b"203.0.113.9",
    b"::ffff:203.0.113.9",
    b"2001:db8::9",
    b"0.0.0.0",
    b"224.0.0.1",
    b"01",
    b"65535",
    b"65536",
    SIGNATURE,
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x21\x00\x24",
    b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00",
    b"\xcb\x00\x71\x09\x0a\x00\x00\x01\xc8\x22\x01\xbb",
    b"\x03\x00\x04",
    b"\x04\x00\x00",
    b"\x20\x00\x05",
    b"GET / HTTP/1.1\r\n",
];

pub(crate) fn check(input: &[u8]) -> String {
    let parsed = parse(input, Versions::Both);
    match parsed {
        Ok(Parsed::Whole { header, length }) => {
            check_whole(input, header, length);
            format!("{:?} {}", header.version, family(header.source))
        }
        Ok(Parsed::Partial { missing }) => {
            assert!((1..=4112).contains(&missing), "{missing}");
            for length in 0..input.len() {
                let before = parse(&input[..length], Versions::Both);
                assert!(matches!(before, Ok(Parsed::Partial { .. })), "{before:?} at {length}");
            }
            "partial".to_owned()
        }
        Err(invalid) => {
            let more = [input, b"\r\n"].concat();
            assert!(parse(&more, Versions::Both).is_err(), "more bytes make it valid");
            invalid.why.to_owned()
        }
    }
}

fn check_whole(input: &[u8], header: Header, length: usize) {
    let bound = if header.version == Version::V1 { 107 } else { 4112 };
    assert!(length <= input.len() && length <= bound, "{length}");
    // What follows does not matter, and what is missing is never overestimated: a reader would take bytes of the request.
    assert_eq!(parse(&input[..length], Versions::Both), Ok(Parsed::Whole { header, length }));
    for cut in 0..length {
        match parse(&input[..cut], Versions::Both) {
            Ok(Parsed::Partial { missing }) => {
                assert!((1..=length - cut).contains(&missing), "{missing} at {cut}");
            }
            other => panic!("{other:?} at {cut}"),
        }
    }
    for version in [Version::V1, Version::V2] {
        let accepted = parse(input, Versions::Only(version)).is_ok();
        assert_eq!(accepted, version == header.version);
    }
    if let Source::Client(client) = header.source {
        let address = client.ip();
        assert!(!address.is_unspecified() && !address.is_multicast() && address == address.to_canonical());
        for again in written(client) {
            match parse(&again, Versions::Both) {
                Ok(Parsed::Whole { header: reread, .. }) => assert_eq!(reread.source, header.source),
                other => panic!("{other:?}: {}", again.escape_ascii()),
            }
        }
    }
}

/// Writes a header of each version.
fn written(client: SocketAddr) -> [Vec<u8>; 2] {
    let (ip, port) = (client.ip(), client.port());
    let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
    let text = format!("PROXY {family} {ip} {ip} {port} {port}\r\n").into_bytes();
    let (family, octets) = match ip {
        IpAddr::V4(ip) => (0x11, ip.octets().to_vec()),
        IpAddr::V6(ip) => (0x21, ip.octets().to_vec()),
    };
    let block = [&octets[..], &octets, &port.to_be_bytes(), &port.to_be_bytes()].concat();
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [text, [SIGNATURE, &[0x21, family], &length, &block].concat()]
}

fn family(source: Source) -> &'static str {
    match source {
        Source::Client(SocketAddr::V4(_)) => "v4",
        Source::Client(SocketAddr::V6(_)) => "v6",
        Source::Unnamed => "unnamed",
    }
}
