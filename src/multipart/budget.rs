//! The memory that all bodies of unknown length have together, over all threads.

use super::PART_SIZE;
use crate::admission::{Permit, full};
use crate::client::ClientKey;
use crate::metrics::Row;
use crate::places::{Holder, Places, Size};
use crate::refusal::Refusal;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// A number of part buffers, divided among mappings and their clients.
///
/// A request without a buffer waits for one and holds nothing else; a request with a buffer never needs another, so
/// that each comes to an end. The budget also knows which multipart uploads are not over.
#[derive(Debug)]
pub struct Budget {
    parts: Arc<Places>,
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
    /// Makes a budget of this many bytes, of at least one part. In each mapping `queue` requests may wait for a part.
    pub fn new(bytes: u64, queue: usize) -> Self {
        let places = usize::try_from(bytes / PART_SIZE).unwrap_or(usize::MAX).max(1);
        let parts = Places::new(Size { places, grouped: true, queue });
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

    /// Waits for the right to hold one part in memory, which lasts until it is dropped.
    ///
    /// # Errors
    /// When too many requests of the mapping or the client wait already.
    pub async fn share(&self, mapping: Row, client: ClientKey) -> Result<Permit, Refusal> {
        let holder = Holder { group: mapping.index(), client };
        self.parts.take(holder).await.map(Permit::from).ok_or_else(full)
    }

    /// Returns the bytes that are held, or may be.
    pub fn taken(&self) -> u64 {
        (self.parts.taken() as u64).saturating_mul(PART_SIZE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    const ONE: ClientKey = ClientKey::User(Some(1));

    fn row(name: &str) -> Row {
        Metrics::default().rows([name]).remove(0).0
    }

    #[test]
    fn shares_are_given_in_the_order_of_asking() {
        let budget = Budget::new(4 * PART_SIZE + 1, 100);
        let mut cx = Context::from_waker(Waker::noop());
        let share = || budget.share(row("all"), ONE);
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
        let budget = Budget::new(0, 1);
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
        let budget = Budget::new(0, 1);
        assert!(pin!(budget.share(row("all"), ONE)).poll(&mut Context::from_waker(Waker::noop())).is_ready());
    }
}
