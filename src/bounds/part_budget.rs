//! The memory of all bodies of unknown length together, over all threads.

use super::limits::PART_SIZE;
use crate::bounds::admission::{Permit, full};
use crate::bounds::places::{Holder, Places, Size};
use crate::identify::client::ClientKey;
use crate::refusal::Refusal;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// A FIFO semaphore of part buffers, divided among mappings and their clients.
///
/// A request waits for a buffer and holds nothing else. Holders never wait for a second buffer, so it cannot deadlock. The
/// budget also counts the multipart uploads that are neither completed nor aborted.
#[derive(Debug)]
pub(crate) struct PartBudget {
    parts: Arc<Places>,
    open: Arc<watch::Sender<usize>>,
    ending: watch::Sender<bool>,
}

/// A multipart upload that is neither completed nor aborted, until this is dropped.
#[derive(Debug)]
pub(crate) struct Open(Arc<watch::Sender<usize>>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open = open.saturating_sub(1));
    }
}

impl PartBudget {
    /// Makes a budget of this many bytes, of at least one part. In each mapping `queue` requests may wait for a part.
    pub(crate) fn new(bytes: u64, queue: usize) -> Self {
        let places = usize::try_from(bytes / PART_SIZE).unwrap_or(usize::MAX).max(1);
        let parts = Places::new(Size { places, grouped: true, queue });
        Self { parts, open: Arc::new(watch::Sender::new(0)), ending: watch::Sender::new(false) }
    }

    /// Counts a multipart upload that begins.
    pub(crate) fn open(&self) -> Open {
        self.open.send_modify(|open| *open += 1);
        Open(Arc::clone(&self.open))
    }

    /// Waits until uploads are to be given up.
    pub(crate) async fn ending(&self) {
        // It fails if there is no budget any more, and this is one.
        let _ = self.ending.subscribe().wait_for(|ending| *ending).await;
    }

    /// Gives up every open multipart upload when the process ends: else it would be left in the store.
    pub(crate) fn give_up(&self) {
        self.ending.send_replace(true);
    }

    /// Waits until no multipart upload is open, though not for long.
    pub(crate) async fn settled(&self, patience: Duration) {
        let _ = timeout(patience, self.open.subscribe().wait_for(|open| *open == 0)).await;
    }

    /// Waits for the right to hold one part in memory, which lasts until it is dropped.
    ///
    /// # Errors
    /// When too many requests of the mapping or the client wait already.
    pub(crate) async fn share(&self, mapping: usize, client: ClientKey) -> Result<Permit, Refusal> {
        let holder = Holder { group: mapping, client };
        self.parts.take(holder).await.map(Permit::from).ok_or_else(full)
    }

    /// Returns the bytes that are held, or may be.
    pub(crate) fn taken(&self) -> u64 {
        (self.parts.taken() as u64).saturating_mul(PART_SIZE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    const ONE: ClientKey = ClientKey::User(Some(1));

    #[test]
    fn shares_are_given_in_the_order_of_asking() {
        let budget = PartBudget::new(4 * PART_SIZE + 1, 100);
        let mut cx = Context::from_waker(Waker::noop());
        let share = || budget.share(0, ONE);
        let mut asked = [pin!(share()), pin!(share()), pin!(share()), pin!(share())];
        let mut given: Vec<_> = asked.iter_mut().map(|share| share.as_mut().poll(&mut cx)).collect();
        assert_eq!(
            given.iter().map(std::task::Poll::is_ready).collect::<Vec<_>>(),
            [true, true, false, false],
            "a mapping alone has half"
        );
        given.clear();
        let [_, _, third, fourth] = &mut asked;
        // Two are free again: who came after does not come before.
        assert!(fourth.as_mut().poll(&mut cx).is_ready() && third.as_mut().poll(&mut cx).is_ready());
        assert!(pin!(share()).poll(&mut cx).is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_waits_for_uploads_that_are_open() {
        let budget = PartBudget::new(0, 1);
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
        let budget = PartBudget::new(0, 1);
        assert!(pin!(budget.share(0, ONE)).poll(&mut Context::from_waker(Waker::noop())).is_ready());
    }
}
