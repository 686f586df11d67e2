//! A memory budget for tests, which counts what is taken and refused.

use crate::memory::{MemoryShare, MemoryUse, OutOfMemory};
use std::cell::RefCell;
use std::rc::Rc;

/// A budget of as many bytes as a test says; by default more than any test takes.
#[derive(Clone)]
pub(super) struct TestMemory(Rc<RefCell<Account>>);

struct Account {
    limit: usize,
    heads: usize,
    responses: usize,
    refused: u64,
}

impl Account {
    fn taken(&mut self, used_for: MemoryUse) -> &mut usize {
        match used_for {
            MemoryUse::Head => &mut self.heads,
            MemoryUse::Response => &mut self.responses,
            MemoryUse::Body => unreachable!("bodies are read as they are wanted"),
        }
    }
}

impl Default for TestMemory {
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}

impl TestMemory {
    pub(super) fn new(limit: usize) -> Self {
        Self(Rc::new(RefCell::new(Account { limit, heads: 0, responses: 0, refused: 0 })))
    }

    pub(super) fn share(&self, used_for: MemoryUse) -> TestShare {
        TestShare { memory: self.clone(), used_for, bytes: 0 }
    }

    pub(super) fn taken(&self, used_for: MemoryUse) -> usize {
        *self.0.borrow_mut().taken(used_for)
    }

    pub(super) fn refused(&self) -> u64 {
        self.0.borrow().refused
    }
}

pub(super) struct TestShare {
    memory: TestMemory,
    used_for: MemoryUse,
    bytes: usize,
}

impl MemoryShare for TestShare {
    fn grow_to(&mut self, bytes: usize) -> Result<(), OutOfMemory> {
        let more = bytes.saturating_sub(self.bytes);
        let account = &mut *self.memory.0.borrow_mut();
        if account.heads + account.responses + more > account.limit {
            account.refused += 1;
            return Err(OutOfMemory);
        }
        *account.taken(self.used_for) += more;
        self.bytes += more;
        Ok(())
    }
}

impl Drop for TestShare {
    fn drop(&mut self) {
        *self.memory.0.borrow_mut().taken(self.used_for) -= self.bytes;
    }
}
