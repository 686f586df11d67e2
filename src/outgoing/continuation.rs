//! Downloads that break off: which can be continued, and how the missing bytes must look.
//!
//! MinIO ends a response whose reader pauses for half a minute, and a failing node ends all of its responses. The
//! object still exists, so the missing bytes are requested by range, on condition that the object is unchanged.

use http::{HeaderValue, StatusCode};
use http1::Fields;
use std::fmt;

/// The shortest response that is continued, in bytes. Shorter ones are in the kernel's buffers before they can break
/// off.
pub(crate) const LEAST: u64 = 256 * 1024;
/// Longest entity tag that is sent back to the store, in bytes.
const MAX_TAG: usize = 256;

/// The bytes of an object that a response still lacks.
#[derive(Debug)]
pub struct Rest {
    etag: HeaderValue,
    coding: Option<HeaderValue>,
    /// Offset of the first missing byte.
    next: u64,
    /// Offset of the last byte of the response.
    last: u64,
    /// The object's length.
    total: u64,
}

/// The outcome of a continuation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The store sent the missing bytes.
    Continued,
    /// The object was deleted or replaced.
    Changed,
    /// The store sent something other than the missing bytes.
    Refused,
    /// The store was unreachable, or broke off too often.
    Failed,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: [Self; 4] = [Self::Continued, Self::Changed, Self::Refused, Self::Failed];

    /// Returns its name in the metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Continued => "continued",
            Self::Changed => "changed",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// The reason a response is not the missing part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTheRest {
    /// The object was deleted or replaced.
    Changed,
    /// Its status is not 206 Partial Content.
    Status(StatusCode),
    /// It contains a different range.
    Range,
}

impl NotTheRest {
    /// Returns the meaning of a status other than 206.
    pub const fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::PRECONDITION_FAILED | StatusCode::NOT_FOUND => Self::Changed,
            other => Self::Status(other),
        }
    }

    /// Returns the outcome of the continuation.
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::Changed => Outcome::Changed,
            Self::Status(_) | Self::Range => Outcome::Refused,
        }
    }
}

impl fmt::Display for NotTheRest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed => f.write_str("the object has been replaced or deleted since"),
            Self::Status(status) => write!(f, "the store answered {status} to the request for its rest"),
            Self::Range => f.write_str("the store sent a range other than the missing one"),
        }
    }
}

impl Rest {
    /// Returns the missing part of a response with this head and `left` bytes to come. Returns `None` if it could not
    /// be distinguished from a part of another object.
    pub fn of(status: StatusCode, fields: &Fields, left: u64) -> Option<Self> {
        let etag = fields.value("etag").filter(is_strong_tag)?;
        let (next, last, total) = match status {
            StatusCode::OK if !fields.has("content-range") => (0, left.checked_sub(1)?, left),
            StatusCode::PARTIAL_CONTENT => content_range(fields)?,
            _ => return None,
        };
        let has_all = last.checked_sub(next).and_then(|length| length.checked_add(1)) == Some(left);
        has_all.then(|| Self { etag, coding: fields.value("content-encoding"), next, last, total })
    }

    /// Counts bytes that have arrived.
    pub fn advance(&mut self, bytes: u64) {
        self.next = self.next.saturating_add(bytes);
    }

    /// Returns the offset of the first missing byte.
    pub fn position(&self) -> u64 {
        self.next
    }

    /// Returns the object's entity tag, as the value of `If-Match`.
    pub fn etag(&self) -> HeaderValue {
        self.etag.clone()
    }

    /// Returns the missing bytes as the value of `Range`, or `None` if nothing is missing.
    pub fn range(&self) -> Option<HeaderValue> {
        let Self { next, last, .. } = self;
        (next <= last).then(|| HeaderValue::try_from(format!("bytes={next}-{last}")).ok())?
    }

    /// Compares a response's head and body length with what is missing.
    ///
    /// # Errors
    /// When they differ.
    pub fn check(&self, status: StatusCode, fields: &Fields, length: Option<u64>) -> Result<(), NotTheRest> {
        if status != StatusCode::PARTIAL_CONTENT {
            return Err(NotTheRest::of_status(status));
        }
        if fields.value("etag").as_ref() != Some(&self.etag) {
            return Err(NotTheRest::Changed);
        }
        let is_rest = content_range(fields) == Some((self.next, self.last, self.total))
            && fields.value("content-encoding") == self.coding
            && length == self.last.checked_sub(self.next).and_then(|length| length.checked_add(1));
        if is_rest { Ok(()) } else { Err(NotTheRest::Range) }
    }
}

/// Returns whether a value is one strong entity tag, which identifies exactly these bytes (RFC 9110, section 8.8.3).
fn is_strong_tag(value: &HeaderValue) -> bool {
    let opaque = value.as_bytes().strip_prefix(b"\"").and_then(|tag| tag.strip_suffix(b"\""));
    opaque.is_some_and(|tag| {
        (1..=MAX_TAG).contains(&tag.len()) && tag.iter().all(|byte| matches!(byte, b'!' | b'#'..=b'~'))
    })
}

/// Returns the first and last position of a range, and the object's length.
fn content_range(fields: &Fields) -> Option<(u64, u64, u64)> {
    let mut values = fields.all("content-range");
    let value = str::from_utf8(values.next()?).ok()?;
    if values.next().is_some() {
        return None;
    }
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, total) = (number(first)?, number(last)?, number(total)?);
    (first <= last && last < total).then_some((first, last, total))
}

fn number(digits: &str) -> Option<u64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    fn fields(lines: &[(&'static str, &str)]) -> Fields {
        let field = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        lines.iter().map(field).collect()
    }

    const ETAG: (&str, &str) = ("etag", "\"0123\"");
    const GOOD: (&str, &str) = ("content-range", "bytes 4-9/10");

    type Lines = &'static [(&'static str, &'static str)];

    fn range_of(status: u16, lines: &[(&'static str, &str)], left: u64) -> Option<String> {
        let rest = Rest::of(StatusCode::from_u16(status).unwrap(), &fields(lines), left)?;
        Some(rest.range()?.to_str().unwrap().to_owned())
    }

    #[test]
    fn only_identified_objects_have_a_rest() {
        let cases: [(u16, Lines, u64, Option<&str>); 17] = [
            (200, &[ETAG], 10, Some("bytes=0-9")),
            (206, &[ETAG, ("content-range", "bytes 5-9/10")], 5, Some("bytes=5-9")),
            (206, &[ETAG, ("content-range", "bytes 0-0/1")], 1, Some("bytes=0-0")),
            (200, &[ETAG], 0, None),
            (200, &[], 10, None),
            (200, &[("etag", "W/\"0123\"")], 10, None),
            (200, &[("etag", "0123")], 10, None),
            (200, &[("etag", "\"\"")], 10, None),
            (200, &[("etag", "\"a\", \"b\"")], 10, None),
            (200, &[ETAG, ("content-range", "bytes 0-9/10")], 10, None),
            (206, &[ETAG], 10, None),
            (206, &[ETAG, ("content-range", "bytes 5-9/10")], 4, None),
            (206, &[ETAG, ("content-range", "bytes 5-9/*")], 5, None),
            (206, &[ETAG, ("content-range", "bytes 9-5/10")], 5, None),
            (206, &[ETAG, ("content-range", "bytes +5-9/10")], 5, None),
            (206, &[ETAG, ("content-range", "bytes 0-18446744073709551615/18446744073709551615")], 0, None),
            (404, &[ETAG], 10, None),
        ];
        for (status, lines, left, expected) in cases {
            assert_eq!(range_of(status, lines, left).as_deref(), expected, "{status} {lines:?} {left}");
        }
    }

    #[test]
    fn a_rest_must_be_the_missing_bytes_of_the_same_object() {
        type Case = (u16, Lines, Option<u64>, Result<(), NotTheRest>);
        let mut rest = Rest::of(StatusCode::OK, &fields(&[ETAG]), 10).unwrap();
        rest.advance(4);
        assert_eq!((rest.position(), rest.range().unwrap()), (4, HeaderValue::from_static("bytes=4-9")));
        let cases: [Case; 12] = [
            (206, &[ETAG, GOOD], Some(6), Ok(())),
            (206, &[ETAG, GOOD], Some(5), Err(NotTheRest::Range)),
            (206, &[ETAG, GOOD], None, Err(NotTheRest::Range)),
            (206, &[ETAG], Some(6), Err(NotTheRest::Range)),
            (206, &[ETAG, ("content-range", "bytes 3-9/10")], Some(6), Err(NotTheRest::Range)),
            (206, &[ETAG, ("content-range", "bytes 4-9/11")], Some(6), Err(NotTheRest::Range)),
            (206, &[ETAG, GOOD, ("content-encoding", "gzip")], Some(6), Err(NotTheRest::Range)),
            (206, &[("etag", "\"4567\""), GOOD], Some(6), Err(NotTheRest::Changed)),
            (206, &[GOOD], Some(6), Err(NotTheRest::Changed)),
            (412, &[], Some(6), Err(NotTheRest::Changed)),
            (404, &[], Some(6), Err(NotTheRest::Changed)),
            (200, &[ETAG], Some(10), Err(NotTheRest::Status(StatusCode::OK))),
        ];
        for (status, lines, length, expected) in cases {
            let checked = rest.check(StatusCode::from_u16(status).unwrap(), &fields(lines), length);
            assert_eq!(checked, expected, "{status} {lines:?} {length:?}");
        }
        rest.advance(6);
        assert_eq!(rest.range(), None);
    }
}
