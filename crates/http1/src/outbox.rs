//! The outbox of a thread: defers small writes to the end of a turn of the thread's runtime.
//!
//! Sending a message wakes the peer, and waking a sleeping core costs more than most of the work for a request. On a
//! busy thread the messages of one turn are sent directly after each other: the first wakes the peer's core, and the
//! others find it awake. The task that defers a message is not polled again for sending it (docs/performance.md,
//! "messages are left with an outbox").
//!
//! A thread that serves a single request has no other message to send along and sends at once, so that the peer works
//! while the rest is done here.
//!
//! | state of the outbox | `defer_write` |
//! |---|---|
//! | closed: [`run`] is not running on this thread | refuses; the caller writes itself |
//! | open, fewer than two requests running | refuses; the caller writes itself |
//! | open, fewer than `MAX_DEFERRED` writes queued | queues the write; the first one wakes [`run`] |
//! | open, `MAX_DEFERRED` writes queued | flushes them all, then queues the write |

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use tokio::task::unconstrained;

/// The number of writes after which the outbox flushes before the turn ends, so that the first peers of a long turn
/// can start to work. Fewer writes would wake their peers more often (docs/performance.md, "Tried and dropped").
const MAX_DEFERRED: usize = 48;

thread_local! {
    static OUTBOX: RefCell<Outbox> = const { RefCell::new(Outbox::CLOSED) };
    /// The number of requests being served on this thread.
    static RUNNING: Cell<usize> = const { Cell::new(0) };
}

/// Counts a request as running on this thread until it is dropped.
#[derive(Debug)]
pub struct RunningGuard(());

impl RunningGuard {
    /// Begins to count a request.
    #[inline]
    #[expect(clippy::new_without_default, reason = "making one has an effect")]
    pub fn new() -> Self {
        RUNNING.set(RUNNING.get() + 1);
        Self(())
    }
}

impl Drop for RunningGuard {
    fn drop(&mut self) {
        RUNNING.set(RUNNING.get() - 1);
    }
}

struct Outbox {
    /// Weak, because a connection that was dropped has nothing to send.
    queue: Vec<Weak<dyn DeferredWrite>>,
    is_open: bool,
    /// The waker of the task that runs [`run`].
    waker: Option<Waker>,
}

impl Outbox {
    const CLOSED: Self = Self { queue: Vec::new(), is_open: false, waker: None };
}

/// A connection with a write that was deferred.
pub trait DeferredWrite {
    /// Writes as much as the stream takes at once.
    fn flush(&self);
}

/// Queues `write` to be flushed at the end of this turn. Returns `false` if the caller should write at once: the thread
/// serves no other request, or does not [`run`] its outbox.
pub fn defer_write(write: &Rc<impl DeferredWrite + 'static>) -> bool {
    if OUTBOX.with_borrow(|outbox| outbox.queue.len() >= MAX_DEFERRED) {
        flush_all();
    }
    defer_without_flush(write)
}

/// Queues `write` like [`defer_write`], but never flushes others, so that it may be called while a connection is borrowed.
/// The caller has at most one write in the queue.
pub fn defer_without_flush(write: &Rc<impl DeferredWrite + 'static>) -> bool {
    OUTBOX.with_borrow_mut(|outbox| {
        if !outbox.is_open || RUNNING.get() < 2 {
            return false;
        }
        if let Some(waker) = outbox.waker.as_ref().filter(|_| outbox.queue.is_empty()) {
            waker.wake_by_ref();
        }
        let write: Weak<_> = Rc::downgrade(write);
        outbox.queue.push(write);
        true
    })
}

/// Runs the outbox of this thread, which must have one current-thread runtime. Never returns.
pub fn run() -> impl Future<Output = ()> {
    let open = OpenGuard::new();
    // Outside tokio's budget, because the tasks whose messages it sends have a budget each.
    unconstrained(async move {
        let _open = open;
        loop {
            // The first write of a turn wakes this task, which is polled after every task that was ready by then.
            poll_fn(poll_queued).await;
            flush_all();
        }
    })
}

/// Returns `Ready` when a write is queued.
fn poll_queued(cx: &mut Context<'_>) -> Poll<()> {
    OUTBOX.with_borrow_mut(|outbox| {
        if !outbox.queue.is_empty() {
            return Poll::Ready(());
        }
        if outbox.waker.is_none() {
            outbox.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    })
}

fn flush_all() {
    let mut queue = OUTBOX.with_borrow_mut(|outbox| std::mem::take(&mut outbox.queue));
    for write in queue.drain(..).filter_map(|write| write.upgrade()) {
        write.flush();
    }
    // Keeps the queue's allocation. Flushing queues nothing.
    OUTBOX.with_borrow_mut(|outbox| {
        if outbox.queue.is_empty() {
            outbox.queue = queue;
        }
    });
}

/// Keeps the outbox of this thread open until it is dropped.
struct OpenGuard;

impl OpenGuard {
    fn new() -> Self {
        OUTBOX.set(Outbox { is_open: true, ..Outbox::CLOSED });
        Self
    }
}

impl Drop for OpenGuard {
    fn drop(&mut self) {
        OUTBOX.set(Outbox::CLOSED);
    }
}

/// Runs an outbox until the runtime of a test ends, on a thread that serves other requests.
#[cfg(test)]
pub(super) fn open_for_test() {
    if OUTBOX.with_borrow(|outbox| !outbox.is_open) {
        tokio::spawn(run());
        set_running_for_test(2);
    }
}

/// Makes the outbox believe that `count` other requests are running.
#[cfg(test)]
pub(super) fn set_running_for_test(count: usize) {
    RUNNING.set(count);
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::runtime::{Builder, LocalOptions};
    use tokio::task::{spawn_local, yield_now};

    type Notes = Rc<RefCell<Vec<String>>>;

    struct Message(&'static str, Notes);

    impl DeferredWrite for Message {
        fn flush(&self) {
            self.1.borrow_mut().push(format!("sent {}", self.0));
        }
    }

    fn on_a_worker<T>(test: impl Future<Output = T>) -> T {
        Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default())
            .unwrap()
            .block_on(test)
    }

    #[test]
    fn flushes_at_the_end_of_the_turn() {
        let notes = Notes::default();
        let _two = (RunningGuard::new(), RunningGuard::new());
        on_a_worker(async {
            spawn_local(run());
            for name in ["a", "b", "dropped"] {
                let notes = Rc::clone(&notes);
                spawn_local(async move {
                    notes.borrow_mut().push(format!("queued {name}"));
                    let message = Rc::new(Message(name, Rc::clone(&notes)));
                    assert!(defer_write(&message));
                    if name != "dropped" {
                        std::future::pending::<()>().await;
                    }
                });
            }
            while notes.borrow().len() < 5 {
                yield_now().await;
            }
        });
        assert_eq!(*notes.borrow(), ["queued a", "queued b", "queued dropped", "sent a", "sent b"]);
    }

    #[test]
    fn flushes_a_full_queue_at_once() {
        let notes = Notes::default();
        let _two = (RunningGuard::new(), RunningGuard::new());
        on_a_worker(async {
            spawn_local(run());
            // All within one poll of one task, so the turn does not end in between.
            let messages: Vec<_> =
                (0..2 * MAX_DEFERRED).map(|_| Rc::new(Message("one", Rc::clone(&notes)))).collect();
            let mut sent = Vec::new();
            for message in &messages {
                assert!(defer_write(message));
                sent.push(notes.borrow().len());
            }
            assert_eq!(sent, [[0; MAX_DEFERRED], [MAX_DEFERRED; MAX_DEFERRED]].concat());
            yield_now().await;
            assert_eq!(notes.borrow().len(), 2 * MAX_DEFERRED);
        });
    }

    #[test]
    fn a_full_queue_need_not_be_flushed() {
        let notes = Notes::default();
        let _two = (RunningGuard::new(), RunningGuard::new());
        on_a_worker(async {
            spawn_local(run());
            let messages: Vec<_> =
                (0..=MAX_DEFERRED).map(|_| Rc::new(Message("one", Rc::clone(&notes)))).collect();
            let (last, others) = messages.split_last().unwrap();
            assert!(others.iter().all(defer_write));
            assert!(defer_without_flush(last));
            assert_eq!(notes.borrow().len(), 0);
            yield_now().await;
            assert_eq!(notes.borrow().len(), MAX_DEFERRED + 1);
        });
    }

    #[test]
    fn refuses_writes_without_a_running_outbox() {
        let message = Rc::new(Message("a", Notes::default()));
        let _two = (RunningGuard::new(), RunningGuard::new());
        assert!(!defer_write(&message));
        on_a_worker(async {
            spawn_local(run());
            assert!(defer_write(&message));
        });
        assert!(!defer_write(&message), "its runtime has ended");
    }

    #[test]
    fn refuses_writes_without_other_requests() {
        let message = Rc::new(Message("a", Notes::default()));
        on_a_worker(async {
            spawn_local(run());
            assert!(!defer_write(&message));
            let _one = RunningGuard::new();
            assert!(!defer_write(&message));
            let other = RunningGuard::new();
            assert!(defer_write(&message));
            drop(other);
            assert!(!defer_write(&message));
        });
    }
}
