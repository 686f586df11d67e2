//! The stop signal of the server as one connection sees it. It is read with every request and almost never set.

use crate::clock::poll_unbudgeted;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};
use tokio::sync::watch;

/// A connection's view of the server's stop signal.
pub struct Stopping<'w, W> {
    signal: watch::Receiver<bool>,
    /// The value of the signal when the connection began.
    initially: bool,
    /// Completes when the server stops.
    wait: Pin<&'w mut W>,
    /// The task that `wait` wakes.
    waker: Option<Waker>,
}

/// Completes once `signal` is true or its sender is dropped.
pub async fn wait(mut signal: watch::Receiver<bool>) {
    drop(signal.wait_for(|stop| *stop).await);
}

impl<'w, W: Future<Output = ()>> Stopping<'w, W> {
    /// Makes the view of `signal`. `wait` is the future of [`wait`] for the same signal.
    pub fn new(signal: watch::Receiver<bool>, wait: Pin<&'w mut W>) -> Self {
        let initially = *signal.borrow();
        Self { signal, initially, wait, waker: None }
    }

    /// Returns whether the server is stopping. Costs one atomic load while the signal is unchanged: `borrow` would take a
    /// lock that all connections share.
    pub fn is_stopping(&self) -> bool {
        match self.signal.has_changed() {
            Ok(false) => self.initially,
            Ok(true) => *self.signal.borrow(),
            Err(_) => true,
        }
    }

    /// Returns [`Self::is_stopping`], and registers the waker, once per task.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        if self.is_stopping() {
            return true;
        }
        if self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return false;
        }
        self.waker = Some(cx.waker().clone());
        poll_unbudgeted(self.wait.as_mut(), cx).is_ready()
    }
}
