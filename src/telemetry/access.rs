//! The record of a request: one line in the access log and counts in the metrics, written when the request is over.

pub(crate) mod example;
mod line;
mod shown;

use crate::config::Lines;
use crate::identify::client::{Client, Connection};
use crate::net::wall_clock::WallClock;
use crate::refusal::{Refusal, Rule};
use crate::telemetry::log::{self, Output};
use crate::telemetry::metrics::{CutBy, Metrics, Outcome, Row};
use crate::telemetry::refused::Refused;
#[cfg(feature = "otlp")]
use crate::telemetry::traces::Facts;
use crate::telemetry::traces::{Traced, Tracer};
use crate::trace::{RequestId, Trace, Wait};
use http::{Method, StatusCode};
use http1::{Request, clock};
use line::{LineFields, UpstreamId};
use std::cell::Cell;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The record of a request. Dropping it writes it.
#[derive(Debug)]
pub(crate) struct AccessRecord {
    metrics: Arc<Metrics>,
    trace: Trace,
    connection: Connection,
    /// The address of the client, as far as it is known.
    address: Option<IpAddr>,
    method: Method,
    mapping: Cell<Option<Row>>,
    /// Whether the client proved what the mapping demands.
    is_own: Cell<bool>,
    status: Option<StatusCode>,
    rule: Option<Rule>,
    error: Option<Box<str>>,
    cut: Option<CutBy>,
    received: u64,
    sent: u64,
    start: Instant,
    first_byte: Option<Duration>,
    /// Whether the client closed its side before the response.
    client_ended: bool,
    /// The fields that only the access log has, if it is on.
    line: Option<LineFields>,
    /// What only traces have, if the request is traced.
    traced: Option<Box<Traced>>,
}

/// What is recorded of a request, beside the metrics.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Recorded<'r> {
    /// The form of its line in the log, if it has one.
    pub(crate) lines: Option<Lines>,
    /// The tracer, if requests are traced.
    pub(crate) tracer: Option<&'r Arc<Tracer>>,
}

impl AccessRecord {
    /// Begins the record of a request of a client, as `recorded` says. `request` is `None` for bytes that are not a request.
    /// The record is boxed because it is moved often, and made in its box.
    pub(crate) fn begin(
        metrics: Arc<Metrics>,
        client: &Client<'_>,
        recorded: Recorded<'_>,
        method: &Method,
        request: Option<&Request>,
    ) -> Box<Self> {
        metrics.in_flight_add();
        let connection = client.connection().clone();
        let Recorded { lines: logged, tracer } = recorded;
        let (traced, timeline) = tracer.and_then(|tracer| tracer.begin(request)).unzip();
        Box::write(
            Box::new_uninit(),
            Self {
                metrics,
                trace: Trace::begin_traced(logged.is_some(), timeline),
                traced: traced.map(Box::new),
                address: client.address().or_else(|| connection.peer_address()),
                connection,
                method: method.clone(),
                mapping: Cell::new(None),
                is_own: Cell::new(false),
                status: None,
                rule: None,
                error: None,
                cut: None,
                received: 0,
                sent: 0,
                start: clock::now(),
                first_byte: None,
                client_ended: false,
                line: logged.map(|lines| LineFields::new(lines, request)),
            },
        )
    }

    /// Returns the trace, which the stages of the request write.
    pub(crate) fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Returns the request's id.
    pub(crate) fn request_id(&self) -> RequestId {
        self.trace.request_id()
    }

    /// Returns the name of the mapping of the request.
    pub(crate) fn mapping_name(&self) -> Option<Box<str>> {
        self.mapping.get().map(|row| self.metrics.mapping_name(row))
    }

    /// Returns the name of the mapping if the client matched it, so that it may learn the name.
    pub(crate) fn own_mapping_name(&self) -> Option<Box<str>> {
        self.mapping_name().filter(|_| self.is_own.get())
    }

    /// Notes the mapping that the client matched.
    pub(crate) fn mapped(&self, mapping: Row) {
        self.mapping.set(Some(mapping));
        self.is_own.set(true);
    }

    /// Notes the mapping that judges a preflight, which carries no credentials.
    pub(crate) fn preflight_mapped(&self, mapping: Row) {
        self.mapping.set(Some(mapping));
    }

    /// Notes the client that sent the request.
    pub(crate) fn identified(&self, client: &Client<'_>) {
        if let (Some(line), Some(identity)) = (&self.line, client.identity()) {
            line.identified(Arc::clone(identity));
        }
    }

    /// Notes the start of the response.
    pub(crate) fn answered(&mut self, status: StatusCode, upstream_id: Option<&[u8]>) {
        self.status = Some(status);
        self.first_byte = Some(self.elapsed());
        self.error = self.error.take().or_else(|| self.trace.take_cause());
        if let Some(line) = &mut self.line {
            line.upstream_id = upstream_id.map(UpstreamId::new);
        }
        if let Some(traced) = &mut self.traced {
            traced.answered(upstream_id);
        }
    }

    /// Notes a refusal as the response.
    pub(crate) fn refused(&mut self, refusal: &Refusal) {
        self.status = Some(refusal.status());
        self.rule = Some(refusal.rule);
        self.first_byte = Some(self.elapsed());
        self.error = refusal.cause().map(Into::into).or_else(|| self.trace.take_cause());
        if let Some(line) = &mut self.line {
            line.reason = Some(refusal.message.as_str().into());
            line.help = refusal.help().map(Into::into);
        }
    }

    /// Notes an error, which only the log shows.
    pub(crate) fn note(&mut self, error: &dyn fmt::Display) {
        self.error = Some(error.to_string().into());
    }

    /// Notes the number of bytes of the client's body that were passed on.
    pub(crate) fn received(&mut self, bytes: u64) {
        self.received = bytes;
    }

    /// Adds bytes of the response's body that were passed on.
    pub(crate) fn sent(&mut self, bytes: u64) {
        self.sent += bytes;
    }

    /// Notes that the response's body broke off.
    pub(crate) fn broken(&mut self, error: &dyn fmt::Display) {
        self.note(error);
        self.cut = Some(CutBy::Store);
    }

    /// Notes that the response's body was not read to its end.
    pub(crate) fn cut_short(&mut self) {
        if self.cut.is_some() {
            return;
        }
        let by = if self.metrics.is_cutting() { CutBy::Shutdown } else { CutBy::Client };
        self.cut = Some(by);
        if self.error.is_none() || by == CutBy::Shutdown {
            self.note(&by.why());
        }
    }

    /// Notes that the client closed its side before it had a response.
    pub(crate) fn client_ended(&mut self) {
        self.client_ended = true;
    }

    /// Writes the line, once.
    fn log_to(&mut self, output: &'static Output, total: Duration) {
        if let Some(line) = self.line.as_ref().filter(|line| line.is_wanted(self)) {
            line.write(self, total, output);
        }
        self.line = None;
    }

    /// Hands over the spans, if the request is traced.
    #[cfg(feature = "otlp")]
    fn finish_trace(&mut self, total: Duration) {
        let Some(traced) = self.traced.take() else { return };
        let names = self.metrics.mapping_names();
        traced.finish(
            &self.trace,
            &Facts {
                method: self.method.as_str(),
                scheme: self.connection.scheme(),
                client: self.address,
                listener: self.connection.listener().name(),
                mapping: self.mapping.get().map(|row| names.of(row)),
                status: self.status,
                rule: self.rule.map(Rule::name),
                cut: self.cut.map(CutBy::name),
                received: self.received,
                sent: self.sent,
                start: self.start,
                total,
            },
        );
    }

    /// Returns what the status page shows of a refused request.
    fn as_refused(&self) -> Option<Refused> {
        let rule = self.rule?;
        Some(Refused {
            at: WallClock::SYSTEM.now(),
            id: self.request_id(),
            rule,
            status: self.status.map_or(0, |status| status.as_u16()),
            mapping: self.mapping_name(),
            client: self.address,
            listener: (**self.connection.listener().name()).into(),
            method: self.method.clone(),
            operation: self.trace.operation(),
        })
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
        if self.status.is_none() {
            self.cut_short();
        }
        let total = self.elapsed();
        self.metrics.request_over(&Outcome {
            mapping: self.mapping.get(),
            operation: self.trace.operation(),
            status: self.status,
            rule: self.rule,
            cut: self.cut,
            received: self.received,
            sent: self.sent,
            queued: self.trace.waited(Wait::Queue),
            first_byte: self.first_byte,
            total,
        });
        if let Some(refused) = self.as_refused() {
            self.metrics.last_refused.add(refused);
        }
        if let Some(output) = log::stderr() {
            self.log_to(output, total);
        }
        #[cfg(feature = "otlp")]
        self.finish_trace(total);
    }
}
