//! The resources that a request holds until its response has been sent: its place and its memory.

use crate::bounds::admission::{Admission, Permit};
use crate::bounds::memory::{MemoryBudget, Payer, Share, Use};
use crate::identify::client::{Client, ClientKey};
use crate::refusal::Refusal;
use crate::trace::{Trace, Wait};
use std::cell::{Cell, OnceCell, RefCell};

/// A request's place among the running ones, and the memory that its client pays for. Dropping it returns both.
#[derive(Debug)]
pub(crate) struct Holdings {
    client: Cell<ClientKey>,
    /// Whether the work shares the place of another request.
    is_aside: bool,
    permit: OnceCell<Permit>,
    /// Boxed, since few requests need memory.
    memory: RefCell<Option<Box<Share>>>,
}

impl Holdings {
    /// Makes the holdings of a request that has just arrived.
    pub(crate) const fn new(client: ClientKey) -> Self {
        let client = Cell::new(client);
        Self { client, is_aside: false, permit: OnceCell::new(), memory: RefCell::new(None) }
    }

    /// Makes holdings for work on behalf of this request, which has a place already.
    #[must_use]
    pub(crate) fn aside(&self) -> Self {
        Self { is_aside: true, ..Self::new(self.client()) }
    }

    /// Counts the request for this client from now on.
    pub(crate) fn identified(&self, client: &Client<'_>) {
        self.client.set(client.key());
    }

    /// Returns the client that the request is counted for.
    pub(crate) const fn client(&self) -> ClientKey {
        self.client.get()
    }

    /// Waits for the turn of a request that is counted by `holder`. A request waits once, however many requests to the store it takes.
    ///
    /// # Errors
    /// When too many requests are running, waiting or starting.
    pub(crate) async fn admit(
        &self,
        admission: &Admission,
        holder: ClientKey,
        trace: &Trace,
    ) -> Result<(), Refusal> {
        if !self.is_aside && self.permit.get().is_none() {
            let permit = trace.waits(Wait::Queue, admission.admit(holder)).await?;
            self.hold(permit);
        }
        Ok(())
    }

    /// Takes over a permit to run.
    pub(crate) fn hold(&self, permit: Permit) {
        // No permit is lost: `admit` checks first, and a held body is admitted by its buffer alone.
        let _ = self.permit.set(permit);
    }

    /// Grows the memory to this many bytes in total.
    ///
    /// # Errors
    /// When the budget does not allow it.
    pub(crate) fn grow_to(&self, budget: &MemoryBudget, used_for: Use, bytes: usize) -> Result<(), Refusal> {
        let share = || Box::new(budget.share(Payer::Client(self.client()), used_for));
        self.memory.borrow_mut().get_or_insert_with(share).grow_to(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::admission::Bounds;
    use crate::bounds::limits::Limits;
    use crate::refusal::Rule;

    const ONE: ClientKey = ClientKey::User(Some(1));

    #[tokio::test]
    async fn a_request_takes_one_place_for_all_that_is_done_for_it() {
        let limits = Limits { requests_per_mapping: 1, queue_per_mapping: 0, ..Limits::default() };
        let (admission, trace) = (Admission::new(Bounds::of(&limits)), Trace::default());
        let admit = async |holdings: &Holdings| {
            holdings.admit(&admission, ONE, &trace).await.map_err(|refusal| refusal.rule)
        };
        let (first, second) = (Holdings::new(ONE), Holdings::new(ONE));
        assert_eq!(admit(&first).await, Ok(()));
        assert_eq!(admit(&first).await, Ok(()), "it has its place already");
        // Else a list would hold one place while its further pages wait for another.
        assert_eq!(admit(&first.aside().aside()).await, Ok(()), "work on its account shares its place");
        assert_eq!(admit(&second).await, Err(Rule::QueueFull));
        drop(first);
        assert_eq!((admit(&second).await, admission.running()), (Ok(()), 1));
    }

    #[test]
    fn memory_is_held_until_the_request_is_over() {
        let (budget, holdings) = (MemoryBudget::new(1 << 20), Holdings::new(ONE));
        for (bytes, taken) in [(1000, 1000), (10, 1000), (2000, 2000)] {
            holdings.grow_to(&budget, Use::Pages, bytes).unwrap();
            assert_eq!(budget.taken(Use::Pages), taken);
        }
        drop(holdings);
        assert_eq!(budget.taken(Use::Pages), 0);
    }
}
