//! The head of a request.

use super::field_lines::{list_members, read_lines};
use super::framing::FramingHeaders;
use super::target::parse_target;
use super::{Framing, HeadLimits};
use crate::message::{Fields, Malformed, ONE_HOST, Reason, Request};
use bytes::Bytes;
use http::header::EXPECT;
use http::{Method, Version};
use memchr::memchr;

/// The longest method that is parsed, in bytes.
const MAX_METHOD: usize = 32;

/// The head of a request, with its framing and connection headers interpreted.
#[derive(Debug)]
pub struct RequestHead {
    /// The request, independent of the version of HTTP.
    pub request: Request,
    /// HTTP/1.1 or HTTP/1.0.
    pub version: Version,
    /// The framing of the body.
    pub framing: Framing,
    /// Whether another request may follow on the connection.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
}

impl RequestHead {
    /// Parses a head, up to and including its empty line. Every line must end in CRLF.
    ///
    /// # Errors
    /// When it breaks RFC 9112, or asks for something that is not supported.
    pub fn parse(head: Bytes, limits: HeadLimits) -> Result<Self, Malformed> {
        let line_end = memchr(b'\r', &head).unwrap_or(head.len());
        let (method, target, version) = parse_line(head.get(..line_end).unwrap_or_default())?;
        let mut headers = FramingHeaders::default();
        let lines = read_lines(&head, line_end + 2, limits, |name, value| {
            headers.record(name, value);
            true
        })?;
        let target = parse_target(&method, &head.slice_ref(target))?;
        let (framing, keep_alive) = (headers.framing(version), headers.keep_alive(version));
        let mut request = Request::new(method, target.path, Fields::of(head, lines))?;
        request.version = version;
        if !request.has_host() && version != Version::HTTP_10 {
            return Err(Malformed::new(Reason::InvalidHost, ONE_HOST));
        }
        if let Some(authority) = target.authority {
            request.set_host(authority)?;
        }
        let framing = framing?.unwrap_or(Framing::Empty);
        let expects_continue =
            version == Version::HTTP_11 && expects_continue(request.fields())? && framing != Framing::Empty;
        Ok(Self { request, version, framing, keep_alive, expects_continue })
    }
}

/// Parses `method SP request-target SP HTTP-version` (section 3).
fn parse_line(line: &[u8]) -> Result<(Method, &[u8], Version), Malformed> {
    let bad = || Malformed::syntax("the request line must be `METHOD target HTTP/1.1`");
    let first = memchr(b' ', line).ok_or_else(bad)?;
    let method = line.get(..first).unwrap_or_default();
    if method.len() > MAX_METHOD {
        return Err(Malformed::new(Reason::UnsupportedMethod, "unknown method"));
    }
    let method = Method::from_bytes(method).map_err(|_| bad())?;
    let rest = line.get(first + 1..).unwrap_or_default();
    let second = memchr(b' ', rest).ok_or_else(bad)?;
    let version = match rest.get(second + 1..).unwrap_or_default() {
        b"HTTP/1.1" => Version::HTTP_11,
        b"HTTP/1.0" => Version::HTTP_10,
        b"HTTP/2.0" => {
            return Err(Malformed::new(
                Reason::UnsupportedVersion,
                "HTTP/2 is served over TLS, on unix sockets and on connections from this machine: use HTTP/1.1 here",
            ));
        }
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            return Err(Malformed::new(
                Reason::UnsupportedVersion,
                "unsupported version of HTTP: use HTTP/1.1",
            ));
        }
        _ => return Err(bad()),
    };
    if second == 0 {
        return Err(bad());
    }
    Ok((method, rest.get(..second).unwrap_or_default(), version))
}

/// Returns whether the client waits for `100 Continue` (RFC 9110, section 10.1.1). HTTP/1.0 has no expectations.
///
/// # Errors
/// When it expects anything other than `100-continue`.
pub fn expects_continue(fields: &Fields) -> Result<bool, Malformed> {
    if !fields.has(EXPECT.as_str()) {
        return Ok(false);
    }
    // S3 accepts an empty field, which expects nothing.
    let mut members =
        list_members(fields.all(EXPECT.as_str())).filter(|member| !member.is_empty()).peekable();
    if members.peek().is_none() {
        return Ok(false);
    }
    if members.all(|member| member.eq_ignore_ascii_case(b"100-continue")) {
        return Ok(true);
    }
    Err(Malformed::new(
        Reason::UnsupportedExpectation,
        "unsupported Expect header: the only expectation supported is 100-continue",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Host;

    fn parse(text: &str) -> Result<RequestHead, Reason> {
        let text = Bytes::copy_from_slice(text.as_bytes());
        RequestHead::parse(text, HeadLimits { bytes: 8192, fields: 100 })
            .map_err(|malformed| malformed.reason)
    }

    #[test]
    fn heads() {
        let head = parse("GET /a?b HTTP/1.1\r\nHost: h:80\r\nX: y\r\n\r\n").unwrap();
        assert_eq!((&head.request.method, head.request.target.to_string().as_str()), (&Method::GET, "/a?b"));
        assert_eq!((head.framing, head.keep_alive, head.expects_continue), (Framing::Empty, true, false));
        let head = parse("GET http://other:1/a HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        assert_eq!(
            (head.request.fields().get("host"), head.request.target.to_string().as_str()),
            (Some(&b"other:1"[..]), "/a")
        );
        assert_eq!(head.request.host(), Host::parse(b"other:1").ok());
        let head = parse(
            "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nExpect: 100-Continue\r\nConnection: a, Close\r\n\r\n",
        );
        let head = head.unwrap();
        assert_eq!((head.framing, head.keep_alive, head.expects_continue), (Framing::Length(1), false, true));
        for empty in ["Expect:", "Expect: ,"] {
            let head = format!("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n{empty}\r\n\r\n");
            assert!(!parse(&head).unwrap().expects_continue, "{empty}");
        }
        let old = parse("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").unwrap();
        assert!(!old.keep_alive && !old.expects_continue);
        assert!(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").unwrap().keep_alive);
    }

    #[test]
    fn request_lines() {
        for (line, rule) in [
            ("GET / HTTP/1.2", Reason::UnsupportedVersion),
            ("GET / HTTP/2.0", Reason::UnsupportedVersion),
            ("PRI * HTTP/2.0", Reason::UnsupportedVersion),
            ("GET / HTTP/0.9", Reason::UnsupportedVersion),
            ("GET /", Reason::InvalidSyntax),
            ("GET", Reason::InvalidSyntax),
            ("GET / http/1.1", Reason::InvalidSyntax),
            ("GET / HTTP/1.1 ", Reason::InvalidSyntax),
            ("GET / HTTP/11", Reason::InvalidSyntax),
            ("GET / HTTP/1.1.1", Reason::InvalidSyntax),
            ("GET  / HTTP/1.1", Reason::InvalidSyntax),
            ("GET /  HTTP/1.1", Reason::InvalidSyntax),
            (" GET / HTTP/1.1", Reason::InvalidSyntax),
            ("GET\t/ HTTP/1.1", Reason::InvalidSyntax),
            ("GET / a HTTP/1.1", Reason::InvalidSyntax),
            ("G(T / HTTP/1.1", Reason::InvalidSyntax),
            ("GET /a^b HTTP/1.1", Reason::InvalidTarget),
            ("AVERYLONGMETHODTHATNOBODYHASEVERSENT / HTTP/1.1", Reason::UnsupportedMethod),
        ] {
            assert_eq!(parse(&format!("{line}\r\nHost: h\r\n\r\n")).unwrap_err(), rule, "{line}");
        }
    }

    #[test]
    fn hosts_and_expectations() {
        for (fields, rule) in [
            ("", Reason::InvalidHost),
            ("Host: a\r\nHost: a\r\n", Reason::InvalidHost),
            ("Host:\r\n", Reason::InvalidHost),
            ("Host: a, b\r\n", Reason::InvalidHost),
            ("Host: a/b\r\n", Reason::InvalidHost),
            ("Host: a\r\nExpect: 200-ok\r\n", Reason::UnsupportedExpectation),
            ("Host: a\r\nExpect: 100-continue, x\r\n", Reason::UnsupportedExpectation),
        ] {
            assert_eq!(parse(&format!("GET / HTTP/1.1\r\n{fields}\r\n")).unwrap_err(), rule, "{fields}");
        }
        assert_eq!(parse("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n").unwrap_err(), Reason::InvalidHost);
    }
}
