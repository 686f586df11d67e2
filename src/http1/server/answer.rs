//! How an answer is written.

use super::Exchange;
use bytes::{BufMut, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::{HeaderMap, Method, StatusCode, Version};
use http_body::Body;
use std::io;
use std::time::SystemTime;

/// How an answer's body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Nothing,
    /// So many bytes are to come.
    Length(u64),
    Chunked,
    UntilClose,
}

impl Coding {
    pub(super) fn of(exchange: &Exchange, status: StatusCode, headers: &HeaderMap, body: &impl Body) -> Self {
        if exchange.method == Method::HEAD
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        {
            return Self::Nothing;
        }
        let named = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        match named.or_else(|| body.size_hint().exact()) {
            Some(length) => Self::Length(length),
            None if exchange.version == Version::HTTP_11 => Self::Chunked,
            None => Self::UntilClose,
        }
    }

    pub(super) fn begin(&mut self, out: &mut BytesMut, length: usize) -> io::Result<()> {
        match self {
            Self::Length(left) => {
                *left = left
                    .checked_sub(length as u64)
                    .ok_or_else(|| io::Error::other("the answer is longer than it said"))?;
            }
            Self::Chunked => out.extend_from_slice(format!("{length:x}\r\n").as_bytes()),
            Self::Nothing | Self::UntilClose => {}
        }
        Ok(())
    }

    pub(super) fn end_chunk(self, out: &mut BytesMut) {
        if self == Self::Chunked {
            out.extend_from_slice(b"\r\n");
        }
    }

    pub(super) fn end(self, out: &mut BytesMut) -> io::Result<()> {
        match self {
            Self::Length(1..) => return Err(io::Error::other("the answer is shorter than it said")),
            Self::Chunked => out.extend_from_slice(b"0\r\n\r\n"),
            Self::Length(0) | Self::Nothing | Self::UntilClose => {}
        }
        Ok(())
    }
}

/// Whether an answer is to be the last.
pub(super) fn closes(headers: &HeaderMap) -> bool {
    headers.get(CONNECTION).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"))
}

pub(super) fn write_head(
    out: &mut BytesMut,
    status: StatusCode,
    headers: &HeaderMap,
    exchange: &Exchange,
    coding: &Coding,
    persists: bool,
) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.put_u8(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
    for (name, value) in headers {
        // These are the connection's own; and where there is no content there is no length (RFC 9110, section 8.6).
        if *name == CONNECTION
            || *name == TRANSFER_ENCODING
            || (*name == CONTENT_LENGTH && status == StatusCode::NO_CONTENT)
        {
            continue;
        }
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    match coding {
        Coding::Length(length) if !headers.contains_key(CONTENT_LENGTH) => {
            out.extend_from_slice(format!("content-length: {length}\r\n").as_bytes());
        }
        Coding::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Coding::Length(_) | Coding::Nothing | Coding::UntilClose => {}
    }
    if !headers.contains_key(DATE) {
        out.extend_from_slice(b"date: ");
        out.extend_from_slice(httpdate::fmt_http_date(SystemTime::now()).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    match (exchange.version, persists) {
        (_, false) => out.extend_from_slice(b"connection: close\r\n"),
        (Version::HTTP_10, true) => out.extend_from_slice(b"connection: keep-alive\r\n"),
        _ => {}
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn without_content_there_is_no_length() {
        let headers = HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from_static("2"))]);
        let exchange = Exchange { method: Method::GET, version: Version::HTTP_11, keep_alive: true };
        for (status, has_length) in
            [(StatusCode::NO_CONTENT, false), (StatusCode::NOT_MODIFIED, true), (StatusCode::OK, true)]
        {
            let mut out = BytesMut::new();
            write_head(&mut out, status, &headers, &exchange, &Coding::Nothing, true);
            assert_eq!(
                String::from_utf8_lossy(&out).contains("content-length: 2\r\n"),
                has_length,
                "{status}"
            );
        }
    }
}
