//! The lines of one turn of a worker, which are added to the queue of the log together.
//!
//! Adding a line to the queue takes a lock. Its release waits for the line to be written to memory that is no longer in the
//! caches (docs/performance.md, "lines of one turn"). So the lines of a turn are gathered in a buffer of the thread. The
//! thread's outbox flushes the buffer at the end of the turn.

use super::line::Line;
use super::output::Output;
use http1::outbox::{self, DeferredWrite};
use std::cell::RefCell;
use std::rc::Rc;
use tracing::Level;

/// The number of bytes at which lines do not wait for the end of the turn.
const MAX_GATHERED: usize = 16 * 1024;

thread_local! {
    static TURN: Rc<Turn> = Rc::default();
}

/// The lines of a turn.
#[derive(Default)]
struct Turn(RefCell<Gathered>);

#[derive(Default)]
struct Gathered {
    /// Where the lines go. `None` before the first one.
    output: Option<&'static Output>,
    lines: Vec<u8>,
}

impl DeferredWrite for Turn {
    fn flush(&self) {
        let Gathered { output, lines } = &mut *self.0.borrow_mut();
        if let Some(output) = output {
            output.push(lines);
        }
        lines.clear();
        lines.shrink_to(2 * MAX_GATHERED);
    }
}

/// Writes one line at the end of the worker's turn, or at once on threads without an outbox or without other requests.
pub(crate) fn write(output: &'static Output, about: (Level, &str), fill: impl FnOnce(&mut Line<'_>)) {
    let turn = TURN.with(Rc::clone);
    let (is_first, is_full) = {
        let gathered = &mut *turn.0.borrow_mut();
        let is_first = gathered.lines.is_empty();
        gathered.output = Some(output);
        output.append(&mut gathered.lines, about, fill);
        (is_first, gathered.lines.len() >= MAX_GATHERED)
    };
    if is_full || (is_first && !outbox::defer_without_flush(&turn)) {
        turn.flush();
    }
}

/// Writes the lines of this thread's last turn, after its outbox has ended.
pub(crate) fn end() {
    TURN.with(|turn| turn.flush());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LogFormat;
    use http1::outbox::RunningGuard;
    use std::cell::Cell;
    use tokio::runtime::{Builder, LocalOptions};
    use tokio::task::{spawn_local, yield_now};

    fn output() -> &'static Output {
        Box::leak(Box::new(Output::plain(LogFormat::Text, 1 << 20)))
    }

    fn write_line(output: &'static Output) {
        write(output, (Level::INFO, "access"), |line| line.number("status", 200));
    }

    fn on_a_worker<T>(test: impl Future<Output = T>) -> T {
        Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap().block_on(
            async {
                spawn_local(outbox::run());
                yield_now().await;
                test.await
            },
        )
    }

    #[test]
    fn lines_of_a_turn_are_queued_at_its_end() {
        let output = output();
        write_line(output);
        let length = output.waiting();
        assert_ne!(length, 0, "a thread without an outbox waits for nothing");
        on_a_worker(async {
            write_line(output);
            assert_eq!(output.waiting(), 2 * length, "nobody else has a request");
            let _two = (RunningGuard::new(), RunningGuard::new());
            for turn in [2, 5] {
                for _ in 0..3 {
                    write_line(output);
                }
                assert_eq!(output.waiting(), turn * length);
                yield_now().await;
                yield_now().await;
                assert_eq!(output.waiting(), (turn + 3) * length);
            }
        });
    }

    #[test]
    fn many_lines_do_not_wait() {
        let output = output();
        on_a_worker(async {
            let _two = (RunningGuard::new(), RunningGuard::new());
            let mut lines = 0;
            while output.waiting() == 0 {
                write_line(output);
                lines += 1;
            }
            assert!((MAX_GATHERED..MAX_GATHERED + 100).contains(&output.waiting()), "{lines} lines");
        });
    }

    /// A write of a connection, which counts how often it is flushed.
    #[derive(Default)]
    struct Message(Cell<usize>);

    impl DeferredWrite for Message {
        fn flush(&self) {
            self.0.set(self.0.get() + 1);
        }
    }

    /// The record of a request may end while its connection is borrowed.
    #[test]
    fn a_line_never_writes_to_connections() {
        let output = output();
        on_a_worker(async {
            let _two = (RunningGuard::new(), RunningGuard::new());
            let messages: Vec<_> = (0..1000).map(|_| Rc::new(Message::default())).collect();
            assert!(messages.iter().all(outbox::defer_without_flush));
            write_line(output);
            assert!(messages.iter().all(|message| message.0.get() == 0));
            yield_now().await;
            yield_now().await;
            assert!(messages.iter().all(|message| message.0.get() == 1));
        });
    }

    #[test]
    fn the_last_lines_of_a_thread_are_not_lost() {
        let output = output();
        on_a_worker(async {
            let _two = (RunningGuard::new(), RunningGuard::new());
            write_line(output);
        });
        assert_eq!(output.waiting(), 0);
        end();
        assert_ne!(output.waiting(), 0);
    }
}
