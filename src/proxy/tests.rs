use super::*;
use crate::admission::{Admission, Bounds};
use crate::browser::AllowedHosts;
use crate::client::ListenerRegistry;
use crate::client::tests::{connection, listener};
use crate::config::Config;
use crate::config::tests::{EXAMPLE, Fake};
use crate::generation::{ListenerTable, SiteTable};
use crate::limits::Limits;
use crate::memory::MemoryBudget;
use crate::metrics::Format;
use crate::metrics::Metrics;
use crate::mint::{Mint, MintError, MintRequest};
use crate::multipart::Budget;
use crate::nodes::{NodeBoard, NodeIndex};
use crate::operation::SessionKind;
use crate::refresh::Reason;
use crate::session::{Minted, Session};
use crate::session_table::{Judge, Keeper, MintBudget, Sessions, Slot, Verdict};
use crate::wall_clock::WallClock;
use arc_swap::ArcSwap;
use http::HeaderValue;
use http::header::HOST;
use http_body_util::{BodyExt, Empty};
use std::time::Duration;
use tokio::time::Instant;

/// An STS and a judge that are never asked.
struct Unasked;

impl Mint for Unasked {
    async fn mint(&self, _: &MintRequest, _: Reason<'_, Session>) -> Result<Minted, MintError> {
        std::future::pending().await
    }
}

impl Judge for Unasked {
    async fn judge(&self, _: &Session, _: &[NodeIndex]) -> Verdict {
        Verdict::Unknown
    }
}

fn site(config: &Config, metrics: &Metrics) -> Site {
    let (row, counts) = metrics.rows(["media-reader"]).remove(0);
    let mapping = &config.mappings[0];
    let keeper = Keeper {
        slot: Arc::new(Slot::new(false, counts)),
        mint: Arc::new(Unasked),
        request: MintRequest {
            name: String::new(),
            policy: mapping.policy.clone(),
            duration: mapping.duration,
        },
        kind: SessionKind::Scopes,
        region: "us-east-1".into(),
        clock: WallClock::SYSTEM,
        budget: Arc::new(MintBudget::new(1, Duration::from_secs(1))),
        judge: Unasked,
        issuer_doubts: Arc::default(),
    };
    let admission = Arc::new(Admission::new(Bounds::of(&Limits::default())));
    let session = Sessions::new(keeper.start(), None);
    Site { mapping: mapping.clone(), row, session, admission, completions: Arc::default() }
}

fn proxy(clock: WallClock) -> Rc<Proxy> {
    let config = Config::parse(EXAMPLE, &Fake).unwrap();
    let metrics = Arc::new(Metrics::default());
    let nodes = Arc::new(NodeBoard::new(&config.upstream.endpoints, Instant::now()));
    let mut registry = ListenerRegistry::default();
    registry.register(&config.listeners[0].name);
    let generation = Arc::new(Generation {
        nodes,
        sites: SiteTable::new(vec![Arc::new(site(&config, &metrics))], &registry),
        admin_hosts: AllowedHosts::none(),
        listeners: ListenerTable::default(),
        upstream: config.upstream,
        limits: config.limits,
        access_log: false,
    });
    let pool = Pool::new(&generation.upstream.endpoints, &generation.limits, &generation.nodes).unwrap();
    let shared = Shared {
        generation: ArcSwap::from(Arc::clone(&generation)),
        metrics,
        buffers: Arc::new(Budget::new(1 << 20, 1)),
        memory: MemoryBudget::new(1 << 20),
        clock,
    };
    Rc::new(Proxy::new(Arc::new(shared), generation, pool))
}

fn request() -> Request {
    let host = Fields::from_iter([(HOST, HeaderValue::from_static("localhost"))]);
    Request::new(Method::GET, PathAndQuery::from_static("/tmp/media/a"), host).unwrap()
}

#[tokio::test]
async fn a_panic_is_answered_counted_and_over() {
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

/// What a request costs before anything happens: the room that it takes while it runs.
#[tokio::test]
async fn a_request_takes_little_room() {
    let proxy = proxy(WallClock::SYSTEM);
    let connection = connection(Some("127.0.0.1"), listener("sidecar"));
    let (request, body) = (request(), Empty::new());
    let answering = proxy.handle(&connection, &request, body);
    assert!(size_of_val(&answering) <= 2048, "{} bytes", size_of_val(&answering));
}
