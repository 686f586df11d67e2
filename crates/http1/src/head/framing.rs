//! How a body is framed (RFC 9112, section 6). Each way to read a message in two ways ends here.

use super::field_lines::list_members;
use crate::message::{Malformed, Reason, is_named};
use http::Version;

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    Empty,
    /// After this number of bytes.
    Length(u64),
    /// With the last chunk.
    Chunked,
}

/// What the fields of a message say of the message itself, each of their lines.
#[derive(Debug, Default)]
pub(super) struct OwnFields<'h> {
    lengths: [Option<&'h [u8]>; 2],
    codings: Vec<&'h [u8]>,
    options: Vec<&'h [u8]>,
}

/// Which field of [`OwnFields`] a line is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnField {
    Length,
    Coding,
    Options,
}

impl<'h> OwnFields<'h> {
    /// Notes a line, if it is of one of them.
    #[expect(
        clippy::inline_always,
        reason = "it is asked of every line, and says no to nearly all by their length"
    )]
    #[inline(always)]
    pub(super) fn note(&mut self, name: &[u8], value: &'h [u8]) -> Option<OwnField> {
        match name.len() {
            14 if is_named(name, b"Content-Length") => Some(self.note_length(value)),
            17 if is_named(name, b"Transfer-Encoding") => Some(self.note_coding(value)),
            10 if is_named(name, b"Connection") => Some(self.note_options(value)),
            _ => None,
        }
    }

    fn note_length(&mut self, value: &'h [u8]) -> OwnField {
        // A second one is an error, and so would be a third.
        self.lengths = [self.lengths[0].or(Some(value)), self.lengths[0].and(Some(value))];
        OwnField::Length
    }

    #[cold]
    fn note_coding(&mut self, value: &'h [u8]) -> OwnField {
        self.codings.push(value);
        OwnField::Coding
    }

    #[cold]
    fn note_options(&mut self, value: &'h [u8]) -> OwnField {
        self.options.push(value);
        OwnField::Options
    }

    /// How the body is framed, `None` where that is not said.
    ///
    /// # Errors
    /// On a doubled, signed or oversized `Content-Length`, on `Transfer-Encoding` beside it, twice, in HTTP/1.0, or
    /// with anything but `chunked`.
    pub(super) fn framing(&self, version: Version) -> Result<Option<Framing>, Malformed> {
        let length = content_length(self.lengths)?;
        if self.codings.is_empty() {
            return Ok(length.map(Framing::Length));
        }
        if length.is_some() {
            return Err(Malformed::syntax("Content-Length and Transfer-Encoding exclude each other"));
        }
        if version != Version::HTTP_11 {
            return Err(Malformed::syntax("HTTP/1.0 has no Transfer-Encoding"));
        }
        check_coding(&self.codings).map(|()| Some(Framing::Chunked))
    }

    /// Whether the connection persists (section 9.3).
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
    let bad = || Malformed::syntax("Content-Length is not one decimal number");
    if more.is_some() || digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(bad());
    }
    let number = digits
        .iter()
        .try_fold(0_u64, |number, digit| number.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
    number.map(Some).ok_or_else(bad)
}

/// Exactly one `chunked` is understood.
fn check_coding(lines: &[&[u8]]) -> Result<(), Malformed> {
    let mut codings: Vec<&[u8]> = list_members(lines.iter().copied()).collect();
    let chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    if matches!(*codings, [only] if chunked(only)) {
        return Ok(());
    }
    // Without chunked at the very end, and only there, nobody knows where the body ends (section 6.3).
    let last_is_chunked = codings.pop().is_some_and(chunked);
    if last_is_chunked && !codings.iter().any(|coding| chunked(coding) || coding.is_empty()) {
        return Err(Malformed::new(
            Reason::UnsupportedCoding,
            "the only transfer coding understood is chunked",
        ));
    }
    Err(Malformed::syntax("Transfer-Encoding is not chunked, once"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::{CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING};

    fn of(fields: &[(HeaderName, &str)], version: Version) -> Result<Option<Framing>, Reason> {
        let mut own = OwnFields::default();
        for (name, value) in fields {
            assert!(own.note(name.as_str().as_bytes(), value.as_bytes()).is_some());
        }
        own.framing(version).map_err(|malformed| malformed.reason)
    }

    #[test]
    fn lengths() {
        for (value, length) in [("0", 0), ("5", 5), ("05", 5), ("000", 0), ("18446744073709551615", u64::MAX)]
        {
            let framing = of(&[(CONTENT_LENGTH, value)], Version::HTTP_11);
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
            assert_eq!(of(&[(CONTENT_LENGTH, bad)], Version::HTTP_11), Err(Reason::InvalidSyntax), "{bad}");
        }
        let twice = [(CONTENT_LENGTH, "5"), (CONTENT_LENGTH, "5")];
        assert_eq!(of(&twice, Version::HTTP_11), Err(Reason::InvalidSyntax));
        assert_eq!(of(&[], Version::HTTP_11), Ok(None));
    }

    #[test]
    fn codings() {
        for good in ["chunked", "Chunked", "CHUNKED"] {
            assert_eq!(
                of(&[(TRANSFER_ENCODING, good)], Version::HTTP_11),
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
            let rule = of(&[(TRANSFER_ENCODING, bad)], Version::HTTP_11);
            assert_eq!(rule, Err(Reason::InvalidSyntax), "{bad}");
        }
        for unknown in ["gzip, chunked", "cow, chunked", "identity, chunked", "gzip, deflate,chunked"] {
            assert_eq!(
                of(&[(TRANSFER_ENCODING, unknown)], Version::HTTP_11),
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
            assert_eq!(of(&fields, version), Err(Reason::InvalidSyntax), "{fields:?} {version:?}");
        }
    }
}
