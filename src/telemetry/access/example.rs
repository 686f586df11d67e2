//! The record of an example request apart from the server, for the benches and for the test that counts allocations.

use super::{AccessRecord, Recorded};
use crate::config::{IdentityForm, Lines, LogFormat};
use crate::identify::client::{Client, Connection};
use crate::s3::operation::Operation;
use crate::telemetry::log::Output;
use crate::telemetry::metrics::{Metrics, Row};
use http::StatusCode;
use http1::Request;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The bytes of lines that may wait: enough for a writer that gets no processor for a while.
const LIMIT: usize = 64 << 20;

/// A successful GET as the access log records it. The lines go to `/dev/null`.
#[derive(Debug)]
pub struct RecordedGet {
    connection: Connection,
    request: Request,
    metrics: Arc<Metrics>,
    mapping: Row,
    node: Arc<str>,
    log: Option<(&'static Output, JoinHandle<()>)>,
}

impl RecordedGet {
    /// Prepares the record of a request, with lines in this format if there is one.
    ///
    /// # Errors
    /// When the writer of the lines cannot start.
    pub fn new(connection: Connection, request: Request, format: Option<LogFormat>) -> io::Result<Self> {
        let metrics = Arc::new(Metrics::default());
        let (mapping, _) = metrics.rows(["mapping-15"]).remove(0);
        let log = format.map(start_log).transpose()?;
        Ok(Self { connection, request, metrics, mapping, node: "127.0.0.1:9000".into(), log })
    }

    /// Records the request from its beginning to its line.
    pub fn record(&self) {
        let client = Client::of_connection(&self.connection);
        let logged = self.log.as_ref().map(|_| Lines { only_audit: false, identity: IdentityForm::Name });
        let (metrics, request) = (Arc::clone(&self.metrics), &self.request);
        let mut record = AccessRecord::begin(
            metrics,
            &client,
            Recorded { lines: logged, tracer: None },
            &request.method,
            Some(request),
        );
        record.mapped(self.mapping);
        record.trace().routed(Operation::GetObject, None);
        record.trace().targets("/tmp/media/1024", "");
        drop(record.trace().sent_to(Some(&self.node)));
        record.answered(StatusCode::OK, Some(b"185D0B4F3A2C1E07"));
        record.sent(1024);
        if let Some((output, _)) = &self.log {
            let total = record.elapsed();
            record.log_to(output, total);
        }
    }
}

/// Starts a log. Its output is never freed, like that of the process.
fn start_log(format: LogFormat) -> io::Result<(&'static Output, JoinHandle<()>)> {
    let output: &Output = Box::leak(Box::new(Output::plain(format, LIMIT)));
    let mut to = File::create("/dev/null")?;
    let writer = thread::Builder::new().spawn(move || output.write_all(&mut to))?;
    Ok((output, writer))
}

impl Drop for RecordedGet {
    fn drop(&mut self) {
        if let Some((output, writer)) = self.log.take() {
            output.close(Duration::MAX);
            let _ = writer.join();
        }
    }
}
