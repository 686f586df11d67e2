//! The decision on a request: refuse it, or how to respond to it.
//!
//! [`decide`] is pure. The proxy carries out the decision and `scopegate explain` prints it, so they always agree.
//! Anything that depends on the store or the body is part of the decision as a plan: a HEAD to send first, a document
//! to read, ways to respond that are tried in turn.

mod browse;
mod fallback;
mod options;
mod route;

pub(crate) use browse::{Browse, Way, may_try_next, no_such_folder};
pub(crate) use fallback::{Fallback, Need, Redirect};
pub(crate) use options::Options;
pub(crate) use route::{Document, DocumentRequest, First, Forward, Route, RouteKind, S3Request, UploadList};

use crate::answer::listing::Plan;
use crate::authorize::mapping::Mapping;
use crate::identify::browser::{self, OwnOrigins, Pages};
use crate::identify::identity::Scheme;
use crate::identify::virtual_host;
use crate::outgoing::presigned;
use crate::refusal::{Refusal, Rule};
use http::Method;
use http1::Request;
use std::borrow::Cow;

/// A request that has passed the checks of its host and its origin.
#[derive(Debug)]
pub(crate) struct Incoming<'r> {
    original: &'r Request,
    /// The request with the headers from its presigned URL, if it has any.
    presigned: Option<Box<Request>>,
    /// The path, which contains the bucket even if the client names it in `Host`.
    path: Cow<'r, str>,
}

impl Incoming<'_> {
    /// Returns the request, including the headers of a presigned URL.
    pub(crate) fn request(&self) -> &Request {
        self.presigned.as_deref().unwrap_or(self.original)
    }

    /// Returns the path, which contains the bucket.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Returns the S3 request that the client sent.
    pub(crate) fn as_sent(&self) -> S3Request<'_> {
        let request = self.request();
        let (method, query) = (&request.method, request.target.query());
        S3Request { method, path: &self.path, query, fields: request.fields() }
    }
}

/// A request that is not refused, with the action that responds to it.
#[derive(Debug)]
pub(crate) struct Decision<'r> {
    pub(crate) incoming: Incoming<'r>,
    pub(crate) action: Action,
}

/// The action that responds to a request. Rare actions are boxed to keep the common one small.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "most requests are forwarded: a box would cost each an allocation"
)]
pub(crate) enum Action {
    /// Carry out one S3 request.
    Route(Route),
    /// Respond to an `OPTIONS` without the store.
    Options(Box<Options>),
    /// Try several ways until one finds something.
    Browse(Box<Browse>),
    /// Refuse, unless the fallback finds something.
    Fallback(Box<(Refusal, Fallback)>),
}

/// Decides on a request from a client of `mapping` of a listener whose own origins these are.
///
/// # Errors
/// Returns the refusal, which names the rule.
pub(crate) fn decide<'r>(
    mapping: &Mapping,
    own: OwnOrigins<'_>,
    request: &'r Request,
) -> Result<Decision<'r>, Refusal> {
    let hosts = own.hosts;
    let explained =
        |refusal| virtual_host::explain(refusal, hosts.domain(), request.host(), mapping.buckets());
    let incoming = Incoming::admit(mapping, own, request).map_err(explained)?;
    let action = match Action::of(mapping, &incoming).map_err(explained)? {
        Action::Fallback(refused) => {
            let (refusal, fallback) = *refused;
            Action::Fallback(Box::new((explained(refusal), fallback)))
        }
        action => action,
    };
    Ok(Decision { incoming, action })
}

impl<'r> Incoming<'r> {
    /// Checks where a request comes from, and reads the headers and the bucket that are outside its path.
    fn admit(mapping: &Mapping, own: OwnOrigins<'_>, request: &'r Request) -> Result<Self, Refusal> {
        browser::check(own, pages_of(mapping), request)?;
        let presigned = presigned::with_headers_of_query(request)?;
        let path = virtual_host::path_of(own.hosts.domain(), request)?;
        Ok(Self { original: request, presigned, path })
    }
}

impl Action {
    fn of(mapping: &Mapping, incoming: &Incoming<'_>) -> Result<Self, Refusal> {
        let request = incoming.request();
        if request.method == Method::OPTIONS {
            return Options::of(mapping, incoming).map(|options| Self::Options(Box::new(options)));
        }
        let action = match Plan::of(mapping, request, incoming.path())? {
            Some(plan) => Browse::of(mapping, incoming, *plan).map(|browse| Self::Browse(Box::new(browse))),
            None => Route::of(mapping, request, &incoming.as_sent()).map(Self::Route),
        };
        action.or_else(|refusal| Self::fall_back(mapping, incoming, refusal))
    }

    fn fall_back(mapping: &Mapping, incoming: &Incoming<'_>, refusal: Refusal) -> Result<Self, Refusal> {
        if !may_fall_back(&refusal) {
            return Err(refusal);
        }
        match Fallback::of(mapping, incoming, refusal.rule == Rule::NoSuchFolder) {
            Some(fallback) => Ok(Self::Fallback(Box::new((refusal, fallback)))),
            None => Err(refusal),
        }
    }
}

/// Returns the pages whose requests a mapping serves.
pub(crate) fn pages_of(mapping: &Mapping) -> Pages<'_> {
    // Browsers add a login and a client certificate alike to every request to the listener.
    let with_remembered_login =
        mapping.client.schemes().has(Scheme::Basic) || mapping.client.on_certificate().is_some();
    Pages { cors: mapping.cors.as_deref(), with_remembered_login }
}

/// Returns whether a refusal means that the client has nothing at this path. Then a [`Fallback`] may respond instead.
pub(crate) fn may_fall_back(refusal: &Refusal) -> bool {
    matches!(refusal.rule, Rule::OutsideScope | Rule::RightNotGranted | Rule::NoSuchFolder | Rule::BadTarget)
}

#[cfg(test)]
mod tests;
