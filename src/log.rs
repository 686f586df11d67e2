//! The log: one line an event on stderr, written aside so that no request waits for it.

use crate::config::{Log, LogFormat, LogLevel};
use std::io::{self, IsTerminal};
use std::sync::OnceLock;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;

/// Lines that may wait for a slow stderr; further ones are dropped rather than kept in memory without end.
const MAX_WAITING_LINES: usize = 65_536;

static LEVEL: OnceLock<Handle<EnvFilter, Registry>> = OnceLock::new();

/// Changes what is worth a line, from now on; not where `RUST_LOG` says it.
pub fn set_level(level: LogLevel) {
    if let Some(handle) = LEVEL.get() {
        // It fails only when there is no log any more.
        let _ = handle.reload(filter(level));
    }
}

fn filter(level: LogLevel) -> EnvFilter {
    // What libraries say of bytes on the wire may hold credentials: theirs is never below warnings.
    let own = std::env::var("RUST_LOG").unwrap_or_else(|_| level.as_str().to_owned());
    EnvFilter::builder().parse_lossy(format!("warn,scopegate={own},access=info"))
}

/// Starts logging as configured; what was logged is written out when the guard is dropped. `RUST_LOG` overrides the
/// configured level.
pub fn start(log: &Log) -> Option<WorkerGuard> {
    let (writer, guard) =
        NonBlockingBuilder::default().buffered_lines_limit(MAX_WAITING_LINES).finish(io::stderr());
    let (filter, handle) = reload::Layer::new(filter(log.level));
    let _ = LEVEL.set(handle);
    let registry = tracing_subscriber::registry().with(filter);
    let started = match log.format {
        LogFormat::Text => {
            let ansi = io::stderr().is_terminal();
            registry.with(fmt::layer().with_writer(writer).with_ansi(ansi)).try_init()
        }
        LogFormat::Json => {
            registry.with(fmt::layer().json().flatten_event(true).with_writer(writer)).try_init()
        }
    };
    started.ok().map(|()| guard)
}
