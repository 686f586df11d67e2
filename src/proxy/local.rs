//! Responses that need no store: `OPTIONS`, and documents made from the scopes.

use super::ClientBody;
use super::call::Call;
use super::decision::Options;
use super::reply::{Reply, Served};
use crate::answer::response::LocalBody;
use crate::refusal::Refusal;
use crate::store::StoreResponse;
use http::Response;

/// Responds to an `OPTIONS`. It skips the queue because it costs nothing.
pub(super) async fn answer_options<B: ClientBody>(
    call: &Call<'_, B>,
    options: Options,
) -> Result<Reply, Refusal> {
    call.account.trace.is_about(Some(options.operation));
    call.pass_over_body().await?;
    let mut answer = Response::new(LocalBody::Nothing);
    *answer.status_mut() = options.status;
    *answer.headers_mut() = options.headers;
    Ok(Reply::Local(Box::new(answer)))
}

/// Responds with a document made from the scopes.
pub(super) async fn answer_document<B: ClientBody>(
    call: &Call<'_, B>,
    document: String,
) -> Result<Served, Refusal> {
    call.pass_over_body().await?;
    call.account.admit().await?;
    Ok(StoreResponse::of_document(document).into())
}
