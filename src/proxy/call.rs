//! A client's request in progress, and the account that its requests to the store are charged to.

use super::ClientBody;
use super::decision::Incoming;
use crate::authorize::mapping::Mapping;
use crate::bounds::holdings::Holdings;
use crate::bounds::memory::{MemoryBudget, Use};
use crate::identify::client::Client;
use crate::outgoing::payload::{Payload, most_unused};
use crate::outgoing::upload::Upload;
use crate::proxy::generation::Site;
use crate::refusal::Refusal;
use crate::s3::operation::Operation;
use crate::sessions::table::Sessions;
use crate::trace::Trace;
use http::Method;
use http1::Request;
use std::rc::Rc;
use std::sync::Arc;

/// The account that requests to the store are charged to: one client request, which is admitted once.
#[derive(Clone, Copy)]
pub(crate) struct Account<'a> {
    pub(crate) site: &'a Arc<Site>,
    pub(crate) trace: &'a Trace,
    pub(crate) holdings: &'a Holdings,
    pub(crate) memory: &'a MemoryBudget,
}

/// A client's request after the decision.
pub(super) struct Call<'a, B> {
    pub(super) mapping: &'a Mapping,
    pub(super) upload: &'a Rc<Upload<B>>,
    pub(super) incoming: &'a Incoming<'a>,
    /// The client, as far as its connection identifies it.
    pub(super) client: &'a Client<'a>,
    pub(super) account: Account<'a>,
}

impl<'a> Account<'a> {
    /// Returns the sessions that sign its requests.
    pub(crate) fn sessions(&self) -> &'a Arc<Sessions> {
        &self.site.sessions
    }

    /// Waits until the request is admitted, unless it already was.
    pub(crate) async fn admit(&self) -> Result<(), Refusal> {
        let holder = self.site.holder.unwrap_or_else(|| self.holdings.client());
        self.holdings.admit(&self.site.admission, holder, self.trace).await
    }

    /// Grows the memory that the request's client pays for.
    pub(crate) fn grow_to(&self, used_for: Use, bytes: usize) -> Result<(), Refusal> {
        self.holdings.grow_to(self.memory, used_for, bytes)
    }
}

impl<B> Call<'_, B> {
    pub(super) fn request(&self) -> &Request {
        self.incoming.request()
    }

    /// Notes the operation and the form of the body.
    ///
    /// # Errors
    /// When the body does not have the form that is signed.
    pub(super) fn begin(&self, operation: Operation, payload: &Payload) -> Result<(), Refusal> {
        self.account.trace.routed(operation, self.request().target.query());
        self.upload.begin(payload)
    }

    /// Reads and discards an unused body. If it breaks off, the request is refused before anything is done.
    pub(super) async fn pass_over_body(&self) -> Result<(), Refusal>
    where
        B: ClientBody,
    {
        pass_over_body(self.upload, &self.request().method).await
    }
}

/// Reads and discards a body that a request with this method does not use.
pub(super) async fn pass_over_body<B: ClientBody>(
    upload: &Rc<Upload<B>>,
    method: &Method,
) -> Result<(), Refusal> {
    if upload.is_over() {
        return Ok(());
    }
    Box::pin(upload.pass_over(most_unused(method))).await
}
