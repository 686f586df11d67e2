//! The head of a request.

use super::fields::{HeadLimits, list_members, request_fields};
use super::framing::OwnFields;
use super::target::parse_target;
use super::{Framing, Host, Malformed};
use crate::refusal::Rule;
use bytes::Bytes;
use http::header::HOST;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Version};
use memchr::memchr;

/// Longest method that is looked at, in bytes.
const MAX_METHOD: usize = 32;

/// A request's head, of which everything about the message itself is understood.
#[derive(Debug)]
pub struct RequestHead {
    /// Method, path and query or `*`, version (HTTP/1.1 or HTTP/1.0) and every field. `Host` is one host, which the
    /// target named if it named one.
    pub parts: Parts,
    /// How the body is framed.
    pub framing: Framing,
    /// Whether another request may follow on the connection.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
}

impl RequestHead {
    /// Reads a head, which lasts to the empty line at its end. Every line is known to end in CRLF.
    ///
    /// # Errors
    /// When it breaks RFC 9112, or asks for something that is not understood.
    pub fn parse(head: &Bytes, limits: HeadLimits) -> Result<Self, Malformed> {
        let line_end = memchr(b'\r', head).unwrap_or(head.len());
        let (method, target, version) = parse_line(head.get(..line_end).unwrap_or_default())?;
        let mut own = OwnFields::default();
        let (mut hosts, mut expectations) = ([None; 2], Vec::new());
        let mut headers = request_fields(head, line_end + 2, limits, |name, value| {
            if own.note(name, value).is_some() {
                return;
            }
            if name.eq_ignore_ascii_case(b"host") {
                // A second one is an error, and so would be a third.
                hosts = [hosts[0].or(Some(value)), hosts[0].and(Some(value))];
            } else if name.eq_ignore_ascii_case(b"expect") {
                expectations.push(value);
            }
        })?;
        let target = parse_target(&method, &head.slice_ref(target))?;
        check_host(hosts, version)?;
        if let Some(authority) = target.authority {
            let host = HeaderValue::from_maybe_shared(authority);
            headers.insert(
                HOST,
                host.map_err(|_| Malformed::new(Rule::BadHost, "the target's host is not one"))?,
            );
        }
        let framing = own.framing(version)?.unwrap_or(Framing::Empty);
        let keep_alive = own.keep_alive(version);
        let expects_continue = expects_continue(&expectations, version)? && framing != Framing::Empty;
        let (mut parts, ()) = Request::new(()).into_parts();
        (parts.method, parts.uri, parts.version, parts.headers) = (method, target.uri, version, headers);
        Ok(Self { parts, framing, keep_alive, expects_continue })
    }
}

/// `method SP request-target SP HTTP-version` (section 3).
fn parse_line(line: &[u8]) -> Result<(Method, &[u8], Version), Malformed> {
    let bad = || Malformed::message("the request line is not `METHOD target HTTP/1.1`");
    let first = memchr(b' ', line).ok_or_else(bad)?;
    let method = line.get(..first).unwrap_or_default();
    if method.len() > MAX_METHOD {
        return Err(Malformed::new(Rule::UnknownOperation, "this method is not known"));
    }
    let method = Method::from_bytes(method).map_err(|_| bad())?;
    let rest = line.get(first + 1..).unwrap_or_default();
    let second = memchr(b' ', rest).ok_or_else(bad)?;
    let version = match rest.get(second + 1..).unwrap_or_default() {
        b"HTTP/1.1" => Version::HTTP_11,
        b"HTTP/1.0" => Version::HTTP_10,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            return Err(Malformed::new(Rule::HttpVersion, "the version of HTTP spoken here is HTTP/1.1"));
        }
        _ => return Err(bad()),
    };
    if second == 0 {
        return Err(bad());
    }
    Ok((method, rest.get(..second).unwrap_or_default(), version))
}

/// Exactly one, and a host; HTTP/1.0 may leave it out (section 3.2).
fn check_host(lines: [Option<&[u8]>; 2], version: Version) -> Result<(), Malformed> {
    match lines {
        [None, None] if version == Version::HTTP_10 => Ok(()),
        [Some(host), None] => Host::parse(host).map(|_| ()).map_err(|why| Malformed::new(Rule::BadHost, why)),
        _ => Err(Malformed::new(Rule::BadHost, "a request has exactly one Host header")),
    }
}

/// RFC 9110, section 10.1.1: an expectation in HTTP/1.0 is ignored, another one than `100-continue` cannot be met.
fn expects_continue(lines: &[&[u8]], version: Version) -> Result<bool, Malformed> {
    if version != Version::HTTP_11 || lines.is_empty() {
        return Ok(false);
    }
    if list_members(lines.iter().copied()).all(|member| member.eq_ignore_ascii_case(b"100-continue")) {
        return Ok(true);
    }
    Err(Malformed::new(Rule::Expectation, "the only expectation that can be met is 100-continue"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<RequestHead, Rule> {
        let text = Bytes::copy_from_slice(text.as_bytes());
        RequestHead::parse(&text, HeadLimits { bytes: 8192, fields: 100 }).map_err(|malformed| malformed.rule)
    }

    #[test]
    fn heads() {
        let head = parse("GET /a?b HTTP/1.1\r\nHost: h:80\r\nX: y\r\n\r\n").unwrap();
        assert_eq!((head.parts.method, head.parts.uri.to_string().as_str()), (Method::GET, "/a?b"));
        assert_eq!((head.framing, head.keep_alive, head.expects_continue), (Framing::Empty, true, false));
        let head = parse("GET http://other:1/a HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        assert_eq!(
            (&head.parts.headers[HOST], head.parts.uri.to_string().as_str()),
            (&HeaderValue::from_static("other:1"), "/a")
        );
        let head = parse(
            "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nExpect: 100-Continue\r\nConnection: a, Close\r\n\r\n",
        );
        let head = head.unwrap();
        assert_eq!((head.framing, head.keep_alive, head.expects_continue), (Framing::Length(1), false, true));
        let old = parse("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").unwrap();
        assert!(!old.keep_alive && !old.expects_continue);
        assert!(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").unwrap().keep_alive);
    }

    #[test]
    fn request_lines() {
        for (line, rule) in [
            ("GET / HTTP/1.2", Rule::HttpVersion),
            ("GET / HTTP/2.0", Rule::HttpVersion),
            ("PRI * HTTP/2.0", Rule::HttpVersion),
            ("GET / HTTP/0.9", Rule::HttpVersion),
            ("GET /", Rule::MalformedRequest),
            ("GET", Rule::MalformedRequest),
            ("GET / http/1.1", Rule::MalformedRequest),
            ("GET / HTTP/1.1 ", Rule::MalformedRequest),
            ("GET / HTTP/11", Rule::MalformedRequest),
            ("GET / HTTP/1.1.1", Rule::MalformedRequest),
            ("GET  / HTTP/1.1", Rule::MalformedRequest),
            ("GET /  HTTP/1.1", Rule::MalformedRequest),
            (" GET / HTTP/1.1", Rule::MalformedRequest),
            ("GET\t/ HTTP/1.1", Rule::MalformedRequest),
            ("GET / a HTTP/1.1", Rule::MalformedRequest),
            ("G(T / HTTP/1.1", Rule::MalformedRequest),
            ("GET /a^b HTTP/1.1", Rule::BadTarget),
            ("AVERYLONGMETHODTHATNOBODYHASEVERSENT / HTTP/1.1", Rule::UnknownOperation),
        ] {
            assert_eq!(parse(&format!("{line}\r\nHost: h\r\n\r\n")).unwrap_err(), rule, "{line}");
        }
    }

    #[test]
    fn hosts_and_expectations() {
        for (fields, rule) in [
            ("", Rule::BadHost),
            ("Host: a\r\nHost: a\r\n", Rule::BadHost),
            ("Host:\r\n", Rule::BadHost),
            ("Host: a, b\r\n", Rule::BadHost),
            ("Host: a/b\r\n", Rule::BadHost),
            ("Host: a\r\nExpect: 200-ok\r\n", Rule::Expectation),
            ("Host: a\r\nExpect: 100-continue, x\r\n", Rule::Expectation),
        ] {
            assert_eq!(parse(&format!("GET / HTTP/1.1\r\n{fields}\r\n")).unwrap_err(), rule, "{fields}");
        }
        assert_eq!(parse("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n").unwrap_err(), Rule::BadHost);
    }
}
