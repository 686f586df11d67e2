//! Carries out routes: sends requests to the store, with the requests that come before or after.

use super::call::{Account, Call, pass_over_body};
use super::decision::{First, Forward, Route, RouteKind};
use super::reply::Served;
use super::{ClientBody, Proxy, local};
use crate::identify::browser;
use crate::outgoing::payload::Payload;
use crate::outgoing::request::Outgoing;
use crate::outgoing::upload::Upload;
use crate::proxy::multipart;
use crate::refusal::Refusal;
use crate::store::StoreResponse;
use http::StatusCode;
use http::header::CONTENT_RANGE;
use std::rc::Rc;

impl Proxy {
    /// Carries out a route.
    pub(super) async fn run<B: ClientBody>(
        &self,
        call: &Call<'_, B>,
        route: Route,
    ) -> Result<Served, Refusal> {
        call.begin(route.operation(), route.payload())?;
        match route.kind {
            RouteKind::Forward(mut forward) => self.forward(call.account, call.upload, &mut forward).await,
            RouteKind::ListBuckets(document) => local::answer_document(call, document).await,
            RouteKind::ListUploads(list) => self.list_uploads(call, *list).await,
            RouteKind::Document(request) => self.pass_on_document(call, *request).await,
        }
    }

    /// Sends the store a bodiless request whose response becomes part of the client's.
    pub(super) async fn forward_bare(
        &self,
        account: Account<'_>,
        mut forward: Forward,
    ) -> Result<Served, Refusal> {
        account.trace.routed(forward.spec.operation, None);
        self.forward(account, &Upload::nothing(), &mut forward).await
    }

    /// Sends the store a request once it is admitted.
    pub(super) async fn forward<B: ClientBody>(
        &self,
        account: Account<'_>,
        upload: &Rc<Upload<B>>,
        forward: &mut Forward,
    ) -> Result<Served, Refusal> {
        if *forward.outgoing.payload() == Payload::Empty {
            pass_over_body(upload, forward.outgoing.method()).await?;
        }
        // A held body is admitted by its buffer.
        if !matches!(forward.outgoing.payload(), Payload::Held(_)) {
            account.admit().await?;
        }
        let (sessions, trace) = (account.sessions(), account.trace);
        trace.targets(forward.outgoing.path(), forward.outgoing.query());
        if let Some(first) = forward.first.take() {
            forward.outgoing = Box::pin(self.prepare(forward.outgoing.clone(), first, account)).await?;
        }
        let answer = match forward.outgoing.payload() {
            Payload::Held(body) => {
                Box::pin(multipart::pass_on(self, &forward.outgoing, body, upload, account)).await?
            }
            _ => self.store.exchange(&forward.outgoing, upload, sessions, trace).await?,
        };
        let mut answer = match forward.outgoing.without_range() {
            // The object has changed since the client got the earlier range, so it gets the whole object (RFC 9110,
            // section 13.1.5).
            Some(whole) if answer.status() == StatusCode::PRECONDITION_FAILED => {
                drop(answer);
                Box::pin(self.store.exchange(&whole, upload, sessions, trace)).await?
            }
            _ => answer,
        };
        if let StoreResponse::Streaming(answer) = &mut answer {
            correct_head(answer, forward.is_site);
        }
        self.provide_rest(&mut answer, &forward.outgoing, account);
        Ok(Served { answer, rewriter: forward.rewriter.take() })
    }

    /// Sends the request that must come first, and returns the main request adapted to its result.
    async fn prepare(
        &self,
        outgoing: Outgoing,
        first: First,
        account: Account<'_>,
    ) -> Result<Outgoing, Refusal> {
        match first {
            First::SourceSize(source) => self.limit_copy(outgoing, &source, account).await,
            First::Object(conditions) => self.evaluate_conditions(outgoing, &conditions, account).await,
        }
    }
}

/// Corrects the head of a response.
fn correct_head<D>(answer: &mut http1::Response<D>, is_site: bool) {
    // A browser that has the object cached replaces its headers with those of a 304.
    if is_site && (answer.status.is_success() || answer.status == StatusCode::NOT_MODIFIED) {
        browser::let_run(&mut answer.fields);
    }
    // MinIO answers a request for the last bytes of an empty object with the range 0 to -1, which is the whole
    // object.
    if answer.status == StatusCode::PARTIAL_CONTENT
        && answer.fields.get(CONTENT_RANGE.as_str()) == Some(b"bytes 0--1/0")
    {
        answer.fields.remove(CONTENT_RANGE.as_str());
        answer.status = StatusCode::OK;
    }
}
