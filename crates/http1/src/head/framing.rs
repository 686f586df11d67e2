//! The framing of a body (RFC 9112, section 6). A message that two parsers could frame differently is rejected.

use super::field_lines::list_members;
use crate::message::{Malformed, Reason, is_named};
use http::Version;

/// The framing of a message's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// No body.
    Empty,
    /// `Content-Length`: the body ends after this many bytes.
    Length(u64),
    /// `Transfer-Encoding: chunked`: the body ends with the last chunk.
    Chunked,
}

/// The headers that frame a message and manage its connection.
#[derive(Debug, Default)]
pub(super) struct FramingHeaders<'h> {
    /// The first two `Content-Length` lines; a second one is an error already.
    lengths: [Option<&'h [u8]>; 2],
    /// The lines of `Transfer-Encoding`.
    codings: Vec<&'h [u8]>,
    /// The lines of `Connection`.
    options: Vec<&'h [u8]>,
}

/// The name of a header in [`FramingHeaders`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FramingHeader {
    ContentLength,
    TransferEncoding,
    Connection,
}

impl<'h> FramingHeaders<'h> {
    /// Records a line if it is one of these headers, and returns which.
    #[expect(
        clippy::inline_always,
        reason = "runs for every header line, nearly all of which the length rules out (docs/performance.md, \"names are compared only if length and letters fit\")"
    )]
    #[inline(always)]
    pub(super) fn record(&mut self, name: &[u8], value: &'h [u8]) -> Option<FramingHeader> {
        match name.len() {
            14 if is_named(name, b"Content-Length") => Some(self.record_length(value)),
            17 if is_named(name, b"Transfer-Encoding") => Some(self.record_coding(value)),
            10 if is_named(name, b"Connection") => Some(self.record_options(value)),
            _ => None,
        }
    }

    fn record_length(&mut self, value: &'h [u8]) -> FramingHeader {
        self.lengths = [self.lengths[0].or(Some(value)), self.lengths[0].and(Some(value))];
        FramingHeader::ContentLength
    }

    #[cold]
    fn record_coding(&mut self, value: &'h [u8]) -> FramingHeader {
        self.codings.push(value);
        FramingHeader::TransferEncoding
    }

    #[cold]
    fn record_options(&mut self, value: &'h [u8]) -> FramingHeader {
        self.options.push(value);
        FramingHeader::Connection
    }

    /// Returns the framing of the body, `None` if the headers do not say.
    ///
    /// # Errors
    /// When `Content-Length` is repeated or not a number below 2^64, or when `Transfer-Encoding` comes with it, is repeated, is
    /// used in HTTP/1.0, or is anything but `chunked`.
    pub(super) fn framing(&self, version: Version) -> Result<Option<Framing>, Malformed> {
        let length = content_length(self.lengths)?;
        if self.codings.is_empty() {
            return Ok(length.map(Framing::Length));
        }
        if length.is_some() {
            return Err(Malformed::syntax("Content-Length and Transfer-Encoding must not be combined"));
        }
        if version != Version::HTTP_11 {
            return Err(Malformed::syntax("Transfer-Encoding is not allowed in HTTP/1.0"));
        }
        check_coding(&self.codings).map(|()| Some(Framing::Chunked))
    }

    /// Returns whether the connection persists (section 9.3).
    pub(super) fn keep_alive(&self, version: Version) -> bool {
        let (mut keep, mut close) = (version == Version::HTTP_11, false);
        for option in list_members(self.options.iter().copied()) {
            keep |= option.eq_ignore_ascii_case(b"keep-alive");
            close |= option.eq_ignore_ascii_case(b"close");
        }
        keep && !close
    }
}

fn content_length(lines: [Option<&[u8]>; 2]) -> Result<Option<u64>, Malformed> {
    let [Some(digits), more] = lines else { return Ok(None) };
    let bad = || Malformed::syntax("Content-Length must be a single decimal number");
    if more.is_some() || digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(bad());
    }
    let number = digits
        .iter()
        .try_fold(0_u64, |number, digit| number.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
    number.map(Some).ok_or_else(bad)
}

/// Accepts exactly one `chunked`.
fn check_coding(lines: &[&[u8]]) -> Result<(), Malformed> {
    let mut codings: Vec<&[u8]> = list_members(lines.iter().copied()).collect();
    let chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    if matches!(*codings, [only] if chunked(only)) {
        return Ok(());
    }
    // If chunked is not the last coding, or not only the last, the end of the body is unknown (section 6.3).
    let last_is_chunked = codings.pop().is_some_and(chunked);
    if last_is_chunked && !codings.iter().any(|coding| chunked(coding) || coding.is_empty()) {
        return Err(Malformed::new(
            Reason::UnsupportedCoding,
            "Transfer-Encoding must be exactly `chunked`: no other coding is supported",
        ));
    }
    Err(Malformed::syntax("Transfer-Encoding must be exactly `chunked`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::{CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING};

    fn framing(fields: &[(HeaderName, &str)], version: Version) -> Result<Option<Framing>, Reason> {
        let mut headers = FramingHeaders::default();
        for (name, value) in fields {
            assert!(headers.record(name.as_str().as_bytes(), value.as_bytes()).is_some());
        }
        headers.framing(version).map_err(|malformed| malformed.reason)
    }

    #[test]
    fn content_lengths() {
        for (value, length) in [("0", 0), ("5", 5), ("05", 5), ("000", 0), ("18446744073709551615", u64::MAX)]
        {
            let framing = framing(&[(CONTENT_LENGTH, value)], Version::HTTP_11);
            assert_eq!(framing, Ok(Some(Framing::Length(length))), "{value}");
        }
        for bad in [
            "",
            "+5",
            "-1",
            "5 5",
            "5,5",
            "5, 5",
            "0x5",
            "5.0",
            "5e1",
            "five",
            "18446744073709551616",
            "5;",
            "5\u{e9}",
        ] {
            assert_eq!(
                framing(&[(CONTENT_LENGTH, bad)], Version::HTTP_11),
                Err(Reason::InvalidSyntax),
                "{bad}"
            );
        }
        let twice = [(CONTENT_LENGTH, "5"), (CONTENT_LENGTH, "5")];
        assert_eq!(framing(&twice, Version::HTTP_11), Err(Reason::InvalidSyntax));
        assert_eq!(framing(&[], Version::HTTP_11), Ok(None));
    }

    #[test]
    fn transfer_codings() {
        for good in ["chunked", "Chunked", "CHUNKED"] {
            assert_eq!(
                framing(&[(TRANSFER_ENCODING, good)], Version::HTTP_11),
                Ok(Some(Framing::Chunked)),
                "{good}"
            );
        }
        for bad in [
            "",
            "cow",
            "identity",
            "gzip",
            "chunked, chunked",
            "chunked, gzip",
            "chunked,",
            ",chunked",
            "xchunked",
            "chunkedx",
            "chunked;a=b",
            "\"chunked\"",
            "chunked gzip",
            "gzip, chunked, gzip",
            "chunked, identity",
            "\u{b}chunked",
        ] {
            let rule = framing(&[(TRANSFER_ENCODING, bad)], Version::HTTP_11);
            assert_eq!(rule, Err(Reason::InvalidSyntax), "{bad}");
        }
        for unknown in ["gzip, chunked", "cow, chunked", "identity, chunked", "gzip, deflate,chunked"] {
            assert_eq!(
                framing(&[(TRANSFER_ENCODING, unknown)], Version::HTTP_11),
                Err(Reason::UnsupportedCoding),
                "{unknown}"
            );
        }
        let cases = [
            (vec![(TRANSFER_ENCODING, "chunked"), (TRANSFER_ENCODING, "chunked")], Version::HTTP_11),
            (vec![(TRANSFER_ENCODING, "chunked"), (CONTENT_LENGTH, "5")], Version::HTTP_11),
            (vec![(TRANSFER_ENCODING, "identity"), (CONTENT_LENGTH, "5")], Version::HTTP_11),
            (vec![(TRANSFER_ENCODING, "chunked")], Version::HTTP_10),
        ];
        for (fields, version) in cases {
            assert_eq!(framing(&fields, version), Err(Reason::InvalidSyntax), "{fields:?} {version:?}");
        }
    }
}
