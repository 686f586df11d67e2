//! `Host`: one host, with a port or without (RFC 9110, section 7.2; RFC 3986, section 3.2).

use super::AsciiSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host and port as a request names them, in the grammar of RFC 3986.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host<'a> {
    name: &'a str,
    port: Option<u16>,
}

impl<'a> Host<'a> {
    /// Reads `host` or `host:port`.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &'a [u8]) -> Result<Self, &'static str> {
        const NOT_A_HOST: &str = "Host is not one host, with a port or without";
        let text = str::from_utf8(text).map_err(|_| NOT_A_HOST)?;
        // The colons of an IPv6 address stand within its brackets.
        let name_end = if text.starts_with('[') { text.find(']').unwrap_or_default() } else { 0 };
        let colon = text.bytes().skip(name_end).position(|byte| byte == b':');
        let (name, port) = match colon.and_then(|at| text.split_at_checked(name_end + at)) {
            None => (text, None),
            Some((name, port)) => (name, port.strip_prefix(':')),
        };
        if !is_host(name) {
            return Err(NOT_A_HOST);
        }
        match port {
            None | Some("") => Ok(Self { name, port: None }),
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                let port = digits.parse().map_err(|_| "Host has a port that is not one")?;
                Ok(Self { name, port: Some(port) })
            }
            Some(_) => Err("Host has a port that is not one"),
        }
    }

    /// The name or address as it was written, an IPv6 address in its brackets.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The port, if one was named.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether it means this machine by a name or address that no DNS answer can point elsewhere
    /// (RFC 6761, section 6.3).
    pub fn is_loopback(&self) -> bool {
        let name = self.name.strip_suffix('.').unwrap_or(self.name);
        let local = name.eq_ignore_ascii_case("localhost")
            || name.rsplit_once('.').is_some_and(|(_, last)| last.eq_ignore_ascii_case("localhost"));
        local || self.address().is_some_and(|address| address.to_canonical().is_loopback())
    }

    /// The address, if it is one.
    pub fn address(&self) -> Option<IpAddr> {
        match self.name.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
            Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            None => self.name.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        }
    }
}

/// `IP-literal / IPv4address / reg-name`, and not empty: an `http` URI has a host (RFC 9110, section 4.2.1).
fn is_host(name: &str) -> bool {
    if let Some(literal) = name.strip_prefix('[') {
        return literal.strip_suffix(']').is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok());
    }
    !name.is_empty() && name.len() <= 255 && is_reg_name(name.as_bytes())
}

fn is_reg_name(name: &[u8]) -> bool {
    static ALLOWED: AsciiSet = AsciiSet::alphanumeric_and(b"-._~!$&'()*+,;=");
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
    fn hosts() {
        let good = [
            ("example.test", "example.test", None, false),
            ("example.test:80", "example.test", Some(80), false),
            ("example.test:", "example.test", None, false),
            ("a_b!$&'()*+,;=~%41", "a_b!$&'()*+,;=~%41", None, false),
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
            assert_eq!((host.name(), host.port(), host.is_loopback()), (name, port, loopback), "{text}");
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
