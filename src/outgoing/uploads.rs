//! The questions for the multipart uploads of a bucket, which Scopegate asks for a granted list of them.

use super::Outgoing;
use crate::list_uploads::Question;
use crate::mapping::Grant;
use crate::payload::Payload;
use crate::s3_operation::Operation;
use crate::target::Resource;
use http::Method;

impl Outgoing {
    /// A question for the multipart uploads of a bucket. Only [`crate::list_uploads`] says what is asked, and what of the
    /// answer its client may see.
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
