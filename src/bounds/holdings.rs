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
    pub(crate) fn identified(&self, client: Client<'_>) {
        self.client.set(client.key());
    }

    /// Returns the client that the request is counted for.
    pub(crate) const fn client(&self) -> ClientKey {
        self.client.get()
    }

    /// Waits for the request's turn. A request waits once, however many requests to the store it takes.
    ///
    /// # Errors
    /// When too many requests are running, waiting or starting.
    pub(crate) async fn admit(&self, admission: &Admission, trace: &Trace) -> Result<(), Refusal> {
        if !self.is_aside && self.permit.get().is_none() {
            let permit = trace.waits(Wait::Queue, admission.admit(self.client())).await?;
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
