//! The memory that all bodies of unknown length have together, over all threads.

use super::PART_SIZE;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::timeout;

/// A number of part buffers. Whoever has none waits for one, in the order of coming; whoever has one never needs
/// another, so that everyone comes to an end. How many one mapping has at once is bounded by its admission. It also knows which multipart uploads are not over.
#[derive(Debug)]
pub struct Budget {
    parts: Semaphore,
    open: Arc<watch::Sender<usize>>,
    ending: watch::Sender<bool>,
}

/// A multipart upload that is not over: neither completed nor aborted.
#[derive(Debug)]
pub(super) struct Open(Arc<watch::Sender<usize>>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open = open.saturating_sub(1));
    }
}

impl Budget {
    /// A budget of so many bytes; at least one part.
    pub fn new(bytes: u64) -> Self {
        let parts = usize::try_from(bytes / PART_SIZE).unwrap_or(usize::MAX);
        let parts = Semaphore::new(parts.clamp(1, Semaphore::MAX_PERMITS));
        Self { parts, open: Arc::new(watch::Sender::new(0)), ending: watch::Sender::new(false) }
    }

    /// A multipart upload begins.
    pub(super) fn open(&self) -> Open {
        self.open.send_modify(|open| *open += 1);
        Open(Arc::clone(&self.open))
    }

    /// Waits until uploads are to be given up.
    pub(super) async fn ending(&self) {
        // It fails if there is no budget any more, and this is one.
        let _ = self.ending.subscribe().wait_for(|ending| *ending).await;
    }

    /// Gives up every multipart upload that is not over. For a process that ends: what it had begun would be left in
    /// the store.
    pub fn give_up(&self) {
        self.ending.send_replace(true);
    }

    /// Waits until no multipart upload is open, though not for long.
    pub async fn settled(&self, patience: Duration) {
        let _ = timeout(patience, self.open.subscribe().wait_for(|open| *open == 0)).await;
    }

    /// Waits for the right to hold one part in memory, which is given back when it is dropped.
    pub async fn share(&self) -> Option<SemaphorePermit<'_>> {
        // It fails if the semaphore is closed, which it never is.
        self.parts.acquire().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    #[test]
    fn shares_are_given_in_the_order_of_asking() {
        let budget = Budget::new(2 * PART_SIZE + 1);
        let mut cx = Context::from_waker(Waker::noop());
        let mut asked =
            [pin!(budget.share()), pin!(budget.share()), pin!(budget.share()), pin!(budget.share())];
        let mut given: Vec<_> = asked.iter_mut().map(|share| share.as_mut().poll(&mut cx)).collect();
        assert_eq!(
            given.iter().map(std::task::Poll::is_ready).collect::<Vec<_>>(),
            [true, true, false, false]
        );
        given.clear();
        let [_, _, third, fourth] = &mut asked;
        // Two are free again: who came after does not come before.
        assert!(fourth.as_mut().poll(&mut cx).is_ready() && third.as_mut().poll(&mut cx).is_ready());
        assert!(pin!(budget.share()).poll(&mut cx).is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_waits_for_uploads_that_are_open() {
        let budget = Budget::new(0);
        let (one, other) = (budget.open(), budget.open());
        let soon = Duration::from_millis(1);
        assert!(timeout(soon, budget.ending()).await.is_err());
        budget.give_up();
        budget.ending().await;
        drop(one);
        assert!(timeout(soon, budget.settled(Duration::from_secs(1))).await.is_err());
        drop(other);
        assert!(timeout(soon, budget.settled(Duration::from_secs(1))).await.is_ok());
    }

    #[test]
    fn there_is_always_one() {
        assert_eq!(Budget::new(0).parts.available_permits(), 1);
    }
}
