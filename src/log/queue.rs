//! Lines on their way to a slow reader: bounded in bytes, and counted when they have to be dropped.

use std::io::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// After this many bytes the room of lines is given back once they are written.
const KEPT: usize = 64 * 1024;

/// How long the writer lets lines gather, so that it is woken once for many of them. Under load a worker would else wake it
/// for each line.
const GATHER: Duration = Duration::from_millis(2);

/// Lines that wait to be written.
#[derive(Debug)]
pub(super) struct Queue {
    limit: usize,
    state: Mutex<State>,
    /// Lines came, or there will be none.
    more: Condvar,
    /// Everything is written.
    done: Condvar,
    /// Bytes that are being written.
    writing: AtomicUsize,
    dropped: AtomicU64,
}

#[derive(Debug)]
struct State {
    lines: Vec<u8>,
    /// Lines dropped that the log has not told of.
    untold: u64,
    is_closed: bool,
    is_done: bool,
}

impl Queue {
    pub(super) const fn new(limit: usize) -> Self {
        let state = State { lines: Vec::new(), untold: 0, is_closed: false, is_done: false };
        Self {
            limit,
            state: Mutex::new(state),
            more: Condvar::new(),
            done: Condvar::new(),
            writing: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    /// Adds a line, or drops it if there is no room.
    pub(super) fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.lines.len() + self.writing.load(Ordering::Relaxed) + line.len() > self.limit {
            state.untold += 1;
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let was_empty = state.lines.is_empty();
        state.lines.extend_from_slice(line);
        drop(state);
        if was_empty {
            self.more.notify_one();
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.lock().lines.len() + self.writing.load(Ordering::Relaxed)
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Writes lines as they come, until the queue is closed. What `lost` says of lines that were dropped is written in
    /// their place.
    pub(super) fn write_all(&self, to: &mut impl Write, lost: impl Fn(u64) -> Vec<u8>) {
        let mut batch = Vec::new();
        while let Some(untold) = self.next(&mut batch) {
            // A client that does not read is not told so.
            let _ = to.write_all(&batch).and_then(|()| to.flush());
            if untold > 0 {
                let _ = to.write_all(&lost(untold));
            }
            batch.clear();
            if batch.capacity() > KEPT {
                batch = Vec::new();
            }
            self.writing.store(0, Ordering::Relaxed);
        }
        self.lock().is_done = true;
        self.done.notify_all();
    }

    /// Takes the lines that wait, and how many were dropped behind them; `None` at the end.
    fn next(&self, batch: &mut Vec<u8>) -> Option<u64> {
        let waits = |state: &mut State| state.lines.is_empty() && state.untold == 0 && !state.is_closed;
        let state = self.more.wait_while(self.lock(), waits);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        let gathering = self.more.wait_timeout_while(state, GATHER, |state| !state.is_closed);
        let (mut state, _) = gathering.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(batch, &mut state.lines);
        self.writing.store(batch.len(), Ordering::Relaxed);
        let untold = std::mem::take(&mut state.untold);
        (untold > 0 || !batch.is_empty()).then_some(untold)
    }

    /// Has the writer end once all is written, and waits for that, but not longer than `patience`.
    pub(super) fn close(&self, patience: Duration) {
        let mut state = self.lock();
        state.is_closed = true;
        self.more.notify_one();
        let _ = self.done.wait_timeout_while(state, patience, |state| !state.is_done);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::mpsc;
    use std::thread;

    /// A reader that takes what is written when it is told to.
    struct Slow {
        go: mpsc::Receiver<()>,
        read: Vec<u8>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.go.recv();
            self.read.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stalls_costs_no_more_than_the_limit_and_is_told_what_is_missing() {
        let queue = Queue::new(1000);
        let (told, go) = mpsc::channel();
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut slow = Slow { go, read: Vec::new() };
                queue.write_all(&mut slow, |lines| format!("lost {lines}\n").into());
                slow.read
            });
            queue.push(b"first\n");
            // The writer has taken it, and waits for its reader.
            while queue.lock().lines.is_empty().then(|| queue.writing.load(Ordering::Relaxed)) != Some(6) {
                thread::yield_now();
            }
            for _ in 0..500 {
                queue.push(b"123456789\n");
            }
            assert_eq!((queue.waiting(), queue.dropped()), (996, 401));
            drop(told);
            queue.close(Duration::from_mins(1));
            let read = String::from_utf8(writer.join().unwrap()).unwrap();
            assert_eq!(read, format!("first\n{}lost 401\n", "123456789\n".repeat(99)));
        });
        assert_eq!(queue.waiting(), 0);
    }

    #[test]
    fn the_end_does_not_wait_for_a_reader_that_stalls() {
        let queue = Queue::new(1000);
        let (told, go) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| queue.write_all(&mut Slow { go, read: Vec::new() }, |_| Vec::new()));
            queue.push(b"line\n");
            queue.close(Duration::from_millis(1));
            assert!(!queue.lock().is_done);
            drop(told);
        });
    }
}
