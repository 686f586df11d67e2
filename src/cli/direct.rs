//! A store spoken to directly, with a session: what `check --live`, `ls` and `get` do.

use crate::amz_date::AmzDate;
use crate::connect::Trouble;
use crate::endpoint::Endpoint;
use crate::limits::Limits;
use crate::mapping::Mapping;
use crate::nodes::NodeBoard;
use crate::outgoing::Outgoing;
use crate::payload::Payload;
use crate::refusal::Refusal;
use crate::resign::resign;
use crate::retry::Attempts;
use crate::s3_error::read_error_body;
use crate::session::Session;
use crate::upload::Upload;
use crate::upstream::{Download, Pool, SendError};
use bytes::Bytes;
use http::Method;
use http_body_util::Empty;
use http1::body::BoxError;
use http1::{Fields, Response as Answer};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::time::Instant;

/// A store.
pub(super) struct Direct {
    pool: Rc<Pool>,
}

impl Direct {
    /// The store at `endpoint`; nothing is connected yet.
    ///
    /// # Errors
    /// When it speaks TLS and no trusted certificates can be loaded.
    pub(super) fn new(endpoint: &Endpoint, limits: &Limits) -> io::Result<Self> {
        let endpoints = std::slice::from_ref(endpoint);
        let board = Arc::new(NodeBoard::new(endpoints, Instant::now()));
        Ok(Self { pool: Pool::new(endpoints, limits, &board)? })
    }

    /// Sends a request without a body.
    ///
    /// # Errors
    /// When there is no answer.
    pub(super) async fn send(
        &self,
        outgoing: &Outgoing,
        session: &Session,
    ) -> Result<Answer<Download>, SendError> {
        let mut attempts = Attempts::default();
        loop {
            let mut lease = self.pool.checkout(&mut attempts).await?;
            let date = AmzDate::new(SystemTime::now());
            let unsignable =
                || SendError::Unreachable(io::Error::other("the request cannot be written in HTTP"));
            let authority = lease.authority().ok_or_else(unsignable)?;
            let signed = resign(outgoing, Upload::new(Empty::new()).attempt(), session, authority, &date)
                .map_err(|_| unsignable())?;
            match lease.send(signed).await {
                Ok(head) => return Ok(lease.answered(head)),
                Err(failure) => match lease.failed(failure) {
                    SendError::Stale if attempts.renew() => {}
                    error => return Err(error),
                },
            }
        }
    }
}

/// Returns what a failed request says about the endpoint itself.
pub(super) fn trouble(error: &SendError) -> Option<Trouble> {
    match error {
        SendError::Unreachable(error) => Trouble::of(error),
        SendError::Malformed(_) => Some(Trouble::NotHttp),
        _ => None,
    }
}

/// A request for what a mapping grants.
///
/// # Errors
/// When it grants it not.
pub(super) fn outgoing(mapping: &Mapping, method: &Method, target: &str) -> Result<Outgoing, Refusal> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let fields = Fields::default();
    let grant = mapping.grant(method, path, query, &fields)?;
    Outgoing::rebuild(grant, &fields, Payload::Empty)
}

/// The text of an error's body; empty where it cannot be read.
pub(super) async fn error_body(answer: Answer<Download>) -> String {
    let body = read_error_body(answer.body, Limits::default().stall_timeout).await;
    body.map_or_else(|_: BoxError| String::new(), |bytes: Bytes| String::from_utf8_lossy(&bytes).into_owned())
}
