//! The output of log lines: from the threads that make them to the thread that writes them.

use super::line::{Line, Style};
use super::queue::Queue;
use crate::config::LogFormat;
use std::cell::RefCell;
use std::io::Write;
use std::time::{Duration, SystemTime};
use tracing::Level;

/// The capacity that a thread keeps for its next line, in bytes.
const KEPT_ROOM: usize = 4 * 1024;

thread_local! {
    static ROOM: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The output of log lines.
#[derive(Debug)]
pub(crate) struct Output {
    style: Style,
    queue: Queue,
}

impl Output {
    /// Makes an output of lines in this style, of which `limit` bytes may wait.
    pub(super) const fn new(style: Style, limit: usize) -> Self {
        Self { style, queue: Queue::new(limit) }
    }

    /// Makes an output of lines as a program reads them, without colours and priorities.
    pub(crate) const fn plain(format: LogFormat, limit: usize) -> Self {
        Self::new(Style { format, colors: false, priorities: false }, limit)
    }

    /// Writes one line.
    pub(crate) fn write(&self, level: Level, target: &str, fill: impl FnOnce(&mut Line<'_>)) {
        let mut room = ROOM.take();
        self.append(&mut room, (level, target), fill);
        self.push(&room);
        room.clear();
        room.shrink_to(KEPT_ROOM);
        ROOM.set(room);
    }

    /// Appends one line to `to`.
    pub(super) fn append(&self, to: &mut Vec<u8>, about: (Level, &str), fill: impl FnOnce(&mut Line<'_>)) {
        let mut line = Line::begin(to, self.style, SystemTime::now(), about);
        fill(&mut line);
        line.end();
    }

    /// Adds whole lines to those that are to be written.
    pub(super) fn push(&self, lines: &[u8]) {
        self.queue.push(lines);
    }

    /// Writes lines to their destination as they come, until the output is closed.
    pub(crate) fn write_all(&self, to: &mut impl Write) {
        self.queue.write_all(to, |lines| self.lost(lines));
    }

    /// Ends the writer after the remaining lines. Waits at most `patience` for them.
    pub(crate) fn close(&self, patience: Duration) {
        self.queue.close(patience);
    }

    /// Returns the bytes of lines that are still to be written.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// Returns the number of lines dropped because too many were waiting.
    pub(crate) fn dropped(&self) -> u64 {
        self.queue.dropped()
    }

    /// Returns the line that reports dropped lines.
    fn lost(&self, lines: u64) -> Vec<u8> {
        let mut text = Vec::new();
        let about = (Level::WARN, "scopegate::telemetry::log");
        let mut line = Line::begin(&mut text, self.style, SystemTime::now(), about);
        line.message(&"log lines were dropped: stderr was not read fast enough");
        line.number("lines", lines);
        line.end();
        text
    }
}
