//! Grammars of ids that the store issues: versions and uploads.

use super::{BadValue, Dialect, Read, respelled};
use crate::refusal::Rule;
use crate::s3::target::Spelling;
use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The version that MinIO also calls `null`.
const NIL: &str = "00000000-0000-0000-0000-000000000000";
const MAX_VERSION: usize = 1024;
const MAX_UPLOAD: usize = 512;

/// The most lenient decoder of any store. Decoding something that the store would not decode does no harm.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Reads a version id. MinIO also accepts a UUID in braces, without dashes, or as a URN, which would give one version
/// eight names.
pub(super) fn version(value: &str, dialect: Dialect) -> Read {
    match dialect {
        Dialect::Minio if value == "null" || value == NIL => Ok(respelled(value, "null".to_owned())),
        Dialect::Minio if is_uuid(value, u8::is_ascii_hexdigit) => {
            Ok(respelled(value, value.to_ascii_lowercase()))
        }
        Dialect::Minio => Err(BadValue::argument("null or a UUID, as a list of versions shows it")),
        Dialect::S3 if is_unreserved(value, MAX_VERSION) => Ok(Spelling::AsIs),
        Dialect::S3 => Err(BadValue::argument(
            "1 to 1024 letters, digits, '.', '_', '~' and '-', as a list of versions shows it",
        )),
    }
}

fn is_unreserved(value: &str, most: usize) -> bool {
    (1..=most).contains(&value.len())
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte))
}

/// Returns whether a text has a UUID's shape: 8-4-4-4-12 digits.
fn is_uuid(text: &str, is_digit: fn(&u8) -> bool) -> bool {
    let is_dash = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| if is_dash(at) { byte == b'-' } else { is_digit(&byte) })
}

/// Returns whether a text is a UUID in MinIO's spelling.
pub(super) fn is_lower_uuid(text: &str) -> bool {
    is_uuid(text, |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Reads an upload id. MinIO uses the text after the first dot as a folder's name, and an abort removes that folder.
/// An id that names no upload could reach all uploads of the key, or another key.
pub(super) fn upload(value: &str, dialect: Dialect) -> Read {
    let good = match dialect {
        Dialect::Minio => is_minios_upload(value),
        Dialect::S3 => is_opaque_upload(value),
    };
    if good {
        return Ok(Spelling::AsIs);
    }
    Err(BadValue { rule: Rule::NoSuchUpload, expected: "the id that CreateMultipartUpload returned" })
}

/// Reads the upload after which a list of uploads starts.
pub(super) fn upload_position(value: &str, dialect: Dialect) -> Read {
    upload(value, dialect)
        .map_err(|_| BadValue::argument("the NextUploadIdMarker that the list before has shown"))
}

/// Returns when an upload of MinIO began, in nanoseconds since 1970, which its id contains. Returns `None` for other
/// ids.
pub(crate) fn began_at(id: &str) -> Option<i128> {
    if !is_minios_upload(id) {
        return None;
    }
    let decoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(id).ok()?;
    let time = str::from_utf8(&decoded).ok()?.rsplit_once('x')?.1;
    time.parse().ok()
}

/// Returns whether the id is the base64url of `DEPLOYMENT.UPLOADxTIME` with two UUIDs, as MinIO writes it.
fn is_minios_upload(value: &str) -> bool {
    let decoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(value);
    let text = decoded.ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let parts = text.as_deref().and_then(|text| text.split_once('.'));
    parts.is_some_and(|(deployment, upload)| {
        is_lower_uuid(deployment)
            && upload.split_once('x').is_some_and(|(id, time)| {
                is_lower_uuid(id)
                    && (1..=20).contains(&time.len())
                    && time.bytes().all(|b| b.is_ascii_digit())
            })
    })
}

/// Returns whether the id may belong to any store, and does not escape its folder if decoded as MinIO does.
fn is_opaque_upload(value: &str) -> bool {
    let opaque = (1..=MAX_UPLOAD).contains(&value.len())
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~+=-".contains(&byte));
    let decoded = LENIENT.decode(value).unwrap_or_default();
    let behind_dot = |bytes: &[u8]| {
        bytes.iter().position(|byte| *byte == b'.').map(|at| bytes.get(at + 1..).unwrap_or_default().to_vec())
    };
    let is_name = |folder: &[u8]| {
        !folder.is_empty() && folder.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte))
    };
    opaque && !matches!(value, "." | "..") && behind_dot(&decoded).is_none_or(|folder| is_name(&folder))
}
