//! An answer on its way through.

use super::Fields;
use http::response::Parts;
use http::{Response, StatusCode};

/// A response of which nothing was looked at that need not be.
#[derive(Debug)]
pub struct Answer<B> {
    /// The status.
    pub status: StatusCode,
    /// The fields, without those of the connection.
    pub fields: Fields,
    /// The body.
    pub body: B,
}

impl<B> Answer<B> {
    /// The head to work with, and the body.
    pub fn into_parts(self) -> (Parts, B) {
        let (mut parts, ()) = Response::new(()).into_parts();
        parts.status = self.status;
        parts.headers = self.fields.into_map();
        (parts, self.body)
    }
}

impl<B> From<Response<B>> for Answer<B> {
    fn from(response: Response<B>) -> Self {
        let (parts, body) = response.into_parts();
        Self { status: parts.status, fields: parts.headers.into(), body }
    }
}
