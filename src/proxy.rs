//! The proxy: the stages of a request, from the client that sent it to the answer that it gets.

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
mod local;
mod reply;
mod uploads;

pub(crate) use self::call::Account;
pub use self::current::Current;

use self::call::Call;
use self::decision::{Action, Decision, Route, RouteKind, decide};
use self::reply::Reply;
use crate::access::AccessRecord;
use crate::body::{BoxError, Upload};
use crate::browser::AllowedHosts;
use crate::client::Client;
use crate::generation::{Generation, Shared};
use crate::holdings::Holdings;
use crate::http1::{self, Fields, Malformed, Request};
use crate::limits::Limits;
use crate::limits::part_budget::PartBudget;
use crate::mapping::{self, Mapping};
use crate::panics::contain;
use crate::refusal::{Refusal, Rule};
use crate::representation::Representation;
use crate::response::{ResponseBody, refuse};
use crate::store::Store;
use crate::trace::Trace;
use crate::upstream::{Download, Pool};
use crate::virtual_host;
use bytes::Bytes;
use http::Method;
use http::uri::PathAndQuery;
use http_body::Body;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

/// The names of a listener that the configuration no longer has.
static NO_HOSTS: AllowedHosts = AllowedHosts::none();

/// The proxy of one generation on one worker thread.
#[derive(Clone)]
pub struct Proxy {
    shared: Arc<Shared>,
    generation: Arc<Generation>,
    store: Store,
}

/// The response to a client.
pub type Answer = http1::Answer<AnswerBody>;

/// The body of a response to a client.
pub type AnswerBody = ResponseBody<Download>;

/// The body of a client's request.
pub trait ClientBody: Body<Data = Bytes, Error: Into<BoxError>> + Unpin {}

impl<B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin> ClientBody for B {}

impl Proxy {
    /// Makes a proxy that reaches the store through `pool`.
    pub fn new(shared: Arc<Shared>, generation: Arc<Generation>, pool: Rc<Pool>) -> Self {
        let (nodes, replays) = (Arc::clone(&generation.nodes), shared.metrics.replays());
        let store = Store::new(pool, nodes, &generation.limits, shared.clock, replays);
        Self { shared, generation, store }
    }

    /// Returns the generation.
    pub fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// Returns the client of the store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.generation.limits
    }

    pub(crate) fn buffers(&self) -> &PartBudget {
        &self.shared.buffers
    }

    /// Answers a request of `client`.
    pub async fn handle<B: ClientBody>(
        self: Rc<Self>,
        client: &Client,
        request: &Request,
        body: B,
    ) -> Answer {
        let mut record = self.record(client, &request.method, Some((&request.target, request.fields())));
        let (upload, holdings) = (Upload::new(body), Holdings::new(client.key()));
        let found = self.mapping_of(client);
        if let Some(state) = found.and_then(|(index, _)| self.generation.states.get(index)) {
            record.mapped(state.row);
        }
        let mut served = None;
        let trace = record.trace();
        let serve =
            async { served = Some(self.serve(client, found, request, &upload, trace, &holdings).await) };
        contain(pin!(serve)).await;
        record.received(upload.sent());
        let mut answer = match served.unwrap_or_else(|| Err(failed_inside())) {
            Ok(reply) => reply.into_answer(record),
            Err(refusal) => self.refuse(client, request, &refusal, record),
        };
        if let Some(cors) = found.and_then(|(_, mapping)| mapping.cors.as_deref()) {
            cors.mark(request, &mut answer.fields);
        }
        answer.body.hold(holdings);
        answer
    }

    /// Takes a request through its stages, in order.
    async fn serve<B: ClientBody>(
        &self,
        client: &Client,
        found: Option<(usize, &Mapping)>,
        request: &Request,
        upload: &Rc<Upload<B>>,
        trace: &Trace,
        holdings: &Holdings,
    ) -> Result<Reply, Refusal> {
        let (index, mapping) =
            found.ok_or_else(|| Refusal::new(Rule::NoMapping, "this client matches no mapping"))?;
        let state = self.generation.states.get(index).ok_or_else(failed_inside)?;
        let Decision { incoming, mut action } = decide(mapping, self.hosts(client), request)?;
        let account = Account { state, trace, holdings, memory: &self.shared.memory };
        let call = Call { index, mapping, upload, incoming: &incoming, account };
        let has_fallen_back = matches!(action, Action::Fallback(_));
        // Most requests are forwarded. Their future stays small because the request to the store is lent, and because all
        // other actions have a box.
        let outcome = if let Action::Route(Route { kind: RouteKind::Forward(forward), .. }) = &mut action {
            call.begin(forward.spec.operation, forward.outgoing.payload());
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

    /// Answers `client`, whose bytes are not a request.
    pub fn refuse_malformed(&self, client: &Client, malformed: &Malformed) -> Answer {
        let unread = Method::from_bytes(b"-").unwrap_or_default();
        refuse(&Refusal::from(*malformed), Representation::S3, ("", None), self.record(client, &unread, None))
    }

    fn refuse(
        &self,
        client: &Client,
        request: &Request,
        refusal: &Refusal,
        record: Box<AccessRecord>,
    ) -> Answer {
        if let Some(operation) = refusal.operation {
            record.trace().routed(operation, request.target.query());
        }
        let form = Representation::of_error(request.fields(), request.target.query());
        let back = if form == Representation::Html { self.way_back(client, request) } else { None };
        refuse(refusal, form, (request.target.path(), back.as_deref()), record)
    }

    /// Returns a reference to the nearest folder that the client of a refused request may see.
    fn way_back(&self, client: &Client, request: &Request) -> Option<String> {
        let (_, mapping) = self.mapping_of(client)?;
        let domain = self.hosts(client).domain();
        let path = virtual_host::path_style(domain, request.host(), request.target.path()).ok()?;
        fallback::way_back(mapping, &path, request)
    }

    fn record(
        &self,
        client: &Client,
        method: &Method,
        request: Option<(&PathAndQuery, &Fields)>,
    ) -> Box<AccessRecord> {
        let generation = &self.generation;
        let listener = generation.access_log.then(|| generation.listener_name(client.listener()));
        AccessRecord::begin(Arc::clone(&self.shared.metrics), listener, *client, method, request)
    }

    fn mapping_of(&self, client: &Client) -> Option<(usize, &Mapping)> {
        mapping::find(&self.generation.mappings, client)
    }

    fn hosts(&self, client: &Client) -> &AllowedHosts {
        self.generation.hosts.get(client.listener().0).unwrap_or(&NO_HOSTS)
    }
}

fn failed_inside() -> Refusal {
    Refusal::new(Rule::Internal, "internal error in scopegate: its log says where")
}

#[cfg(test)]
pub(crate) mod tests;
