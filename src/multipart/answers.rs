//! The XML of a multipart upload.

use crate::checksum::Checksum;
use crate::s3_error::element;
use http::StatusCode;
use quick_xml::escape::escape;
use std::fmt::Write as _;

/// Longest id of an upload that is taken from a store.
const MAX_UPLOAD_ID: usize = 4096;

/// A part that the store has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoredPart {
    /// Its number, from 1.
    pub(super) number: u32,
    /// Its entity tag, as the store wrote it.
    pub(super) etag: String,
    /// Its checksum, where one is kept.
    pub(super) sum: Option<Checksum>,
}

/// The id of an upload that was created.
pub(super) fn upload_id(answer: &str) -> Option<String> {
    element(answer, "UploadId").filter(|id| (1..=MAX_UPLOAD_ID).contains(&id.len()))
}

/// The body of `CompleteMultipartUpload`.
pub(super) fn completion(parts: &[StoredPart]) -> String {
    let mut xml = String::from("<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for StoredPart { number, etag, sum } in parts {
        let _ = write!(xml, "<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag>", escape(etag));
        if let Some(sum) = sum {
            let name = sum.algorithm().element();
            let _ = write!(xml, "<{name}>{}</{name}>", sum.base64());
        }
        xml.push_str("</Part>");
    }
    xml.push_str("</CompleteMultipartUpload>");
    xml
}

/// The status of a completion's answer. A store that works on it for long has said 200 before it knows; the body says
/// what became of it.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>
pub(super) fn completed_status(status: StatusCode, answer: &str) -> StatusCode {
    if !status.is_success() || element(answer, "CompleteMultipartUploadResult").is_some() {
        return status;
    }
    match element(answer, "Code").as_deref() {
        Some("PreconditionFailed") => StatusCode::PRECONDITION_FAILED,
        Some("AccessDenied") => StatusCode::FORBIDDEN,
        Some("NoSuchUpload") => StatusCode::NOT_FOUND,
        Some(
            "InvalidPart"
            | "InvalidPartOrder"
            | "EntityTooSmall"
            | "BadDigest"
            | "XAmzContentChecksumMismatch",
        ) => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::Algorithm;

    #[test]
    fn documents() {
        let created = "<InitiateMultipartUploadResult><Bucket>b</Bucket><UploadId>a&amp;b</UploadId></InitiateMultipartUploadResult>";
        assert_eq!(upload_id(created).as_deref(), Some("a&b"));
        for bad in ["", "<UploadId></UploadId>", &format!("<UploadId>{}</UploadId>", "x".repeat(5000))] {
            assert_eq!(upload_id(bad), None);
        }
        let sum = Checksum::parse(Algorithm::Crc32, b"y/Q5Jg==").ok();
        let parts = [
            StoredPart { number: 1, etag: "\"<e>\"".into(), sum },
            StoredPart { number: 2, etag: "f".into(), sum: None },
        ];
        assert_eq!(
            completion(&parts),
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Part><PartNumber>1</PartNumber>\
             <ETag>&quot;&lt;e&gt;&quot;</ETag><ChecksumCRC32>y/Q5Jg==</ChecksumCRC32></Part><Part><PartNumber>2</PartNumber>\
             <ETag>f</ETag></Part></CompleteMultipartUpload>"
        );
    }

    #[test]
    fn a_success_that_is_none() {
        let done =
            "  <CompleteMultipartUploadResult xmlns=\"x\"><ETag>e</ETag></CompleteMultipartUploadResult>";
        let cases = [
            (200, done, 200),
            (200, "  <Error><Code>PreconditionFailed</Code></Error>", 412),
            (200, "<Error><Code>InternalError</Code></Error>", 500),
            (200, "", 500),
            (412, "<Error><Code>PreconditionFailed</Code></Error>", 412),
        ];
        for (status, answer, expected) in cases {
            let status = completed_status(StatusCode::from_u16(status).unwrap(), answer);
            assert_eq!(status.as_u16(), expected, "{answer}");
        }
    }
}
