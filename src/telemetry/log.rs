//! The log: one line per event on stderr. A separate thread writes the lines, so that no request waits for a slow
//! reader.

mod events;
mod line;
mod output;
mod queue;
pub(crate) mod turn;

pub(crate) use line::Line;
pub(crate) use output::Output;

use crate::bounds::limits;
use crate::config::{Log, LogFormat, LogLevel};
use events::Lines;
use line::Style;
use std::ffi::OsStr;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;
use std::thread::JoinHandle;
use std::time::Duration;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;

/// The time that the process waits at its end for lines to be written. A reader that has stopped reading must not
/// keep it alive.
const FLUSH: Duration = Duration::from_secs(1);

static LEVEL: OnceLock<Handle<EnvFilter, Registry>> = OnceLock::new();
static STDERR: OnceLock<Output> = OnceLock::new();

/// Changes the level from now on, unless `RUST_LOG` sets it.
pub(crate) fn set_level(level: LogLevel) {
    if let Some(handle) = LEVEL.get() {
        // Fails only after the subscriber is gone.
        let _ = handle.reload(filter(level));
    }
}

/// Returns the output to stderr. `None` before logging has started.
pub(crate) fn stderr() -> Option<&'static Output> {
    STDERR.get()
}

/// Returns the bytes of lines that are still to be written.
pub(crate) fn waiting() -> usize {
    stderr().map_or(0, Output::waiting)
}

/// Returns the number of lines dropped because too many were waiting.
pub(crate) fn dropped() -> u64 {
    stderr().map_or(0, Output::dropped)
}

fn filter(level: LogLevel) -> EnvFilter {
    // Libraries stay at warnings: below that, they may log bytes from the wire, which may contain credentials. The
    // warnings of h2 are about floods, which the metrics count.
    let own = std::env::var("RUST_LOG").unwrap_or_else(|_| level.as_str().to_owned());
    EnvFilter::builder().parse_lossy(format!("warn,h2=error,scopegate={own}"))
}

/// Writes the remaining lines when dropped, if the reader keeps up.
#[derive(Debug)]
pub(crate) struct Flush {
    output: &'static Output,
    writer: Option<JoinHandle<()>>,
}

impl Drop for Flush {
    fn drop(&mut self) {
        self.output.close(FLUSH);
        // A writer that has not finished by now is blocked by its reader.
        if let Some(writer) = self.writer.take().filter(JoinHandle::is_finished) {
            let _ = writer.join();
        }
    }
}

/// Starts logging as configured. `RUST_LOG` overrides the configured level. Dropping the returned guard writes the
/// remaining lines.
pub(crate) fn start(log: &Log) -> Option<Flush> {
    let style = Style {
        format: log.format,
        colors: log.format == LogFormat::Text && io::stderr().is_terminal(),
        priorities: is_journal(io::stderr().as_fd(), std::env::var_os("JOURNAL_STREAM").as_deref()),
    };
    let (filter, handle) = reload::Layer::new(filter(log.level));
    tracing_subscriber::registry().with(filter).with(Lines).try_init().ok()?;
    let _ = LEVEL.set(handle);
    let output = STDERR.get_or_init(|| Output::new(style, limits::LOG_MEMORY));
    let writing = || output.write_all(&mut io::stderr());
    let writer = std::thread::Builder::new().name("log".to_owned()).spawn(writing).ok();
    Some(Flush { output, writer })
}

/// Returns whether a stream leads to the journal. `JOURNAL_STREAM` contains the device and inode of the journal's
/// stream (systemd.exec(5)).
fn is_journal(stream: BorrowedFd<'_>, named: Option<&OsStr>) -> bool {
    let named = named.and_then(OsStr::to_str).and_then(|named| named.split_once(':'));
    let number = |text: &str| text.parse::<u64>().ok();
    let Some((device, inode)) = named.and_then(|(device, inode)| Some((number(device)?, number(inode)?)))
    else {
        return false;
    };
    rustix::fs::fstat(stream).is_ok_and(|stat| (stat.st_dev, stat.st_ino) == (device, inode))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    #[test]
    fn recognises_the_stream_of_the_journal() {
        let file = tempfile::tempfile().unwrap();
        let stat = rustix::fs::fstat(&file).unwrap();
        let named = |device: u64, inode: u64| OsString::from(format!("{device}:{inode}"));
        for (named, expected) in [
            (Some(named(stat.st_dev, stat.st_ino)), true),
            (Some(named(stat.st_dev, stat.st_ino + 1)), false),
            (Some(named(stat.st_dev + 1, stat.st_ino)), false),
            (Some("7".into()), false),
            (Some(":".into()), false),
            (None, false),
        ] {
            assert_eq!(is_journal(file.as_fd(), named.as_deref()), expected, "{named:?}");
        }
    }
}
