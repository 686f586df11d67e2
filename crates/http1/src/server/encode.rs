//! The encoding of a response.

use super::ResponseContext;
use crate::{Fields, Response, is_named};
use bytes::BytesMut;
use http::{Method, StatusCode, Version};
use http_body::Body;
use std::io;
use std::time::SystemTime;

const LENGTH: &str = "content-length";

/// The framing of a response's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// No body.
    Nothing,
    /// `Content-Length`, with the number of bytes to come.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// Delimited by the end of the connection, for HTTP/1.0.
    UntilClose,
}

impl Coding {
    /// Chooses the framing of a response.
    pub(super) fn of(context: &ResponseContext, response: &Response<impl Body>) -> Self {
        if context.method == Method::HEAD
            || matches!(response.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        {
            return Self::Nothing;
        }
        let announced =
            || response.fields.get(LENGTH).and_then(|value| str::from_utf8(value).ok()?.parse().ok());
        match response.body.size_hint().exact().or_else(announced) {
            Some(length) => Self::Length(length),
            None if context.version == Version::HTTP_11 => Self::Chunked,
            None => Self::UntilClose,
        }
    }

    /// Writes the bytes before a piece of the body.
    ///
    /// # Errors
    /// When the body is longer than its length.
    pub(super) fn begin_piece(&mut self, out: &mut BytesMut, length: usize) -> io::Result<()> {
        match self {
            Self::Length(left) => {
                *left = left
                    .checked_sub(length as u64)
                    .ok_or_else(|| io::Error::other("the response is longer than its content-length"))?;
            }
            Self::Chunked => out.extend_from_slice(format!("{length:x}\r\n").as_bytes()),
            Self::Nothing | Self::UntilClose => {}
        }
        Ok(())
    }

    /// Writes the bytes after a piece of the body.
    pub(super) fn end_piece(self, out: &mut BytesMut) {
        if self == Self::Chunked {
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Writes the bytes after the body.
    ///
    /// # Errors
    /// When the body is shorter than its length.
    pub(super) fn end(self, out: &mut BytesMut) -> io::Result<()> {
        match self {
            Self::Length(1..) => {
                return Err(io::Error::other("the response is shorter than its content-length"));
            }
            Self::Chunked => out.extend_from_slice(b"0\r\n\r\n"),
            Self::Length(0) | Self::Nothing | Self::UntilClose => {}
        }
        Ok(())
    }
}

/// Writes the head of a response: the fields of `fields`, then those that frame the message.
pub(super) fn write_head(
    out: &mut BytesMut,
    status: StatusCode,
    fields: &mut Fields,
    context: &ResponseContext,
    coding: &Coding,
    persists: bool,
) {
    if status == StatusCode::OK {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    } else {
        let reason = status.canonical_reason().unwrap_or_default();
        out.extend_from_slice(format!("HTTP/1.1 {} {reason}\r\n", status.as_str()).as_bytes());
    }
    if status == StatusCode::NO_CONTENT {
        // A 204 must not have a length (RFC 9110, section 8.6).
        fields.remove(LENGTH);
    }
    let (mut has_length, mut has_date) = (false, false);
    fields.write(out, |name| {
        has_length |= is_named(name, b"Content-Length");
        has_date |= is_named(name, b"Date");
    });
    match coding {
        Coding::Length(length) if !has_length => {
            out.extend_from_slice(format!("content-length: {length}\r\n").as_bytes());
        }
        Coding::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Coding::Length(_) | Coding::Nothing | Coding::UntilClose => {}
    }
    if !has_date {
        out.extend_from_slice(b"date: ");
        out.extend_from_slice(httpdate::fmt_http_date(SystemTime::now()).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    match (context.version, persists) {
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
    use http::header::CONTENT_LENGTH;

    #[test]
    fn a_204_has_no_length() {
        let context = ResponseContext { method: Method::GET, version: Version::HTTP_11, keep_alive: true };
        for (status, has_length) in
            [(StatusCode::NO_CONTENT, false), (StatusCode::NOT_MODIFIED, true), (StatusCode::OK, true)]
        {
            let mut fields = Fields::default();
            fields.insert(CONTENT_LENGTH, HeaderValue::from_static("2"));
            let mut out = BytesMut::new();
            write_head(&mut out, status, &mut fields, &context, &Coding::Nothing, true);
            assert_eq!(
                String::from_utf8_lossy(&out).contains("content-length: 2\r\n"),
                has_length,
                "{status}"
            );
        }
    }
}
