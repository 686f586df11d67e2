//! Responses.

use super::Fields;
use http::StatusCode;
use http::response::Parts;

/// A response. Its fields stay as they arrived until one is needed.
#[derive(Debug)]
pub struct Response<B> {
    /// The status.
    pub status: StatusCode,
    /// The fields, without those that frame the message or manage its connection.
    pub fields: Fields,
    /// The body.
    pub body: B,
}

impl<B> Response<B> {
    /// Splits the response into a head in the types of the `http` crate, and the body.
    pub fn into_parts(self) -> (Parts, B) {
        let (mut parts, ()) = http::Response::new(()).into_parts();
        parts.status = self.status;
        parts.headers = self.fields.into_map();
        (parts, self.body)
    }
}

impl<B> From<http::Response<B>> for Response<B> {
    fn from(response: http::Response<B>) -> Self {
        let (parts, body) = response.into_parts();
        Self { status: parts.status, fields: parts.headers.into(), body }
    }
}
