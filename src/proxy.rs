//! One request, from identifying its client to streaming the response.
//!
//! May use: `answer`, `telemetry`, `store`, `config`, `sessions`, `outgoing`, `authenticate`, `authorize`, `bounds`, `identify`, `trace`, `refusal`, `s3`, `net`.

mod browse;
mod call;
mod conditions;
mod continued;
mod copies;
mod current;
pub(crate) mod decision;
mod documents;
mod fallback;
mod forward;
pub(crate) mod gate;
pub(crate) mod generation;
pub(crate) mod live_tls;
mod local;
mod misdirected;
pub(crate) mod multipart;
mod reply;
pub(crate) mod site;
mod sorted;
mod uploads;

pub(crate) use self::call::Account;
pub(crate) use self::current::Current;

use self::call::Call;
use self::decision::{Action, Decision, Route, RouteKind, decide};
use self::reply::Reply;
use crate::answer::representation::Representation;
use crate::answer::response::{ResponseBody, name_error, refuse};
use crate::bounds::holdings::Holdings;
use crate::bounds::limits::Limits;
use crate::bounds::part_budget::PartBudget;
use crate::identify::client::{Client, Connection};
use crate::identify::forwarded;
use crate::identify::virtual_host;
use crate::outgoing::upload::Upload;
use crate::proxy::generation::{Generation, Shared, Site};
use crate::proxy::site::Found;
use crate::refusal::{Refusal, Rule};
use crate::store::Store;
use crate::store::pool::{Download, Pool};
use crate::telemetry::access::{AccessRecord, Recorded};
use crate::telemetry::panics::catch_panic;
use crate::trace::Trace;
use bytes::Bytes;
use http::Method;
use http1::body::BoxError;
use http1::splice::SpliceBody;
use http1::{Malformed, Request};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

/// The proxy of one generation on one worker thread.
#[derive(Clone)]
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    generation: Arc<Generation>,
    store: Store,
}

/// The response to a client.
pub(crate) type ClientResponse = http1::Response<ClientResponseBody>;

/// The body of a response to a client.
pub(crate) type ClientResponseBody = ResponseBody<Download>;

/// The body of a client's request.
pub(crate) trait ClientBody: SpliceBody<Data = Bytes, Error: Into<BoxError>> + Unpin {}

impl<B: SpliceBody<Data = Bytes, Error: Into<BoxError>> + Unpin> ClientBody for B {}

impl Proxy {
    /// Makes a proxy that reaches the store through `pool`.
    pub(crate) fn new(shared: Arc<Shared>, generation: Arc<Generation>, pool: Rc<Pool>) -> Self {
        let (nodes, replays) = (Arc::clone(&generation.nodes), shared.metrics.replays());
        let store = Store::new(pool, nodes, &generation.limits, shared.clock, replays);
        Self { shared, generation, store }
    }

    /// Returns the generation.
    pub(crate) fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// Returns the client of the store.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.generation.limits
    }

    pub(crate) fn buffers(&self) -> &PartBudget {
        &self.shared.buffers
    }

    /// Responds to a request that arrived on a connection.
    pub(crate) async fn handle<B: ClientBody>(
        self: Rc<Self>,
        connection: &Connection,
        request: &Request,
        body: B,
    ) -> ClientResponse {
        let (client, misled) = self.client_of(connection, request);
        let mut record = self.record(&client, &request.method, Some(request));
        let (upload, holdings) = (Upload::new(body), Holdings::new(client.key()));
        let (mut found, mut served) = (None, None);
        let serve = async {
            let site = match misled {
                Some(refusal) => Err(*refusal),
                None => self.find_site(&client, request, &upload, &record, &holdings).await,
            };
            served = Some(match site {
                Ok(site) => {
                    let site: &Arc<Site> = found.insert(site);
                    self.serve(&client, site, request, &upload, record.trace(), &holdings).await
                }
                Err(refusal) => Err(refusal),
            });
        };
        catch_panic(pin!(serve)).await;
        let found = found.as_deref();
        record.received(upload.sent());
        let mut answer = match served.unwrap_or_else(|| Err(internal_error())) {
            Ok(reply) => reply.into_response(record),
            Err(refusal) => self.refuse(&client, found, request, &refusal, record),
        };
        self.mark(&client, request, found, &mut answer.fields);
        answer.body.hold(holdings);
        answer
    }

    /// Returns the client of a request as far as its connection and its load balancer's headers tell, and the refusal if
    /// these do not tell.
    fn client_of<'c>(
        &self,
        connection: &'c Connection,
        request: &Request,
    ) -> (Client<'c>, Option<Box<Refusal>>) {
        let listener = self.generation.listeners.get(connection.listener().id());
        let headers = listener.and_then(|listener| listener.forwarded.as_ref());
        match forwarded::client_of(headers, connection, request.fields()) {
            Ok(client) => (client, None),
            // Boxed because the future of every request would have room for it.
            Err(refusal) => (Client::of_connection(connection), Some(Box::new(refusal))),
        }
    }

    /// Identifies the client of a request and finds its site: the first two stages.
    async fn find_site<B: ClientBody>(
        &self,
        client: &Client<'_>,
        request: &Request,
        upload: &Upload<B>,
        record: &AccessRecord,
        holdings: &Holdings,
    ) -> Result<Found<'_>, Refusal> {
        self.check_direction(client.connection(), request)?;
        if let Some(site) = self.admit_page(client, request)? {
            record.preflight_mapped(site.row);
            return Ok(Found::Shared(site));
        }
        let (authenticator, counts) = (&self.generation.authenticator, &self.shared.metrics.authentications);
        let identified = authenticator.identify(client, request, self.shared.clock, counts).await;
        let mut identified = identified.map_err(|refusal| self.quiet(client, request, refusal))?;
        upload.require(std::mem::take(&mut identified.body));
        let identified_client = &identified.client;
        holdings.identified(identified_client);
        record.identified(identified_client);
        let site = self.generation.sites.find(identified_client);
        let refuse = || self.quiet(client, request, authenticator.refuse_identified(&identified, request));
        let site = site.ok_or_else(refuse)?;
        record.mapped(site.row);
        site.of_client(identified_client)
    }

    /// Takes an identified client's request through the remaining stages, in order.
    async fn serve<B: ClientBody>(
        &self,
        client: &Client<'_>,
        site: &Arc<Site>,
        request: &Request,
        upload: &Rc<Upload<B>>,
        trace: &Trace,
        holdings: &Holdings,
    ) -> Result<Reply, Refusal> {
        let Decision { incoming, mut action } = decide(&site.mapping, self.own_origins(client), request)?;
        let account = Account { site, trace, holdings, memory: &self.shared.memory };
        let call = Call { mapping: &site.mapping, upload, incoming: &incoming, client, account };
        let has_fallen_back = matches!(action, Action::Fallback(_));
        // Most requests are forwarded. Their future stays small because the outgoing request is borrowed, and because
        // every other action is boxed.
        let outcome = if let Action::Route(Route { kind: RouteKind::Forward(forward), .. }) = &mut action {
            call.begin(forward.spec.operation, forward.outgoing.payload())?;
            self.forward(account, upload, forward).await.map(Reply::Store)
        } else {
            Box::pin(self.act(&call, action)).await
        };
        let reply = match fallback::after(&call, &outcome) {
            Some(fallback) if !has_fallen_back => Box::pin(self.fall_back(&call, outcome, fallback)).await?,
            _ => outcome?,
        };
        if !reply.is_error() {
            return Ok(reply);
        }
        Box::pin(self.localize_error(&call, reply)).await
    }

    /// Carries out an action.
    async fn act<B: ClientBody>(&self, call: &Call<'_, B>, action: Action) -> Result<Reply, Refusal> {
        match action {
            Action::Route(route) => self.run(call, route).await.map(Reply::Store),
            Action::Options(options) => local::answer_options(call, *options).await,
            Action::Browse(browse) => self.browse(call, *browse).await,
            Action::Fallback(refused) => {
                let (refusal, fallback) = *refused;
                self.fall_back(call, Err(refusal), fallback).await
            }
        }
    }

    /// Responds to bytes on a connection that are not a request.
    pub(crate) fn refuse_malformed(&self, connection: &Connection, malformed: &Malformed) -> ClientResponse {
        let unread = Method::from_bytes(b"-").unwrap_or_default();
        let record = self.record(&Client::of_connection(connection), &unread, None);
        refuse(&Refusal::from(*malformed), Representation::S3, ("", None), record)
    }

    fn refuse(
        &self,
        client: &Client<'_>,
        found: Option<&Arc<Site>>,
        request: &Request,
        refusal: &Refusal,
        record: Box<AccessRecord>,
    ) -> ClientResponse {
        if let Some(operation) = refusal.operation {
            record.trace().routed(operation, request.target.query());
        }
        let form = Representation::of_error(request.fields(), request.target.query());
        let back = found
            .filter(|_| form == Representation::Html)
            .and_then(|site| self.way_back(client, site, request));
        let mut answer = refuse(refusal, form, (request.target.path(), back.as_deref()), record);
        if request.method == Method::HEAD {
            name_error(&mut answer.fields, refusal);
        }
        answer
    }

    /// Returns a reference to the nearest folder that the client of a refused request may see.
    fn way_back(&self, client: &Client<'_>, site: &Site, request: &Request) -> Option<String> {
        let domain = self.generation.listeners.hosts(client.connection().listener().id()).domain();
        let path = virtual_host::path_of(domain, request).ok()?;
        fallback::way_back(&site.mapping, &path, request)
    }

    fn record(&self, client: &Client<'_>, method: &Method, request: Option<&Request>) -> Box<AccessRecord> {
        let (metrics, generation) = (Arc::clone(&self.shared.metrics), &self.generation);
        let recorded = Recorded { lines: generation.access_log, tracer: generation.tracer.as_ref() };
        AccessRecord::begin(metrics, client, recorded, method, request)
    }
}

fn internal_error() -> Refusal {
    Refusal::new(Rule::Internal, "internal error in scopegate: its log says where")
}

#[cfg(test)]
pub(crate) mod tests;
