//! Whether the server stops, which is asked with each request and hardly ever so.

use crate::clock::poll_untaxed;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};
use tokio::sync::watch;

/// What a connection knows of it. `wait` is ready once `told` says true or cannot be told any more.
pub(super) struct Stopping<'w, W> {
    told: watch::Receiver<bool>,
    at_first: bool,
    wait: Pin<&'w mut W>,
    /// Who is woken when it does.
    waker: Option<Waker>,
}

/// Ready once `told` says true or cannot be told any more.
pub(super) async fn wait(mut told: watch::Receiver<bool>) {
    drop(told.wait_for(|stop| *stop).await);
}

impl<'w, W: Future<Output = ()>> Stopping<'w, W> {
    pub(super) fn new(told: watch::Receiver<bool>, wait: Pin<&'w mut W>) -> Self {
        let at_first = *told.borrow();
        Self { told, at_first, wait, waker: None }
    }

    /// Costs an atomic load as long as nothing was told: nothing that all connections write to.
    pub(super) fn is_over(&self) -> bool {
        match self.told.has_changed() {
            Ok(false) => self.at_first,
            Ok(true) => *self.told.borrow(),
            Err(_) => true,
        }
    }

    /// The same, and wakes when it becomes so. A task that asks again is not entered twice.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        if self.is_over() {
            return true;
        }
        if self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return false;
        }
        self.waker = Some(cx.waker().clone());
        poll_untaxed(self.wait.as_mut(), cx).is_ready()
    }
}
