//! Sends spans to the collector: one task, one message at a time, each with a deadline and few attempts.
//!
//! <https://opentelemetry.io/docs/specs/otlp/#otlphttp>

use super::counts::{Dropped, TraceCounts};
use super::encode::{encode, rejected};
use super::spans::RequestSpans;
use crate::config::{Collector, Traces};
use crate::net::connect::{Connector, innermost};
use crate::net::terminal::plain;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::Full;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout, timeout_at};

/// The time in which requests are collected for one message.
const INTERVAL: Duration = Duration::from_secs(1);
/// The largest number of requests in one message. One may have 33 spans.
const MAX_REQUESTS: usize = 256;
/// The largest number of attempts at one message.
const ATTEMPTS: u32 = 3;
/// The time before the second attempt, which doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause that a collector may ask for.
const MAX_PAUSE: Duration = Duration::from_secs(10);
/// The largest response that is read, in bytes.
const MAX_RESPONSE: usize = 64 * 1024;

/// The task that sends spans.
#[derive(Debug)]
pub(super) struct Exporter {
    collector: Collector,
    connector: Connector,
    service_name: Box<str>,
    counts: Arc<TraceCounts>,
    is_failing: bool,
}

/// A failed attempt.
struct Failed {
    why: String,
    /// The time after which another attempt may succeed, if it may.
    again: Option<Duration>,
}

impl Exporter {
    /// Prepares the task.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(super) fn new(settings: &Traces, counts: Arc<TraceCounts>) -> io::Result<Self> {
        let Traces { collector, service_name, .. } = settings.clone();
        let connector = Connector::new(collector.endpoint.clone(), collector.timeout, &collector.tls)?;
        Ok(Self { collector, connector, service_name, counts, is_failing: false })
    }

    /// Sends spans until no request can hand over more, or until it is told to stop and none wait.
    pub(super) async fn run(
        mut self,
        mut waiting: mpsc::Receiver<RequestSpans>,
        mut stopping: watch::Receiver<bool>,
    ) {
        let mut batch = Vec::with_capacity(MAX_REQUESTS);
        loop {
            let is_over = collect(&mut waiting, &mut batch, &mut stopping).await;
            if !batch.is_empty() {
                self.send(&batch, &mut stopping).await;
                batch.clear();
            } else if is_over {
                return;
            }
        }
    }

    /// Sends a message, several times if the collector may accept it later.
    async fn send(&mut self, batch: &[RequestSpans], stopping: &mut watch::Receiver<bool>) {
        let spans = batch.iter().map(RequestSpans::count).sum();
        let body = Bytes::from(encode(&self.service_name, batch));
        let mut pause = FIRST_PAUSE;
        for attempt in 1..=ATTEMPTS {
            let failed = match self.attempt(body.clone()).await {
                Ok(refused) => {
                    self.accepted(spans, refused);
                    return;
                }
                Err(failed) => failed,
            };
            self.counts.count_failure();
            let again = failed.again.filter(|_| attempt < ATTEMPTS && !*stopping.borrow());
            self.complain(&failed.why);
            let Some(asked) = again else { break };
            // A shutdown does not wait for another attempt.
            if timeout(asked.max(pause), stopped(stopping)).await.is_ok() {
                break;
            }
            pause *= 2;
        }
        let why = if *stopping.borrow() { Dropped::Shutdown } else { Dropped::ExportFailed };
        self.counts.count_dropped(why, spans);
    }

    /// Sends a message once. Returns what the collector rejects of it.
    async fn attempt(&self, body: Bytes) -> Result<Option<(u64, String)>, Failed> {
        let length = body.len();
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.collector.target.clone().into();
        let headers = request.headers_mut();
        if let Ok(host) = self.collector.endpoint.authority().parse() {
            headers.insert(header::HOST, host);
        }
        headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/x-protobuf"));
        headers.insert(header::CONTENT_LENGTH, length.into());
        headers.insert(header::CONNECTION, http::HeaderValue::from_static("close"));
        headers.extend(self.collector.authorization.clone());
        let answered = timeout(self.collector.timeout, self.connector.exchange(request, MAX_RESPONSE)).await;
        let again = Some(Duration::ZERO);
        let response = match answered {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(Failed { why: innermost(&*error), again }),
            Err(_) => return Err(Failed { why: "no answer in time".to_owned(), again }),
        };
        if response.status().is_success() {
            return Ok(rejected(response.body()));
        }
        let again = may_retry(response.status()).then(|| pause_of(response.headers()));
        Err(Failed { why: format!("it answers with status {}", response.status().as_u16()), again })
    }

    fn accepted(&mut self, spans: u64, refused: Option<(u64, String)>) {
        let (count, why) = refused.unwrap_or_default();
        let count = count.min(spans);
        self.counts.count_exported(spans - count);
        self.counts.count_dropped(Dropped::Rejected, count);
        if count > 0 {
            self.complain(&format!("it rejects {count} spans: {}", plain(&why)));
        } else if std::mem::take(&mut self.is_failing) {
            tracing::info!(collector = %self.collector, "traces are sent again");
        }
    }

    /// Logs the first failure in a row. The metrics count all.
    fn complain(&mut self, why: &str) {
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::warn!(collector = %self.collector, error = %why, "traces cannot be sent");
        }
    }
}

/// Waits until the process stops.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    if stopping.wait_for(|stop| *stop).await.is_err() {
        // A reload dropped the tracer, so nobody can stop this task any more.
        pending::<()>().await;
    }
}

/// Collects the requests of one message. Returns whether there will be no more.
async fn collect(
    waiting: &mut mpsc::Receiver<RequestSpans>,
    batch: &mut Vec<RequestSpans>,
    stopping: &mut watch::Receiver<bool>,
) -> bool {
    if *stopping.borrow() {
        // Requests that are still running are over before the process waits for this task.
        while batch.len() < MAX_REQUESTS
            && let Ok(request) = waiting.try_recv()
        {
            batch.push(request);
        }
        return true;
    }
    tokio::select! {
        first = waiting.recv() => match first {
            Some(first) => batch.push(first),
            None => return true,
        },
        () = stopped(stopping) => return false,
    }
    let end = Instant::now() + INTERVAL;
    while batch.len() < MAX_REQUESTS {
        let more = tokio::select! {
            more = timeout_at(end, waiting.recv()) => more,
            () = stopped(stopping) => return false,
        };
        match more {
            Ok(Some(more)) => batch.push(more),
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
    false
}

/// Returns whether the collector may accept the same message later.
fn may_retry(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

/// Returns the time after which the collector asks to try again.
fn pause_of(headers: &HeaderMap) -> Duration {
    let seconds = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(0)).min(MAX_PAUSE)
}
