//! The way of a request, as one straight line: identify, grant, rebuild, admit, session, sign, send, strip, stream back.

mod browse;
mod completion;
mod conditions;
mod continued;
mod copies;
mod documents;
mod exchange;
mod missing;
mod options;
mod otherwise;
mod uploads;

pub use self::completion::Completions;
use self::documents::Documented;
use self::otherwise::Otherwise;
use crate::access::{AccessRecord, Wait};
use crate::browser;
use crate::client::{self, Connection};
use crate::document::Kind;
use crate::generation::{Generation, Shared, Site};
use crate::limits::Limits;
use crate::listing::Plan;
use crate::mapping::Mapping;
use crate::memory::MemoryBudget;
use crate::multipart::{self, Budget};
use crate::outgoing::{Conditions, Outgoing};
use crate::panics::contain;
use crate::payload::{self, Payload};
use crate::presigned;
use crate::refusal::{Refusal, Rule};
use crate::representation::Representation;
use crate::response::{Made, ResponseBody, make, refuse, relay, relay_read};
use crate::rewrite::Rewriter;
use crate::s3_operation::Operation;
use crate::session_table::Slot;
use crate::upload::Upload;
use crate::upstream::{Download, Pool};
use crate::virtual_host;
use bytes::Bytes;
use http::header::{CONTENT_RANGE, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Response, StatusCode};
use http_body::Body;
use http1::body::BoxError;
use http1::{self, Fields, Malformed, Request};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

/// The proxy of one generation, as one worker thread has it.
#[derive(Clone)]
pub struct Proxy {
    shared: Arc<Shared>,
    generation: Arc<Generation>,
    pool: Rc<Pool>,
}

/// The response to a client.
pub type Answer = http1::Response<AnswerBody>;

/// Its body.
pub type AnswerBody = ResponseBody<Download>;

/// A store's answer, read as far as it had to be; or what replaces it.
pub(crate) enum FromStore {
    Streaming(http1::Response<Download>),
    /// Its head in a box, since most answers are not read.
    Read(Box<http::response::Parts>, Bytes),
}

/// What a client is given.
enum Given {
    /// The store's answer.
    Store(Served),
    /// What was made of it for people.
    Made(Box<Response<Made>>),
    /// The error page of a site.
    Page(Box<http1::Response<Download>>),
}

impl Given {
    fn is_error(&self) -> bool {
        let error = |status: StatusCode| status.is_client_error() || status.is_server_error();
        matches!(self, Self::Store((answer, _)) if error(answer.status()))
    }
}

impl FromStore {
    fn status(&self) -> StatusCode {
        match self {
            Self::Streaming(answer) => answer.status,
            Self::Read(parts, _) => parts.status,
        }
    }

    /// Sets a header of the answer.
    fn insert(&mut self, name: HeaderName, value: HeaderValue) {
        match self {
            Self::Streaming(answer) => answer.fields.insert(name, value),
            Self::Read(parts, _) => _ = parts.headers.insert(name, value),
        }
    }
}

/// A client's request, and what belongs to it.
struct Asked<'a, B> {
    mapping: &'a Mapping,
    state: &'a Arc<Site>,
    upload: &'a Rc<Upload<B>>,
    request: &'a Request,
    /// The path with the bucket in it, wherever the client named that.
    path: &'a str,
}

impl<B> Asked<'_, B> {
    /// What the client asked for itself.
    fn wanted(&self) -> Wanted<'_> {
        let Self { request, path, .. } = self;
        Wanted { method: &request.method, path, query: request.target.query(), fields: request.fields() }
    }

    /// Reads a body that means nothing, so that what breaks off is refused before anything is done, and the connection can
    /// go on.
    async fn pass_over_body(&self) -> Result<(), Refusal>
    where
        B: ClientBody,
    {
        if self.upload.is_over() {
            return Ok(());
        }
        Box::pin(self.upload.pass_over(payload::most_unused(&self.request.method))).await
    }

    /// The same for a request that is made on its account.
    fn without_body<'b, N>(&'b self, upload: &'b Rc<Upload<N>>) -> Asked<'b, N> {
        let Self { mapping, state, request, path, .. } = *self;
        Asked { mapping, state, upload, request, path }
    }

    /// Waits for the request's turn: once, however many requests to the store it takes.
    async fn admit(&self, record: &mut AccessRecord) -> Result<(), Refusal> {
        if !record.is_admitted() {
            let turn = self.state.admission.admit(record.client());
            let permit = record.waits(Wait::Queue, turn).await?;
            record.admitted(permit);
        }
        Ok(())
    }
}

/// What is wanted of the store: what the client asked for, or what its answer is made of.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    method: &'a Method,
    path: &'a str,
    query: Option<&'a str>,
    fields: &'a Fields,
}

/// What a request comes to, and what puts the client's names into it.
type Served = (FromStore, Option<Box<Rewriter>>);

/// What is read of a client's body.
pub trait ClientBody: Body<Data = Bytes, Error: Into<BoxError>> + Unpin {}

impl<B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin> ClientBody for B {}

impl Proxy {
    /// A proxy over `pool`.
    pub fn new(shared: Arc<Shared>, generation: Arc<Generation>, pool: Rc<Pool>) -> Self {
        Self { shared, generation, pool }
    }

    /// What it was told.
    pub fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// Its connections to the store.
    pub fn pool(&self) -> &Rc<Pool> {
        &self.pool
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.generation.limits
    }

    pub(crate) fn memory(&self) -> &MemoryBudget {
        &self.shared.memory
    }

    pub(crate) fn buffers(&self) -> &Budget {
        &self.shared.buffers
    }

    /// Answers a request on a connection.
    pub async fn handle<B: ClientBody>(
        self: Rc<Self>,
        connection: &Connection,
        request: &Request,
        body: B,
    ) -> Answer {
        let mut record = self.record(connection, &request.method, Some((&request.target, request.fields())));
        let upload = Upload::new(body);
        let (mut found, mut served) = (None, None);
        let serve = async {
            served = Some(match self.find_site(connection, request, &mut record).await {
                Ok(site) => {
                    found = Some(site);
                    self.serve(connection, site, request, &upload, &mut record).await
                }
                Err(refusal) => Err(refusal),
            });
        };
        contain(pin!(serve)).await;
        record.received(upload.sent());
        let mut answer = match served.unwrap_or_else(|| Err(failed_inside())) {
            Ok(Given::Store((FromStore::Streaming(answer), rewriter))) => relay(answer, rewriter, record),
            Ok(Given::Store((FromStore::Read(parts, body), rewriter))) => {
                relay_read(*parts, body, rewriter, record)
            }
            Ok(Given::Made(answer)) => make(*answer, record),
            Ok(Given::Page(answer)) => relay(*answer, None, record),
            Err(refusal) => {
                let buckets = found.iter().flat_map(|site| site.mapping.buckets());
                let domain = self.domain(connection);
                let refusal = virtual_host::explain(refusal, domain, request.host(), buckets);
                let form = Representation::of_error(request.fields(), request.target.query());
                let back = found
                    .filter(|_| form == Representation::Html)
                    .and_then(|site| self.back(connection, site, request));
                refuse(&refusal, form, (request.target.path(), back.as_deref()), record)
            }
        };
        if let Some(cors) = found.and_then(|site| site.mapping.cors.as_deref()) {
            cors.mark(request, &mut answer.fields);
        }
        answer
    }

    /// Answers a malformed request on a connection.
    pub fn refuse_malformed(&self, connection: &Connection, malformed: &Malformed) -> Answer {
        let unread = Method::from_bytes(b"-").unwrap_or_default();
        let record = self.record(connection, &unread, None);
        refuse(&Refusal::from(*malformed), Representation::S3, ("", None), record)
    }

    fn record(
        &self,
        connection: &Connection,
        method: &Method,
        request: Option<(&PathAndQuery, &Fields)>,
    ) -> Box<AccessRecord> {
        let (metrics, logged) = (Arc::clone(&self.shared.metrics), self.generation.access_log);
        AccessRecord::begin(metrics, connection, logged, method, request)
    }

    /// Establishes who sends a request, and finds the site of that client.
    async fn find_site(
        &self,
        connection: &Connection,
        request: &Request,
        record: &mut AccessRecord,
    ) -> Result<&Arc<Site>, Refusal> {
        let client = client::identify(connection, request).await?;
        record.identified(&client);
        let site = self.generation.sites.find(&client);
        site.ok_or_else(|| Refusal::new(Rule::NoMapping, "this client matches no mapping"))
    }

    async fn serve<B: ClientBody>(
        &self,
        connection: &Connection,
        site: &Arc<Site>,
        request: &Request,
        upload: &Rc<Upload<B>>,
        record: &mut AccessRecord,
    ) -> Result<Given, Refusal> {
        record.mapped(site.row);
        let (mapping, hosts) = (&site.mapping, self.generation.listeners.hosts(connection.listener().id()));
        browser::check(hosts, mapping.cors.as_deref(), request)?;
        let presigned = presigned::with_headers_of_query(request)?;
        let request = presigned.as_deref().unwrap_or(request);
        let path = virtual_host::path_style(hosts.domain(), request.host(), request.target.path())?;
        let asked = Asked { mapping, state: site, upload, request, path: &path };
        if request.method == Method::OPTIONS {
            return Box::pin(options::answer(&asked, record)).await;
        }
        // What few requests need is in boxes, here and below: the others need no room for it.
        let plan = Plan::of(mapping, request, &path)?;
        let mut outcome = match plan {
            Some(plan) => Box::pin(self.browse(&asked, &plan, record)).await,
            None => self.ask(&asked, &asked.wanted(), record).await.map(Given::Store),
        };
        if missing::is_missing(&outcome) {
            outcome = Box::pin(self.instead(&asked, outcome, record)).await;
        }
        let answer = outcome?;
        if !answer.is_error() {
            return Ok(answer);
        }
        let back = Self::way_back(mapping, &path, request);
        Box::pin(self.worded(answer, request, back.as_deref(), record)).await
    }

    /// A reference to the nearest folder that a client who is refused may see.
    fn back(&self, connection: &Connection, site: &Site, request: &Request) -> Option<String> {
        let domain = self.domain(connection);
        let path = virtual_host::path_style(domain, request.host(), request.target.path()).ok()?;
        Self::way_back(&site.mapping, &path, request)
    }

    /// Asks the store for what is wanted, if it is granted.
    async fn ask<B: ClientBody>(
        &self,
        asked: &Asked<'_, B>,
        wanted: &Wanted<'_>,
        record: &mut AccessRecord,
    ) -> Result<Served, Refusal> {
        match self.pass_on(asked, wanted, record).await {
            Ok(served) => Ok(served),
            Err(Otherwise::Refused(refusal)) => Err(refusal),
            Err(Otherwise::Buckets(grant)) => {
                Box::pin(self.list_buckets(asked, wanted, *grant, record)).await
            }
            Err(Otherwise::Uploads(grant)) => {
                Box::pin(self.list_uploads(asked, wanted, *grant, record)).await
            }
            Err(Otherwise::Document(request)) => {
                Box::pin(self.pass_on_document(asked, wanted, *request, record)).await
            }
        }
    }

    /// Passes on what is one request to the store as well.
    async fn pass_on<'a, B: ClientBody>(
        &self,
        asked: &'a Asked<'a, B>,
        wanted: &Wanted<'a>,
        record: &mut AccessRecord,
    ) -> Result<Served, Otherwise<'a>> {
        let Built { mut outgoing, rewriter, first, site } = build(asked, wanted, record)?;
        if *outgoing.payload() == Payload::Empty {
            asked.pass_over_body().await?;
        }
        // A body that is held waits for a buffer, which is its leave to run.
        if !matches!(outgoing.payload(), Payload::Held(_)) {
            asked.admit(record).await?;
        }
        if let Some(first) = first {
            outgoing = Box::pin(self.prepare(outgoing, &first, asked.state.session.slot(), record)).await?;
        }
        let answer = match outgoing.payload() {
            Payload::Held(body) => {
                Box::pin(multipart::pass_on(self, &outgoing, body, asked.upload, asked.state, record)).await?
            }
            _ => self.exchange(&outgoing, asked.upload, asked.state.session.slot(), record).await?,
        };
        let mut answer = match outgoing.without_range() {
            // The object has changed since the client got the range before: it gets all of it (RFC 9110, section 13.1.5).
            Some(whole) if answer.status() == StatusCode::PRECONDITION_FAILED => {
                drop(answer);
                Box::pin(self.exchange(&whole, asked.upload, asked.state.session.slot(), record)).await?
            }
            _ => answer,
        };
        // A browser that keeps the object takes the head of a 304 for its own.
        if site
            && let FromStore::Streaming(answer) = &mut answer
            && (answer.status.is_success() || answer.status == StatusCode::NOT_MODIFIED)
        {
            browser::let_run(&mut answer.fields);
        }
        if let FromStore::Streaming(answer) = &mut answer
            && answer.status == StatusCode::PARTIAL_CONTENT
        {
            mend_range_of_nothing(answer);
        }
        self.provide_rest(&mut answer, outgoing, asked.state, record);
        Ok((answer, rewriter))
    }

    /// Asks what is to be known before a request, and makes the request that follows from it.
    async fn prepare(
        &self,
        outgoing: Outgoing,
        first: &First,
        slot: &Slot,
        record: &mut AccessRecord,
    ) -> Result<Outgoing, Refusal> {
        match first {
            First::Source(source) => self.measure(outgoing, source, slot, record).await,
            First::Object(conditions) => self.decide(outgoing, conditions, slot, record).await,
        }
    }

    /// The domain below which buckets are hosts, at the listener of a connection.
    fn domain(&self, connection: &Connection) -> Option<&str> {
        self.generation.listeners.hosts(connection.listener().id()).domain()
    }
}

/// A granted request.
struct Built {
    outgoing: Outgoing,
    /// What puts the client's names into its answer.
    rewriter: Option<Box<Rewriter>>,
    /// What is asked before, if something is.
    first: Option<First>,
    /// Whether the answer is an object of a site.
    site: bool,
}

/// What is asked of the store before a request.
enum First {
    /// For a copy whose size counts: how large its source is.
    Source(Box<Outgoing>),
    /// For a read on conditions that the store cannot decide: what the object is.
    Object(Box<Conditions>),
}

/// Builds the request to the store for what is wanted, if it is granted.
fn build<'a, B: ClientBody>(
    asked: &'a Asked<'a, B>,
    wanted: &Wanted<'a>,
    record: &mut AccessRecord,
) -> Result<Built, Otherwise<'a>> {
    let grant = asked.mapping.grant(wanted.method, wanted.path, wanted.query, wanted.fields);
    let operation = grant.as_ref().map_or_else(|refusal| refusal.operation, |grant| Some(grant.operation()));
    if let Some(operation) = operation {
        record.routed(operation, wanted.query);
    }
    let grant = grant?;
    let payload = Payload::classify(grant.spec(), wanted.fields)?;
    asked.upload.set_length(payload.length());
    asked.upload.unwrap_envelope(payload.envelope());
    if grant.operation() == Operation::ListBuckets {
        return Err(Otherwise::Buckets(Box::new(grant)));
    }
    if grant.operation() == Operation::ListMultipartUploads {
        return Err(Otherwise::Uploads(Box::new(grant)));
    }
    if let Some(kind) = Kind::of(grant.operation()) {
        return Err(Otherwise::Document(Box::new(Documented { kind, grant, payload })));
    }
    let (rewriter, site) = (grant.rewriter(asked.request), asked.mapping.is_site(&grant));
    let source = Outgoing::source_size_request(&grant, wanted.fields);
    let mut outgoing = Outgoing::rebuild(grant, wanted.fields, payload)?;
    let first = match source {
        Some(source) => Some(First::Source(Box::new(source))),
        None => outgoing.take_conditions().map(First::Object),
    };
    Ok(Built { outgoing, rewriter, first, site })
}

/// MinIO answers the last bytes of an empty object with a range from 0 to -1. They are the whole object.
fn mend_range_of_nothing<D>(answer: &mut http1::Response<D>) {
    if answer.fields.get(CONTENT_RANGE.as_str()) == Some(b"bytes 0--1/0") {
        answer.fields.remove(CONTENT_RANGE.as_str());
        answer.status = StatusCode::OK;
    }
}

fn failed_inside() -> Refusal {
    Refusal::new(Rule::Internal, "scopegate failed, not the store: the log says where")
}

#[cfg(test)]
mod tests;
