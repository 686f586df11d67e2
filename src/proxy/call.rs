//! A client's request that is being answered, and what belongs to it.

use super::ClientBody;
use super::decision::Incoming;
use crate::access::{AccessRecord, Wait};
use crate::body::Upload;
use crate::generation::MappingState;
use crate::http1::Request;
use crate::mapping::Mapping;
use crate::operation::Operation;
use crate::payload::{Payload, most_unused};
use crate::refusal::Refusal;
use http::Method;
use std::rc::Rc;

/// A request that was decided on.
pub(super) struct Call<'a, B> {
    /// The mapping's place in its generation.
    pub(super) index: usize,
    pub(super) mapping: &'a Mapping,
    pub(super) state: &'a MappingState,
    pub(super) upload: &'a Rc<Upload<B>>,
    pub(super) incoming: &'a Incoming<'a>,
}

impl<B> Call<'_, B> {
    pub(super) fn request(&self) -> &Request {
        self.incoming.request()
    }

    /// Notes the operation, and what the body will be.
    pub(super) fn begin(&self, operation: Operation, payload: &Payload, record: &mut AccessRecord) {
        record.routed(operation, self.request().target.query());
        self.upload.set_length(payload.length());
        self.upload.unwrap_envelope(payload.envelope());
    }

    /// Waits for the request's turn: once, however many requests to the store it takes.
    pub(super) async fn admit(&self, record: &mut AccessRecord) -> Result<(), Refusal> {
        admit(self.state, record).await
    }

    /// Reads a body that means nothing: one that breaks off is refused before anything is done.
    pub(super) async fn pass_over_body(&self) -> Result<(), Refusal>
    where
        B: ClientBody,
    {
        pass_over_body(self.upload, &self.request().method).await
    }
}

/// Waits for a request's turn, unless it has had it.
pub(super) async fn admit(state: &MappingState, record: &mut AccessRecord) -> Result<(), Refusal> {
    if !record.is_admitted() {
        let turn = state.admission.admit(record.client());
        let permit = record.waits(Wait::Queue, turn).await?;
        record.admitted(permit);
    }
    Ok(())
}

/// Reads a body that means nothing to a request with this method.
pub(super) async fn pass_over_body<B: ClientBody>(
    upload: &Rc<Upload<B>>,
    method: &Method,
) -> Result<(), Refusal> {
    if upload.is_over() {
        return Ok(());
    }
    Box::pin(upload.pass_over(most_unused(method))).await
}
