//! `Host`: a host with an optional port (RFC 9110, section 7.2; RFC 3986, section 3.2).

use super::ByteSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host with an optional port, in the grammar of RFC 3986.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host<'a> {
    name: &'a [u8],
    port: Option<u16>,
}

/// The parts of a parsed host as offsets, so that a request can store them beside the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct HostOffsets {
    name_end: usize,
    port: Option<u16>,
}

impl<'a> Host<'a> {
    /// Parses `host` or `host:port`.
    ///
    /// # Errors
    /// When the text is neither.
    pub fn parse(text: &'a [u8]) -> Result<Self, &'static str> {
        // The colons within the brackets of an IPv6 address do not start a port.
        let literal = if text.starts_with(b"[") { text.iter().position(|byte| *byte == b']') } else { None };
        let name_start = literal.unwrap_or_default();
        let colon = text.iter().skip(name_start).position(|byte| *byte == b':');
        let (name, port) = match colon.and_then(|at| text.split_at_checked(name_start + at)) {
            None => (text, None),
            Some((name, port)) => (name, port.strip_prefix(b":")),
        };
        if !is_host(name) {
            return Err("Host must be a single host with an optional port");
        }
        let port = port
            .filter(|port| !port.is_empty())
            .map(|port| number(port).ok_or("invalid port in Host: use a number up to 65535"));
        Ok(Self { name, port: port.transpose()? })
    }

    /// Returns the offsets of its parts in the text it was parsed from.
    pub(super) fn offsets(&self) -> HostOffsets {
        HostOffsets { name_end: self.name.len(), port: self.port }
    }

    /// Restores a host from the text it was parsed from.
    #[inline]
    pub(super) fn at_offsets(text: &'a [u8], HostOffsets { name_end, port }: HostOffsets) -> Option<Self> {
        Some(Self { name: text.get(..name_end)?, port })
    }

    /// Returns the name or address as it was written, an IPv6 address in its brackets.
    #[inline]
    pub fn name(&self) -> &'a [u8] {
        self.name
    }

    /// Returns the port, if there is one.
    #[inline]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Returns whether it means this machine, by a name or address that no DNS answer can redirect (RFC 6761, section 6.3).
    pub fn is_loopback(&self) -> bool {
        is_localhost(self.name) || self.address().is_some_and(|address| address.to_canonical().is_loopback())
    }

    /// Returns the IP address, if the name is one.
    pub fn address(&self) -> Option<IpAddr> {
        match self.name {
            [b'[', inner @ .., b']'] => str::from_utf8(inner).ok()?.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            [b'0'..=b'9', ..] => str::from_utf8(self.name).ok()?.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            _ => None,
        }
    }
}

fn number(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0_u16, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        number.checked_mul(10)?.checked_add(digit.into())
    })
}

/// Returns whether a name is `localhost` or a subdomain of it.
fn is_localhost(name: &[u8]) -> bool {
    const LOCALHOST: &[u8] = b"localhost";
    let name = name.strip_suffix(b".").unwrap_or(name);
    let parts = name.len().checked_sub(LOCALHOST.len()).and_then(|at| name.split_at_checked(at));
    parts.is_some_and(|(parent, last)| {
        last.eq_ignore_ascii_case(LOCALHOST) && (parent.is_empty() || parent.ends_with(b"."))
    })
}

/// Checks for `IP-literal / IPv4address / reg-name`. It must not be empty: an `http` URI has a host (RFC 9110, section
/// 4.2.1).
fn is_host(name: &[u8]) -> bool {
    if let [b'[', literal @ ..] = name {
        let inner = literal.strip_suffix(b"]").and_then(|inner| str::from_utf8(inner).ok());
        return inner.is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok());
    }
    !name.is_empty() && name.len() <= 255 && is_reg_name(name)
}

fn is_reg_name(name: &[u8]) -> bool {
    static ALLOWED: ByteSet = ByteSet::alphanumeric_and(b"-._~!$&'()*+,;=");
    let mut rest = name.iter();
    while let Some(byte) = rest.next() {
        let good = match byte {
            b'%' => rest.by_ref().take(2).filter(|digit| digit.is_ascii_hexdigit()).count() == 2,
            other => ALLOWED.has(*other),
        };
        if !good {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_valid_hosts_and_rejects_others() {
        let good = [
            ("example.test", "example.test", None, false),
            ("example.test:80", "example.test", Some(80), false),
            ("example.test:", "example.test", None, false),
            ("a_b!$&'()*+,;=~%41", "a_b!$&'()*+,;=~%41", None, false),
            ("a:00080", "a", Some(80), false),
            ("localhost", "localhost", None, true),
            ("LOCALHOST.:8080", "LOCALHOST.", Some(8080), true),
            ("tmp.localhost", "tmp.localhost", None, true),
            ("127.0.0.1:8080", "127.0.0.1", Some(8080), true),
            ("127.255.0.9", "127.255.0.9", None, true),
            ("[::1]:1", "[::1]", Some(1), true),
            ("[::ffff:127.0.0.1]", "[::ffff:127.0.0.1]", None, true),
            ("[2001:db8::1]", "[2001:db8::1]", None, false),
            ("128.0.0.1", "128.0.0.1", None, false),
            ("localhost.example.test", "localhost.example.test", None, false),
            ("127.0.0.1.example.test", "127.0.0.1.example.test", None, false),
            ("notlocalhost", "notlocalhost", None, false),
        ];
        for (text, name, port, loopback) in good {
            let host = Host::parse(text.as_bytes()).unwrap();
            assert_eq!(
                (host.name(), host.port(), host.is_loopback()),
                (name.as_bytes(), port, loopback),
                "{text}"
            );
        }
        for bad in [
            "",
            ":80",
            "a b",
            "a/b",
            "a?b",
            "a#b",
            "a@b",
            "user@host",
            "http://a",
            "a:b",
            "a:80:80",
            "a:99999",
            "a:-1",
            "a:+1",
            "a: 1",
            "[::1",
            "::1",
            "[::1]x",
            "[::1]:x",
            "[]",
            "[a]",
            "[1.2.3.4]",
            "a%4",
            "a%zz",
            "a\\b",
            "a\"b",
            "<a>",
            "a\tb",
            "ü",
            "a^b",
            "a|b",
            "{a}",
            "a`b",
        ] {
            assert!(Host::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(Host::parse(b"\xff").is_err());
    }
}
