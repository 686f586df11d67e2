//! Grammars of values that describe an object: content headers, metadata, tags and attributes.

use super::{BadValue, Dialect, Read, respelled};
use crate::refusal::Rule;
use crate::s3::target::{Query, Spelling, encode_query};

/// Maximum number of tags of an object.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html>
const MAX_TAGS: usize = 10;
const ATTRIBUTES: [&str; 5] = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"];

/// Reads a header's text of at most `most` bytes. Control characters are refused: MinIO would send them back, and no
/// client could parse the response.
pub(super) fn text(value: &str, most: usize) -> Read {
    let is_control = |byte: u8| byte.is_ascii_control() && byte != b'\t';
    match value {
        "" => Ok(Spelling::LeftOut),
        _ if value.len() <= most && !value.bytes().any(is_control) => Ok(Spelling::AsIs),
        _ => Err(BadValue::argument("a text of at most 1024 bytes without control characters")),
    }
}

pub(super) fn media_type(value: &str) -> Read {
    let is_visible = |byte: u8| matches!(byte, b' '..=b'~' | b'\t');
    match value {
        "" => Ok(Spelling::LeftOut),
        _ if value.len() <= 256 && value.bytes().all(is_visible) => Ok(Spelling::AsIs),
        _ => Err(BadValue::argument("a media type of at most 256 bytes of ASCII, such as text/plain")),
    }
}

/// Reads content codings. `aws-chunked` describes the upload's envelope, not the object, and is removed.
pub(super) fn encoding(value: &str) -> Read {
    let is_token = |coding: &str| {
        !coding.is_empty()
            && coding.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    let codings: Vec<&str> = value.split(',').map(str::trim).filter(|coding| !coding.is_empty()).collect();
    if value.len() > 128 || !codings.iter().all(|coding| is_token(coding)) {
        return Err(BadValue::argument("codings such as gzip, in at most 128 bytes"));
    }
    let is_envelope = |coding: &str| coding.eq_ignore_ascii_case("aws-chunked");
    let own: Vec<&str> = codings.into_iter().filter(|coding| !is_envelope(coding)).collect();
    Ok(match own.is_empty() {
        true => Spelling::LeftOut,
        false if value == own.join(", ") => Spelling::AsIs,
        false => respelled(value, own.join(",")),
    })
}

pub(super) fn metadata(value: &str) -> Read {
    if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
        return Err(BadValue::argument("UTF-8 without control characters"));
    }
    Ok(Spelling::AsIs)
}

/// Reads tags in query form: at most 10, each key once. MinIO stores the tags of a copy unchecked.
pub(super) fn tagging(value: &str) -> Read {
    let bad = |expected| BadValue { rule: Rule::InvalidTag, expected };
    if value.is_empty() {
        return Ok(Spelling::LeftOut);
    }
    let tags =
        Query::parse_whole(value).map_err(|_| bad("key=value&key=value, each percent-encoded once"))?;
    if tags.pairs().count() > MAX_TAGS {
        return Err(bad("at most 10 tags"));
    }
    if tags.pairs().any(|(key, value)| !is_tag(key, 1..=128) || !is_tag(value, 0..=256)) {
        return Err(bad(
            "keys of 1 to 128 and values of at most 256 of A-Z, a-z, 0-9, space and + - . _ : / @ =",
        ));
    }
    let spelled: Vec<String> =
        tags.pairs().map(|(key, value)| format!("{}={}", encode_query(key), encode_query(value))).collect();
    Ok(if spelled.is_empty() { Spelling::LeftOut } else { respelled(value, spelled.join("&")) })
}

fn is_tag(text: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    length.contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-._:/@ =".contains(&byte))
}

pub(super) fn storage_class(value: &str, dialect: Dialect) -> Read {
    let is_known = match dialect {
        Dialect::Minio => matches!(value, "STANDARD" | "REDUCED_REDUNDANCY"),
        Dialect::S3 => {
            (1..=64).contains(&value.len())
                && value
                    .bytes()
                    .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
        }
    };
    match value {
        "" => Ok(Spelling::LeftOut),
        _ if is_known => Ok(Spelling::AsIs),
        _ => Err(BadValue { rule: Rule::InvalidStorageClass, expected: "STANDARD or REDUCED_REDUNDANCY" }),
    }
}

pub(super) fn object_attributes(value: &str) -> Read {
    let mut found: Vec<&str> = Vec::new();
    for word in value.split(',').map(str::trim) {
        let known = ATTRIBUTES.into_iter().find(|attribute| attribute.eq_ignore_ascii_case(word));
        match known.filter(|attribute| !found.contains(attribute)) {
            Some(attribute) => found.push(attribute),
            None => {
                return Err(BadValue::argument(
                    "a list of ETag, Checksum, ObjectParts, StorageClass and ObjectSize, each once",
                ));
            }
        }
    }
    Ok(respelled(value, found.join(",")))
}
