//! Replies to clients, before they become HTTP responses: the store's responses and Scopegate's own.

use super::ClientResponse;
use crate::answer::response::{LocalBody, make, relay, relay_read};
use crate::answer::rewrite::Rewriter;
use crate::refusal::Refusal;
use crate::store::StoreResponse;
use crate::store::pool::Download;
use crate::telemetry::access::AccessRecord;
use http::{Response, StatusCode};

/// A response of the store for a client.
pub(super) struct Served {
    pub(super) answer: StoreResponse,
    /// Puts the client's names into the response.
    pub(super) rewriter: Option<Box<Rewriter>>,
}

/// A reply to a client.
pub(super) enum Reply {
    Store(Served),
    Local(Box<Response<LocalBody>>),
    /// The error page of a site.
    Page(Box<http1::Response<Download>>),
}

/// The outcome of one way to respond.
pub(super) type Outcome = Result<Reply, Refusal>;

impl From<StoreResponse> for Served {
    /// Passes a response on unchanged.
    fn from(answer: StoreResponse) -> Self {
        Self { answer, rewriter: None }
    }
}

impl Reply {
    /// Returns whether the store responded with an error, which may be put into another form.
    pub(super) fn is_error(&self) -> bool {
        let error = |status: StatusCode| status.is_client_error() || status.is_server_error();
        matches!(self, Self::Store(served) if error(served.answer.status()))
    }

    pub(super) fn into_response(self, record: Box<AccessRecord>) -> ClientResponse {
        match self {
            Self::Store(Served { answer: StoreResponse::Streaming(answer), rewriter }) => {
                relay(answer, rewriter, record)
            }
            Self::Store(Served { answer: StoreResponse::Buffered(parts, body), rewriter }) => {
                relay_read(*parts, body, rewriter, record)
            }
            Self::Local(answer) => make(*answer, record),
            Self::Page(answer) => relay(*answer, None, record),
        }
    }
}
