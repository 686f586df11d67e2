//! The log: one line per event on stderr. A separate thread writes the lines, so that no request waits for a slow
//! reader.

mod events;
mod line;
mod queue;

pub(crate) use line::Line;

use crate::bounds::limits;
use crate::config::{Log, LogFormat, LogLevel};
use events::Lines;
use line::Style;
use queue::Queue;
use std::cell::RefCell;
use std::ffi::OsStr;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};
use tracing::Level;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;

/// The time that the process waits at its end for lines to be written. A reader that has stopped reading must not
/// keep it alive.
const FLUSH: Duration = Duration::from_secs(1);

/// The capacity that a thread keeps for its next line, in bytes.
const KEPT_ROOM: usize = 4 * 1024;

static LEVEL: OnceLock<Handle<EnvFilter, Registry>> = OnceLock::new();
static STYLE: OnceLock<Style> = OnceLock::new();
static LINES: Queue = Queue::new(limits::LOG_MEMORY);

thread_local! {
    static ROOM: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Changes the level from now on, unless `RUST_LOG` sets it.
pub(crate) fn set_level(level: LogLevel) {
    if let Some(handle) = LEVEL.get() {
        // Fails only after the subscriber is gone.
        let _ = handle.reload(filter(level));
    }
}

/// Returns the bytes of lines that are still to be written.
pub(crate) fn waiting() -> usize {
    LINES.waiting()
}

/// Returns the number of lines dropped because too many were waiting.
pub(crate) fn dropped() -> u64 {
    LINES.dropped()
}

fn filter(level: LogLevel) -> EnvFilter {
    // Libraries stay at warnings: below that, they may log bytes from the wire, which may contain credentials. The
    // warnings of h2 are about floods, which the metrics count.
    let own = std::env::var("RUST_LOG").unwrap_or_else(|_| level.as_str().to_owned());
    EnvFilter::builder().parse_lossy(format!("warn,h2=error,scopegate={own}"))
}

/// Writes the remaining lines when dropped, if the reader keeps up.
#[derive(Debug)]
pub(crate) struct Flush(Option<JoinHandle<()>>);

impl Drop for Flush {
    fn drop(&mut self) {
        LINES.close(FLUSH);
        // A writer that has not finished by now is blocked by its reader.
        if let Some(writer) = self.0.take().filter(JoinHandle::is_finished) {
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
    let _ = (LEVEL.set(handle), STYLE.set(style));
    let writing = move || LINES.write_all(&mut io::stderr(), |lines| lost(style, lines));
    let writer = std::thread::Builder::new().name("log".to_owned()).spawn(writing).ok();
    Some(Flush(writer))
}

/// Writes one line. Does nothing before logging has started.
pub(crate) fn write(level: Level, target: &str, fill: impl FnOnce(&mut Line<'_>)) {
    let Some(style) = STYLE.get() else { return };
    let mut room = ROOM.take();
    let mut line = Line::begin(&mut room, *style, SystemTime::now(), (level, target));
    fill(&mut line);
    line.end();
    LINES.push(&room);
    room.clear();
    room.shrink_to(KEPT_ROOM);
    ROOM.set(room);
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

/// Returns the line that reports dropped lines.
fn lost(style: Style, lines: u64) -> Vec<u8> {
    let mut text = Vec::new();
    let about = (Level::WARN, "scopegate::telemetry::log");
    let mut line = Line::begin(&mut text, style, SystemTime::now(), about);
    line.message(&"log lines were dropped: stderr was not read fast enough");
    line.number("lines", lines);
    line.end();
    text
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
