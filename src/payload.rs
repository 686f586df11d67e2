//! Payload forms: how a client frames a body, and how it is passed on.
//!
//! | the client sends | the store gets |
//! |---|---|
//! | `Content-Length` | the same, with the client's SHA-256 or `UNSIGNED-PAYLOAD`, and its checksum headers |
//! | aws-chunked with a decoded length | what is inside, with `Content-Length` |
//! | the same with a trailing checksum | the content is held until the checksum is known, which then is a header |
//! | anything without a length | held as well |
//! | a body that means nothing, with GET, HEAD or DELETE | none; it is read and dropped, 64 KiB at most |
//! | an object under a condition | held as well: the store locks the key while the body comes |
//!
//! What is held goes on as one PUT with `Content-Length` if it is small, else as a multipart upload. The store is never
//! sent a trailer: a connection that breaks inside one makes MinIO append zeros until its memory runs out.

use crate::aws_chunked::{Envelope, Malformed};
use crate::checksum::{Algorithm, Checksum, Mismatch};
use crate::content::UploadError;
use crate::http1::{Fields, visible};
use crate::operation::{Operation, Spec};
use crate::refusal::{Refusal, Rule};
use http::{HeaderName, HeaderValue, Method, header};

/// S3's largest object in one PUT, and the largest part: 5 GiB.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
pub const MAX_SINGLE_PUT: u64 = 5 * 1024 * 1024 * 1024;

const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// How `x-amz-content-sha256` names an aws-chunked body.
const STREAMING: [&str; 5] = [
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
    "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER",
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
];
const X_AMZ_DECODED_CONTENT_LENGTH: HeaderName = HeaderName::from_static("x-amz-decoded-content-length");
/// The hash that a client gives of its body.
pub const X_AMZ_CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const X_AMZ_TRAILER: HeaderName = HeaderName::from_static("x-amz-trailer");

/// A request body as it will be passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// None.
    Empty,
    /// A number of bytes, with the SHA-256 that the client gave for them, in lower-case hexadecimal.
    Sized(u64, Option<HeaderValue>),
    /// A number of bytes, which come in an aws-chunked envelope.
    Unwrapped(u64),
    /// Bytes that are held before the request to the store begins.
    Held(HeldBody),
}

/// What is known of a body that is held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldBody {
    /// What the client has put around the content.
    pub envelope: Option<Envelope>,
    /// The length of the content in bytes, where the client says it.
    pub length: Option<u64>,
    /// The SHA-256 that the client gave, in lower-case hexadecimal.
    pub sha256: Option<HeaderValue>,
}

impl Payload {
    /// The form of a request's body.
    ///
    /// # Errors
    /// When the operation takes no body and there is one, when what is said of it is contradictory, or when it
    /// cannot be passed on.
    pub fn classify(spec: &Spec, fields: &Fields) -> Result<Self, Refusal> {
        let length = decimal(fields, header::CONTENT_LENGTH.as_str())?;
        let endless = fields.has(header::TRANSFER_ENCODING.as_str());
        if !spec.body {
            check_unused(length.unwrap_or(0), most_unused(&spec.method.method()))?;
            return Ok(Self::Empty);
        }
        let conditional = spec.operation == Operation::PutObject && has_condition(fields);
        let payload = match envelope(fields)? {
            None if endless => Self::held(None, None, client_sha256(fields)),
            None => match length.unwrap_or(0) {
                length @ 1.. if conditional => Self::held(None, Some(length), client_sha256(fields)),
                length => Self::Sized(length, client_sha256(fields)),
            },
            // An envelope around nothing has an end all the same, which is read before anything goes on.
            Some(Envelope { decoded: Some(length @ 1..), trailer: None }) if !conditional => {
                Self::Unwrapped(length)
            }
            Some(envelope) => Self::held(Some(envelope), envelope.decoded, None),
        };
        check_single_put(payload.length())?;
        Ok(payload)
    }

    fn held(envelope: Option<Envelope>, length: Option<u64>, sha256: Option<HeaderValue>) -> Self {
        Self::Held(HeldBody { envelope, length, sha256 })
    }

    /// Whether nothing is in it, as far as the request's head says.
    pub fn is_known_to_be_empty(&self) -> bool {
        match self {
            Self::Empty | Self::Sized(0, _) => true,
            Self::Held(body) => body.length == Some(0),
            _ => false,
        }
    }

    /// Returns the length of the content in bytes; 0 where it is unknown.
    pub fn length(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Sized(length, _) | Self::Unwrapped(length) => *length,
            Self::Held(body) => body.length.unwrap_or(0),
        }
    }

    /// What the client has put around the content.
    pub fn envelope(&self) -> Option<Envelope> {
        match *self {
            Self::Empty | Self::Sized(..) => None,
            Self::Unwrapped(length) => Some(Envelope { decoded: Some(length), trailer: None }),
            Self::Held(HeldBody { envelope, .. }) => envelope,
        }
    }

    /// `x-amz-content-sha256` for the store.
    pub fn content_sha256(&self) -> HeaderValue {
        match self {
            Self::Sized(_, Some(hash)) => hash.clone(),
            _ => HeaderValue::from_static(UNSIGNED),
        }
    }

    /// Makes a client's headers say of the body what will be true when it is passed on.
    pub fn amend(&self, headers: &mut Vec<(HeaderName, HeaderValue)>) {
        if self.envelope().is_some() {
            headers.retain_mut(|(name, value)| *name != header::CONTENT_ENCODING || unwrap_encoding(value));
        }
    }
}

/// The most of a body that means nothing, in bytes: with GET, HEAD and DELETE, as S3 has it. Any other method that
/// takes no body is refused with one, since its client expects an effect.
pub fn most_unused(method: &Method) -> u64 {
    match *method {
        Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS => MAX_UNUSED,
        _ => 0,
    }
}

const MAX_UNUSED: u64 = 64 * 1024;

/// Checks a body that means nothing.
///
/// # Errors
/// When it has more than `most` bytes.
pub fn check_unused(length: u64, most: u64) -> Result<(), Refusal> {
    if length <= most {
        return Ok(());
    }
    let why = match most {
        0 => "this operation takes no body: leave it out".to_owned(),
        _ => format!("the body of this operation means nothing and may have {most} bytes: leave it out"),
    };
    Err(Refusal::new(Rule::PayloadForm, why))
}

/// Refuses what S3 does not take at once.
///
/// # Errors
/// When it is longer than 5 GiB.
pub fn check_single_put(length: u64) -> Result<(), Refusal> {
    if length <= MAX_SINGLE_PUT {
        return Ok(());
    }
    Err(Refusal::new(Rule::TooLarge, "a single upload is at most 5 GiB: use multipart upload"))
}

impl From<UploadError> for Refusal {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Envelope(Malformed(why)) => {
                Self::new(Rule::BadEnvelope, format!("the aws-chunked body is malformed: {why}"))
            }
            UploadError::Checksum(mismatch) => checksum_mismatch(mismatch),
            UploadError::Body(error) => Self::new(Rule::BadBody, error.to_string()),
        }
    }
}

/// Returns the refusal of a body that does not match its checksum, in the store's words.
pub fn checksum_mismatch(mismatch: Mismatch) -> Refusal {
    match mismatch {
        Mismatch(Algorithm::Md5) => {
            Refusal::new(Rule::BadDigest, "The Content-Md5 you specified did not match what we received.")
        }
        Mismatch(algorithm) => Refusal::new(
            Rule::ChecksumMismatch,
            format!("The provided {:?} header does not match what was computed.", algorithm.header()),
        ),
    }
}

/// Takes `aws-chunked` out of a `Content-Encoding`; whether anything is left.
fn unwrap_encoding(value: &mut HeaderValue) -> bool {
    let text = value.to_str().unwrap_or_default();
    let left: Vec<&str> = text
        .split(',')
        .map(str::trim)
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    let left = left.join(",");
    *value = HeaderValue::try_from(&left).unwrap_or_else(|_| HeaderValue::from_static(""));
    !left.is_empty()
}

fn has_condition(fields: &Fields) -> bool {
    fields.has(header::IF_MATCH.as_str()) || fields.has(header::IF_NONE_MATCH.as_str())
}

fn decimal(fields: &Fields, name: &str) -> Result<Option<u64>, Refusal> {
    let mut values = fields.all(name);
    let Some(value) = values.next() else { return Ok(None) };
    let digits = visible(value).filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
    match (digits.and_then(|digits| digits.parse().ok()), values.next()) {
        (Some(length), None) => Ok(Some(length)),
        _ => Err(Refusal::new(Rule::BadHeader, format!("{name} is not one decimal number"))),
    }
}

/// The envelope of a body, if it has one. Not every client says so in every header.
fn envelope(fields: &Fields) -> Result<Option<Envelope>, Refusal> {
    let sha256 = only(fields, "x-amz-content-sha256")?;
    let streaming = sha256.is_some_and(|value| STREAMING.iter().any(|mode| value.eq_ignore_ascii_case(mode)));
    if !streaming && sha256.is_some_and(|value| has_prefix(value, "STREAMING-")) {
        let why = "x-amz-content-sha256 names a way of streaming that is not known";
        return Err(Refusal::new(Rule::PayloadForm, why));
    }
    let encoded = fields
        .all(header::CONTENT_ENCODING.as_str())
        .filter_map(visible)
        .any(|value| value.split(',').any(|coding| coding.trim().eq_ignore_ascii_case("aws-chunked")));
    let decoded = decimal(fields, X_AMZ_DECODED_CONTENT_LENGTH.as_str())?;
    let trailer = trailer(fields)?;
    if !streaming && !encoded && decoded.is_none() && trailer.is_none() {
        return Ok(None);
    }
    if !streaming && sha256.is_some() {
        let why = "x-amz-content-sha256 is that of a plain body, other headers say that it is aws-chunked";
        return Err(Refusal::new(Rule::BadHeader, why));
    }
    Ok(Some(Envelope { decoded, trailer }))
}

fn has_prefix(value: &str, prefix: &str) -> bool {
    value.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn only<'f>(fields: &'f Fields, name: &str) -> Result<Option<&'f str>, Refusal> {
    let mut values = fields.all(name);
    let Some(value) = values.next() else { return Ok(None) };
    match (visible(value), values.next()) {
        (Some(value), None) => Ok(Some(value)),
        _ => Err(Refusal::new(Rule::BadHeader, format!("the header {name} is not one text"))),
    }
}

fn trailer(fields: &Fields) -> Result<Option<Algorithm>, Refusal> {
    let Some(name) = only(fields, X_AMZ_TRAILER.as_str())? else { return Ok(None) };
    match Algorithm::of_header(name.trim()) {
        Some(algorithm) if algorithm != Algorithm::Md5 => Ok(Some(algorithm)),
        _ => Err(Refusal::new(Rule::PayloadForm, "x-amz-trailer does not name one x-amz-checksum-* trailer")),
    }
}

/// The hash a client gave is signed, so that the store verifies the body against it.
fn client_sha256(fields: &Fields) -> Option<HeaderValue> {
    let value = fields.get(X_AMZ_CONTENT_SHA256.as_str())?;
    Checksum::parse_sha256_hex(value).ok()?;
    HeaderValue::from_bytes(&value.to_ascii_lowercase()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{Operation, TABLE};

    type Headers<'a> = &'a [(&'static str, &'a str)];

    fn map(headers: Headers<'_>) -> Fields {
        let field = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        headers.iter().map(field).collect()
    }

    fn classify(operation: Operation, headers: Headers<'_>) -> Result<Payload, Rule> {
        let spec = TABLE.iter().find(|row| row.operation == operation).unwrap();
        Payload::classify(spec, &map(headers)).map_err(|refusal| refusal.rule)
    }

    #[test]
    fn plain_forms() {
        use Operation::{CompleteMultipartUpload, CopyObject, DeleteObject, GetObject, PutObject};
        let sha = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855";
        let lower = Some(HeaderValue::from_str(&sha.to_lowercase()).unwrap());
        let (if_match, if_none) = (("if-match", "\"e\""), ("if-none-match", "*"));
        let length = ("content-length", "7");
        let cases: [(Operation, Headers<'_>, Payload); 17] = [
            (GetObject, &[], Payload::Empty),
            (GetObject, &[("content-length", "65536")], Payload::Empty),
            (GetObject, &[("transfer-encoding", "chunked")], Payload::Empty),
            (DeleteObject, &[("content-length", "1")], Payload::Empty),
            (CopyObject, &[("content-length", "0")], Payload::Empty),
            (GetObject, &[("content-length", "0")], Payload::Empty),
            (PutObject, &[("content-length", "7")], Payload::Sized(7, None)),
            (PutObject, &[], Payload::Sized(0, None)),
            (
                PutObject,
                &[("content-length", "0"), ("x-amz-content-sha256", sha)],
                Payload::Sized(0, lower.clone()),
            ),
            (
                PutObject,
                &[("content-length", "0"), ("x-amz-content-sha256", "UNSIGNED-PAYLOAD")],
                Payload::Sized(0, None),
            ),
            (PutObject, &[("transfer-encoding", "chunked")], Payload::held(None, None, None)),
            (
                PutObject,
                &[("transfer-encoding", "chunked"), ("x-amz-content-sha256", sha)],
                Payload::held(None, None, lower.clone()),
            ),
            (PutObject, &[length, if_none], Payload::held(None, Some(7), None)),
            (
                PutObject,
                &[length, if_match, ("x-amz-content-sha256", sha)],
                Payload::held(None, Some(7), lower),
            ),
            (PutObject, &[("content-length", "0"), if_none], Payload::Sized(0, None)),
            (PutObject, &[if_none], Payload::Sized(0, None)),
            // The store does not lock the key while a document comes.
            (CompleteMultipartUpload, &[length, if_none], Payload::Sized(7, None)),
        ];
        for (operation, headers, payload) in cases {
            assert_eq!(classify(operation, headers), Ok(payload), "{headers:?}");
        }
    }

    #[test]
    fn enveloped_forms() {
        use Operation::{CompleteMultipartUpload, PutObject, UploadPart};
        let decoded = ("x-amz-decoded-content-length", "5");
        let crc = ("x-amz-trailer", "X-Amz-Checksum-Crc32");
        let inside = |decoded, trailer| Payload::held(Some(Envelope { decoded, trailer }), decoded, None);
        let trailed = inside(Some(5), Some(Algorithm::Crc32));
        let if_none = ("if-none-match", "*");
        for mode in STREAMING {
            let headers = [("content-length", "90"), ("x-amz-content-sha256", mode), decoded];
            assert_eq!(classify(PutObject, &headers), Ok(Payload::Unwrapped(5)), "{mode}");
            let headers = [("transfer-encoding", "chunked"), ("x-amz-content-sha256", mode), decoded, crc];
            assert_eq!(classify(PutObject, &headers), Ok(trailed.clone()), "{mode}");
        }
        let cases: [(Operation, Headers<'_>, Payload); 9] = [
            (PutObject, &[("content-encoding", "gzip, AWS-Chunked"), decoded], Payload::Unwrapped(5)),
            (PutObject, &[("content-encoding", "aws-chunked"), decoded, if_none], inside(Some(5), None)),
            (UploadPart, &[("content-encoding", "aws-chunked"), decoded, crc], trailed.clone()),
            (UploadPart, &[decoded, crc], trailed),
            (PutObject, &[crc], inside(None, Some(Algorithm::Crc32))),
            (PutObject, &[("content-encoding", "aws-chunked")], inside(None, None)),
            (PutObject, &[("x-amz-decoded-content-length", "0")], inside(Some(0), None)),
            (
                PutObject,
                &[("x-amz-decoded-content-length", "0"), crc],
                inside(Some(0), Some(Algorithm::Crc32)),
            ),
            (CompleteMultipartUpload, &[decoded, crc], inside(Some(5), Some(Algorithm::Crc32))),
        ];
        for (operation, headers, payload) in cases {
            assert_eq!(classify(operation, headers), Ok(payload), "{headers:?}");
        }
    }

    #[test]
    fn refused_forms() {
        use Operation::{CopyObject, GetObject, PutObject};
        let cases: [(Operation, Headers<'_>, Rule); 15] = [
            (GetObject, &[("content-length", "65537")], Rule::PayloadForm),
            (CopyObject, &[("content-length", "1")], Rule::PayloadForm),
            (PutObject, &[("content-length", "1"), ("content-length", "1")], Rule::BadHeader),
            (PutObject, &[("content-length", "+1")], Rule::BadHeader),
            (PutObject, &[("content-length", "99999999999999999999999")], Rule::BadHeader),
            (PutObject, &[("content-length", "5368709121")], Rule::TooLarge),
            (PutObject, &[("x-amz-decoded-content-length", "5368709121")], Rule::TooLarge),
            (PutObject, &[("x-amz-decoded-content-length", "-1")], Rule::BadHeader),
            (
                PutObject,
                &[("x-amz-decoded-content-length", "1"), ("x-amz-decoded-content-length", "2")],
                Rule::BadHeader,
            ),
            (PutObject, &[("x-amz-content-sha256", "STREAMING-AWS5")], Rule::PayloadForm),
            (PutObject, &[("x-amz-trailer", "x-amz-meta-a")], Rule::PayloadForm),
            (PutObject, &[("x-amz-trailer", "content-md5")], Rule::PayloadForm),
            (PutObject, &[("x-amz-trailer", "x-amz-checksum-crc32,x-amz-checksum-sha1")], Rule::PayloadForm),
            (
                PutObject,
                &[("content-encoding", "aws-chunked"), ("x-amz-content-sha256", UNSIGNED)],
                Rule::BadHeader,
            ),
            (
                PutObject,
                &[("x-amz-trailer", "x-amz-checksum-crc32"), ("x-amz-content-sha256", &"0".repeat(64))],
                Rule::BadHeader,
            ),
        ];
        for (operation, headers, rule) in cases {
            assert_eq!(classify(operation, headers), Err(rule), "{headers:?}");
        }
    }

    #[test]
    fn content_encodings_are_unwrapped_too() {
        let cases = [
            ("aws-chunked", None),
            ("gzip,aws-chunked", Some("gzip")),
            ("aws-chunked, gzip", Some("gzip")),
            ("gzip , AWS-CHUNKED,br", Some("gzip,br")),
        ];
        for (given, left) in cases {
            let mut headers = vec![(header::CONTENT_ENCODING, HeaderValue::from_static(given))];
            Payload::Unwrapped(1).amend(&mut headers);
            let found = |name: &str| {
                headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.to_str().unwrap())
            };
            assert_eq!(found("content-encoding"), left, "{given}");
        }
    }
}
