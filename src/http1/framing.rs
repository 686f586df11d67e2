//! How a body is framed (RFC 9112, section 6). Each way to read a message in two ways ends here.

use super::Malformed;
use super::fields::list_members;
use crate::refusal::Rule;
use http::Version;

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    Empty,
    /// After so many bytes.
    Length(u64),
    /// With the last chunk.
    Chunked,
}

impl Framing {
    /// The framing that a message's lines of `Content-Length` and `Transfer-Encoding` name, `None` where there are none.
    ///
    /// # Errors
    /// On a doubled, signed or oversized `Content-Length`, on `Transfer-Encoding` beside it, twice, in HTTP/1.0, or
    /// with anything but `chunked`.
    pub(super) fn of<'h>(
        lengths: impl Iterator<Item = &'h [u8]>,
        codings: impl Iterator<Item = &'h [u8]>,
        version: Version,
    ) -> Result<Option<Self>, Malformed> {
        let length = content_length(lengths)?;
        let mut codings = codings.peekable();
        if codings.peek().is_none() {
            return Ok(length.map(Self::Length));
        }
        if length.is_some() {
            return Err(Malformed::message("Content-Length and Transfer-Encoding exclude each other"));
        }
        if version != Version::HTTP_11 {
            return Err(Malformed::message("HTTP/1.0 has no Transfer-Encoding"));
        }
        check_coding(codings).map(|()| Some(Self::Chunked))
    }
}

fn content_length<'h>(mut lines: impl Iterator<Item = &'h [u8]>) -> Result<Option<u64>, Malformed> {
    let Some(digits) = lines.next() else { return Ok(None) };
    let bad = || Malformed::message("Content-Length is not one decimal number");
    if lines.next().is_some() {
        return Err(bad());
    }
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(bad());
    }
    let number = digits
        .iter()
        .try_fold(0_u64, |number, digit| number.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
    number.map(Some).ok_or_else(bad)
}

/// Exactly one `chunked` is understood.
fn check_coding<'h>(lines: impl Iterator<Item = &'h [u8]>) -> Result<(), Malformed> {
    let mut codings: Vec<&[u8]> = list_members(lines).collect();
    let chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    if matches!(*codings, [only] if chunked(only)) {
        return Ok(());
    }
    // Without chunked at the very end, and only there, nobody knows where the body ends (section 6.3).
    let last_is_chunked = codings.pop().is_some_and(chunked);
    if last_is_chunked && !codings.iter().any(|coding| chunked(coding) || coding.is_empty()) {
        return Err(Malformed::new(Rule::TransferCoding, "the only transfer coding understood is chunked"));
    }
    Err(Malformed::message("Transfer-Encoding is not chunked, once"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::{CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING};

    fn of(fields: &[(HeaderName, &str)], version: Version) -> Result<Option<Framing>, Rule> {
        let lines = |wanted: HeaderName| {
            let of_it = fields.iter().filter(move |(name, _)| *name == wanted);
            of_it.map(|(_, value)| value.as_bytes())
        };
        Framing::of(lines(CONTENT_LENGTH), lines(TRANSFER_ENCODING), version)
            .map_err(|malformed| malformed.rule)
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
            assert_eq!(of(&[(CONTENT_LENGTH, bad)], Version::HTTP_11), Err(Rule::MalformedRequest), "{bad}");
        }
        let twice = [(CONTENT_LENGTH, "5"), (CONTENT_LENGTH, "5")];
        assert_eq!(of(&twice, Version::HTTP_11), Err(Rule::MalformedRequest));
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
            assert_eq!(rule, Err(Rule::MalformedRequest), "{bad}");
        }
        for unknown in ["gzip, chunked", "cow, chunked", "identity, chunked", "gzip, deflate,chunked"] {
            assert_eq!(
                of(&[(TRANSFER_ENCODING, unknown)], Version::HTTP_11),
                Err(Rule::TransferCoding),
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
            assert_eq!(of(&fields, version), Err(Rule::MalformedRequest), "{fields:?} {version:?}");
        }
    }
}
