//! Checks the health of the store's nodes for all worker threads.

use crate::net::connect::{AnyError, Connector, FollowedTls, Trouble, innermost};
use crate::net::endpoint::Endpoint;
use crate::net::endpoint::NodeIndex;
use crate::s3::error as s3_error;
use crate::store::nodes::{Check, NodeBoard};
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

/// The time that a node has to respond.
const PATIENCE: Duration = Duration::from_secs(1);
/// The header by which MinIO says that it is still starting.
const SERVER_STATUS: &str = "x-minio-server-status";
/// The interval of checks of nodes in doubt.
const PACE: Duration = Duration::from_secs(5);
/// The minimum time between a round of checks and the next one that a doubt triggers.
const DOUBT_PACE: Duration = Duration::from_secs(1);
/// The unanswered checks after which a node counts as down. A client may cause one slow response.
const TRIES: u32 = 2;
/// Maximum size of an error document, in bytes.
const MAX_ANSWER: usize = 16 * 1024;
/// Nodes that are not in doubt are checked only every third interval.
const ROUNDS: u32 = 3;

/// The depth of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    /// Whether the node responds.
    Ready,
    /// Whether it can write as well, after a request failed there.
    Quorum,
}

/// The prober, one for each process.
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
    /// What was recognised in the last check, if it failed.
    trouble: Mutex<Option<Trouble>>,
}

impl Prober {
    /// Makes a prober for these servers, which are the nodes of `board`.
    pub(super) fn new(servers: (&[Endpoint], &FollowedTls), board: &Arc<NodeBoard>) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self(ArcSwap::from_pointee(Nodes::new(servers, board)?))))
    }

    /// Checks the nodes of `next` from now on.
    pub(super) fn follow(&self, next: &Self) {
        self.0.store(next.0.load_full());
    }

    /// Checks nodes in doubt, and all nodes at longer intervals, until the server stops.
    pub(super) async fn run_until(self: Arc<Self>, mut stopping: watch::Receiver<bool>) {
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut round = 0_u32;
        let mut checked = Instant::now();
        loop {
            let nodes = self.0.load_full();
            let doubted = async {
                nodes.board.doubted().await;
                sleep_until(checked + DOUBT_PACE).await;
            };
            let all = tokio::select! {
                _ = pace.tick() => {
                    round = round.wrapping_add(1);
                    // A single node is used whatever its health is, which matters to the metrics alone.
                    round % ROUNDS == u32::from(nodes.list.len() > 1)
                }
                () = doubted => false,
                _ = stopping.wait_for(|stop| *stop) => return,
            };
            checked = Instant::now();
            // Loaded here because a reload may have replaced them.
            let nodes = self.0.load_full();
            let mut checks = nodes.check_those(|node| {
                let doubted = nodes.board.take_doubt(node);
                if doubted || nodes.board.is_in_doubt(node) {
                    Some(Depth::Quorum)
                } else {
                    all.then_some(Depth::Ready)
                }
            });
            while checks.join_next().await.is_some() {}
        }
    }

    /// Returns whether any node responds.
    pub(super) async fn any_answers(&self) -> bool {
        let mut checks = self.0.load_full().check_those(|_| Some(Depth::Ready));
        while let Some(answered) = checks.join_next().await {
            if matches!(answered, Ok(true)) {
                // The other checks go on, because the board notes their results.
                checks.detach_all();
                return true;
            }
        }
        false
    }
}

impl Prober {
    /// Returns what the last checks recognised at the first node that they recognised anything at.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let nodes = self.0.load();
        nodes.list.iter().find_map(|node| *node.trouble.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Nodes {
    fn new((endpoints, tls): (&[Endpoint], &FollowedTls), board: &Arc<NodeBoard>) -> io::Result<Self> {
        let node = |endpoint: &Endpoint| {
            let connector = Connector::new(endpoint.clone(), PATIENCE, tls)?;
            Ok(Node { connector, authority: endpoint.authority(), trouble: Mutex::default() })
        };
        Ok(Self { list: endpoints.iter().map(node).collect::<io::Result<_>>()?, board: Arc::clone(board) })
    }

    fn check_those(self: &Arc<Self>, which: impl Fn(NodeIndex) -> Option<Depth>) -> JoinSet<bool> {
        let due = (0..self.list.len()).map(NodeIndex).filter_map(|node| Some((node, which(node)?)));
        due.map(|(node, depth)| Arc::clone(self).check(node, depth)).collect()
    }

    async fn check(self: Arc<Self>, index: NodeIndex, depth: Depth) -> bool {
        let Some(node) = self.list.get(index.0) else { return false };
        let mut began = Instant::now();
        let mut answered = node.answers().await;
        for _ in 1..TRIES {
            if answered.is_ok() {
                break;
            }
            began = Instant::now();
            answered = node.answers().await;
        }
        if answered.is_ok() {
            self.board.answered_in(index, began.elapsed());
        }
        let trouble = answered.as_ref().err().and_then(|down| down.trouble);
        *node.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
        let mut answers = answered.is_ok();
        if answers && depth == Depth::Quorum {
            answers = self.has_quorum_like_others(index).await;
        }
        let known = self.board.is_up(index);
        self.board.checked(index, Check { began, answers });
        if known != answers {
            let (error, help) = match &answered {
                Ok(()) => (None, None),
                Err(down) => (Some(tracing::field::display(&down.why)), down.trouble.map(Trouble::help)),
            };
            tracing::warn!(node = %node.authority, answers, error, help, "a node's health changed");
        }
        answers
    }
}

impl Nodes {
    /// Returns whether a node can write, or no other node can either. A node that has just returned may report ready
    /// before it sees the drives of the others, and then refuses writes that they would accept.
    async fn has_quorum_like_others(&self, index: NodeIndex) -> bool {
        let Some(node) = self.list.get(index.0) else { return true };
        if node.has_quorum().await != Some(false) {
            return true;
        }
        for (_, other) in self.list.iter().enumerate().filter(|(number, _)| *number != index.0) {
            if other.has_quorum().await == Some(true) {
                return false;
            }
        }
        true
    }
}

/// The reason why a node counts as down.
struct Down {
    why: String,
    trouble: Option<Trouble>,
}

impl Down {
    fn because(why: impl Into<String>) -> Self {
        Self { why: why.into(), trouble: None }
    }
}

impl From<AnyError> for Down {
    fn from(error: AnyError) -> Self {
        Self { why: innermost(&*error), trouble: Trouble::of(&*error) }
    }
}

impl Node {
    /// Checks once that the node responds in time and can serve.
    async fn answers(&self) -> Result<(), Down> {
        match timeout(PATIENCE, self.is_ready()).await {
            Ok(answered) => answered,
            Err(_) => Err(Down::because("no answer in time")),
        }
    }

    /// Returns whether the node sees enough drives to write. Returns `None` if it does not tell, as stores other than
    /// MinIO.
    async fn has_quorum(&self) -> Option<bool> {
        let answer = timeout(PATIENCE, self.get("/minio/health/cluster")).await.ok()?.ok()?;
        match answer.status().as_u16() {
            200 => Some(true),
            503 => Some(false),
            _ => None,
        }
    }

    /// Requests MinIO's readiness. A 4xx of another store shows as well that it is up.
    /// <https://min.io/docs/minio/linux/operations/monitoring/healthcheck-probe.html>
    async fn is_ready(&self) -> Result<(), Down> {
        let answer = self.get("/minio/health/ready").await?;
        // MinIO answers 200 even while it is starting.
        if answer.headers().contains_key(SERVER_STATUS) {
            return Err(Down::because("it is still starting"));
        }
        let (status, body) = (answer.status().as_u16(), String::from_utf8_lossy(answer.body()));
        let code = s3_error::element(&body, "Code");
        match (status, code) {
            // Any store would respond with an S3 error. A 400 in another form comes from, for example, a TLS server.
            (400, None) => {
                let why = "it answers with status 400 and no S3 error".to_owned();
                Err(Down { why, trouble: Trouble::of_answer(400, answer.headers().is_empty(), &body) })
            }
            (..500, _) => Ok(()),
            (_, Some(code)) if s3_error::is_node_full(&code) => Ok(()),
            _ => Err(Down::because(format!("it answers with status {status}"))),
        }
    }

    /// Sends a GET over a new connection.
    async fn get(&self, path: &str) -> Result<Response<Bytes>, AnyError> {
        let stream = TokioIo::new(self.connector.connect().await?);
        let (mut sender, connection) = http1::handshake(stream).await?;
        let request = Request::get(path)
            .header(header::HOST, &self.authority)
            .header(header::CONNECTION, "close")
            .body(Empty::<Bytes>::new())?;
        // Closes the connection when this future ends.
        let mut running = JoinSet::new();
        running.spawn(connection);
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = match Limited::new(body, MAX_ANSWER).collect().await {
            Ok(body) => body.to_bytes(),
            // A TLS server may reset the connection before its response to plain HTTP is read.
            Err(_) if parts.status.as_u16() == 400 => Bytes::new(),
            Err(error) => return Err(error),
        };
        Ok(Response::from_parts(parts, body))
    }
}
