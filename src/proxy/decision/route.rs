//! Decides on one S3 request: forward it to the store, or handle it in the proxy.

use crate::answer::rewrite::Rewriter;
use crate::authorize::list_buckets;
use crate::authorize::list_uploads::Listing;
use crate::authorize::mapping::{Grant, Mapping};
use crate::authorize::operations::Spec;
use crate::authorize::operations::grammar::Dialect;
use crate::authorize::rights::Rights;
use crate::outgoing::document::{self, Kind};
use crate::outgoing::payload::Payload;
use crate::outgoing::request::{Conditions, Outgoing, check_headers};
use crate::refusal::{Refusal, Rule};
use crate::s3::operation::Operation;
use http::Method;
use http1::{Fields, Request};

/// An S3 request: the client's own, or one that contributes to the response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct S3Request<'a> {
    pub(crate) method: &'a Method,
    /// The path, which contains the bucket.
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    pub(crate) fields: &'a Fields,
}

/// A granted S3 request, and how it is carried out.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) spec: &'static Spec,
    /// The rights that it needed.
    pub(crate) needs: Rights,
    /// The rights that the source of a copy needed, if it is a copy.
    pub(crate) source_needs: Option<Rights>,
    pub(crate) kind: RouteKind,
}

/// How an S3 request is carried out.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "most requests are forwarded: a box would cost each an allocation"
)]
pub(crate) enum RouteKind {
    /// Forward it to the store.
    Forward(Forward),
    /// Respond with this list of buckets, made from the scopes.
    ListBuckets(String),
    /// Respond with the store's lists, filtered.
    ListUploads(Box<UploadList>),
    /// Read the document in its body before asking the store.
    Document(Box<DocumentRequest>),
}

/// A request to forward to the store.
#[derive(Debug)]
pub(crate) struct Forward {
    pub(crate) spec: &'static Spec,
    pub(crate) outgoing: Outgoing,
    /// Puts the client's names into the response.
    pub(crate) rewriter: Option<Box<Rewriter>>,
    /// The request that must come first, if any.
    pub(crate) first: Option<First>,
    /// Whether the response is an object of a site, which browsers may run.
    pub(crate) is_site: bool,
}

/// A request to the store that must come before another.
#[derive(Debug)]
pub(crate) enum First {
    /// This request for the size of a copy's source, because the scopes limit the size of objects.
    SourceSize(Box<Outgoing>),
    /// A HEAD of the object, because the store cannot evaluate these conditions.
    Object(Box<Conditions>),
}

/// A list of multipart uploads.
#[derive(Debug)]
pub(crate) struct UploadList {
    pub(crate) listing: Listing,
    pub(crate) rewriter: Option<Box<Rewriter>>,
}

/// A request with a document as its body.
#[derive(Debug)]
pub(crate) struct DocumentRequest {
    /// The form in which the client sends the document.
    pub(crate) payload: Payload,
    /// The request to the store, still without its document.
    pub(crate) outgoing: Outgoing,
    pub(crate) rewriter: Option<Box<Rewriter>>,
    pub(crate) document: Document,
}

/// A kind of document, with the facts needed to judge it.
#[derive(Debug)]
pub(crate) enum Document {
    Delete(Grant<'static>),
    Complete(Dialect),
    Tagging,
}

impl Route {
    /// Decides on an S3 request of a client of `mapping`. The response's names use the host and path of
    /// `client_request`, the request that the client sent.
    ///
    /// # Errors
    /// Returns the refusal, which names the rule and, if known, the operation.
    pub(crate) fn of(
        mapping: &Mapping,
        client_request: &Request,
        request: &S3Request<'_>,
    ) -> Result<Self, Refusal> {
        let grant = mapping.grant(request.method, request.path, request.query, request.fields)?;
        let (spec, needs, source_needs) = (grant.spec(), grant.needs(), grant.source_needs());
        let kind = RouteKind::of(mapping, client_request, request.fields, grant);
        Ok(Self { spec, needs, source_needs, kind: kind.map_err(|refusal| refusal.of(spec.operation))? })
    }

    /// Returns the form of the request's body.
    pub(crate) fn payload(&self) -> &Payload {
        match &self.kind {
            RouteKind::Forward(forward) => forward.outgoing.payload(),
            RouteKind::Document(request) => &request.payload,
            RouteKind::ListBuckets(_) | RouteKind::ListUploads(_) => &Payload::Empty,
        }
    }

    /// Returns the operation.
    pub(crate) fn operation(&self) -> Operation {
        self.spec.operation
    }
}

impl RouteKind {
    fn of(
        mapping: &Mapping,
        client_request: &Request,
        fields: &Fields,
        grant: Grant<'_>,
    ) -> Result<Self, Refusal> {
        let payload = Payload::classify(grant.spec(), fields)?;
        match grant.operation() {
            Operation::ListBuckets => {
                check_headers(grant.spec(), fields)?;
                list_buckets::document(mapping, grant.query()).map(Self::ListBuckets)
            }
            Operation::ListMultipartUploads => {
                check_headers(grant.spec(), fields)?;
                let rewriter = Rewriter::for_grant(&grant, client_request);
                let listing = Listing::new(mapping, &grant);
                Ok(Self::ListUploads(Box::new(UploadList { listing, rewriter })))
            }
            operation => match Kind::of(operation) {
                Some(kind) => DocumentRequest::of(kind, client_request, fields, grant, payload)
                    .map(|request| Self::Document(Box::new(request))),
                None => Forward::of(mapping, client_request, fields, grant, payload).map(Self::Forward),
            },
        }
    }
}

impl Forward {
    fn of(
        mapping: &Mapping,
        client_request: &Request,
        fields: &Fields,
        grant: Grant<'_>,
        payload: Payload,
    ) -> Result<Self, Refusal> {
        let spec = grant.spec();
        let (rewriter, is_site) = (Rewriter::for_grant(&grant, client_request), mapping.is_site(&grant));
        let source = Outgoing::source_size_request(&grant, fields);
        let mut outgoing = Outgoing::rebuild(grant, fields, payload)?;
        let first = match source {
            Some(source) => Some(First::SourceSize(Box::new(source))),
            None => outgoing.take_conditions().map(First::Object),
        };
        Ok(Self { spec, outgoing, rewriter, first, is_site })
    }

    /// Decides on a request that contributes to the response, as if the client had sent it without headers.
    pub(crate) fn for_client(
        mapping: &Mapping,
        client_request: &Request,
        method: &Method,
        path: &str,
        query: Option<&str>,
    ) -> Result<Self, Refusal> {
        let fields = Fields::default();
        let route = Route::of(mapping, client_request, &S3Request { method, path, query, fields: &fields })?;
        let operation = route.operation();
        match route.kind {
            RouteKind::Forward(forward) => Ok(forward),
            _ => Err(Refusal::new(Rule::Internal, format!("{} is not forwarded", operation.name()))),
        }
    }
}

impl DocumentRequest {
    fn of(
        kind: Kind,
        client_request: &Request,
        fields: &Fields,
        grant: Grant<'_>,
        payload: Payload,
    ) -> Result<Self, Refusal> {
        document::check_length(kind, &payload)?;
        let rewriter = Rewriter::for_grant(&grant, client_request);
        let (outgoing, document) = match kind {
            Kind::Delete => {
                check_headers(grant.spec(), fields)?;
                let grant = grant.into_owned();
                (Outgoing::bare(grant.clone()), Document::Delete(grant))
            }
            // The document's size is not the size of an object.
            Kind::Complete => {
                let dialect = grant.dialect();
                (Outgoing::rebuild(grant, fields, Payload::Empty)?, Document::Complete(dialect))
            }
            Kind::Tagging => (Outgoing::rebuild(grant, fields, Payload::Empty)?, Document::Tagging),
        };
        Ok(Self { payload, outgoing, rewriter, document })
    }

    /// Returns the kind of the document.
    pub(crate) fn kind(&self) -> Kind {
        match self.document {
            Document::Delete(_) => Kind::Delete,
            Document::Complete(_) => Kind::Complete,
            Document::Tagging => Kind::Tagging,
        }
    }
}
