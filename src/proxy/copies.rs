//! Copies into scopes that limit the size of objects: a HEAD of the source comes first.

use super::{Account, Proxy};
use crate::outgoing::request::Outgoing;
use crate::outgoing::upload::Upload;
use crate::refusal::{Refusal, Rule};
use crate::store::StoreResponse;
use http::StatusCode;
use http::header::{CONTENT_LENGTH, ETAG, HeaderValue};

impl Proxy {
    /// Requests the size of the source, and returns the copy of exactly that source. If there is no source, returns a
    /// copy that fails, so that the client gets the store's own error.
    pub(super) async fn limit_copy(
        &self,
        copy: Outgoing,
        question: &Outgoing,
        account: Account<'_>,
    ) -> Result<Outgoing, Refusal> {
        let StoreResponse::Streaming(answer) =
            self.store.exchange(question, &Upload::nothing(), account.sessions(), account.trace).await?
        else {
            return Ok(copy.pinned_to(None));
        };
        if answer.status != StatusCode::OK {
            return Ok(copy.pinned_to(None));
        }
        let field = |name: &str| answer.fields.get(name).and_then(|value| str::from_utf8(value).ok());
        let length = field(CONTENT_LENGTH.as_str()).and_then(|length| length.parse().ok());
        let etag = field(ETAG.as_str()).and_then(|etag| HeaderValue::from_str(etag).ok());
        let (Some(length), Some(etag)) = (length, etag) else {
            let why = "the store does not say how large the source of the copy is";
            return Err(Refusal::new(Rule::Upstream, why));
        };
        copy.check_size(length)?;
        Ok(copy.pinned_to(Some(&etag)))
    }
}
