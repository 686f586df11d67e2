//! Requests to the store for a bucket's multipart uploads, which Scopegate filters for a granted list.

use super::Outgoing;
use crate::authorize::list_uploads::{Listing, Question};
use crate::outgoing::payload::Payload;
use crate::s3::operation::Operation;
use crate::s3::target::Resource;
use http::Method;

impl Outgoing {
    /// Makes a request for the multipart uploads of a bucket. [`crate::authorize::list_uploads`] decides what is
    /// requested and which entries the client may see. A [`Listing`] is only made from a grant, and so is this
    /// request.
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
