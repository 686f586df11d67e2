//! The queue of log lines for a slow reader. Its size is limited; lines over the limit are dropped and counted.

use std::io::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The capacity that a buffer always keeps, in bytes.
const KEPT: usize = 64 * 1024;
/// The capacity that a buffer keeps beyond that, as a multiple of what it contained. A buffer that grows again for each
/// batch costs more than the lines in it.
const SPARE: usize = 4;

/// The time for which the writer lets lines gather. Without it, a busy worker would wake the writer for each line.
const GATHER: Duration = Duration::from_millis(10);
/// The number of bytes that end this time early, so that both buffers stay in the processor's caches and leave room for
/// requests there (docs/performance.md, "Lines wake the writer").
const FULL: usize = 32 * 1024;

/// Lines to be written.
#[derive(Debug)]
pub(super) struct Queue {
    limit: usize,
    /// The time for which lines gather.
    gather: Duration,
    state: Mutex<State>,
    /// Signals new lines, or the end.
    more: Condvar,
    /// Signals that everything is written.
    done: Condvar,
    /// Bytes being written now.
    writing: AtomicUsize,
    dropped: AtomicU64,
}

#[derive(Debug)]
struct State {
    lines: Vec<u8>,
    /// Whether the writer sleeps until it is woken. Otherwise it looks for lines by itself.
    is_idle: bool,
    /// Dropped lines that the log has not reported yet.
    unreported: u64,
    is_closed: bool,
    is_done: bool,
}

impl Queue {
    pub(super) const fn new(limit: usize) -> Self {
        let state =
            State { lines: Vec::new(), is_idle: false, unreported: 0, is_closed: false, is_done: false };
        Self {
            limit,
            gather: GATHER,
            state: Mutex::new(state),
            more: Condvar::new(),
            done: Condvar::new(),
            writing: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    /// Adds lines. Drops those for which the queue has no room.
    pub(super) fn push(&self, lines: &[u8]) {
        let mut state = self.lock();
        let was_full = state.is_full();
        if self.has_room(&state, lines) {
            state.lines.extend_from_slice(lines);
        } else {
            for line in lines.split_inclusive(|byte| *byte == b'\n') {
                if self.has_room(&state, line) {
                    state.lines.extend_from_slice(line);
                } else {
                    state.unreported += 1;
                    self.dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        let wakes = std::mem::take(&mut state.is_idle) || (state.is_full() && !was_full);
        drop(state);
        if wakes {
            self.more.notify_one();
        }
    }

    fn has_room(&self, state: &State, lines: &[u8]) -> bool {
        state.lines.len() + self.writing.load(Ordering::Relaxed) + lines.len() <= self.limit
    }

    pub(super) fn waiting(&self) -> usize {
        self.lock().lines.len() + self.writing.load(Ordering::Relaxed)
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Writes lines as they come, until the queue is closed. After a gap it writes what `lost` says about the dropped
    /// lines.
    pub(super) fn write_all(&self, to: &mut impl Write, lost: impl Fn(u64) -> Vec<u8>) {
        let mut batch = Vec::new();
        while let Some(unreported) = self.next(&mut batch) {
            // If stderr fails, there is nowhere left to report it.
            let _ = to.write_all(&batch).and_then(|()| to.flush());
            if unreported > 0 {
                let _ = to.write_all(&lost(unreported));
            }
            empty(&mut batch);
            self.writing.store(0, Ordering::Relaxed);
        }
        self.lock().is_done = true;
        self.done.notify_all();
    }

    /// Takes the lines that have gathered, and the number of lines dropped after them. Returns `None` at the end.
    fn next(&self, batch: &mut Vec<u8>) -> Option<u64> {
        let mut state = self.gather(self.lock());
        while state.has_nothing() && !state.is_closed {
            empty(&mut state.lines);
            empty(batch);
            state.is_idle = true;
            let woken = self.more.wait_while(state, |state| state.is_idle && !state.is_closed);
            state = self.gather(woken.unwrap_or_else(PoisonError::into_inner));
        }
        std::mem::swap(batch, &mut state.lines);
        self.writing.store(batch.len(), Ordering::Relaxed);
        let unreported = std::mem::take(&mut state.unreported);
        (unreported > 0 || !batch.is_empty()).then_some(unreported)
    }

    fn gather<'s>(&self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        let waits = |state: &mut State| !state.is_closed && !state.is_full();
        let gathering = self.more.wait_timeout_while(state, self.gather, waits);
        gathering.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Ends the writer after the remaining lines. Waits at most `patience` for them.
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

impl State {
    fn is_full(&self) -> bool {
        self.lines.len() >= FULL
    }

    fn has_nothing(&self) -> bool {
        self.lines.is_empty() && self.unreported == 0
    }
}

/// Empties a buffer, and releases its memory if that was much more than the buffer needed.
fn empty(buffer: &mut Vec<u8>) {
    let kept = KEPT.max(SPARE * buffer.len());
    buffer.clear();
    if buffer.capacity() > kept {
        *buffer = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Instant;

    /// A reader that accepts a write only when told to.
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
    fn a_stalled_reader_loses_lines_over_the_limit_and_is_told() {
        let queue = Queue::new(1000);
        let (told, go) = mpsc::channel();
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut slow = Slow { go, read: Vec::new() };
                queue.write_all(&mut slow, |lines| format!("lost {lines}\n").into());
                slow.read
            });
            queue.push(b"first\n");
            // The writer has taken the line and is blocked.
            while queue.lock().lines.is_empty().then(|| queue.writing.load(Ordering::Relaxed)) != Some(6) {
                thread::yield_now();
            }
            for _ in 0..50 {
                queue.push(&b"123456789\n".repeat(10));
            }
            let counts = (queue.waiting(), queue.dropped());
            drop(told);
            queue.close(Duration::from_mins(1));
            assert_eq!(counts, (996, 401));
            let read = String::from_utf8(writer.join().unwrap()).unwrap();
            assert_eq!(read, format!("first\n{}lost 401\n", "123456789\n".repeat(99)));
        });
        assert_eq!(queue.waiting(), 0);
    }

    /// The time that a test waits for the writer.
    const PATIENCE: Duration = Duration::from_secs(10);

    /// A reader that passes on what it reads.
    struct Passing(mpsc::Sender<Vec<u8>>);

    impl Write for Passing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_single_line_is_written_also_while_the_writer_is_idle() {
        let queue = Queue::new(1000);
        let (passed, read) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| queue.write_all(&mut Passing(passed), |_| Vec::new()));
            let outcomes = ["first\n", "second\n"].map(|line| {
                let begun = Instant::now();
                while !queue.lock().is_idle && begun.elapsed() < PATIENCE {
                    thread::yield_now();
                }
                queue.push(line.as_bytes());
                read.recv_timeout(PATIENCE)
            });
            queue.close(Duration::from_mins(1));
            assert_eq!(outcomes, [Ok(b"first\n".to_vec()), Ok(b"second\n".to_vec())]);
        });
    }

    #[test]
    fn many_lines_do_not_wait_for_the_end_of_the_gathering() {
        let queue = Queue { gather: Duration::from_hours(1), ..Queue::new(2 * FULL) };
        let (passed, read) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| queue.write_all(&mut Passing(passed), |_| Vec::new()));
            let line = [b'x'; FULL / 2];
            let outcomes = [(); 3].map(|()| {
                queue.push(&line);
                queue.push(&line);
                read.recv_timeout(PATIENCE).map(|read| read.len())
            });
            queue.push(&line);
            let gathered = read.try_recv().is_err();
            queue.close(Duration::from_mins(1));
            assert_eq!((outcomes, gathered), ([Ok(FULL); 3], true));
            assert_eq!(read.recv_timeout(PATIENCE).map(|read| read.len()), Ok(FULL / 2));
        });
    }

    #[test]
    fn a_buffer_keeps_its_capacity_while_it_needs_it() {
        for (capacity, needed, kept) in
            [(KEPT, 0, true), (2 * KEPT, 0, false), (8 * KEPT, 2 * KEPT, true), (8 * KEPT, KEPT, false)]
        {
            let mut buffer = Vec::with_capacity(capacity);
            buffer.resize(needed, b'x');
            empty(&mut buffer);
            assert_eq!((buffer.len(), buffer.capacity() > 0), (0, kept), "{capacity} {needed}");
        }
    }

    #[test]
    fn closing_does_not_wait_for_a_stalled_reader() {
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
