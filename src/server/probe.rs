//! Asks the store's nodes whether they are ready, and notes it for all worker threads.

use crate::connect::{Connector, Trouble};
use crate::endpoint::Endpoint;
use crate::nodes::{Check, NodeBoard, NodeIndex};
use crate::s3_error;
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

/// A node that has not answered by then does not count.
const PATIENCE: Duration = Duration::from_secs(1);
/// Where MinIO says that it is still starting.
const SERVER_STATUS: &str = "x-minio-server-status";
/// A node in doubt is asked this often.
const PACE: Duration = Duration::from_secs(5);
/// A node that is doubted is asked at once, though not more often than this.
const DOUBT_PACE: Duration = Duration::from_secs(1);
/// A node that does not answer is asked so often before that is believed: one slow answer may be a client's doing.
const TRIES: u32 = 2;
/// The longest error document that is read of a node's answer, in bytes.
const MAX_ANSWER: usize = 16 * 1024;
/// And any other with every so many of those, if there are several.
const ROUNDS: u32 = 3;

/// How closely a node is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// Whether it answers.
    Short,
    /// Whether it can write as well, since something failed there.
    Close,
}

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
        let mut looked = Instant::now();
        loop {
            let nodes = self.0.load_full();
            let doubted = async {
                nodes.board.doubted().await;
                sleep_until(looked + DOUBT_PACE).await;
            };
            let everyone = tokio::select! {
                _ = pace.tick() => {
                    round = round.wrapping_add(1);
                    nodes.list.len() > 1 && round % ROUNDS == 1
                }
                () = doubted => false,
                _ = stopping.wait_for(|stop| *stop) => return,
            };
            looked = Instant::now();
            // Those that a reload has brought meanwhile.
            let nodes = self.0.load_full();
            let mut asking = nodes.ask_those(|node| {
                let doubted = nodes.board.take_doubt(node);
                if doubted || nodes.board.is_in_doubt(node) {
                    Some(Look::Close)
                } else {
                    everyone.then_some(Look::Short)
                }
            });
            while asking.join_next().await.is_some() {}
        }
    }

    /// Whether any node answers.
    pub(super) async fn any_answers(&self) -> bool {
        let mut asking = self.0.load_full().ask_those(|_| Some(Look::Short));
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

    fn ask_those(self: &Arc<Self>, which: impl Fn(NodeIndex) -> Option<Look>) -> JoinSet<bool> {
        let due = (0..self.list.len()).map(NodeIndex).filter_map(|node| Some((node, which(node)?)));
        due.map(|(node, look)| Arc::clone(self).ask(node, look)).collect()
    }

    async fn ask(self: Arc<Self>, index: NodeIndex, look: Look) -> bool {
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
        let mut answers = answered.is_ok();
        if answers && look == Look::Close {
            answers = self.sees_what_others_see(index).await;
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
    /// Says whether a node can write, or no other can either. A node that has just returned may be ready and not see the
    /// drives of the others yet: it refuses writes that the others would take.
    async fn sees_what_others_see(&self, index: NodeIndex) -> bool {
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

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Why a node cannot serve.
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
        Self { why: error.to_string(), trouble: Trouble::of(&*error) }
    }
}

impl Node {
    /// Asks once whether the node answers in time as one that can serve.
    async fn answers(&self) -> Result<(), Down> {
        match timeout(PATIENCE, self.is_ready()).await {
            Ok(answered) => answered,
            Err(_) => Err(Down::because("no answer in time")),
        }
    }

    /// Says whether the node sees enough drives to write, as far as it tells. Other stores do not.
    async fn has_quorum(&self) -> Option<bool> {
        let answer = timeout(PATIENCE, self.get("/minio/health/cluster")).await.ok()?.ok()?;
        match answer.status().as_u16() {
            200 => Some(true),
            503 => Some(false),
            _ => None,
        }
    }

    /// Asks MinIO's own readiness; another store answers with some 4xx, which shows that it answers.
    /// <https://min.io/docs/minio/linux/operations/monitoring/healthcheck-probe.html>
    async fn is_ready(&self) -> Result<(), Down> {
        let answer = self.get("/minio/health/ready").await?;
        // MinIO says 200 before it has started as well.
        if answer.headers().contains_key(SERVER_STATUS) {
            return Err(Down::because("it is still starting"));
        }
        let (status, body) = (answer.status().as_u16(), String::from_utf8_lossy(answer.body()));
        let code = s3_error::element(&body, "Code");
        match (status, code) {
            // No store takes this request for a bad one and says so in another form than S3's. TLS servers do.
            (400, None) => {
                let why = "it answers with status 400 and no S3 error".to_owned();
                Err(Down { why, trouble: Trouble::of_answer(400, answer.headers().is_empty(), &body) })
            }
            (..500, _) => Ok(()),
            (_, Some(code)) if s3_error::is_node_full(&code) => Ok(()),
            _ => Err(Down::because(format!("it answers with status {status}"))),
        }
    }

    /// Sends a GET over a connection of its own.
    async fn get(&self, path: &str) -> Result<Response<Bytes>, AnyError> {
        let stream = TokioIo::new(self.connector.connect().await?);
        let (mut sender, connection) = http1::handshake(stream).await?;
        let request = Request::get(path)
            .header(header::HOST, &self.authority)
            .header(header::CONNECTION, "close")
            .body(Empty::<Bytes>::new())?;
        // Ends the connection together with this.
        let mut running = JoinSet::new();
        running.spawn(connection);
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = match Limited::new(body, MAX_ANSWER).collect().await {
            Ok(body) => body.to_bytes(),
            // A TLS server may reset the connection before its answer to plain HTTP is read.
            Err(_) if parts.status.as_u16() == 400 => Bytes::new(),
            Err(error) => return Err(error),
        };
        Ok(Response::from_parts(parts, body))
    }
}
