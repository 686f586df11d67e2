//! The account of a request: one line in the access log and the counts in the metrics, written when it is over.

mod line;

use crate::admission::Permit;
use crate::client::{Client, ClientKey, Connection};
use crate::memory::{MemoryBudget, Payer, Share, Use};
use crate::metrics::{CutBy, Metrics, Outcome, Row};
use crate::refusal::{Refusal, Rule};
use crate::s3_error;
use crate::s3_operation::Operation;
use http::uri::PathAndQuery;
use http::{Method, StatusCode};
use http1::Fields;
use http1::clock;
use line::LineFields;
use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What is known of a request so far. Dropping it writes the account.
#[derive(Debug)]
pub struct AccessRecord {
    metrics: Arc<Metrics>,
    accounted: bool,
    id: u64,
    client: ClientKey,
    mapping: Option<Row>,
    permit: Option<Permit>,
    memory: Option<Box<Share>>,
    operation: Option<Operation>,
    status: Option<StatusCode>,
    rule: Option<Rule>,
    error: Option<Box<str>>,
    cut: Option<CutBy>,
    /// How often the store was asked for the rest of its answer, where it may be.
    continuations: Option<Rc<Cell<u64>>>,
    received: u64,
    sent: u64,
    start: Instant,
    waits: Waits,
    first_byte: Option<Duration>,
    /// The client closed its side before the answer.
    client_ended: bool,
    /// What the access log says beside that, if there is one.
    line: Option<Box<LineFields>>,
}

/// What a request waits for before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Its turn among the requests of its mapping, or a buffer for its body.
    Queue,
    /// A session of its mapping.
    Session,
}

/// How long a request waited for what.
#[derive(Clone, Copy, Debug, Default)]
struct Waits {
    queue: Duration,
    session: Duration,
}

/// A request's id: sixteen hexadecimal digits, written where they are shown.
#[derive(Clone, Copy, Debug)]
pub struct RequestId([u8; 16]);

impl RequestId {
    fn new(number: u64) -> Self {
        let digit = |place: u32| {
            let nibble = u8::try_from(number >> (60 - 4 * place) & 15).unwrap_or_default();
            if nibble < 10 { b'0' + nibble } else { b'A' - 10 + nibble }
        };
        let mut digits = [0; 16];
        for (place, to) in (0..).zip(&mut digits) {
            *to = digit(place);
        }
        Self(digits)
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl AccessRecord {
    /// Begins the account of a request on a connection; it has a line in the log if `logged`. What was no request has
    /// neither target nor headers. It is boxed, since it is moved often.
    pub fn begin(
        metrics: Arc<Metrics>,
        connection: &Connection,
        logged: bool,
        method: &Method,
        request: Option<(&PathAndQuery, &Fields)>,
    ) -> Box<Self> {
        metrics.in_flight_add();
        Box::new(Self {
            metrics,
            accounted: true,
            id: fastrand::u64(..),
            client: connection.key(),
            mapping: None,
            permit: None,
            memory: None,
            operation: None,
            status: None,
            rule: None,
            error: None,
            cut: None,
            continuations: None,
            received: 0,
            sent: 0,
            start: clock::now(),
            waits: Waits::default(),
            first_byte: None,
            client_ended: false,
            line: logged.then(|| LineFields::new(connection.clone(), method, request)),
        })
    }

    /// For what is done on account of this request and may outlive it: it takes notes and writes nothing.
    #[must_use]
    pub fn aside(&self) -> Self {
        Self {
            metrics: Arc::clone(&self.metrics),
            accounted: false,
            id: self.id,
            client: self.client,
            mapping: self.mapping,
            permit: None,
            memory: None,
            operation: self.operation,
            status: None,
            rule: None,
            error: None,
            cut: None,
            continuations: None,
            received: 0,
            sent: 0,
            start: self.start,
            waits: Waits::default(),
            first_byte: None,
            client_ended: false,
            line: None,
        }
    }

    /// Returns the client that it is counted for.
    pub fn client(&self) -> ClientKey {
        self.client
    }

    /// Counts the request for this client from now on.
    pub fn identified(&mut self, client: &Client<'_>) {
        self.client = client.key();
    }

    /// What was noted last.
    pub fn noted(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// The request's id: in the log, in the answer's header, in its XML.
    pub fn request_id(&self) -> RequestId {
        RequestId::new(self.id)
    }

    /// The name of the mapping that the client matched.
    pub fn mapping_name(&self) -> Option<Box<str>> {
        self.mapping.map(|row| self.metrics.mapping_name(row))
    }

    /// The mapping that the client matched.
    pub fn mapped(&mut self, mapping: Row) {
        self.mapping = Some(mapping);
    }

    /// Whether it may run, as what is done on account of one may.
    pub fn is_admitted(&self) -> bool {
        self.permit.is_some() || !self.accounted
    }

    /// It may run; its leave ends with it.
    pub fn admitted(&mut self, permit: Permit) {
        self.permit = Some(permit);
    }

    /// Returns the memory that it holds, which it gives back when it is over.
    pub fn memory(&mut self, budget: &MemoryBudget, used_for: Use) -> &mut Share {
        let payer = Payer::Client(self.client);
        self.memory.get_or_insert_with(|| Box::new(budget.share(payer, used_for)))
    }

    /// Awaits what the request waits for, and adds the time to its account.
    pub async fn waits<T>(&mut self, wait: Wait, until: impl Future<Output = T>) -> T {
        let since = clock::now();
        let outcome = until.await;
        let waited = clock::now().saturating_duration_since(since);
        match wait {
            Wait::Queue => self.waits.queue += waited,
            Wait::Session => self.waits.session += waited,
        }
        outcome
    }

    /// The operation that was asked for, with the query, whether it is granted or not.
    pub fn routed(&mut self, operation: Operation, query: Option<&str>) {
        self.operation = Some(operation);
        if let Some(line) = &mut self.line
            && operation.lists()
        {
            line.listed(query);
        }
    }

    /// The operation that is accounted for so far.
    pub fn operation(&self) -> Option<Operation> {
        self.operation
    }

    /// The operation that the client asked for, whatever was asked on its account since.
    pub fn is_about(&mut self, operation: Option<Operation>) {
        self.operation = operation;
        if let Some(line) = &mut self.line
            && !operation.is_some_and(Operation::lists)
        {
            line.prefix = None;
        }
    }

    /// The operation that the client's request amounts to, whatever the store is asked for it.
    pub fn granted(&mut self, operation: Operation) {
        self.operation = Some(operation);
    }

    /// The request is sent to a node, the first time or again.
    pub fn sent_to(&mut self, node: Option<&Arc<str>>) {
        if let Some(line) = &mut self.line {
            line.attempts += 1;
            line.node = node.cloned();
        }
    }

    /// The store answered.
    pub fn answered(&mut self, status: StatusCode, upstream_id: Option<&[u8]>) {
        self.status = Some(status);
        self.first_byte = Some(self.elapsed());
        if let Some(line) = &mut self.line {
            line.upstream_id = upstream_id.map(Into::into);
        }
    }

    /// The code of the store's error document, if it gave one.
    pub fn store_said(&mut self, code: Option<&str>) {
        if let Some(line) = &mut self.line {
            line.store_code = code.map(|code| s3_error::shown_code(code).into());
        }
    }

    /// Scopegate answers itself.
    pub fn refused(&mut self, refusal: &Refusal) {
        self.status = Some(refusal.rule.status());
        self.rule = Some(refusal.rule);
        self.first_byte = Some(self.elapsed());
        if let Some(line) = &mut self.line {
            line.reason = Some(refusal.message.as_str().into());
            line.help = refusal.help().map(Into::into);
        }
    }

    /// What stood behind an error, for the log alone.
    pub fn note(&mut self, error: &dyn fmt::Display) {
        self.error = Some(error.to_string().into());
    }

    /// So much of the client's body was passed on.
    pub fn received(&mut self, bytes: u64) {
        self.received = bytes;
    }

    /// So much of the answer's body was passed on.
    pub fn sent(&mut self, bytes: u64) {
        self.sent += bytes;
    }

    /// The answer's body broke off.
    pub fn broken(&mut self, error: &dyn fmt::Display) {
        self.note(error);
        self.cut = Some(CutBy::Store);
    }

    /// The answer's body was not read to its end.
    pub fn cut_short(&mut self) {
        if self.cut.is_some() {
            return;
        }
        let by = if self.metrics.is_cutting() { CutBy::Shutdown } else { CutBy::Client };
        self.cut = Some(by);
        if self.error.is_none() || by == CutBy::Shutdown {
            self.note(&by.why());
        }
    }

    /// Returns what counts how often the store is asked for the rest of its answer.
    pub fn count_continuations(&mut self) -> Rc<Cell<u64>> {
        Rc::clone(self.continuations.get_or_insert_default())
    }

    fn continuations(&self) -> Option<u64> {
        self.continuations.as_ref().map(|count| count.get())
    }

    /// The client sends no more, and had no answer yet.
    pub fn client_ended(&mut self) {
        self.client_ended = true;
    }

    fn elapsed(&self) -> Duration {
        clock::now().saturating_duration_since(self.start)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Drop for AccessRecord {
    fn drop(&mut self) {
        if !self.accounted {
            return;
        }
        if self.status.is_none() {
            self.cut_short();
        }
        let total = self.elapsed();
        self.metrics.request_over(&Outcome {
            mapping: self.mapping,
            operation: self.operation,
            status: self.status,
            rule: self.rule,
            cut: self.cut,
            received: self.received,
            sent: self.sent,
            queued: self.waits.queue,
            first_byte: self.first_byte,
            total,
        });
        if let Some(line) = &self.line {
            line.write(self, total);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_number_in_hexadecimal() {
        for number in [0, 1, 0xFEDC_BA98_7654_3210, u64::MAX] {
            assert_eq!(RequestId::new(number).as_str(), format!("{number:016X}"));
        }
    }
}
