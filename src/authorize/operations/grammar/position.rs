//! Grammars of the values that select a list's page: positions, delimiters and prefixes of bucket names.

use super::id::is_lower_uuid;
use super::{BadValue, Dialect, Read, respelled};
use crate::refusal::Rule;
use crate::s3::limits::MAX_KEY_BYTES;
use crate::s3::names::{check_position, check_segments};
use crate::s3::target::Spelling;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The beginning of the note that MinIO appends to a position. MinIO writes to the path in it, and removes that path
/// later.
const NOTE: &str = "[minio_cache";
/// Longest continuation token of another store, in bytes.
const MAX_TOKEN: usize = 2048;

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Returns the key in a list position, without MinIO's note, which MinIO does not need. The note `return:` makes
/// MinIO build and keep a list of the whole prefix. A forged `id:` makes it write to and remove any path.
///
/// The key may be one that no path may name ([`check_position`]).
///
/// # Errors
/// When the key is malformed, or its note is not one that MinIO writes.
pub(crate) fn key_of_position(position: &str) -> Result<&str, BadValue> {
    let bad = |expected| BadValue { rule: Rule::BadTarget, expected };
    let (key, note) = match position.find(NOTE) {
        Some(at) => position.split_at_checked(at).unwrap_or((position, "")),
        None => (position, ""),
    };
    if !note.is_empty() && !is_note(note) {
        return Err(bad("a key, or a position that a list has shown"));
    }
    if key.len() > MAX_KEY_BYTES {
        return Err(bad("a key of at most 1024 bytes"));
    }
    check_position(key).map_err(bad)?;
    Ok(key)
}

/// Returns whether a text is `[minio_cache:v2,return:]` or `[minio_cache:v2,id:UUID,p:POOL,s:SET]`.
fn is_note(note: &str) -> bool {
    let inner = note.strip_prefix("[minio_cache:v2,").and_then(|rest| rest.strip_suffix(']'));
    let Some(inner) = inner else { return false };
    let number = |text: Option<&str>, name: &str, digits: usize| {
        text.and_then(|text| text.strip_prefix(name)).is_some_and(|text| {
            (1..=digits).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
        })
    };
    let mut parts = inner.split(',');
    match parts.next() {
        Some("return:") => parts.next().is_none(),
        Some(id) => {
            id.strip_prefix("id:").is_some_and(is_lower_uuid)
                && number(parts.next(), "p:", 3)
                && number(parts.next(), "s:", 4)
                && parts.next().is_none()
        }
        None => false,
    }
}

pub(super) fn position(value: &str) -> Read {
    if value.is_empty() {
        return Ok(Spelling::LeftOut);
    }
    let key = key_of_position(value)?;
    check_segments(key).map_err(|expected| BadValue { rule: Rule::BadTarget, expected })?;
    Ok(if key.is_empty() { Spelling::LeftOut } else { respelled(value, key.to_owned()) })
}

/// Reads a continuation token. MinIO's is the base64 of a position; Go's decoder would skip line breaks in it and
/// accept spare bits. Another store's token is opaque, unless it contains a note of MinIO.
pub(super) fn continuation_token(value: &str, dialect: Dialect) -> Read {
    let bad = BadValue::argument("the token that the list before has shown");
    let decoded = STANDARD.decode(value).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let position = decoded.filter(|text| !text.is_empty());
    match position {
        Some(position) if dialect == Dialect::Minio || position.contains(NOTE) => {
            match key_of_position(&position)? {
                "" => Err(bad),
                key => Ok(respelled(value, STANDARD.encode(key))),
            }
        }
        _ if dialect == Dialect::S3 && is_opaque_token(value) => Ok(Spelling::AsIs),
        _ => Err(bad),
    }
}

/// Returns whether a token is visible ASCII and contains no note, even for a lenient decoder.
fn is_opaque_token(token: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=_.~-".contains(&byte);
    let standard = token.replace('-', "+").replace('_', "/");
    let decoded = LENIENT.decode(standard.trim_end_matches('=')).unwrap_or_default();
    (1..=MAX_TOKEN).contains(&token.len())
        && token.bytes().all(is_plain)
        && !String::from_utf8_lossy(&decoded).contains(NOTE)
}

pub(super) fn delimiter(value: &str) -> Read {
    match value {
        "" => Ok(Spelling::LeftOut),
        _ if value.len() <= 16 && !value.chars().any(char::is_control) => Ok(Spelling::AsIs),
        _ => Err(BadValue::argument("1 to 16 bytes without control characters, such as /")),
    }
}

pub(super) fn bucket_prefix(value: &str) -> Read {
    let is_of_names = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    if value.len() <= 63 && value.bytes().all(is_of_names) {
        Ok(Spelling::AsIs)
    } else {
        Err(BadValue::argument("the beginning of a bucket's name"))
    }
}
