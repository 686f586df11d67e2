//! Requests for a bucket's multipart uploads, from which Scopegate answers a granted list.

use super::Outgoing;
use crate::list_uploads::Question;
use crate::mapping::Grant;
use crate::payload::Payload;
use crate::s3_operation::Operation;
use crate::target::Resource;
use http::Method;

impl Outgoing {
    /// Returns a request for the multipart uploads of a bucket. It covers more than the client may see: only
    /// [`crate::list_uploads`] may decide on the question and filter the response.
    pub fn list_of_uploads(grant: &Grant<'_>, question: &Question) -> Self {
        let bucket = Resource::Bucket(grant.resource().bucket().unwrap_or_default().into());
        Self {
            operation: Operation::ListMultipartUploads,
            max_size: None,
            method: Method::GET,
            path: bucket.canonical_path(),
            query: question.query(),
            headers: Vec::new(),
            payload: Payload::Empty,
            is_range_conditional: false,
        }
    }
}
