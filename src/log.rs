//! The log: one line an event on stderr, written aside so that no request waits for it.

mod queue;

use crate::config::{Log, LogFormat, LogLevel};
use crate::memory;
use queue::{Queue, Writer};
use std::io::{self, IsTerminal};
use std::sync::OnceLock;
use std::thread::JoinHandle;
use std::time::Duration;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;

/// How long the end waits for lines to be written: a reader that has stopped reading does not keep the process.
const FLUSH: Duration = Duration::from_secs(1);

static LEVEL: OnceLock<Handle<EnvFilter, Registry>> = OnceLock::new();
static LINES: Queue = Queue::new(memory::LOG);

/// Changes what is worth a line, from now on; not where `RUST_LOG` says it.
pub fn set_level(level: LogLevel) {
    if let Some(handle) = LEVEL.get() {
        // It fails only when there is no log any more.
        let _ = handle.reload(filter(level));
    }
}

/// Returns the bytes of lines that wait to be written.
pub fn waiting() -> usize {
    LINES.waiting()
}

/// Returns how many lines were dropped because too many waited.
pub fn dropped() -> u64 {
    LINES.dropped()
}

fn filter(level: LogLevel) -> EnvFilter {
    // What libraries say of bytes on the wire may hold credentials: theirs is never below warnings.
    let own = std::env::var("RUST_LOG").unwrap_or_else(|_| level.as_str().to_owned());
    EnvFilter::builder().parse_lossy(format!("warn,scopegate={own},access=info"))
}

/// Writes out what was logged when it is dropped, as far as that is read.
#[derive(Debug)]
pub struct Flush(Option<JoinHandle<()>>);

impl Drop for Flush {
    fn drop(&mut self) {
        LINES.close(FLUSH);
        // A writer that is not done by then waits for its reader.
        if let Some(writer) = self.0.take().filter(JoinHandle::is_finished) {
            let _ = writer.join();
        }
    }
}

/// Starts logging as configured; what was logged is written out when the guard is dropped. `RUST_LOG` overrides the
/// configured level.
pub fn start(log: &Log) -> Option<Flush> {
    let format = log.format;
    let writing = move || LINES.write_all(&mut io::stderr(), |lines| lost(format, lines));
    let writer = std::thread::Builder::new().name("log".to_owned()).spawn(writing).ok();
    let flush = Flush(writer);
    let (filter, handle) = reload::Layer::new(filter(log.level));
    let _ = LEVEL.set(handle);
    let registry = tracing_subscriber::registry().with(filter);
    let lines = || Writer(&LINES);
    let started = match log.format {
        LogFormat::Text => {
            let ansi = io::stderr().is_terminal();
            registry.with(fmt::layer().with_writer(lines).with_ansi(ansi)).try_init()
        }
        LogFormat::Json => {
            registry.with(fmt::layer().json().flatten_event(true).with_writer(lines)).try_init()
        }
    };
    started.ok().map(|()| flush)
}

/// The line that says that others are missing.
fn lost(format: LogFormat, lines: u64) -> String {
    let message = "log lines were dropped: stderr was not read fast enough";
    match format {
        LogFormat::Text => format!(" WARN scopegate::log: {message} lines={lines}\n"),
        LogFormat::Json => {
            format!(
                "{{\"level\":\"WARN\",\"message\":\"{message}\",\"lines\":{lines},\"target\":\"scopegate::log\"}}\n"
            )
        }
    }
}
