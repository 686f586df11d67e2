//! A direct client of the store, with one session: for `check --live`, `ls` and `get`.

use crate::authorize::mapping::Mapping;
use crate::bounds::limits::Limits;
use crate::net::connect::{FollowedTls, Trouble};
use crate::net::endpoint::Endpoint;
use crate::net::wall_clock::WallClock;
use crate::outgoing::payload::Payload;
use crate::outgoing::request::Outgoing;
use crate::outgoing::upload::Upload;
use crate::refusal::Refusal;
use crate::s3::error::read_error_body;
use crate::sessions::session::Session;
use crate::store::Store;
use crate::store::nodes::NodeBoard;
use crate::store::pool::{Download, Pool, SendError};
use crate::store::retry::Attempts;
use crate::trace::Trace;
use bytes::Bytes;
use http::Method;
use http1::body::BoxError;
use http1::client::Failure;
use http1::{Fields, Response};
use std::io;
use std::sync::Arc;
use tokio::time::Instant;

/// A client of the store that sends requests with one session.
pub(super) struct Direct {
    store: Store,
}

impl Direct {
    /// Makes a client of the store at `endpoint`, without connecting.
    ///
    /// # Errors
    /// Fails if the endpoint needs TLS and no trusted certificates can be loaded.
    pub(super) fn new(endpoint: &Endpoint, tls: &FollowedTls, limits: &Limits) -> io::Result<Self> {
        let endpoints = std::slice::from_ref(endpoint);
        let board = Arc::new(NodeBoard::new(endpoints, Instant::now()));
        let pool = Pool::new((endpoints, tls), limits, &board)?;
        Ok(Self { store: Store::new(pool, board, limits, WallClock::SYSTEM, Arc::default()) })
    }

    /// Sends a request without a body.
    ///
    /// # Errors
    /// Fails if the store does not respond.
    pub(super) async fn send(
        &self,
        outgoing: &Outgoing,
        session: &Session,
    ) -> Result<Response<Download>, SendError> {
        let (mut attempts, trace) = (Attempts::default(), Trace::default());
        let sent = self.store.send(outgoing, &Upload::nothing(), session, &mut attempts, &trace).await;
        sent.map(|(answer, _)| answer)
    }
}

/// Returns the likely problem with the endpoint that an error points to.
pub(super) fn trouble(error: &SendError) -> Option<Trouble> {
    match error {
        // In TLS 1.3 a server refuses the client's certificate after the handshake.
        SendError::Unreachable(error)
        | SendError::Broken(Failure::Silent(error) | Failure::Broken(error)) => Trouble::of(error),
        SendError::Malformed(_) => Some(Trouble::NotHttp),
        _ => None,
    }
}

/// Makes the request to the store for a target that a mapping grants.
///
/// # Errors
/// Fails if the mapping does not grant it.
pub(super) fn outgoing(mapping: &Mapping, method: &Method, target: &str) -> Result<Outgoing, Refusal> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let fields = Fields::default();
    let grant = mapping.grant(method, path, query, &fields)?;
    Outgoing::rebuild(grant, &fields, Payload::Empty)
}

/// Returns the text of an error's body, or an empty string if it cannot be read.
pub(super) async fn error_body(answer: Response<Download>) -> String {
    let body = read_error_body(answer.body, Limits::default().stall_timeout).await;
    body.map_or_else(|_: BoxError| String::new(), |bytes: Bytes| String::from_utf8_lossy(&bytes).into_owned())
}
