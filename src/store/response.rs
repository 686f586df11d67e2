//! The store's response: its body is still to come, or was read whole.

use super::pool::Download;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::response::{self, Parts};
use http1::Response;

/// A response of the store, or a document that replaces it.
#[derive(Debug)]
pub(crate) enum StoreResponse {
    /// A response whose body is still to come.
    Streaming(Response<Download>),
    /// A response that was read whole. Boxed because few are.
    Buffered(Box<Parts>, Bytes),
}

impl StoreResponse {
    /// Makes a successful response that consists of this document.
    pub(crate) fn of_document(document: String) -> Self {
        let mut parts = response::Response::new(()).into_parts().0;
        parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        Self::Buffered(Box::new(parts), document.into())
    }

    /// Returns the status.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Streaming(answer) => answer.status,
            Self::Buffered(parts, _) => parts.status,
        }
    }

    /// Sets a header.
    pub(crate) fn insert(&mut self, name: HeaderName, value: HeaderValue) {
        match self {
            Self::Streaming(answer) => answer.fields.insert(name, value),
            Self::Buffered(parts, _) => _ = parts.headers.insert(name, value),
        }
    }
}
