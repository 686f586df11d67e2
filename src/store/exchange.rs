//! The exchange of one request with the store: it is sent with the session of its operation, and again with a new
//! session if the store does not know the first.

use super::balance::Outcome;
use super::pool::{Download, SendError};
use super::response_fields::ERROR_CODE;
use super::retry::Attempts;
use super::status::{Blame, may_blame_another};
use super::{Store, StoreResponse};
use crate::outgoing::content::Held;
use crate::outgoing::request::{Outgoing, WithDocument};
use crate::outgoing::upload::Upload;
use crate::refusal::{Refusal, Rule};
use crate::s3::error::{self as s3_error, read_error_body};
use crate::sessions::table::{self as session_table, Sessions, Slot, SlotSession, TableFull, Unopened};
use crate::trace::{Trace, Wait};
use bytes::Bytes;
use http::Method;
use http_body::Body;
use http1::Response;
use http1::body::BoxError;
use http1::splice::SpliceBody;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Store {
    /// Sends a request with the session of `sessions` for its operation. Sends it again with a new session if the store
    /// does not know the first, and to another node if one is still starting.
    ///
    /// # Errors
    /// When there is no session or no response, or when the client's body breaks off.
    pub(crate) async fn exchange<B>(
        &self,
        outgoing: &Outgoing,
        upload: &Rc<Upload<B>>,
        sessions: &Sessions,
        trace: &Trace,
    ) -> Result<StoreResponse, Refusal>
    where
        B: SpliceBody<Data = Bytes, Error: Into<BoxError>> + Unpin,
    {
        self.exchange_with(outgoing, upload, sessions, Attempts::default(), trace).await
    }

    /// Sends a request like [`Self::exchange`], to the nodes that `attempts` allows.
    ///
    /// # Errors
    /// As [`Self::exchange`].
    pub(crate) async fn exchange_with<B>(
        &self,
        outgoing: &Outgoing,
        upload: &Rc<Upload<B>>,
        sessions: &Sessions,
        mut attempts: Attempts,
        trace: &Trace,
    ) -> Result<StoreResponse, Refusal>
    where
        B: SpliceBody<Data = Bytes, Error: Into<BoxError>> + Unpin,
    {
        let slot = slot_of(outgoing, sessions)?;
        let mut replayed = false;
        loop {
            let session = self.session_in(slot, trace).await?;
            let sent = self.send(outgoing, upload, &session, &mut attempts, trace).await;
            let (response, choice) = sent.map_err(|error| match error {
                SendError::Body(error) => Refusal::from(error),
                error => Refusal::from(error),
            })?;
            if !needs_inspection(&response) {
                return Ok(StoreResponse::Streaming(response));
            }
            let (response, blame) = Box::pin(self.inspect(response, trace)).await?;
            match blame {
                Blame::Request => return Ok(response),
                Blame::DeadSession => {}
                // Another session would not help.
                Blame::Signature => {
                    slot.doubt(choice.node);
                    slot.counts().denials.fetch_add(1, Ordering::Relaxed);
                    return Ok(response);
                }
                Blame::Denied => {
                    let verdict = Box::pin(slot.judge(session.id(), choice.node)).await;
                    if matches!(verdict, session_table::Verdict::Denied(_)) {
                        sessions.doubt_others(slot, choice.node);
                    }
                    if verdict != session_table::Verdict::Dead {
                        slot.counts().denials.fetch_add(1, Ordering::Relaxed);
                        return Ok(response);
                    }
                }
                Blame::NodeNotReady | Blame::Unreadable => {
                    if blame == Blame::NodeNotReady {
                        self.pool.report(choice, Outcome::Failed);
                    }
                    let reads = matches!(*outgoing.method(), Method::GET | Method::HEAD);
                    let again = !upload.has_begun() && (reads || blame == Blame::NodeNotReady);
                    if !again || !self.pool.exclude(choice, &mut attempts) {
                        return Ok(response);
                    }
                    continue;
                }
            }
            slot.reject(session.id());
            if upload.has_begun() {
                let why = "the session was renewed during the upload: try again";
                return Err(Refusal::new(Rule::SessionReplaced, why).retry_after(1));
            }
            if replayed {
                return Err(no_session().retry_after(1));
            }
            replayed = true;
            self.replays.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Sends a document that Scopegate has written.
    ///
    /// # Errors
    /// As [`Self::exchange`].
    pub(crate) async fn send_document(
        &self,
        outgoing: &WithDocument,
        sessions: &Sessions,
        trace: &Trace,
    ) -> Result<StoreResponse, Refusal> {
        let WithDocument { request, document } = outgoing;
        let upload = || Upload::of(Held::Held(document.clone()), document.len() as u64);
        match self.exchange(request, &upload(), sessions, trace).await {
            // MinIO reads a document before it checks the session. A document is held in memory and can be sent
            // again.
            Err(refusal) if refusal.rule == Rule::SessionReplaced => {
                self.exchange(request, &upload(), sessions, trace).await
            }
            response => response,
        }
    }

    /// Waits until there is a session that can sign a request.
    ///
    /// # Errors
    /// When no session is minted in time.
    pub(crate) async fn await_session(
        &self,
        outgoing: &Outgoing,
        sessions: &Sessions,
        trace: &Trace,
    ) -> Result<(), Refusal> {
        self.session_in(slot_of(outgoing, sessions)?, trace).await.map(|_| ())
    }

    async fn session_in(&self, slot: &Slot, trace: &Trace) -> Result<Arc<SlotSession>, Refusal> {
        let session = slot.obtain(self.clock, self.session_wait);
        trace.waits(Wait::Session, session).await.map_err(|unavailable| {
            let refusal = no_session().retry_after(unavailable.retry_after.as_secs().max(1));
            match &unavailable.cause {
                Some(cause) => refusal.caused_by(cause),
                None => refusal,
            }
        })
    }

    /// Reads an error response and determines what is to blame for it.
    async fn inspect(
        &self,
        response: Response<Download>,
        trace: &Trace,
    ) -> Result<(StoreResponse, Blame), Refusal> {
        // The response to HEAD has no body, so MinIO puts the code into a header.
        let code = response.fields.get(ERROR_CODE).and_then(|code| str::from_utf8(code).ok());
        if response.body.is_end_stream() {
            trace.store_said(code);
            let blame = Blame::of(response.status, code);
            return Ok((StoreResponse::Streaming(response), blame));
        }
        let (parts, body) = response.into_parts();
        let body = read_error_body(body, self.stall_timeout).await.map_err(|error| broke_off(&error))?;
        let code = s3_error::element(&String::from_utf8_lossy(&body), "Code");
        trace.store_said(code.as_deref());
        let blame = Blame::of(parts.status, code.as_deref());
        let response = StoreResponse::Buffered(Box::new(parts), s3_error::without_signature(body));
        Ok((response, blame))
    }
}

/// Checks whether the response must be read before it is passed on: the request may not be to blame for it, or it is
/// a short error whose code is logged.
fn needs_inspection(response: &Response<Download>) -> bool {
    let is_error = response.status.is_client_error() || response.status.is_server_error();
    may_blame_another(response.status) || (is_error && is_short(response))
}

/// Checks whether the body of a response is known to be no longer than an error document.
pub(crate) fn is_short(response: &Response<Download>) -> bool {
    response.body.size_hint().exact().is_some_and(|length| length <= s3_error::MAX_ERROR_BODY as u64)
}

/// Returns the refusal of a request whose response broke off.
pub(crate) fn broke_off(error: &dyn fmt::Display) -> Refusal {
    Refusal::new(Rule::Upstream, "the store's response broke off").caused_by(error)
}

/// Returns the slot of the session that signs a request.
fn slot_of<'s>(outgoing: &Outgoing, sessions: &'s Sessions) -> Result<&'s Arc<Slot>, Refusal> {
    let kind = outgoing.session().ok_or(Unopened::NotGranted);
    kind.and_then(|kind| sessions.slot_for(kind)).map_err(|unopened| match unopened {
        Unopened::Full(TableFull { capacity }) => no_session()
            .retry_after(1)
            .caused_by(&format!("{capacity} sessions are in use, which is the most")),
        Unopened::NotGranted => {
            let why = format!("no session of the mapping signs {}", outgoing.operation().name());
            Refusal::new(Rule::Internal, why)
        }
    })
}

fn no_session() -> Refusal {
    Refusal::new(Rule::NoSession, "no store session is available: try again later")
}

impl From<SendError> for Refusal {
    fn from(error: SendError) -> Self {
        let upstream = |why: &str| Self::new(Rule::Upstream, why);
        let refusal = match &error {
            SendError::Body(error) => return Self::new(Rule::BadBody, error.to_string()),
            SendError::Unsignable => {
                return Self::new(Rule::BadTarget, "the request cannot be written in HTTP");
            }
            SendError::Timeout => Self::new(Rule::UpstreamTimeout, "the store did not answer in time"),
            SendError::Unreachable(_) => upstream("the store cannot be reached").retry_after(1),
            SendError::Malformed(_) => upstream("the store's response is not HTTP/1.1"),
            SendError::Stale | SendError::Broken(_) => upstream("the store broke off before it answered"),
        };
        refusal.caused_by(&error)
    }
}
