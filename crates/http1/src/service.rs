//! What answers requests, whatever carries them.

use crate::body::BoxError;
use crate::{Answer, Malformed, MemoryShare, MemoryUse, PeerState, Request};
use bytes::Bytes;
use http_body::Body;
use std::future::Future;

/// A service that answers the requests of one client, whose bodies are `B`. It sees nothing of what carries them.
pub trait Service<B> {
    /// The body of its answers.
    type Body: Body<Data = Bytes, Error = BoxError> + Unpin;
    /// The memory that its client may take.
    type Share: MemoryShare;

    /// Answers a request, of whose body nothing was read yet.
    fn call(&self, request: &Request, body: B) -> impl Future<Output = Answer<Self::Body>>;

    /// Makes an empty share of the memory that the connection's client may take.
    fn share(&self, used_for: MemoryUse) -> Self::Share;

    /// Answers what is no request.
    fn refuse(&self, malformed: &Malformed) -> Answer<Self::Body>;

    /// Notes in the account of an answer what its client has done before it had the answer.
    fn note_peer(&self, answer: &mut Answer<Self::Body>, peer: PeerState);
}
