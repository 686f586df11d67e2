//! The budget of part buffers: the memory of all bodies of unknown length together, over all threads.

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
/// A request waits for a buffer while it holds nothing else. A holder never waits for a second buffer, so there is no
/// deadlock. The budget also counts the multipart uploads that are neither completed nor aborted.
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
    /// Makes a budget of this many bytes, and of one part at least. `queue` requests of each mapping may wait for a
    /// part.
    pub(crate) fn new(bytes: u64, queue: usize) -> Self {
        let places = usize::try_from(bytes / PART_SIZE).unwrap_or(usize::MAX).max(1);
        let parts = Places::new(Size { places, grouped: true, queue });
        Self { parts, open: Arc::new(watch::Sender::new(0)), ending: watch::Sender::new(false) }
    }

    /// Counts a new multipart upload.
    pub(crate) fn open(&self) -> Open {
        self.open.send_modify(|open| *open += 1);
        Open(Arc::clone(&self.open))
    }

    /// Waits until [`Self::give_up`] is called.
    pub(crate) async fn ending(&self) {
        // This fails only once the budget is dropped, and `self` holds it.
        let _ = self.ending.subscribe().wait_for(|ending| *ending).await;
    }

    /// Gives up every open multipart upload when the process ends. Otherwise they would remain in the store.
    pub(crate) fn give_up(&self) {
        self.ending.send_replace(true);
    }

    /// Waits until no multipart upload is open, for at most `patience`.
    pub(crate) async fn settled(&self, patience: Duration) {
        let _ = timeout(patience, self.open.subscribe().wait_for(|open| *open == 0)).await;
    }

    /// Waits for the permit to hold one part in memory. Dropping the permit returns it.
    ///
    /// # Errors
    /// When too many requests of the mapping or the client are waiting.
    pub(crate) async fn share(&self, mapping: usize, client: ClientKey) -> Result<Permit, Refusal> {
        let holder = Holder { group: mapping, client };
        self.parts.take(holder).await.map(Permit::from).ok_or_else(full)
    }

    /// Returns the number of bytes for which permits are held.
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
        // Two are free again, and a later request does not overtake an earlier one.
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
    fn the_smallest_budget_has_one_part() {
        let budget = PartBudget::new(0, 1);
        assert!(pin!(budget.share(0, ONE)).poll(&mut Context::from_waker(Waker::noop())).is_ready());
    }
}
