//! Replies to clients: answers of the store, and answers that the proxy makes itself.

use super::Answer;
use crate::answer::response::{LocalBody, make, relay, relay_read};
use crate::answer::rewrite::Rewriter;
use crate::refusal::Refusal;
use crate::store::StoreAnswer;
use crate::store::pool::Download;
use crate::telemetry::access::AccessRecord;
use http::{Response, StatusCode};

/// An answer of the store for its client.
pub(super) struct Served {
    pub(super) answer: StoreAnswer,
    /// Puts the client's names into it.
    pub(super) rewriter: Option<Box<Rewriter>>,
}

/// A reply to a client.
pub(super) enum Reply {
    Store(Served),
    Local(Box<Response<LocalBody>>),
    /// The error page of a site.
    Page(Box<http1::Response<Download>>),
}

/// The outcome of one way to answer.
pub(super) type Outcome = Result<Reply, Refusal>;

impl From<StoreAnswer> for Served {
    /// Serves an answer as it is.
    fn from(answer: StoreAnswer) -> Self {
        Self { answer, rewriter: None }
    }
}

impl Reply {
    /// Checks whether the store answered with an error, which may be put into another form.
    pub(super) fn is_error(&self) -> bool {
        let error = |status: StatusCode| status.is_client_error() || status.is_server_error();
        matches!(self, Self::Store(served) if error(served.answer.status()))
    }

    pub(super) fn into_answer(self, record: Box<AccessRecord>) -> Answer {
        match self {
            Self::Store(Served { answer: StoreAnswer::Streaming(answer), rewriter }) => {
                relay(answer, rewriter, record)
            }
            Self::Store(Served { answer: StoreAnswer::Buffered(parts, body), rewriter }) => {
                relay_read(*parts, body, rewriter, record)
            }
            Self::Local(answer) => make(*answer, record),
            Self::Page(answer) => relay(*answer, None, record),
        }
    }
}
