mod gate;

use super::*;
use crate::authenticate::attempts::AttemptLimits;
use crate::authenticate::authenticator::Authenticator;
use crate::authenticate::lasting::Lasting;
use crate::authenticate::verifiers::Verifiers;
use crate::authorize::mapping::Mapping;
use crate::authorize::operations::SessionKind;
use crate::bounds::admission::{Admission, Bounds};
use crate::bounds::limits::Limits;
use crate::bounds::memory::MemoryBudget;
use crate::bounds::part_budget::PartBudget;
use crate::bounds::places::{Places, Size};
use crate::config::Config;
use crate::config::tests::{EXAMPLE, Fake};
use crate::identify::browser::AllowedHosts;
use crate::identify::client::ListenerRegistry;
use crate::identify::client::tests::{connection, listener};
use crate::net::endpoint::NodeIndex;
use crate::net::wall_clock::WallClock;
use crate::proxy::generation::{ListenerTable, SiteTable};
use crate::sessions::minting::{Mint, MintError, MintRequest};
use crate::sessions::refresh::Reason;
use crate::sessions::session::{Minted, Session};
use crate::sessions::table::{
    Judge, Keeper, MintBudget, MintCounts, OpenSession, SessionHandle, Sessions, Slot, Unopened, Verdict,
};
use crate::sigv4::secret::{Credentials, Secret};
use crate::store::nodes::NodeBoard;
use crate::telemetry::metrics::{Format, Metrics};
use arc_swap::ArcSwap;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderValue, StatusCode};
use http_body_util::{BodyExt, Empty};
use http1::Fields;
use std::fmt;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::time::Instant;

/// An STS and a judge that must not be called.
struct Unasked;

impl Mint for Unasked {
    async fn mint(&self, _: &MintRequest, _: Reason) -> Result<Minted, MintError> {
        std::future::pending().await
    }
}

impl Judge for Unasked {
    async fn judge(&self, _: &Session, _: &[NodeIndex]) -> Verdict {
        Verdict::Unknown
    }
}

/// An STS that always grants a session.
pub(crate) struct Mints;

impl Mint for Mints {
    async fn mint(&self, _: &MintRequest, _: Reason) -> Result<Minted, MintError> {
        let key = || Secret::new("A".repeat(20));
        let keys = Credentials { access_key: key(), secret_key: key() };
        let expiration = SystemTime::now() + Duration::from_hours(1);
        Ok(Minted { keys, token: key(), expiration })
    }
}

/// Opens sessions that this STS mints.
struct Opener<M> {
    mapping: Arc<Mapping>,
    mint: Arc<M>,
    counts: Arc<MintCounts>,
}

impl<M> fmt::Debug for Opener<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opener")
    }
}

impl<M: Mint + Send + Sync + 'static> OpenSession for Opener<M> {
    fn open(&self, kind: SessionKind) -> Result<Arc<SessionHandle>, Unopened> {
        let policy = self.mapping.policy_of(kind).ok_or(Unopened::NotGranted)?;
        let keeper = Keeper {
            slot: Arc::new(Slot::new(false, Arc::clone(&self.counts))),
            mint: Arc::clone(&self.mint),
            request: MintRequest { name: String::new(), policy, duration: self.mapping.duration },
            kind,
            region: "us-east-1".into(),
            clock: WallClock::SYSTEM,
            budget: Arc::new(MintBudget::new(1, Duration::from_secs(1))),
            missing: None,
            judge: Unasked,
            issuer_doubts: Arc::default(),
        };
        Ok(keeper.start())
    }
}

fn site<M: Mint + Send + Sync + 'static>(mapping: &Mapping, metrics: &Metrics, mint: &Arc<M>) -> Site {
    let (row, counts) = metrics.rows([&*mapping.name]).remove(0);
    let mapping = Arc::new(mapping.clone());
    let opener = Opener { mapping: Arc::clone(&mapping), mint: Arc::clone(mint), counts };
    let sessions = Arc::new(Sessions::new(mapping.sessions, Box::new(opener)));
    let admission = Arc::new(Admission::new(Bounds::of(&Limits::default())));
    Site { mapping, row, sessions, admission, completions: Arc::default(), holder: None, homes: None }
}

/// Returns a proxy in the state that `serve` creates from `config`.
pub(crate) fn proxy_of<M: Mint + Send + Sync + 'static>(
    config: Config,
    clock: WallClock,
    mint: M,
) -> Rc<Proxy> {
    let (metrics, mint) = (Arc::new(Metrics::default()), Arc::new(mint));
    let nodes = Arc::new(NodeBoard::new(&config.upstream.endpoints, Instant::now()));
    let mut registry = ListenerRegistry::default();
    for listener in &config.listeners {
        registry.register(&listener.name);
    }
    let sites = config.mappings.iter().map(|mapping| Arc::new(site(mapping, &metrics, &mint))).collect();
    let lasting = Lasting::new(AttemptLimits::of(&config.limits), 1).unwrap();
    let matchers = config.mappings.iter().map(|mapping| &*mapping.client);
    let authenticator = Authenticator::new(matchers, &registry, |name| config.certificates_at(name));
    let generation = Arc::new(Generation {
        authenticator: authenticator
            .verifying(Verifiers::new(&config.users, &config.tokens, Arc::new(lasting), None).unwrap())
            .with_keys(Arc::clone(&config.keys)),
        nodes,
        sites: SiteTable::new(sites, &registry),
        admin_hosts: AllowedHosts::none(),
        listeners: ListenerTable::new(&config.listeners, &registry, &ListenerTable::default()),
        upstream: config.upstream,
        handshakes: Places::new(Size { places: config.limits.handshakes, grouped: false, queue: 0 }),
        sts_tls: config.issuer.tls,
        limits: config.limits,
        access_log: None,
        tracer: None,
        traces_tls: None,
    });
    let pool = Pool::new(generation.upstream.servers(), &generation.limits, &generation.nodes).unwrap();
    let shared = Shared {
        generation: ArcSwap::from(Arc::clone(&generation)),
        metrics,
        buffers: Arc::new(PartBudget::new(8 << 20, 1)),
        memory: MemoryBudget::new(64 << 20),
        tls_changes: watch::Sender::default(),
        clock,
    };
    Rc::new(Proxy::new(Arc::new(shared), generation, pool))
}

fn proxy(clock: WallClock) -> Rc<Proxy> {
    proxy_of(Config::parse(EXAMPLE, &Fake).unwrap(), clock, Unasked)
}

fn request() -> Request {
    let host = Fields::from_iter([(HOST, HeaderValue::from_static("localhost"))]);
    Request::new(Method::GET, PathAndQuery::from_static("/tmp/media/a"), host).unwrap()
}

#[tokio::test]
async fn a_panic_gets_a_response_and_is_counted() {
    let proxy = proxy(WallClock::new(|| panic!("scripted")));
    let connection = connection(Some("127.0.0.1"), listener("sidecar"));
    for asked in 1..=3 {
        let answer = Rc::clone(&proxy).handle(&connection, &request(), Empty::new()).await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        let body = answer.body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8_lossy(&body);
        assert!(body.contains("<Code>InternalError</Code>") && !body.contains("scripted"), "{body}");
        let counts = proxy.shared.metrics.encode(Format::Text);
        for line in [
            &format!("scopegate_refusals_total{{mapping=\"media-reader\",rule=\"internal\"}} {asked}"),
            "scopegate_requests_in_flight 0",
        ] {
            assert!(counts.contains(line), "{line} in {counts}");
        }
    }
}

/// Bounds the memory of a running request before it does anything.
#[tokio::test]
async fn request_futures_are_small() {
    let proxy = proxy(WallClock::SYSTEM);
    let connection = connection(Some("127.0.0.1"), listener("sidecar"));
    let (request, body) = (request(), Empty::new());
    let answering = proxy.handle(&connection, &request, body);
    assert!(size_of_val(&answering) <= 2120, "{} bytes", size_of_val(&answering));
}
