//! The wait for the next request's head.
//!
//! | phase | left by | at the deadline |
//! |---|---|---|
//! | `Busy`: right after a response, the buffer for a request is kept | a byte → `Started`; shutdown | [`Next::NotYet`]: the connection drops that buffer and waits on as `Idle` |
//! | `Idle` | a byte → `Started`; shutdown → `Draining` before the first request, else [`Next::End`] | [`Next::End`] |
//! | `Draining`: the server stops, and a client whose first request may be on its way could not know | a byte → `Started` | [`Next::End`] |
//! | `Started`: some of a head has arrived | a whole head → [`Next::Head`] | [`Reason::HeadTimeout`] |

use super::state::State;
use super::stopping::Stopping;
use super::{ConnectionLimits, Ended};
use crate::head::HeadScan;
use crate::{Malformed, Reason, Transport, clock};
use bytes::{Buf, Bytes};
use std::future::Future;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Instant;

/// The time a connection keeps the buffer for a request after a response. On a busy connection the next request comes
/// sooner (docs/performance.md, "the buffer for a request is kept while a connection is busy").
pub(super) const BUSY_WINDOW: Duration = Duration::from_millis(100);
/// The time a client has to send its first request once the server stops.
const STOP_GRACE: Duration = Duration::from_secs(1);
/// The longest head that is not charged as memory if it arrives whole, in bytes. An incomplete one always is.
const UNCHARGED_HEAD: usize = 4096;

/// The first bytes of a TLS connection: a handshake record of version 3.x. No method begins with them.
const TLS_HANDSHAKE: &[u8] = &[0x16, 0x03];
/// OpenSSL and all that use it say "wrong version number" about a response that is not TLS, which people know to mean that
/// the port speaks plain HTTP. They would take an alert for a problem of TLS.
const UNEXPECTED_TLS: Malformed = Malformed::new(
    Reason::UnexpectedTls,
    "this port speaks plain HTTP, and the client begins a TLS handshake: use http://",
);

/// The end of a wait.
pub(super) enum Next {
    /// The head of a request.
    Head(Bytes),
    /// No request came soon.
    NotYet,
    /// No request will come.
    End,
}

/// The mode of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitMode {
    /// A request may come at any moment.
    Busy,
    /// A request may come until the connection has been idle for too long.
    Idle,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Busy,
    Idle,
    Draining,
    Started,
}

pub(super) struct HeadWait {
    phase: Phase,
    scan: HeadScan,
    /// Whether the connection has had no request yet.
    is_first: bool,
}

impl HeadWait {
    /// Begins a wait. In [`WaitMode::Idle`] the connection holds no buffer.
    pub(super) fn begin<S: Transport>(
        state: &mut State<S>,
        mode: WaitMode,
        idle_deadline: Instant,
        is_first: bool,
    ) -> Self {
        let (mut phase, mut deadline) = (Phase::Idle, idle_deadline);
        match mode {
            WaitMode::Idle => state.drop_buffers(),
            WaitMode::Busy => {
                state.bytes.release_buffer();
                let busy_deadline = clock::now() + BUSY_WINDOW;
                if busy_deadline < idle_deadline {
                    (phase, deadline) = (Phase::Busy, busy_deadline);
                }
            }
        }
        state.timer.set(deadline);
        Self { phase, scan: HeadScan::default(), is_first }
    }

    /// Reads until a head is whole or nothing more has arrived. `charge` takes memory for a head.
    pub(super) fn poll_read_head<S: Transport>(
        &mut self,
        cx: &mut Context<'_>,
        state: &mut State<S>,
        limits: &ConnectionLimits,
        mut charge: impl FnMut(usize) -> Result<(), Malformed>,
    ) -> Poll<Result<Next, Ended>> {
        loop {
            if self.is_first && state.bytes.unread.starts_with(TLS_HANDSHAKE) {
                return Poll::Ready(Err(UNEXPECTED_TLS.into()));
            }
            if let Some((start, end)) = self.scan.find(&state.bytes.unread, limits.head)? {
                let mut head = state.bytes.unread.split_to(end);
                head.advance(start);
                if head.len() > UNCHARGED_HEAD {
                    charge(head.len())?;
                }
                return Poll::Ready(Ok(Next::Head(head.freeze())));
            }
            if !state.bytes.unread.is_empty() {
                charge(state.bytes.unread.capacity())?;
                if self.phase != Phase::Started {
                    self.phase = Phase::Started;
                    state.timer.set(clock::now() + limits.header);
                }
            }
            match ready!(state.bytes.poll_fill(cx))? {
                0 if self.phase == Phase::Started => {
                    return Poll::Ready(Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()));
                }
                0 => return Poll::Ready(Ok(Next::End)),
                _ => {}
            }
        }
    }

    /// Ends the wait when the server stops, unless a head has started or the first request may be on its way.
    pub(super) fn poll_shutdown<S: Transport>(
        &mut self,
        cx: &mut Context<'_>,
        state: &mut State<S>,
        stopping: &mut Stopping<'_, impl Future<Output = ()>>,
    ) -> Poll<Next> {
        if !matches!(self.phase, Phase::Busy | Phase::Idle) || !stopping.poll(cx) {
            return Poll::Pending;
        }
        if !self.is_first {
            return Poll::Ready(Next::End);
        }
        self.phase = Phase::Draining;
        state.timer.set(Instant::now() + STOP_GRACE);
        Poll::Pending
    }

    /// Ends the wait at the deadline of its phase.
    pub(super) fn poll_deadline<S: Transport>(
        &self,
        cx: &mut Context<'_>,
        state: &mut State<S>,
    ) -> Poll<Result<Next, Ended>> {
        ready!(state.timer.poll(cx));
        Poll::Ready(match self.phase {
            Phase::Started => {
                Err(Malformed::new(Reason::HeadTimeout, "the request's head took too long").into())
            }
            Phase::Busy => Ok(Next::NotYet),
            Phase::Idle | Phase::Draining => Ok(Next::End),
        })
    }
}
