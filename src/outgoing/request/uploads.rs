//! Requests for a bucket's multipart uploads, from which Scopegate answers a granted list.

use super::Outgoing;
use crate::authorize::list_uploads::{Listing, Question};
use crate::outgoing::payload::Payload;
use crate::s3::operation::Operation;
use crate::s3::target::Resource;
use http::Method;

impl Outgoing {
    /// Makes one of the requests for the multipart uploads of a bucket. Only [`crate::authorize::list_uploads`] says what is asked,
    /// and what of the answer the client may see. A [`Listing`] is made of a grant alone, and so is this.
    pub fn list_of_uploads(listing: &Listing, question: &Question) -> Self {
        let bucket = Resource::Bucket(listing.bucket().into());
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
