//! One exchange with the store: with the mapping's session, over a node that is up, again where nothing can have been
//! done.

use super::{ClientBody, Proxy, StoreAnswer};
use crate::access::{AccessRecord, Wait};
use crate::amz_date::AmzDate;
use crate::balance::{Choice, Outcome};
use crate::body::{Upload, read_error_body};
use crate::http1::Answer;
use crate::outgoing::Outgoing;
use crate::payload::broken_body;
use crate::refusal::{Refusal, Rule};
use crate::resign::resign;
use crate::response::ERROR_CODE;
use crate::retry::{Attempts, is_repeatable};
use crate::s3_error;
use crate::session::Session;
use crate::session_table::{self, Slot};
use crate::upstream::{Download, SendError};
use http::{Method, StatusCode};
use http_body::Body;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What an answer says of where it came from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Final,
    DeadSession,
    /// The session may have ended while the store looked at the request.
    Denied,
    /// The store denies the request for another reason than rights.
    Refused,
    NodeNotReady,
    Unreadable,
}

impl Verdict {
    fn of(status: StatusCode, code: Option<&str>) -> Self {
        match code {
            _ if !may_need_another(status) => Self::Final,
            Some(code) if s3_error::is_dead_session(code) => Self::DeadSession,
            None | Some(s3_error::ACCESS_DENIED) if status == StatusCode::FORBIDDEN => Self::Denied,
            Some(code) if s3_error::is_denial(code) => Self::Refused,
            Some(code) if s3_error::is_node_not_ready(code) => Self::NodeNotReady,
            Some(code) if s3_error::is_unreadable_here(code) => Self::Unreadable,
            _ => Self::Final,
        }
    }
}

impl Proxy {
    /// Sends a request with the mapping's session; once more with a new one if the store does not know the first, and
    /// to another node if one is still starting.
    pub(crate) async fn exchange<B: ClientBody>(
        &self,
        outgoing: &Outgoing,
        upload: &Rc<Upload<B>>,
        slot: &Slot,
        record: &mut AccessRecord,
    ) -> Result<StoreAnswer, Refusal> {
        self.exchange_with(outgoing, upload, slot, Attempts::default(), record).await
    }

    /// [`Self::exchange`] at the nodes that the attempts allow.
    pub(super) async fn exchange_with<B: ClientBody>(
        &self,
        outgoing: &Outgoing,
        upload: &Rc<Upload<B>>,
        slot: &Slot,
        mut attempts: Attempts,
        record: &mut AccessRecord,
    ) -> Result<StoreAnswer, Refusal> {
        let mut replayed = false;
        loop {
            let session = self.session(slot, record).await?;
            let (answer, choice) = self.attempt(outgoing, upload, &session, &mut attempts, record).await?;
            if !is_looked_at(&answer) {
                return Ok(StoreAnswer::Streaming(answer));
            }
            let (answer, verdict) = Box::pin(self.inspect(answer, record)).await?;
            match verdict {
                Verdict::Final => return Ok(answer),
                Verdict::DeadSession => {}
                // No other session helps.
                Verdict::Refused => {
                    slot.doubt(choice.node);
                    slot.counts().denials.fetch_add(1, Ordering::Relaxed);
                    return Ok(answer);
                }
                Verdict::Denied => {
                    let judging = Box::pin(slot.judge(session.id(), choice.node));
                    if judging.await != session_table::Verdict::Dead {
                        slot.counts().denials.fetch_add(1, Ordering::Relaxed);
                        return Ok(answer);
                    }
                }
                Verdict::NodeNotReady | Verdict::Unreadable => {
                    if verdict == Verdict::NodeNotReady {
                        self.pool.report(choice, Outcome::Failed);
                    }
                    let reads = matches!(*outgoing.method(), Method::GET | Method::HEAD);
                    let again = !upload.has_begun() && (reads || verdict == Verdict::NodeNotReady);
                    if !again || !self.pool.leave(choice, &mut attempts) {
                        return Ok(answer);
                    }
                    continue;
                }
            }
            slot.reject(session.id());
            if upload.has_begun() {
                let mut refusal = Refusal::new(
                    Rule::SessionReplaced,
                    "the session was renewed during the upload: try again",
                );
                refusal.retry_after = Some(1);
                return Err(refusal);
            }
            if replayed {
                return Err(no_session());
            }
            replayed = true;
            self.shared.metrics.replayed();
        }
    }

    pub(crate) async fn session(
        &self,
        slot: &Slot,
        record: &mut AccessRecord,
    ) -> Result<Arc<Session>, Refusal> {
        let session = slot.obtain(self.shared.clock, self.generation.limits.session_wait);
        record.waits(Wait::Session, session).await.map_err(|unavailable| {
            if let Some(cause) = &unavailable.cause {
                record.note(cause);
            }
            let mut refusal = no_session();
            refusal.retry_after = Some(unavailable.retry_after.as_secs().max(1));
            refusal
        })
    }

    /// Sends a request until there is an answer or nothing more may be tried: over another connection if it turns out
    /// that the store had closed the first, and to another node if one breaks off.
    async fn attempt<B: ClientBody>(
        &self,
        outgoing: &Outgoing,
        upload: &Rc<Upload<B>>,
        session: &Session,
        attempts: &mut Attempts,
        record: &mut AccessRecord,
    ) -> Result<(Answer<Download>, Choice), Refusal> {
        loop {
            let mut lease = self.pool.checkout(attempts).await.map_err(|error| failed(&error, record))?;
            let choice = lease.choice();
            record.sent_to(self.generation.nodes.name(choice.node));
            let date = AmzDate::new(self.shared.clock.now());
            let unsignable = || Refusal::new(Rule::BadTarget, "the request cannot be written in HTTP");
            let authority = lease.authority().ok_or_else(unsignable)?;
            let signed =
                resign(outgoing, upload.attempt(), session, authority, &date).map_err(|_| unsignable())?;
            let error = match lease.send(signed).await {
                Ok(head) => {
                    self.pool.report(choice, Outcome::of_answer(head.status));
                    return Ok((lease.answered(head), choice));
                }
                Err(failure) => lease.failed(failure),
            };
            if let SendError::Body(error) = &error {
                return Err(broken_body(error));
            }
            if let Some(outcome) = error.outcome() {
                self.pool.report(choice, outcome);
            }
            let again = is_repeatable(outgoing, upload.has_begun())
                && match error {
                    SendError::Stale => attempts.renew(),
                    SendError::Broken(_) => self.pool.leave(choice, attempts),
                    // Other nodes may well answer a request alike that one answers with what is no answer.
                    SendError::Unreachable(_)
                    | SendError::Timeout
                    | SendError::Malformed(_)
                    | SendError::Body(_) => false,
                };
            if !again {
                return Err(failed(&error, record));
            }
        }
    }

    /// Reads an error, and looks whether it says that the session is dead or the node not ready.
    async fn inspect(
        &self,
        answer: Answer<Download>,
        record: &mut AccessRecord,
    ) -> Result<(StoreAnswer, Verdict), Refusal> {
        // HEAD has no body to say it in.
        let code = answer.fields.get(ERROR_CODE).and_then(|code| str::from_utf8(code).ok());
        if answer.body.is_end_stream() {
            record.store_said(code);
            let verdict = Verdict::of(answer.status, code);
            return Ok((StoreAnswer::Streaming(answer), verdict));
        }
        let (parts, body) = answer.into_parts();
        let reading = read_error_body(body, self.generation.limits.stall_timeout);
        let body = reading.await.map_err(|error| {
            record.note(&error);
            Refusal::new(Rule::Upstream, "the store's answer broke off")
        })?;
        let code = s3_error::element(&String::from_utf8_lossy(&body), "Code");
        record.store_said(code.as_deref());
        let verdict = Verdict::of(parts.status, code.as_deref());
        let answer = StoreAnswer::Buffered(Box::new(parts), s3_error::without_signature(body));
        Ok((answer, verdict))
    }
}

/// Whether an answer is read: it may need another, or it is a short error, of which the log shows the code.
fn is_looked_at(answer: &Answer<Download>) -> bool {
    let is_error = answer.status.is_client_error() || answer.status.is_server_error();
    may_need_another(answer.status) || (is_error && is_short(answer))
}

/// Whether the body of an answer is known to be as short as error documents are.
pub(super) fn is_short(answer: &Answer<Download>) -> bool {
    answer.body.size_hint().exact().is_some_and(|length| length <= s3_error::MAX_ERROR_BODY as u64)
}

/// Whether an answer may say that the session is dead or the node not ready.
fn may_need_another(status: StatusCode) -> bool {
    matches!(status, StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST | StatusCode::SERVICE_UNAVAILABLE)
}

fn no_session() -> Refusal {
    let mut refusal =
        Refusal::new(Rule::NoSession, "no session with the store can be had at the moment: try again");
    refusal.retry_after = Some(1);
    refusal
}

fn failed(error: &SendError, record: &mut AccessRecord) -> Refusal {
    record.note(error);
    match error {
        SendError::Timeout => Refusal::new(Rule::UpstreamTimeout, "the store did not answer in time"),
        SendError::Unreachable(_) => {
            let mut refusal = Refusal::new(Rule::Upstream, "the store cannot be reached");
            refusal.retry_after = Some(1);
            refusal
        }
        SendError::Malformed(_) => Refusal::new(Rule::Upstream, "the store's answer is not HTTP/1.1"),
        SendError::Stale | SendError::Broken(_) | SendError::Body(_) => {
            Refusal::new(Rule::Upstream, "the store broke off before it answered")
        }
    }
}
