//! Messages are sent at the end of a turn of the thread's runtime, once all that was ready has been dealt with, or a
//! number of them wait.
//!
//! Sending wakes the peer, and waking a core that has gone to sleep takes longer than most of what is done here for a
//! request. On a busy thread the messages of one turn go out one right after the other: the first wakes, and the
//! others find their peers awake. A task that leaves a message here need not be polled for it to be sent.
//!
//! A thread with one request alone has nothing to send with it, and sends at once: its peer works while the rest is
//! done here.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use tokio::task::unconstrained;

/// How many messages may wait, so that on a very busy thread the first of a turn's peers work while the others are
/// dealt with. Fewer wake them more often.
const MAX_WAITING: usize = 48;

thread_local! {
    static OUTBOX: RefCell<Outbox> = const { RefCell::new(Outbox::CLOSED) };
    static UNDER_WAY: Cell<usize> = const { Cell::new(0) };
}

/// A request that is being answered on this thread, for as long as this lives.
#[derive(Debug)]
pub(super) struct UnderWay;

impl UnderWay {
    #[inline]
    pub(super) fn begin() -> Self {
        UNDER_WAY.set(UNDER_WAY.get() + 1);
        Self
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        UNDER_WAY.set(UNDER_WAY.get() - 1);
    }
}

struct Outbox {
    /// What was dropped since is not sent.
    senders: Vec<Weak<dyn Sender>>,
    is_open: bool,
    /// Of [`run`].
    waker: Option<Waker>,
}

impl Outbox {
    const CLOSED: Self = Self { senders: Vec::new(), is_open: false, waker: None };
}

/// Has a message to send.
pub(super) trait Sender {
    /// Sends it as far as it goes at once.
    fn send_off(&self);
}

/// Has `sender` asked to send off its message at the end of this turn, and the others before it where too many wait. It
/// is false where the message is better sent at once: no other request is [`UnderWay`] on this thread, or it does not
/// [`run`] its outbox.
pub(super) fn leave(sender: &Rc<impl Sender + 'static>) -> bool {
    if OUTBOX.with_borrow(|outbox| outbox.senders.len() >= MAX_WAITING) {
        send_all();
    }
    OUTBOX.with_borrow_mut(|outbox| {
        if !outbox.is_open || UNDER_WAY.get() < 2 {
            return false;
        }
        if let Some(waker) = outbox.waker.as_ref().filter(|_| outbox.senders.is_empty()) {
            waker.wake_by_ref();
        }
        let sender: Weak<_> = Rc::downgrade(sender);
        outbox.senders.push(sender);
        true
    })
}

/// Runs the outbox of this thread, whose only runtime is the current one. It never ends by itself.
pub fn run() -> impl Future<Output = ()> {
    let open = Open::begin();
    // Not as one task of many: it sends what others have to send, who have their share each.
    unconstrained(async move {
        let _open = open;
        loop {
            // The first message wakes this task, which is polled once all has been that was ready by then.
            poll_fn(poll_any).await;
            send_all();
        }
    })
}

/// Ready when something is to be sent.
fn poll_any(cx: &mut Context<'_>) -> Poll<()> {
    OUTBOX.with_borrow_mut(|outbox| {
        if !outbox.senders.is_empty() {
            return Poll::Ready(());
        }
        if outbox.waker.is_none() {
            outbox.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    })
}

fn send_all() {
    let mut senders = OUTBOX.with_borrow_mut(|outbox| std::mem::take(&mut outbox.senders));
    for sender in senders.drain(..).filter_map(|sender| sender.upgrade()) {
        sender.send_off();
    }
    // Its room is used again: sending leaves nothing to send.
    OUTBOX.with_borrow_mut(|outbox| {
        if outbox.senders.is_empty() {
            outbox.senders = senders;
        }
    });
}

/// An outbox that runs.
struct Open;

impl Open {
    fn begin() -> Self {
        OUTBOX.set(Outbox { is_open: true, ..Outbox::CLOSED });
        Self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        OUTBOX.set(Outbox::CLOSED);
    }
}

/// Has an outbox run from now on, for as long as the runtime of a test does, on a thread that has other requests.
#[cfg(test)]
pub(super) fn open_for_test() {
    if OUTBOX.with_borrow(|outbox| !outbox.is_open) {
        tokio::spawn(run());
        set_others_for_test(2);
    }
}

/// Has this thread answer some other requests.
#[cfg(test)]
pub(super) fn set_others_for_test(count: usize) {
    UNDER_WAY.set(count);
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::runtime::{Builder, LocalOptions};
    use tokio::task::{spawn_local, yield_now};

    type Notes = Rc<RefCell<Vec<String>>>;

    struct Message(&'static str, Notes);

    impl Sender for Message {
        fn send_off(&self) {
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
    fn messages_go_when_all_was_dealt_with() {
        let notes = Notes::default();
        let _two = (UnderWay::begin(), UnderWay::begin());
        on_a_worker(async {
            spawn_local(run());
            for name in ["a", "b", "dropped"] {
                let notes = Rc::clone(&notes);
                spawn_local(async move {
                    notes.borrow_mut().push(format!("left {name}"));
                    let message = Rc::new(Message(name, Rc::clone(&notes)));
                    assert!(leave(&message));
                    if name != "dropped" {
                        std::future::pending::<()>().await;
                    }
                });
            }
            while notes.borrow().len() < 5 {
                yield_now().await;
            }
        });
        assert_eq!(*notes.borrow(), ["left a", "left b", "left dropped", "sent a", "sent b"]);
    }

    #[test]
    fn a_number_of_messages_waits_for_no_other() {
        let notes = Notes::default();
        let _two = (UnderWay::begin(), UnderWay::begin());
        on_a_worker(async {
            spawn_local(run());
            // One poll of one task: nobody else has a turn in between.
            let messages: Vec<_> =
                (0..2 * MAX_WAITING).map(|_| Rc::new(Message("one", Rc::clone(&notes)))).collect();
            let mut sent = Vec::new();
            for message in &messages {
                assert!(leave(message));
                sent.push(notes.borrow().len());
            }
            assert_eq!(sent, [[0; MAX_WAITING], [MAX_WAITING; MAX_WAITING]].concat());
            yield_now().await;
            assert_eq!(notes.borrow().len(), 2 * MAX_WAITING);
        });
    }

    #[test]
    fn nothing_is_left_where_none_runs() {
        let message = Rc::new(Message("a", Notes::default()));
        let _two = (UnderWay::begin(), UnderWay::begin());
        assert!(!leave(&message));
        on_a_worker(async {
            spawn_local(run());
            assert!(leave(&message));
        });
        assert!(!leave(&message), "its runtime has ended");
    }

    #[test]
    fn nothing_is_left_beside_nothing() {
        let message = Rc::new(Message("a", Notes::default()));
        on_a_worker(async {
            spawn_local(run());
            assert!(!leave(&message));
            let _one = UnderWay::begin();
            assert!(!leave(&message));
            let other = UnderWay::begin();
            assert!(leave(&message));
            drop(other);
            assert!(!leave(&message));
        });
    }
}
