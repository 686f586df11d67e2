//! Decides on `OPTIONS`, which never reaches the store: a web page's preflight, or a question about a path's methods.

use super::Incoming;
use crate::authorize::mapping::Mapping;
use crate::identify::browser::{is_preflight, preflight};
use crate::refusal::Refusal;
use crate::s3::operation::Operation;
use http::StatusCode;
use http::header::{ALLOW, HeaderMap};

/// The response to an `OPTIONS`. It has no body.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) operation: Operation,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
}

impl Options {
    pub(super) fn of(mapping: &Mapping, incoming: &Incoming<'_>) -> Result<Self, Refusal> {
        let request = incoming.request();
        if is_preflight(request) {
            let operation = Operation::Preflight;
            let answered = preflight(mapping.cors.as_deref(), request);
            let (status, headers) = answered.map_err(|refusal| refusal.of(operation))?;
            return Ok(Self { operation, status, headers });
        }
        let operation = Operation::Options;
        let verbs = mapping.methods(incoming.path(), request.target.query());
        let verbs = verbs.map_err(|refusal| refusal.of(operation))?;
        let headers = HeaderMap::from_iter([(ALLOW, verbs.allow())]);
        Ok(Self { operation, status: StatusCode::NO_CONTENT, headers })
    }
}
