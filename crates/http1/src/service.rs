//! The service that responds to requests, independent of the HTTP version.

use crate::body::BoxError;
use crate::splice::SpliceBody;
use crate::{Malformed, MemoryShare, MemoryUse, PeerState, Request, Response};
use bytes::Bytes;
use std::future::Future;

/// A service for the requests of one connection. `B` is the body of its requests.
pub trait Service<B> {
    /// The body of its responses.
    type Body: SpliceBody<Data = Bytes, Error = BoxError> + Unpin;
    /// A share of the memory that the connection's client may take.
    type Share: MemoryShare;

    /// Responds to a request. None of the body has been read.
    fn call(&self, request: &Request, body: B) -> impl Future<Output = Response<Self::Body>>;

    /// Makes an empty share of memory.
    fn share(&self, used_for: MemoryUse) -> Self::Share;

    /// Responds to a message that is not a valid request. The connection closes afterwards.
    fn refuse(&self, malformed: &Malformed) -> Response<Self::Body>;

    /// Records in a response what the client did to its end of the connection before the response was sent.
    fn note_peer(&self, response: &mut Response<Self::Body>, peer: PeerState);
}
