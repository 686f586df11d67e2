//! Continues downloads that broke off, with a request for the rest of the object.
//!
//! The store is asked when the client is ready for more, not earlier. A paused client therefore occupies nothing, and
//! MinIO releases its lock of the object with the response that it cut off. The request remains admitted.

use super::{Account, Proxy};
use crate::outgoing::continuation::{LEAST, NotTheRest, Outcome, Rest};
use crate::outgoing::request::Outgoing;
use crate::outgoing::upload::Upload;
use crate::s3::operation::Operation;
use crate::sessions::table::Sessions;
use crate::store::StoreResponse;
use crate::store::balance::{Choice, Outcome as NodeOutcome};
use crate::store::pool::{Asking, BrokenOff, Continue, Continued, Download};
use crate::store::retry::Attempts;
use crate::telemetry::metrics::Row;
use crate::trace::Trace;
use http_body::Body;
use http1::Response;
use http1::body::{BoxError, Broken};
use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// The pauses before the requests for one rest. A restarting node is back within their sum.
const PAUSES: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];
/// The bytes that must arrive before the pauses start over.
const PROGRESS: u64 = 64 * 1024;

impl Proxy {
    /// Prepares a long response to be continued if it breaks off.
    pub(super) fn provide_rest(&self, answer: &mut StoreResponse, outgoing: &Outgoing, account: Account<'_>) {
        if outgoing.operation() != Operation::GetObject {
            return;
        }
        let StoreResponse::Streaming(answer) = answer else { return };
        let Some(left) = answer.body.size_hint().exact().filter(|left| *left >= LEAST) else { return };
        let Some(rest) = Rest::of(answer.status, &answer.fields, left) else { return };
        answer.body.continue_with(Box::new(Continuation {
            proxy: self.clone(),
            sessions: Arc::clone(account.sessions()),
            outgoing: outgoing.clone(),
            settled: rest.position(),
            rest,
            asked: 0,
            mapping: account.site.row,
            trace: account.trace.aside(),
            count: account.trace.count_continuations(),
        }));
    }
}

/// Everything needed to request the rest of a response.
struct Continuation {
    proxy: Proxy,
    sessions: Arc<Sessions>,
    outgoing: Outgoing,
    rest: Rest,
    /// Requests since the last progress.
    asked: usize,
    /// The position at the last progress.
    settled: u64,
    mapping: Row,
    trace: Trace,
    count: Rc<Cell<u64>>,
}

impl fmt::Debug for Continuation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Continuation").field("rest", &self.rest).finish_non_exhaustive()
    }
}

/// The reason why a request for the rest failed.
enum Failure {
    /// The next request may succeed.
    Passing(String),
    NotTheRest(NotTheRest),
}

impl Continue for Continuation {
    fn advance(&mut self, bytes: usize) {
        self.rest.advance(bytes as u64);
    }

    fn ask(mut self: Box<Self>, broken: BrokenOff) -> Asking {
        Box::pin(async move {
            if self.rest.position() >= self.settled.saturating_add(PROGRESS) {
                (self.asked, self.settled) = (0, self.rest.position());
            }
            // The time that the store may stall within a body.
            let patience = self.proxy.limits().stall_timeout;
            let asked = timeout(patience, self.ask_repeatedly(&broken)).await;
            let late = || (Outcome::Failed, "it took too long".to_owned());
            match asked.unwrap_or_else(|_| Err(late())) {
                Ok(download) => {
                    self.count_outcome(Outcome::Continued);
                    let continued: Continued = (self, download);
                    Ok(continued)
                }
                Err((outcome, why)) => {
                    self.count_outcome(outcome);
                    Err(self.given_up(&broken.error, &why))
                }
            }
        })
    }
}

impl Continuation {
    async fn ask_repeatedly(&mut self, broken: &BrokenOff) -> Result<Download, (Outcome, String)> {
        let mut last = "it broke off too often".to_owned();
        while let Some(pause) = PAUSES.get(self.asked) {
            self.asked += 1;
            if !pause.is_zero() {
                sleep(*pause).await;
            }
            match self.ask_once(broken).await {
                Ok(download) => return Ok(download),
                Err(Failure::Passing(why)) => last = why,
                Err(Failure::NotTheRest(why)) => return Err((why.outcome(), why.to_string())),
            }
        }
        Err((Outcome::Failed, last))
    }

    async fn ask_once(&mut self, broken: &BrokenOff) -> Result<Download, Failure> {
        let passing = |why: &dyn fmt::Display| Failure::Passing(why.to_string());
        let Some(outgoing) = self.outgoing.rest(&self.rest) else {
            return Err(Failure::NotTheRest(NotTheRest::Range));
        };
        self.count.set(self.count.get().saturating_add(1));
        let attempts = self.attempts(broken);
        let (store, sessions) = (&self.proxy.store, &self.sessions);
        let asked = store.exchange_with(&outgoing, &Upload::nothing(), sessions, attempts, &self.trace).await;
        match asked.map_err(|refusal| passing(&refusal))? {
            StoreResponse::Streaming(Response { status, fields, body }) => {
                let checked = self.rest.check(status, &fields, body.size_hint().exact());
                match checked {
                    Ok(()) => Ok(body),
                    Err(why) if status.is_server_error() => Err(passing(&why)),
                    Err(why) => Err(Failure::NotTheRest(why)),
                }
            }
            StoreResponse::Buffered(head, _) => {
                let why = NotTheRest::of_status(head.status);
                if head.status.is_server_error() { Err(passing(&why)) } else { Err(Failure::NotTheRest(why)) }
            }
        }
    }

    /// Returns the attempts for the next request. They exclude a stalled node if there is another one.
    fn attempts(&self, broken: &BrokenOff) -> Attempts {
        if !matches!(broken.error.downcast_ref(), Some(Broken::Stalled)) {
            return Attempts::default();
        }
        self.doubt(broken.choice);
        let mut attempts = Attempts::default();
        if self.proxy.store.pool().exclude(broken.choice, &mut attempts) {
            attempts
        } else {
            Attempts::default()
        }
    }

    fn doubt(&self, choice: Choice) {
        self.proxy.store.pool().report(choice, NodeOutcome::Doubtful);
    }

    fn count_outcome(&self, outcome: Outcome) {
        self.proxy.shared.metrics.continued(outcome);
    }

    /// Returns the error that ends the response. Also logs it, since the access log may be off.
    fn given_up(&self, broken: &BoxError, why: &str) -> BoxError {
        let said = format!("the store's answer broke off ({broken}) and could not be continued: {why}");
        let id = self.trace.request_id();
        let mapping = self.proxy.shared.metrics.mapping_name(self.mapping);
        tracing::warn!(id = id.as_str(), mapping = &*mapping, missing_from = self.rest.position(), "{said}");
        said.into()
    }
}
