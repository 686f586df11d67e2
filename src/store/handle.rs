//! The handle to the store that the proxy and the commands send requests with.

use super::balance::{Choice, Outcome};
use super::nodes::NodeBoard;
use super::pool::{Download, Pool, SendError};
use super::retry::{Attempts, is_repeatable};
use crate::bounds::limits::Limits;
use crate::net::wall_clock::WallClock;
use crate::outgoing::request::Outgoing;
use crate::outgoing::upload::Upload;
use crate::resign::resign;
use crate::sessions::session::Session;
use crate::sigv4::amz_date::AmzDate;
use crate::trace::Trace;
use bytes::Bytes;
use http1::Response;
use http1::body::BoxError;
use http1::splice::SpliceBody;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// A handle to the store on one thread.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub(super) pool: Rc<Pool>,
    pub(super) nodes: Arc<NodeBoard>,
    pub(super) clock: WallClock,
    /// The time that a request waits for its session.
    pub(super) session_wait: Duration,
    /// The time that a response may stand still.
    pub(super) stall_timeout: Duration,
    /// The number of requests that were sent again with a new session.
    pub(super) replays: Arc<AtomicU64>,
}

impl Store {
    /// Makes a handle that sends over `pool`, whose nodes are those of `nodes`.
    pub(crate) fn new(
        pool: Rc<Pool>,
        nodes: Arc<NodeBoard>,
        limits: &Limits,
        clock: WallClock,
        replays: Arc<AtomicU64>,
    ) -> Self {
        let (session_wait, stall_timeout) = (limits.session_wait, limits.stall_timeout);
        Self { pool, nodes, clock, session_wait, stall_timeout, replays }
    }

    /// Returns the pool.
    pub(crate) fn pool(&self) -> &Rc<Pool> {
        &self.pool
    }

    /// Sends a request until there is a response or no further attempt is allowed: over another connection if the
    /// store had closed the first, and to another node if one breaks off.
    ///
    /// # Errors
    /// When there is no response.
    pub(crate) async fn send<B>(
        &self,
        outgoing: &Outgoing,
        upload: &Rc<Upload<B>>,
        session: &Session,
        attempts: &mut Attempts,
        trace: &Trace,
    ) -> Result<(Response<Download>, Choice), SendError>
    where
        B: SpliceBody<Data = Bytes, Error: Into<BoxError>> + Unpin,
    {
        loop {
            let mut lease = self.pool.checkout(attempts).await?;
            let choice = lease.choice();
            let mut exchange = trace.sent_to(self.nodes.name(choice.node));
            let date = AmzDate::new(self.clock.now());
            let authority = lease.authority().ok_or(SendError::Unsignable)?;
            let signed = resign(outgoing, upload.attempt(), session, authority, &date)
                .map_err(|_| SendError::Unsignable)?;
            let error = match lease.send(signed, exchange.header()).await {
                Ok(head) => {
                    exchange.answered(head.status);
                    self.pool.report(choice, Outcome::of_answer(head.status));
                    return Ok((lease.answered(head), choice));
                }
                Err(failure) => lease.failed(failure),
            };
            if let Some(outcome) = error.outcome() {
                self.pool.report(choice, outcome);
            }
            let again = is_repeatable(outgoing.method(), outgoing.headers(), upload.has_begun())
                && match error {
                    SendError::Stale => attempts.renew(),
                    SendError::Broken(_) => self.pool.exclude(choice, attempts),
                    // Other nodes may respond the same way to a request that one answers with something other than
                    // HTTP.
                    _ => false,
                };
            if !again {
                return Err(error);
            }
        }
    }
}
