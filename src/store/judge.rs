//! The judge of sessions: it tries a session at the store's nodes and judges the responses.

mod trial;

use crate::net::connect::{Connector, FollowedTls};
use crate::net::endpoint::{Endpoint, NodeIndex};
use crate::net::wall_clock::WallClock;
use crate::resign::{Authority, SignedRequest, resign};
use crate::s3::error::{self as s3_error, MAX_ERROR_BODY};
use crate::sessions::session::Session;
use crate::sessions::table::{Judge, Verdict};
use crate::sigv4::amz_date::AmzDate;
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

pub use trial::ABSENT_UPLOAD;
pub(crate) use trial::{Trial, list_of_no_uploads};

/// The nodes at which sessions are tried.
#[derive(Debug)]
pub(crate) struct Nodes(Vec<(Connector, Authority)>);

impl Nodes {
    /// Makes the nodes at `endpoints`. No connection is opened yet.
    ///
    /// # Errors
    /// When one uses TLS and no trusted certificates can be loaded, or its name is not a valid `Host`.
    pub(crate) fn new((endpoints, tls): (&[Endpoint], &FollowedTls), timeout: Duration) -> io::Result<Self> {
        let node = |endpoint: &Endpoint| {
            let authority = Authority::new(&endpoint.authority()).map_err(|_| io::ErrorKind::InvalidInput)?;
            Ok((Connector::new(endpoint.clone(), timeout, tls)?, authority))
        };
        endpoints.iter().map(node).collect::<io::Result<_>>().map(Self)
    }
}

/// A judge of one session of a mapping.
#[derive(Debug)]
pub(crate) struct StoreJudge {
    nodes: Arc<ArcSwap<Nodes>>,
    trial: Option<Trial>,
    clock: WallClock,
}

/// The part of a response that is judged.
#[derive(Clone, Debug, Default)]
struct Reply {
    status: u16,
    code: Option<String>,
}

impl StoreJudge {
    /// Makes a judge that tries sessions with `trial` at these nodes.
    pub(crate) fn new(nodes: Arc<ArcSwap<Nodes>>, trial: Option<Trial>, clock: WallClock) -> Self {
        Self { nodes, trial, clock }
    }

    async fn try_at(&self, trial: &Trial, session: &Session, node: NodeIndex) -> Verdict {
        let nodes = self.nodes.load_full();
        let Some((connector, authority)) = nodes.0.get(node.0).or(nodes.0.first()) else {
            return Verdict::Unknown;
        };
        let date = AmzDate::new(self.clock.now());
        let Ok(signed) = resign(trial.outgoing(), (), session, authority, &date) else {
            return Verdict::Unknown;
        };
        match send(connector, &signed).await {
            Ok(reply) => trial.verdict(reply),
            Err(error) => {
                tracing::debug!(%error, "a session cannot be tried");
                Verdict::Unknown
            }
        }
    }
}

impl Judge for StoreJudge {
    /// Tries the session at each node. One that is dead at one node is dead: nodes learn of its end one after the other.
    async fn judge(&self, session: &Session, nodes: &[NodeIndex]) -> Verdict {
        let Some(trial) = &self.trial else { return Verdict::Unknown };
        let mut all = Verdict::Unknown;
        for node in nodes {
            all = match (all, self.try_at(trial, session, *node).await) {
                (_, Verdict::Dead) => return Verdict::Dead,
                (Verdict::Denied(code), _) => Verdict::Denied(code),
                (known, Verdict::Unknown) => known,
                (_, new) => new,
            };
        }
        all
    }
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Sends a request over a new connection.
async fn send(connector: &Connector, signed: &SignedRequest<()>) -> Result<Reply, AnyError> {
    let request = request(signed.head())?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(connector.connect().await?)).await?;
    // Closes the connection when this future ends.
    let mut running = JoinSet::new();
    running.spawn(connection);
    let response = sender.send_request(request).await?;
    let status = response.status();
    let mut reply = Reply { status: status.as_u16(), code: None };
    if status.is_client_error() || status.is_server_error() {
        let body = Limited::new(response.into_body(), MAX_ERROR_BODY).collect().await?.to_bytes();
        reply.code = s3_error::element(&String::from_utf8_lossy(&body), "Code");
    }
    Ok(reply)
}

/// Converts a signed head to a request of hyper's.
fn request(head: &[u8]) -> Result<Request<Empty<Bytes>>, AnyError> {
    let head = str::from_utf8(head)?;
    let mut lines = head.split("\r\n").filter(|line| !line.is_empty());
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut request = Request::builder().method(method).uri(target);
    for line in lines {
        let (name, value) = line.split_once(": ").ok_or("a field without a value")?;
        request = request.header(name, value);
    }
    Ok(request.header(header::CONNECTION, "close").body(Empty::new())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_heads_become_the_same_request() {
        let request = request(b"GET /a%20b?c= HTTP/1.1\r\nhost: h:1\r\nx-amz-date: d\r\n").unwrap();
        assert_eq!((request.method().as_str(), request.uri().to_string().as_str()), ("GET", "/a%20b?c="));
        assert_eq!(request.headers().get("host").unwrap(), "h:1");
        assert_eq!(
            (request.headers().get("x-amz-date").unwrap(), request.headers().len()),
            ("d".try_into().as_ref().unwrap(), 3)
        );
    }
}
