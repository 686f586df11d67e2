//! Payload forms: how a client frames a body, and how it is passed on.

use crate::operation::Spec;
use crate::refusal::{Refusal, Rule};
use http::{HeaderMap, HeaderValue, header};

/// S3's largest object in one PUT, and the largest part: 5 GiB.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
pub const MAX_SINGLE_PUT: u64 = 5 * 1024 * 1024 * 1024;

/// A request body as it will be passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// None.
    Empty,
    /// So many bytes, with the SHA-256 that the client gave for them, in lower-case hexadecimal.
    Sized(u64, Option<HeaderValue>),
}

impl Payload {
    /// The form of a request's body.
    ///
    /// # Errors
    /// When the operation takes no body and there is one, when its length is unknown, or when it is wrapped in
    /// a form that would be stored as part of the object.
    pub fn classify(spec: &Spec, headers: &HeaderMap) -> Result<Self, Refusal> {
        let length = content_length(headers)?;
        if headers.contains_key(header::TRANSFER_ENCODING) {
            return Err(Refusal::new(
                Rule::LengthRequired,
                "the body has no length: send Content-Length (with curl, upload a file, not a pipe)",
            ));
        }
        if !spec.body {
            return match length {
                None | Some(0) => Ok(Self::Empty),
                Some(_) => Err(Refusal::new(Rule::PayloadForm, "this operation takes no body")),
            };
        }
        refuse_aws_chunked(headers)?;
        let length = length.unwrap_or(0);
        if length > MAX_SINGLE_PUT {
            return Err(Refusal::new(
                Rule::TooLarge,
                "a single upload is at most 5 GiB: use multipart upload",
            ));
        }
        Ok(Self::Sized(length, client_sha256(headers)))
    }

    /// The length in bytes.
    pub fn length(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Sized(length, _) => *length,
        }
    }
}

fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let mut values = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let digits =
        value.to_str().ok().filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
    match (digits.and_then(|digits| digits.parse().ok()), values.next()) {
        (Some(length), None) => Ok(Some(length)),
        _ => Err(Refusal::new(Rule::BadHeader, "Content-Length is not one decimal number")),
    }
}

/// The aws-chunked envelope belongs to the client's own signature; forwarded, it would become the object.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html>
fn refuse_aws_chunked(headers: &HeaderMap) -> Result<(), Refusal> {
    let names = |name: &str, what: &[u8]| {
        headers
            .get_all(name)
            .iter()
            .any(|value| value.as_bytes().windows(what.len()).any(|window| window.eq_ignore_ascii_case(what)))
    };
    let wrapped = names("content-encoding", b"aws-chunked")
        || names("x-amz-content-sha256", b"streaming-")
        || headers.contains_key("x-amz-decoded-content-length")
        || headers.contains_key("x-amz-trailer");
    if wrapped {
        return Err(Refusal::new(
            Rule::PayloadForm,
            "aws-chunked bodies are not supported: have the client sign nothing (for the AWS CLI --no-sign-request) \
             and compute checksums only when required",
        ));
    }
    Ok(())
}

/// The hash a client gave is signed, so that the store verifies the body against it.
fn client_sha256(headers: &HeaderMap) -> Option<HeaderValue> {
    let value = headers.get("x-amz-content-sha256")?;
    let hex = value.as_bytes().len() == 64 && value.as_bytes().iter().all(u8::is_ascii_hexdigit);
    let lower = value.as_bytes().to_ascii_lowercase();
    if hex { HeaderValue::from_bytes(&lower).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{Operation, TABLE};

    fn classify(operation: Operation, headers: &[(&'static str, &str)]) -> Result<Payload, Rule> {
        let spec = TABLE.iter().find(|row| row.operation == operation).unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        Payload::classify(spec, &map).map_err(|refusal| refusal.rule)
    }

    #[test]
    fn forms() {
        use Operation::{GetObject, PutObject};
        let sha = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855";
        assert_eq!(classify(GetObject, &[]), Ok(Payload::Empty));
        assert_eq!(classify(GetObject, &[("content-length", "0")]), Ok(Payload::Empty));
        assert_eq!(classify(GetObject, &[("content-length", "1")]), Err(Rule::PayloadForm));
        assert_eq!(classify(PutObject, &[("content-length", "7")]), Ok(Payload::Sized(7, None)));
        assert_eq!(classify(PutObject, &[]), Ok(Payload::Sized(0, None)));
        let given = classify(PutObject, &[("content-length", "0"), ("x-amz-content-sha256", sha)]);
        assert_eq!(given, Ok(Payload::Sized(0, Some(HeaderValue::from_str(&sha.to_lowercase()).unwrap()))));
        let unsigned =
            classify(PutObject, &[("content-length", "0"), ("x-amz-content-sha256", "UNSIGNED-PAYLOAD")]);
        assert_eq!(unsigned, Ok(Payload::Sized(0, None)));
    }

    #[test]
    fn refused_forms() {
        use Operation::PutObject;
        let cases: [(&[(&'static str, &str)], Rule); 9] = [
            (&[("transfer-encoding", "chunked")], Rule::LengthRequired),
            (&[("content-length", "1"), ("content-length", "1")], Rule::BadHeader),
            (&[("content-length", "+1")], Rule::BadHeader),
            (&[("content-length", "99999999999999999999999")], Rule::BadHeader),
            (&[("content-length", "5368709121")], Rule::TooLarge),
            (&[("content-encoding", "gzip, AWS-Chunked")], Rule::PayloadForm),
            (&[("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")], Rule::PayloadForm),
            (&[("x-amz-decoded-content-length", "1")], Rule::PayloadForm),
            (&[("x-amz-trailer", "x-amz-checksum-crc32")], Rule::PayloadForm),
        ];
        for (headers, rule) in cases {
            assert_eq!(classify(PutObject, headers), Err(rule), "{headers:?}");
        }
    }
}
