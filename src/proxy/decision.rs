//! The decision on a request: whether it is refused, and else how it is answered.
//!
//! [`decide`] is pure. The proxy carries out what it returns, and `scopegate explain` prints it, so that both always agree.
//! What only the store or the body can tell is in the decision as a plan: a HEAD that comes first, a document that is
//! read, the ways to answer that are tried in turn.

mod browse;
mod fallback;
mod options;
mod route;

pub(crate) use browse::{Browse, Way, nothing, passes_on};
pub(crate) use fallback::{Fallback, Need, Redirect};
pub(crate) use options::Options;
pub(crate) use route::{Document, DocumentRequest, First, Forward, Route, RouteKind, S3Request, UploadList};

use crate::answer::listing::Plan;
use crate::authorize::mapping::Mapping;
use crate::identify::browser::{self, AllowedHosts};
use crate::identify::virtual_host;
use crate::outgoing::presigned;
use crate::refusal::{Refusal, Rule};
use http::Method;
use http1::Request;
use std::borrow::Cow;

/// A request that passed the checks of its host and its origin.
#[derive(Debug)]
pub(crate) struct Incoming<'r> {
    original: &'r Request,
    /// The request with the headers that its presigned URL carries, if it carries any.
    presigned: Option<Box<Request>>,
    /// The path with the bucket in it, also where `Host` names the bucket.
    path: Cow<'r, str>,
}

impl Incoming<'_> {
    /// Returns the request, with the headers of a presigned URL among its own.
    pub(crate) fn request(&self) -> &Request {
        self.presigned.as_deref().unwrap_or(self.original)
    }

    /// Returns the path with the bucket in it.
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

/// A request that is answered, and how.
#[derive(Debug)]
pub(crate) struct Decision<'r> {
    pub(crate) incoming: Incoming<'r>,
    pub(crate) action: Action,
}

/// How a request is answered. The rare actions are boxed to keep the common one small.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "most requests are forwarded: a box would cost each an allocation"
)]
pub(crate) enum Action {
    /// As one S3 request.
    Route(Route),
    /// As an `OPTIONS`, by the proxy itself.
    Options(Box<Options>),
    /// In the first of several ways that finds something.
    Browse(Box<Browse>),
    /// With a refusal, unless the fallback finds something.
    Fallback(Box<(Refusal, Fallback)>),
}

/// Decides on a request of a client of `mapping` that came by a listener with these names.
///
/// # Errors
/// The refusal, which names the rule.
pub(crate) fn decide<'r>(
    mapping: &Mapping,
    hosts: &AllowedHosts,
    request: &'r Request,
) -> Result<Decision<'r>, Refusal> {
    let decided = Incoming::admit(mapping, hosts, request).and_then(|incoming| {
        let action = Action::of(mapping, &incoming)?;
        Ok(Decision { incoming, action })
    });
    let explained =
        |refusal| virtual_host::explain(refusal, hosts.domain(), request.host(), mapping.buckets());
    match decided {
        Ok(Decision { incoming, action: Action::Fallback(fallback) }) => {
            let (refusal, fallback) = *fallback;
            let action = Action::Fallback(Box::new((explained(refusal), fallback)));
            Ok(Decision { incoming, action })
        }
        decided => decided.map_err(explained),
    }
}

impl<'r> Incoming<'r> {
    /// Checks where a request comes from, and reads what its URL says besides the path.
    fn admit(mapping: &Mapping, hosts: &AllowedHosts, request: &'r Request) -> Result<Self, Refusal> {
        browser::check(hosts, mapping.cors.as_deref(), request)?;
        let presigned = presigned::with_headers_of_query(request)?;
        let path = virtual_host::path_style(hosts.domain(), request.host(), request.target.path())?;
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

/// Checks whether a refusal says that the client has nothing at this path, so that a [`Fallback`] may answer.
pub(crate) fn may_fall_back(refusal: &Refusal) -> bool {
    matches!(refusal.rule, Rule::OutsideScope | Rule::RightNotGranted | Rule::NoSuchFolder | Rule::BadTarget)
}

#[cfg(test)]
mod tests;
