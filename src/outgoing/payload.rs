//! Payload forms: how a client frames a body, and how the store receives it.
//!
//! | client sends | store receives |
//! |---|---|
//! | `Content-Length` | the same, with the client's SHA-256 or `UNSIGNED-PAYLOAD`, and its checksum headers |
//! | aws-chunked with a decoded length | the content, with `Content-Length` |
//! | the same with a trailing checksum | the content, held until the checksum is known and can be a header |
//! | no length | the content, held |
//! | a meaningless body of GET, HEAD or DELETE | nothing; at most 64 KiB are read and dropped |
//! | an object under a condition | the content, held, because the store locks the key while a body arrives |
//!
//! Held content is sent as one PUT with `Content-Length` if it is small, otherwise as a multipart upload. The store
//! never receives a trailer: a connection that breaks inside one makes MinIO append zeros until its memory runs out.

use crate::authorize::operations::Spec;
use crate::refusal::{Refusal, Rule};
use crate::s3::aws_chunked::Envelope;
use crate::s3::checksum::{Algorithm, Checksum, Mismatch};
use crate::s3::limits::MAX_SINGLE_PUT;
use crate::s3::operation::Operation;
use http::{HeaderName, HeaderValue, Method, header};
use http1::{Fields, visible};

const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// The values of `x-amz-content-sha256` that announce an aws-chunked body.
const STREAMING: [&str; 5] = [
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
    "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER",
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
];
const X_AMZ_DECODED_CONTENT_LENGTH: HeaderName = HeaderName::from_static("x-amz-decoded-content-length");
/// The header with the hash of the body.
pub(crate) const X_AMZ_CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const X_AMZ_TRAILER: HeaderName = HeaderName::from_static("x-amz-trailer");

/// A request body as the store will receive it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// No body.
    Empty,
    /// A known number of bytes, and the client's SHA-256 in lower-case hexadecimal.
    Sized(u64, Option<HeaderValue>),
    /// A known number of content bytes, which arrive `aws-chunked`.
    Unwrapped(u64),
    /// Content that is held before the request to the store begins.
    Held(HeldBody),
}

/// Facts about a body that is held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldBody {
    /// The client's envelope around the content.
    pub envelope: Option<Envelope>,
    /// The length of the content in bytes, if the client says it.
    pub length: Option<u64>,
    /// The client's SHA-256, in lower-case hexadecimal.
    pub sha256: Option<HeaderValue>,
}

impl Payload {
    /// Determines the form of a request's body.
    ///
    /// # Errors
    /// When the operation does not allow a body, when headers contradict each other, or when the body cannot be
    /// passed on.
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
            // An empty envelope still has an end, which must be read first.
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

    /// Returns whether the request's head says that there is no content.
    pub fn is_known_to_be_empty(&self) -> bool {
        match self {
            Self::Empty | Self::Sized(0, _) => true,
            Self::Held(body) => body.length == Some(0),
            _ => false,
        }
    }

    /// Returns the length of the content in bytes, or 0 if it is unknown.
    pub fn length(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Sized(length, _) | Self::Unwrapped(length) => *length,
            Self::Held(body) => body.length.unwrap_or(0),
        }
    }

    /// Returns the client's envelope around the content.
    pub fn envelope(&self) -> Option<Envelope> {
        match *self {
            Self::Empty | Self::Sized(..) => None,
            Self::Unwrapped(length) => Some(Envelope { decoded: Some(length), trailer: None }),
            Self::Held(HeldBody { envelope, .. }) => envelope,
        }
    }

    /// Returns `x-amz-content-sha256` for the store.
    pub fn content_sha256(&self) -> HeaderValue {
        match self {
            Self::Sized(_, Some(hash)) => hash.clone(),
            _ => HeaderValue::from_static(UNSIGNED),
        }
    }

    /// Adjusts the client's headers to describe the body that the store receives.
    pub fn amend(&self, headers: &mut Vec<(HeaderName, HeaderValue)>) {
        if self.envelope().is_some() {
            headers.retain_mut(|(name, value)| *name != header::CONTENT_ENCODING || unwrap_encoding(value));
        }
    }
}

/// Returns how many bytes of a meaningless body are allowed: some with GET, HEAD and DELETE, as on S3. Any other
/// method without a body is refused with one, because the client expects an effect.
pub(crate) fn most_unused(method: &Method) -> u64 {
    match *method {
        Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS => MAX_UNUSED,
        _ => 0,
    }
}

const MAX_UNUSED: u64 = 64 * 1024;

/// Checks the length of a meaningless body.
///
/// # Errors
/// When it has more than `most` bytes.
pub(crate) fn check_unused(length: u64, most: u64) -> Result<(), Refusal> {
    if length <= most {
        return Ok(());
    }
    let why = match most {
        0 => "this operation takes no body: leave it out".to_owned(),
        _ => format!("this operation ignores its body, which may have at most {most} bytes: leave it out"),
    };
    Err(Refusal::new(Rule::PayloadForm, why))
}

/// Checks the length of a single PUT.
///
/// # Errors
/// When it is longer than 5 GiB.
pub(crate) fn check_single_put(length: u64) -> Result<(), Refusal> {
    if length <= MAX_SINGLE_PUT {
        return Ok(());
    }
    Err(Refusal::new(Rule::TooLarge, "a single upload is at most 5 GiB: use multipart upload"))
}

/// Returns the refusal of a body that does not match its checksum, in the store's words.
pub(crate) fn checksum_mismatch(mismatch: Mismatch) -> Refusal {
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

/// Removes `aws-chunked` from a `Content-Encoding`. Returns whether anything is left.
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

/// Returns a body's envelope. Not every client announces it in every header.
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

/// Returns the client's hash of the body. It is signed, so that the store verifies the body against it.
fn client_sha256(fields: &Fields) -> Option<HeaderValue> {
    let value = fields.get(X_AMZ_CONTENT_SHA256.as_str())?;
    Checksum::parse_sha256_hex(value).ok()?;
    HeaderValue::from_bytes(&value.to_ascii_lowercase()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorize::operations::TABLE;
    use crate::s3::operation::Operation;

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
            // The store does not lock the key while a document arrives.
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
