//! How a body is framed (RFC 9112, section 6). Each way to read a message in two ways ends here.

use super::Malformed;
use super::fields::list_members;
use crate::refusal::Rule;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Version};

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
    /// The framing that the fields of a message name, `None` where they name none.
    ///
    /// # Errors
    /// On a doubled, signed or oversized `Content-Length`, on `Transfer-Encoding` beside it, twice, in HTTP/1.0, or
    /// with anything but `chunked`.
    pub(super) fn of(headers: &HeaderMap, version: Version) -> Result<Option<Self>, Malformed> {
        let length = content_length(headers)?;
        if !headers.contains_key(TRANSFER_ENCODING) {
            return Ok(length.map(Self::Length));
        }
        if length.is_some() {
            return Err(Malformed::message("Content-Length and Transfer-Encoding exclude each other"));
        }
        if version != Version::HTTP_11 {
            return Err(Malformed::message("HTTP/1.0 has no Transfer-Encoding"));
        }
        check_coding(headers).map(|()| Some(Self::Chunked))
    }
}

fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Malformed> {
    let mut lines = headers.get_all(CONTENT_LENGTH).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    let bad = || Malformed::message("Content-Length is not one decimal number");
    if lines.next().is_some() {
        return Err(bad());
    }
    let digits = line.as_bytes();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(bad());
    }
    let number = digits
        .iter()
        .try_fold(0_u64, |number, digit| number.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
    number.map(Some).ok_or_else(bad)
}

/// Exactly one `chunked` is understood.
fn check_coding(headers: &HeaderMap) -> Result<(), Malformed> {
    let mut codings = list_members(headers, &TRANSFER_ENCODING);
    let (first, second) = (codings.next().unwrap_or_default(), codings.next());
    let chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    if second.is_none() && chunked(first) {
        return Ok(());
    }
    let mut codings: Vec<&[u8]> = list_members(headers, &TRANSFER_ENCODING).collect();
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
    use http::{HeaderName, HeaderValue};

    fn of(fields: &[(HeaderName, &str)], version: Version) -> Result<Option<Framing>, Rule> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        Framing::of(&headers, version).map_err(|malformed| malformed.rule)
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
            let Ok(value) = HeaderValue::from_str(bad) else { continue };
            let mut headers = HeaderMap::new();
            headers.append(TRANSFER_ENCODING, value);
            let rule = Framing::of(&headers, Version::HTTP_11).map_err(|malformed| malformed.rule);
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
