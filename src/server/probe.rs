//! Asks the store's nodes whether they are ready, and notes it for all worker threads.

use crate::connect::Connector;
use crate::endpoint::Endpoint;
use crate::nodes::{Check, NodeBoard, NodeIndex};
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, header};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// A node that has not answered by then does not count.
const PATIENCE: Duration = Duration::from_secs(1);
/// A node in doubt is asked this often.
const PACE: Duration = Duration::from_secs(5);
/// And any other with every so many of those, if there are several.
const ROUNDS: u32 = 3;

/// Asks nodes. The only one in a process.
#[derive(Debug)]
pub(super) struct Prober(ArcSwap<Nodes>);

#[derive(Debug)]
struct Nodes {
    list: Vec<Node>,
    board: Arc<NodeBoard>,
}

#[derive(Debug)]
struct Node {
    connector: Connector,
    authority: String,
}

impl Prober {
    /// A prober for `endpoints`, which are the nodes of `board`.
    pub(super) fn new(endpoints: &[Endpoint], board: &Arc<NodeBoard>) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self(ArcSwap::from_pointee(Nodes::new(endpoints, board)?))))
    }

    /// Asks these from now on.
    pub(super) fn follow(&self, endpoints: &[Endpoint], board: &Arc<NodeBoard>) -> io::Result<()> {
        self.0.store(Arc::new(Nodes::new(endpoints, board)?));
        Ok(())
    }

    /// Asks those in doubt, and now and then all, until the server stops.
    pub(super) async fn run_until(self: Arc<Self>, mut stopping: watch::Receiver<bool>) {
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut round = 0_u32;
        loop {
            tokio::select! {
                _ = pace.tick() => {}
                _ = stopping.wait_for(|stop| *stop) => return,
            }
            let nodes = self.0.load_full();
            let everyone = nodes.list.len() > 1 && round.is_multiple_of(ROUNDS);
            round = round.wrapping_add(1);
            let mut asking = nodes.ask_those(|node| everyone || nodes.board.is_in_doubt(node));
            while asking.join_next().await.is_some() {}
        }
    }

    /// Whether any node answers.
    pub(super) async fn any_answers(&self) -> bool {
        let mut asking = self.0.load_full().ask_those(|_| true);
        while let Some(answered) = asking.join_next().await {
            if matches!(answered, Ok(true)) {
                // What the others say is noted all the same.
                asking.detach_all();
                return true;
            }
        }
        false
    }
}

impl Nodes {
    fn new(endpoints: &[Endpoint], board: &Arc<NodeBoard>) -> io::Result<Self> {
        let node = |endpoint: &Endpoint| {
            let connector = Connector::new(endpoint.clone(), PATIENCE)?;
            Ok(Node { connector, authority: endpoint.authority() })
        };
        Ok(Self { list: endpoints.iter().map(node).collect::<io::Result<_>>()?, board: Arc::clone(board) })
    }

    fn ask_those(self: &Arc<Self>, which: impl Fn(NodeIndex) -> bool) -> JoinSet<bool> {
        let due = (0..self.list.len()).map(NodeIndex).filter(|node| which(*node));
        due.map(|node| Arc::clone(self).ask(node)).collect()
    }

    async fn ask(self: Arc<Self>, index: NodeIndex) -> bool {
        let Some(node) = self.list.get(index.0) else { return false };
        let began = Instant::now();
        let answered = timeout(PATIENCE, status(node)).await;
        let answers = answered.is_ok_and(|status| status.is_ok_and(|status| status < 500));
        let known = self.board.is_up(index);
        self.board.checked(index, Check { began, answers });
        if known != answers {
            tracing::warn!(node = %node.authority, answers, "a node's health changed");
        }
        answers
    }
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
