//! Reads the store's responses to the requests of a multipart upload.

use crate::s3::error::element;
use http::StatusCode;

/// Maximum length of a store's upload id.
const MAX_UPLOAD_ID: usize = 4096;

/// Returns the id of a created upload.
pub(super) fn upload_id(answer: &str) -> Option<String> {
    element(answer, "UploadId").filter(|id| (1..=MAX_UPLOAD_ID).contains(&id.len()))
}

/// Returns the status of a completion. If completing takes long, the store sends 200 before it knows the outcome,
/// which is then in the body.
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

    #[test]
    fn reads_the_id_of_an_upload() {
        let created = "<InitiateMultipartUploadResult><Bucket>b</Bucket><UploadId>a&amp;b</UploadId></InitiateMultipartUploadResult>";
        assert_eq!(upload_id(created).as_deref(), Some("a&b"));
        for bad in ["", "<UploadId></UploadId>", &format!("<UploadId>{}</UploadId>", "x".repeat(5000))] {
            assert_eq!(upload_id(bad), None);
        }
    }

    #[test]
    fn a_success_with_an_error_document_is_an_error() {
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
