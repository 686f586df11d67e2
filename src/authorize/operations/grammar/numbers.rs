//! Grammars of numbers and ranges.

use super::{BadValue, Read, respelled};
use crate::s3::limits::MAX_SINGLE_PUT;
use crate::s3::target::Spelling;

/// More digits than the length of any object has.
const MAX_DIGITS: usize = 18;

fn is_decimal(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit())
}

/// Reads the maximum number of entries of a response. A larger number than the store supports becomes `most`.
pub(super) fn at_most(value: &str, least: u64, most: u64) -> Read {
    if value.is_empty() {
        return Ok(Spelling::LeftOut);
    }
    let expected = match (least, most) {
        (0, _) => "a number from 0 to 1000",
        (_, 1000) => "a number from 1 to 1000",
        _ => "a number from 1 to 10000",
    };
    // Clients that want everything send numbers larger than any integer.
    let number = if is_decimal(value) { Some(value.parse().unwrap_or(u64::MAX)) } else { None };
    match number {
        Some(number) if number >= least => Ok(respelled(value, number.min(most).to_string())),
        _ => Err(BadValue::argument(expected)),
    }
}

/// Reads a part number from `least` to 10000, without leading zeros.
pub(super) fn part(value: &str, least: u16) -> Read {
    let canonical = is_decimal(value) && value.len() <= 5 && (value.len() == 1 || !value.starts_with('0'));
    let number = if canonical { value.parse::<u16>().ok() } else { None };
    match number {
        Some(number) if (least..=10_000).contains(&number) => Ok(Spelling::AsIs),
        _ if least == 0 => Err(BadValue::argument("a number from 0 to 10000")),
        _ => Err(BadValue::argument("a number from 1 to 10000")),
    }
}

/// Reads the size of an object.
pub(super) fn size(value: &str) -> Read {
    if is_decimal(value) && value.len() <= 13 {
        Ok(Spelling::AsIs)
    } else {
        Err(BadValue::argument("a number of bytes of at most 13 digits"))
    }
}

/// Reads the range of a read. Other units, several ranges and malformed ranges are dropped: RFC 9110, section 14.2,
/// says to ignore them, and MinIO then sends the whole object.
pub(super) fn range(value: &str) -> Spelling {
    let inner = value.trim_matches([' ', '\t']).split_once('=');
    let Some((_, span)) = inner.filter(|(unit, _)| unit.eq_ignore_ascii_case("bytes")) else {
        return Spelling::LeftOut;
    };
    let Some((first, last)) = span.split_once('-') else { return Spelling::LeftOut };
    let is_number = |text: &str| text.is_empty() || is_decimal(text);
    if (first.is_empty() && last.is_empty()) || !is_number(first) || !is_number(last) {
        return Spelling::LeftOut;
    }
    respelled(value, format!("bytes={}-{}", bounded(first), bounded(last)))
}

/// Returns a position within any object, or one past the end of all.
fn bounded(digits: &str) -> &str {
    if digits.len() <= MAX_DIGITS { digits } else { "999999999999999999" }
}

/// Reads the range of a copied part: `bytes=FIRST-LAST`, at most 5 GiB.
pub(super) fn copy_range(value: &str) -> Read {
    copied_range(value).map(|_| Spelling::AsIs)
}

/// Returns the length of a copied part's range, in bytes.
///
/// # Errors
/// When it is not such a range.
pub(crate) fn copied_range(value: &str) -> Result<u64, BadValue> {
    let bad = BadValue::argument("bytes=FIRST-LAST, of at most 5 GiB");
    let (first, last) = value.strip_prefix("bytes=").and_then(|span| span.split_once('-')).ok_or(bad)?;
    let number = |text: &str| {
        let digits = Some(text).filter(|text| is_decimal(text) && text.len() <= MAX_DIGITS);
        digits.and_then(|digits| digits.parse::<u64>().ok())
    };
    let (first, last) = number(first).zip(number(last)).ok_or(bad)?;
    let length = last.checked_sub(first).ok_or(bad)? + 1;
    if length <= MAX_SINGLE_PUT { Ok(length) } else { Err(bad) }
}
