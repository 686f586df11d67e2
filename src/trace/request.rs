//! The trace of one request: what its stages note.

use super::timeline::{ParentHeader, Timeline};
use super::wait::Wait;
use crate::s3::error as s3_error;
use crate::s3::operation::Operation;
use crate::s3::target::Query;
use http::StatusCode;
use http1::clock;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Maximum length of a logged path or prefix, in bytes.
const MAX_TEXT: usize = 1024;

/// The facts about a running request. The stages of the request share them.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    id: u64,
    /// Whether the access log has a line for the request, or it is traced. If not, some facts are not recorded.
    is_recorded: bool,
    timeline: Option<Box<Timeline>>,
    operation: Cell<Option<Operation>>,
    prefix: RefCell<Option<Box<str>>>,
    target: OnceCell<LoggedTarget>,
    attempts: Cell<u64>,
    node: RefCell<Option<Arc<str>>>,
    store_code: RefCell<Option<Box<str>>>,
    cause: RefCell<Option<Box<str>>>,
    waits: [Cell<Duration>; 2],
    continuations: OnceCell<Rc<Cell<u64>>>,
}

/// What a request to the store is about.
#[derive(Debug)]
pub(crate) struct LoggedTarget {
    /// The path as the store gets it: `/bucket/key`, with the key encoded.
    path: Box<str>,
    version: Option<Box<str>>,
}

impl LoggedTarget {
    /// Returns the bucket and the key, decoded.
    pub(crate) fn bucket_and_key(&self) -> (&str, Option<Cow<'_, str>>) {
        let path = self.path.strip_prefix('/').unwrap_or(&self.path);
        let Some((bucket, key)) = path.split_once('/') else { return (path, None) };
        let decoded = || percent_decode_str(key).decode_utf8_lossy();
        let is_encoded = || key.bytes().any(|byte| byte == b'%');
        (bucket, (!key.is_empty()).then(|| if is_encoded() { decoded() } else { key.into() }))
    }

    /// Returns the version that the client asked for.
    pub(crate) fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }
}

/// The texts of a request for the access log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Texts<'t> {
    /// The prefix of a list.
    pub prefix: Option<&'t str>,
    /// The last node.
    pub node: Option<&'t str>,
    /// The store's error code.
    pub store_code: Option<&'t str>,
    /// What the request to the store is about.
    pub target: Option<&'t LoggedTarget>,
}

/// An exchange with a node, from sending the request to the head of the response.
#[derive(Debug)]
pub(crate) struct Exchange<'t> {
    step: Option<(&'t Timeline, usize)>,
    answer: Option<StatusCode>,
}

impl Exchange<'_> {
    /// Returns the header by which the store learns of the trace, if it may.
    pub(crate) fn header(&self) -> Option<ParentHeader> {
        self.step.and_then(|(timeline, number)| timeline.header(number))
    }

    /// Notes the status of the response.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.answer = Some(status);
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        if let Some((timeline, number)) = self.step {
            timeline.ends(number, self.answer);
        }
    }
}

/// A request's id of sixteen hexadecimal digits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestId([u8; 16]);

impl RequestId {
    fn new(number: u64) -> Self {
        let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'A' - 10 };
        let mut digits = [0; 16];
        let (pairs, _) = digits.as_chunks_mut();
        for (pair, byte) in pairs.iter_mut().zip(number.to_be_bytes()) {
            *pair = [byte >> 4, byte & 15].map(digit);
        }
        Self(digits)
    }

    /// Returns the digits.
    pub(crate) fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Trace {
    /// Begins the trace of a new request, with a new id.
    pub(crate) fn begin(is_logged: bool) -> Self {
        Self { id: fastrand::u64(..), is_recorded: is_logged, ..Self::default() }
    }

    /// Begins the trace of a new request, which has a timeline if it is traced.
    pub(crate) fn begin_traced(is_logged: bool, timeline: Option<Box<Timeline>>) -> Self {
        let is_recorded = is_logged || timeline.is_some();
        Self { is_recorded, timeline, ..Self::begin(is_logged) }
    }

    /// Returns the timeline of a request that is traced.
    pub(crate) fn timeline(&self) -> Option<&Timeline> {
        self.timeline.as_deref()
    }

    /// Makes a trace for work that may outlive the request. It has the request's id and is not logged.
    #[must_use]
    pub(crate) fn aside(&self) -> Self {
        Self { id: self.id, ..Self::default() }
    }

    /// Returns the request's id, which the log, the response's header and its XML show.
    pub(crate) fn request_id(&self) -> RequestId {
        RequestId::new(self.id)
    }

    /// Awaits a future, and records the time as a wait of the request.
    pub(crate) async fn waits<T>(&self, wait: Wait, until: impl Future<Output = T>) -> T {
        let since = clock::now();
        let outcome = until.await;
        let now = clock::now();
        let waited = now.saturating_duration_since(since);
        // Most requests do not wait, so the clock of events has not moved.
        if now != since
            && let Some(all) = self.waits.get(wait as usize)
        {
            all.set(all.get() + waited);
        }
        if let Some(timeline) = &self.timeline {
            timeline.waited(wait, since, waited);
        }
        outcome
    }

    /// Returns how long the request has waited.
    pub(crate) fn waited(&self, wait: Wait) -> Duration {
        self.waits.get(wait as usize).map(Cell::get).unwrap_or_default()
    }

    /// Notes the operation of a request, granted or not. `query` contains the prefix of a list.
    pub(crate) fn routed(&self, operation: Operation, query: Option<&str>) {
        self.operation.set(Some(operation));
        if self.is_recorded
            && operation.lists()
            && let Some(query) = query.and_then(|query| Query::parse(Some(query)).ok())
        {
            let prefix = shortened(query.get("prefix").unwrap_or_default());
            self.prefix.replace(Some(prefix.into()));
        }
    }

    /// Notes the operation that the client requested, after requests for other operations contributed to its
    /// response.
    pub(crate) fn is_about(&self, operation: Option<Operation>) {
        self.operation.set(operation);
        if !operation.is_some_and(Operation::lists) {
            self.prefix.replace(None);
        }
    }

    /// Returns the operation.
    pub(crate) fn operation(&self) -> Option<Operation> {
        self.operation.get()
    }

    /// Notes that the request is sent to a node, for the first time or again. Returns the exchange, which ends when it is
    /// dropped.
    pub(crate) fn sent_to(&self, node: Option<&Arc<str>>) -> Exchange<'_> {
        if self.is_recorded {
            self.attempts.set(self.attempts.get() + 1);
            self.node.replace(node.cloned());
        }
        let step = self.timeline.as_deref().and_then(|timeline| Some((timeline, timeline.sends(node)?)));
        Exchange { step, answer: None }
    }

    /// Notes the error code in the store's response.
    pub(crate) fn store_said(&self, code: Option<&str>) {
        if self.is_recorded {
            self.store_code.replace(code.map(|code| s3_error::shown_code(code).into()));
        }
    }

    /// Notes the cause of a failure that the request survives, or that its answer does not tell.
    pub(crate) fn survived(&self, cause: Option<&str>) {
        if self.is_recorded
            && let Some(cause) = cause
        {
            self.cause.replace(Some(cause.into()));
        }
    }

    /// Takes the cause of the last such failure.
    pub(crate) fn take_cause(&self) -> Option<Box<str>> {
        self.cause.take()
    }

    /// Returns the counter of requests for the rest of a response that broke off.
    pub(crate) fn count_continuations(&self) -> Rc<Cell<u64>> {
        Rc::clone(self.continuations.get_or_init(Rc::default))
    }

    /// Returns the number of requests for the rest of a response, if there were any.
    pub(crate) fn continuations(&self) -> Option<u64> {
        self.continuations.get().map(|count| count.get())
    }

    /// Returns the number of attempts on nodes.
    pub(crate) fn attempts(&self) -> u64 {
        self.attempts.get()
    }

    /// Notes what the first request to the store is about: its path and query as the store gets them.
    pub(crate) fn targets(&self, path: &str, query: &str) {
        if self.is_recorded && self.target.get().is_none() {
            let named = query.split('&').find_map(|pair| pair.strip_prefix("versionId="));
            let version = named.map(|version| percent_decode_str(version).decode_utf8_lossy().into());
            let _ = self.target.set(LoggedTarget { path: path.into(), version });
        }
    }

    /// Passes the texts for the access log to `write`.
    pub(crate) fn with_texts(&self, write: impl FnOnce(Texts<'_>)) {
        let (prefix, node, code) = (self.prefix.borrow(), self.node.borrow(), self.store_code.borrow());
        write(Texts {
            prefix: prefix.as_deref(),
            node: node.as_deref(),
            store_code: code.as_deref(),
            target: self.target.get(),
        });
    }
}

/// Cuts a text for the log.
pub(crate) fn shortened(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_hexadecimal() {
        for number in [0, 1, 0xFEDC_BA98_7654_3210, u64::MAX] {
            assert_eq!(RequestId::new(number).as_str(), format!("{number:016X}"));
        }
    }

    #[test]
    fn cuts_a_long_path_between_two_characters() {
        let long = "é".repeat(MAX_TEXT);
        assert_eq!(shortened(&long), "é".repeat(MAX_TEXT / 2));
        assert_eq!(shortened(&format!("x{long}")).len(), MAX_TEXT - 1);
        assert_eq!(shortened("/tmp/a"), "/tmp/a");
    }

    #[test]
    fn notes_the_prefix_of_a_list() {
        let listed = |query| {
            let trace = Trace::begin(true);
            trace.routed(Operation::ListObjectsV2, query);
            trace.prefix.take().map(String::from)
        };
        assert_eq!(listed(Some("list-type=2&prefix=media%2Fa+b")).as_deref(), Some("media/a b"));
        assert_eq!(listed(Some("list-type=2")).as_deref(), Some(""));
        assert_eq!(listed(None), None);
    }

    #[test]
    fn the_target_is_that_of_the_first_request() {
        let trace = Trace::begin(true);
        trace.targets("/tmp/media/a%20b/%C3%A9", "versionId=a%2Fb&x=1");
        trace.targets("/other/key", "");
        trace.with_texts(|Texts { target, .. }| {
            let target = target.unwrap();
            assert_eq!(target.bucket_and_key(), ("tmp", Some("media/a b/é".into())));
            assert_eq!(target.version(), Some("a/b"));
        });
        let list = Trace::begin(true);
        list.targets("/tmp", "list-type=2");
        list.with_texts(|Texts { target, .. }| {
            let target = target.unwrap();
            assert_eq!((target.bucket_and_key(), target.version()), (("tmp", None), None));
        });
        let unlogged = Trace::begin(false);
        unlogged.targets("/tmp/a", "");
        unlogged.with_texts(|texts| assert!(texts.target.is_none()));
    }

    #[test]
    fn aside_traces_share_only_the_id() {
        let trace = Trace::begin(true);
        let aside = trace.aside();
        aside.sent_to(Some(&"node".into()));
        assert_eq!((aside.request_id().as_str(), trace.attempts()), (trace.request_id().as_str(), 0));
    }
}
