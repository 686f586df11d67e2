//! The steps of a request that is traced: how long it waited, and its exchanges with the store.

use super::parent::{SpanId, TraceId};
use super::wait::Wait;
use http::StatusCode;
use http1::clock;
use std::cell::{Cell, RefCell};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The largest number of steps that are kept. A multipart upload can have thousands.
const MAX_STEPS: usize = 32;

/// The steps of a request, and its place in a trace.
#[derive(Debug)]
pub(crate) struct Timeline {
    /// The trace.
    pub(crate) trace: TraceId,
    /// The request's own span.
    pub(crate) span: SpanId,
    /// Whether the store learns of the trace.
    is_propagated: bool,
    steps: RefCell<Vec<Step>>,
    omitted: Cell<u32>,
}

/// A step of a request.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Its span.
    pub(crate) span: SpanId,
    /// What happened.
    pub(crate) kind: StepKind,
    /// When it began.
    pub(crate) since: Instant,
    /// How long it took.
    pub(crate) took: Duration,
}

/// A kind of step.
#[derive(Clone, Debug)]
pub(crate) enum StepKind {
    /// The request waited.
    Waited(Wait),
    /// The request was sent to a node, which answered with this status, if it did.
    Sent(Option<Arc<str>>, Option<StatusCode>),
}

/// The value of `traceparent` that the store receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ParentHeader([u8; 55]);

impl ParentHeader {
    fn new(trace: TraceId, span: SpanId) -> Self {
        let mut text = String::with_capacity(55);
        let _ = write!(text, "00-{:032x}-{:016x}-01", trace.number(), span.number());
        let mut header = [b'0'; 55];
        for (byte, to) in text.bytes().zip(&mut header) {
            *to = byte;
        }
        Self(header)
    }

    /// Returns the value.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Timeline {
    /// Makes the timeline of a request that is traced.
    pub(crate) fn new(trace: TraceId, is_propagated: bool) -> Self {
        let (steps, omitted) = (RefCell::default(), Cell::default());
        Self { trace, span: SpanId::random(), is_propagated, steps, omitted }
    }

    /// Returns the ids of the trace and of the request's span, as text.
    pub(crate) fn ids(&self) -> (String, String) {
        (format!("{:032x}", self.trace.number()), format!("{:016x}", self.span.number()))
    }

    /// Notes that the request has waited since then.
    pub(super) fn waited(&self, wait: Wait, since: Instant, took: Duration) {
        if !took.is_zero() {
            self.add(StepKind::Waited(wait), since, took);
        }
    }

    /// Notes that the request is sent to a node. Returns the number of the step.
    pub(super) fn sends(&self, node: Option<&Arc<str>>) -> Option<usize> {
        self.add(StepKind::Sent(node.cloned(), None), clock::now(), Duration::ZERO)
    }

    /// Notes the end of an exchange.
    pub(super) fn ends(&self, number: usize, answer: Option<StatusCode>) {
        if let Some(step) = self.steps.borrow_mut().get_mut(number) {
            step.took = clock::now().saturating_duration_since(step.since);
            if let StepKind::Sent(_, status) = &mut step.kind {
                *status = answer;
            }
        }
    }

    /// Returns the header by which the store learns of the trace.
    pub(super) fn header(&self, number: usize) -> Option<ParentHeader> {
        let step = self.steps.borrow().get(number).filter(|_| self.is_propagated).map(|step| step.span);
        step.map(|span| ParentHeader::new(self.trace, span))
    }

    fn add(&self, kind: StepKind, since: Instant, took: Duration) -> Option<usize> {
        let mut steps = self.steps.borrow_mut();
        if steps.len() == MAX_STEPS {
            self.omitted.set(self.omitted.get().saturating_add(1));
            return None;
        }
        steps.push(Step { span: SpanId::random(), kind, since, took });
        Some(steps.len() - 1)
    }

    /// Takes the steps, with the number of those that were not kept.
    pub(crate) fn take_steps(&self) -> (Vec<Step>, u32) {
        (self.steps.take(), self.omitted.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_a_bound_and_their_own_spans() {
        let timeline = Timeline::new(TraceId::random(), true);
        let node: Arc<str> = "node:9000".into();
        let first = timeline.sends(Some(&node)).unwrap();
        timeline.ends(first, Some(StatusCode::OK));
        timeline.waited(Wait::Queue, clock::now(), Duration::ZERO);
        for _ in 0..40 {
            timeline.waited(Wait::Session, clock::now(), Duration::from_millis(1));
        }
        assert_eq!(timeline.sends(None), None);
        let header = timeline.header(first).unwrap();
        let (steps, omitted) = timeline.take_steps();
        assert_eq!((steps.len(), omitted), (MAX_STEPS, 10));
        assert!(
            matches!(&steps[0].kind, StepKind::Sent(Some(name), Some(StatusCode::OK)) if **name == *node)
        );
        let (trace, span) = (timeline.trace.number(), steps[0].span.number());
        assert_eq!(header.as_bytes(), format!("00-{trace:032x}-{span:016x}-01").as_bytes());
    }

    #[test]
    fn the_store_learns_of_a_trace_only_if_it_may() {
        let timeline = Timeline::new(TraceId::random(), false);
        let number = timeline.sends(None).unwrap();
        assert_eq!(timeline.header(number), None);
    }
}
