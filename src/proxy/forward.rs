//! Routes carried out: requests that the store is sent, with what it is asked before and after.

use super::call::{Call, admit, pass_over_body};
use super::decision::{First, Forward, Route, RouteKind};
use super::reply::{Served, StoreAnswer};
use super::{ClientBody, Proxy, local};
use crate::access::AccessRecord;
use crate::body::Upload;
use crate::browser;
use crate::content::Held;
use crate::generation::MappingState;
use crate::http1;
use crate::multipart;
use crate::outgoing::Outgoing;
use crate::payload::Payload;
use crate::refusal::Refusal;
use crate::session_table::Slot;
use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_RANGE;
use std::rc::Rc;

impl Proxy {
    /// Carries out a route.
    pub(super) async fn run<B: ClientBody>(
        &self,
        call: &Call<'_, B>,
        route: Route,
        record: &mut AccessRecord,
    ) -> Result<Served, Refusal> {
        call.begin(route.operation(), route.payload(), record);
        match route.kind {
            RouteKind::Forward(mut forward) => {
                self.forward(call.state, call.upload, &mut forward, record).await
            }
            RouteKind::ListBuckets(document) => local::answer_document(call, document, record).await,
            RouteKind::ListUploads(list) => self.list_uploads(call, *list, record).await,
            RouteKind::Document(request) => self.pass_on_document(call, *request, record).await,
        }
    }

    /// Sends the store a request without a body that the answer to the client's own is made of.
    pub(super) async fn forward_bare(
        &self,
        state: &MappingState,
        mut forward: Forward,
        query: Option<&str>,
        record: &mut AccessRecord,
    ) -> Result<Served, Refusal> {
        record.routed(forward.outgoing.operation(), query);
        let nothing = Upload::of(Held::Held(Bytes::new()), 0);
        self.forward(state, &nothing, &mut forward, record).await
    }

    /// Sends the store a request when it is its turn.
    pub(super) async fn forward<B: ClientBody>(
        &self,
        state: &MappingState,
        upload: &Rc<Upload<B>>,
        forward: &mut Forward,
        record: &mut AccessRecord,
    ) -> Result<Served, Refusal> {
        if *forward.outgoing.payload() == Payload::Empty {
            pass_over_body(upload, forward.outgoing.method()).await?;
        }
        // A body that is held waits for a buffer, which is its leave to run.
        if !matches!(forward.outgoing.payload(), Payload::Held(_)) {
            admit(state, record).await?;
        }
        let slot = state.session.slot();
        if let Some(first) = forward.first.take() {
            forward.outgoing = Box::pin(self.prepare(forward.outgoing.clone(), first, slot, record)).await?;
        }
        let answer = match forward.outgoing.payload() {
            Payload::Held(body) => {
                Box::pin(multipart::pass_on(self, &forward.outgoing, body, upload, state, record)).await?
            }
            _ => self.exchange(&forward.outgoing, upload, slot, record).await?,
        };
        let mut answer = match forward.outgoing.without_range() {
            // The object has changed since the client got the range before: it gets all of it (RFC 9110, section 13.1.5).
            Some(whole) if answer.status() == StatusCode::PRECONDITION_FAILED => {
                drop(answer);
                Box::pin(self.exchange(&whole, upload, slot, record)).await?
            }
            _ => answer,
        };
        if let StoreAnswer::Streaming(answer) = &mut answer {
            mend(answer, forward.is_site);
        }
        self.provide_rest(&mut answer, &forward.outgoing, state, record);
        Ok(Served { answer, rewriter: forward.rewriter.take() })
    }

    /// Asks the store what a request depends on, and makes the request that follows from it.
    async fn prepare(
        &self,
        outgoing: Outgoing,
        first: First,
        slot: &Slot,
        record: &mut AccessRecord,
    ) -> Result<Outgoing, Refusal> {
        match first {
            First::SourceSize(source) => self.measure(outgoing, &source, slot, record).await,
            First::Object(conditions) => self.look_first(outgoing, &conditions, slot, record).await,
        }
    }
}

/// Adapts the head of an answer.
fn mend<D>(answer: &mut http1::Answer<D>, is_site: bool) {
    // A browser that keeps the object takes the head of a 304 for its own.
    if is_site && (answer.status.is_success() || answer.status == StatusCode::NOT_MODIFIED) {
        browser::let_run(&mut answer.fields);
    }
    // MinIO answers the last bytes of an empty object with a range from 0 to -1. They are the whole object.
    if answer.status == StatusCode::PARTIAL_CONTENT
        && answer.fields.get(CONTENT_RANGE.as_str()) == Some(b"bytes 0--1/0")
    {
        answer.fields.remove(CONTENT_RANGE.as_str());
        answer.status = StatusCode::OK;
    }
}
