//! Reads with conditions that the store cannot evaluate: a HEAD of the object comes first.

use super::{Account, Proxy};
use crate::outgoing::request::{Conditions, ObjectState, Outgoing};
use crate::outgoing::upload::Upload;
use crate::refusal::Refusal;
use crate::store::StoreResponse;
use http::StatusCode;
use http::header::{ETAG, HeaderValue, LAST_MODIFIED};

impl Proxy {
    /// Requests the object's current state, and returns the read with a condition that makes the store respond as
    /// HTTP requires.
    pub(super) async fn evaluate_conditions(
        &self,
        read: Outgoing,
        conditions: &Conditions,
        account: Account<'_>,
    ) -> Result<Outgoing, Refusal> {
        let answer = self
            .store
            .exchange(&read.object_state_request(), &Upload::nothing(), account.sessions(), account.trace)
            .await?;
        let StoreResponse::Streaming(answer) = answer else { return Ok(read.on(conditions, None)) };
        let field = |name: &str| answer.fields.get(name).and_then(|value| str::from_utf8(value).ok());
        let etag = field(ETAG.as_str()).and_then(|etag| HeaderValue::from_str(etag).ok());
        let modified = field(LAST_MODIFIED.as_str()).and_then(|time| httpdate::parse_http_date(time).ok());
        let seen =
            etag.filter(|_| answer.status == StatusCode::OK).map(|etag| ObjectState { etag, modified });
        Ok(read.on(conditions, seen.as_ref()))
    }
}
