//! `OPTIONS`, which the store is never asked: the preflight of a web page, and the question what can be done at a path.

use super::{Asked, ClientBody, Given};
use crate::access::AccessRecord;
use crate::browser::{is_preflight, preflight};
use crate::refusal::Refusal;
use crate::response::Made;
use crate::s3_operation::Operation;
use http::header::{self, HeaderMap};
use http::{Response, StatusCode};

/// Answers an `OPTIONS`.
pub(super) async fn answer<B: ClientBody>(
    asked: &Asked<'_, B>,
    record: &mut AccessRecord,
) -> Result<Given, Refusal> {
    let Asked { mapping, request, path, .. } = asked;
    let (status, headers) = if is_preflight(request) {
        record.granted(Operation::Preflight);
        preflight(mapping.cors.as_deref(), request)?
    } else {
        record.granted(Operation::Options);
        let verbs = mapping.methods(path, request.target.query())?;
        let mut headers = HeaderMap::new();
        headers.insert(header::ALLOW, verbs.allow());
        (StatusCode::NO_CONTENT, headers)
    };
    asked.pass_over_body().await?;
    let mut answer = Response::new(Made::Nothing);
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    Ok(Given::Made(Box::new(answer)))
}
