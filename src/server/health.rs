//! Whether the proxy can serve: it is not draining, a node answers, and the sessions needed are live.

use crate::config::Upstream;
use crate::connect::Connector;
use crate::generation::Shared;
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, header};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// A node that has not answered by then does not count.
const PATIENCE: Duration = Duration::from_secs(1);
/// However often it is asked, nodes are asked this often.
const KEPT: Duration = Duration::from_secs(1);

/// Answers `/readyz`.
#[derive(Debug)]
pub(super) struct Readiness {
    shared: Arc<Shared>,
    nodes: ArcSwap<Vec<Arc<Node>>>,
    stopping: watch::Receiver<bool>,
    last: Mutex<Option<(Instant, bool)>>,
}

#[derive(Debug)]
struct Node {
    connector: Connector,
    authority: String,
}

impl Readiness {
    pub(super) fn new(
        shared: Arc<Shared>,
        upstream: &Upstream,
        stopping: watch::Receiver<bool>,
    ) -> io::Result<Arc<Self>> {
        let nodes = ArcSwap::from_pointee(nodes(upstream)?);
        Ok(Arc::new(Self { shared, nodes, stopping, last: Mutex::new(None) }))
    }

    /// Asks the nodes of `upstream` from now on.
    pub(super) fn follow(&self, upstream: &Upstream) -> io::Result<()> {
        self.nodes.store(Arc::new(nodes(upstream)?));
        Ok(())
    }

    /// The counts, for `/metrics`.
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// What is in the way of serving, a line each; nothing when ready.
    pub(super) async fn obstacles(&self) -> Vec<String> {
        let mut obstacles = Vec::new();
        if *self.stopping.borrow() {
            obstacles.push("draining: the server is shutting down".to_owned());
        }
        if !self.upstream_answers().await {
            obstacles.push("upstream: no node answers".to_owned());
        }
        let now = self.shared.clock.now();
        let generation = self.shared.generation.load_full();
        for (mapping, state) in generation.mappings.iter().zip(&generation.states) {
            if !state.session.slot().is_ready(now) {
                obstacles.push(format!(
                    "session: mapping {:?} has none (see the log for what STS said)",
                    mapping.name
                ));
            }
        }
        obstacles
    }

    async fn upstream_answers(&self) -> bool {
        let mut last = self.last.lock().await;
        if let Some((when, answers)) = *last
            && when.elapsed() < KEPT
        {
            return answers;
        }
        let mut asking: JoinSet<bool> = self.nodes.load().iter().map(|node| ask(Arc::clone(node))).collect();
        let mut answers = false;
        while let Some(answered) = asking.join_next().await {
            if matches!(answered, Ok(true)) {
                answers = true;
                break;
            }
        }
        *last = Some((Instant::now(), answers));
        answers
    }
}

fn nodes(upstream: &Upstream) -> io::Result<Vec<Arc<Node>>> {
    let node = |endpoint: &crate::endpoint::Endpoint| {
        let connector = Connector::new(endpoint.clone(), PATIENCE)?;
        Ok(Arc::new(Node { connector, authority: endpoint.authority() }))
    };
    upstream.endpoints.iter().map(node).collect()
}

async fn ask(node: Arc<Node>) -> bool {
    timeout(PATIENCE, status(&node)).await.is_ok_and(|status| status.is_ok_and(|status| status < 500))
}

/// MinIO's own readiness; another store answers with some 4xx, which shows that it answers.
/// <https://min.io/docs/minio/linux/operations/monitoring/healthcheck-probe.html>
async fn status(node: &Node) -> Result<u16, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TokioIo::new(node.connector.connect().await?);
    let (mut sender, connection) = http1::handshake(stream).await?;
    let request = Request::get("/minio/health/ready")
        .header(header::HOST, &node.authority)
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let connection = tokio::spawn(connection);
    let status = sender.send_request(request).await.map(|answer| answer.status().as_u16());
    connection.abort();
    Ok(status?)
}
