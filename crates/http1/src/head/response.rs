//! The head of a response.

use super::field_lines::read_lines;
use super::framing::{FramingHeader, FramingHeaders};
use super::{Framing, HeadLimits};
use crate::message::{Fields, Malformed};
use bytes::Bytes;
use http::{Method, StatusCode, Version};
use memchr::memchr;

/// The head of a response, with its framing and connection headers interpreted.
#[derive(Debug)]
pub struct ResponseHead {
    /// The status.
    pub status: StatusCode,
    /// The fields that the caller keeps.
    pub fields: Fields,
    /// The framing of the body.
    pub framing: Framing,
    /// Whether another request may follow on the connection.
    pub keep_alive: bool,
}

impl ResponseHead {
    /// Parses the head of a response to a request with `method`, as [`RequestHead::parse`](super::RequestHead::parse) does
    /// that of a request. Keeps the fields whose name `keep` accepts, and `Content-Length`.
    ///
    /// # Errors
    /// When it breaks RFC 9112.
    pub fn parse(
        head: Bytes,
        method: &Method,
        limits: HeadLimits,
        keep: impl Fn(&[u8]) -> bool,
    ) -> Result<Self, Malformed> {
        let line_end = memchr(b'\r', &head).unwrap_or(head.len());
        let (version, status) = parse_line(head.get(..line_end).unwrap_or_default())?;
        let mut headers = FramingHeaders::default();
        let lines =
            read_lines(&head, line_end + 2, limits, |name, value| match headers.record(name, value) {
                Some(FramingHeader::ContentLength) => true,
                // Hop-by-hop: they end at this connection.
                Some(FramingHeader::TransferEncoding | FramingHeader::Connection) => false,
                None => keep(name),
            })?;
        let (framing, keep_alive) = (headers.framing(version)?, headers.keep_alive(version));
        // These have no body, whatever their headers say (section 6.3).
        let bodiless = *method == Method::HEAD
            || status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        // A body that ends with the connection would look complete if it was cut off.
        let unknown = Malformed::syntax("it does not say where its body ends");
        let framing = if bodiless { Framing::Empty } else { framing.ok_or(unknown)? };
        Ok(Self { status, fields: Fields::of(head, lines), framing, keep_alive })
    }
}

/// Parses `HTTP-version SP status-code SP [ reason-phrase ]` (section 4).
fn parse_line(line: &[u8]) -> Result<(Version, StatusCode), Malformed> {
    let bad = || Malformed::syntax("the status line must be `HTTP/1.1 200 OK`");
    let (version, rest) = match line.split_first_chunk::<9>() {
        Some((b"HTTP/1.1 ", rest)) => (Version::HTTP_11, rest),
        Some((b"HTTP/1.0 ", rest)) => (Version::HTTP_10, rest),
        _ => return Err(bad()),
    };
    let (code, reason) = rest.split_at_checked(3).ok_or_else(bad)?;
    let printable = reason.iter().all(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f));
    if !printable || !matches!(reason.first(), None | Some(b' ')) {
        return Err(bad());
    }
    let status = StatusCode::from_bytes(code).ok().filter(|status| status.as_u16() < 600);
    status.map(|status| (version, status)).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, method: &Method) -> Option<(u16, Framing, bool)> {
        let text = Bytes::copy_from_slice(text.as_bytes());
        ResponseHead::parse(text, method, HeadLimits { bytes: 8192, fields: 100 }, |_| true)
            .ok()
            .map(|head| (head.status.as_u16(), head.framing, head.keep_alive))
    }

    #[test]
    fn heads() {
        let cases = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Some((200, Framing::Length(5), true))),
            ("HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n", Some((200, Framing::Chunked, true))),
            ("HTTP/1.1 200 \r\n\r\n", None),
            ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", Some((200, Framing::Length(5), false))),
            (
                "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nConnection: close\r\n\r\n",
                Some((204, Framing::Empty, false)),
            ),
            ("HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n", Some((304, Framing::Empty, true))),
            ("HTTP/1.1 100 Continue\r\n\r\n", Some((100, Framing::Empty, true))),
            ("HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: a\u{1}\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: a\u{7f}b\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nE(tag): a\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", None),
            ("HTTP/2.0 200 OK\r\n\r\n", None),
            ("HTTP/1.1  200 OK\r\n\r\n", None),
            ("HTTP/1.1 20 OK\r\n\r\n", None),
            ("HTTP/1.1 2000 OK\r\n\r\n", None),
            ("HTTP/1.1 099 OK\r\n\r\n", None),
            ("HTTP/1.1 600 OK\r\n\r\n", None),
            ("HTTP/1.1 2x0 OK\r\n\r\n", None),
            ("HTTP/1.1 200 \u{1}\r\n\r\n", None),
            ("ICY 200 OK\r\n\r\n", None),
            ("220 smtp.example.test\r\n\r\n", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text, &Method::GET), expected, "{text:?}");
        }
        let head = parse("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", &Method::HEAD);
        assert_eq!(head, Some((200, Framing::Empty, true)));
    }
}
