//! The memory budget for everything that peers control: data that they send, and data that waits for them to read it.
//!
//! Each item has its own bound beside its code. This is the bound on all of them together, `limits.memory`. Parts of
//! it are reserved for uploads without a length, for reading large bodies and for log lines. The rest is divided
//! among clients like places: a single client gets three quarters and always leaves some for the next. All clients
//! without a mapping share a quarter.

use crate::bounds::limits::Limits;
use crate::bounds::places::SHARE;
use crate::identify::client::ClientKey;
use crate::refusal::{Refusal, Rule};
use http1::{MemoryShare, MemoryUse, OutOfMemory};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The uses of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Request heads that are long or incomplete.
    Heads,
    /// Documents of clients, and the data that is derived from them.
    Documents,
    /// Small uploads that are held before they are passed on.
    Uploads,
    /// Pages of lists for people.
    Pages,
    /// Responses that slow readers have not taken.
    Responses,
    /// Bodies of HTTP/2 requests that their clients may send before anything reads them.
    Bodies,
}

impl Use {
    /// Every use.
    pub const ALL: [Self; 6] =
        [Self::Heads, Self::Documents, Self::Uploads, Self::Pages, Self::Responses, Self::Bodies];

    /// Returns its name in the metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Heads => "heads",
            Self::Documents => "documents",
            Self::Uploads => "uploads",
            Self::Pages => "pages",
            Self::Responses => "answers",
            Self::Bodies => "bodies",
        }
    }
}

/// The party that memory is charged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Payer {
    /// A client with a mapping.
    Client(ClientKey),
    /// All other clients together.
    Strangers,
}

/// The memory budget of a process.
#[derive(Clone, Debug)]
pub struct MemoryBudget(Arc<Budget>);

#[derive(Debug)]
struct Budget {
    limit: usize,
    taken: Mutex<Taken>,
    by_use: [AtomicUsize; Use::ALL.len()],
    refused: [AtomicU64; Use::ALL.len()],
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// No entry is zero.
    by_payer: HashMap<Payer, usize>,
}

/// Memory taken from the budget until this is dropped.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    payer: Payer,
    used_for: Use,
    bytes: usize,
}

impl MemoryBudget {
    /// Makes a budget of this many bytes.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Budget {
            limit,
            taken: Mutex::default(),
            by_use: Default::default(),
            refused: Default::default(),
        }))
    }

    /// Makes a budget of the memory that `limits` do not reserve.
    pub fn of(limits: &Limits) -> Self {
        Self::new(limits.shared_memory())
    }

    /// Makes an empty share, which grows on demand.
    pub fn share(&self, payer: Payer, used_for: Use) -> Share {
        Share { budget: Arc::clone(&self.0), payer, used_for, bytes: 0 }
    }

    /// Takes this many bytes.
    ///
    /// # Errors
    /// When the budget does not allow it.
    pub fn take(&self, payer: Payer, used_for: Use, bytes: usize) -> Result<Share, Refusal> {
        let mut share = self.share(payer, used_for);
        share.grow_to(bytes)?;
        Ok(share)
    }

    /// Returns the number of bytes that clients can have in total.
    pub fn limit(&self) -> usize {
        self.0.limit
    }

    /// Returns the number of bytes taken for a use.
    pub fn taken(&self, used_for: Use) -> usize {
        self.0.by_use.get(used_for as usize).map_or(0, |bytes| bytes.load(Ordering::Relaxed))
    }

    /// Returns how often memory for a use was refused.
    pub fn refused(&self, used_for: Use) -> u64 {
        self.0.refused.get(used_for as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }
}

impl Share {
    /// Returns the size of the share in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the use of the share.
    pub fn used_for(&self) -> Use {
        self.used_for
    }

    /// Grows the share to at least this many bytes.
    ///
    /// # Errors
    /// When the budget does not allow it. The share keeps its size.
    pub fn grow_to(&mut self, bytes: usize) -> Result<(), Refusal> {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return Ok(());
        }
        if !self.budget.take(self.payer, more) {
            if let Some(count) = self.budget.refused.get(self.used_for as usize) {
                count.fetch_add(1, Ordering::Relaxed);
            }
            return Err(full());
        }
        self.bytes += more;
        if let Some(taken) = self.budget.by_use.get(self.used_for as usize) {
            taken.fetch_add(more, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        if let Some(taken) = self.budget.by_use.get(self.used_for as usize) {
            taken.fetch_sub(self.bytes, Ordering::Relaxed);
        }
        let mut taken = self.budget.lock();
        taken.all -= self.bytes;
        if let Entry::Occupied(mut entry) = taken.by_payer.entry(self.payer) {
            *entry.get_mut() -= self.bytes;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

impl Budget {
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, payer: Payer, bytes: usize) -> bool {
        let mut taken = self.lock();
        let Some(free) = self.limit.checked_sub(taken.all.saturating_add(bytes)) else { return false };
        let most = match payer {
            Payer::Client(_) => free.saturating_mul(SHARE),
            Payer::Strangers => free / SHARE,
        };
        let of_payer = taken.by_payer.get(&payer).copied().unwrap_or_default() + bytes;
        if of_payer > most {
            return false;
        }
        taken.by_payer.insert(payer, of_payer);
        taken.all += bytes;
        true
    }
}

fn full() -> Refusal {
    let message = "the memory for data of clients is exhausted: try again later";
    let mut refusal = Refusal::new(Rule::MemoryFull, message);
    refusal.retry_after = Some(1);
    refusal
}

impl MemoryShare for Share {
    fn grow_to(&mut self, bytes: usize) -> Result<(), OutOfMemory> {
        Self::grow_to(self, bytes).map_err(|_| OutOfMemory)
    }
}

impl From<MemoryUse> for Use {
    fn from(used_for: MemoryUse) -> Self {
        match used_for {
            MemoryUse::Head => Self::Heads,
            MemoryUse::Response => Self::Responses,
            MemoryUse::Body => Self::Bodies,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const MIB: usize = 1 << 20;

    fn client(number: u32) -> Payer {
        Payer::Client(ClientKey::V4(Ipv4Addr::from_bits(number)))
    }

    fn take_all(budget: &MemoryBudget, payer: Payer) -> Vec<Share> {
        std::iter::from_fn(|| budget.take(payer, Use::Documents, MIB).ok()).collect()
    }

    #[test]
    fn a_client_alone_gets_three_quarters_and_the_next_finds_some() {
        let budget = MemoryBudget::new(64 * MIB);
        let first = take_all(&budget, client(1));
        assert_eq!(first.len(), 48);
        let (second, third) = (take_all(&budget, client(2)), take_all(&budget, client(3)));
        assert_eq!((second.len(), third.len()), (12, 3));
        assert_eq!((budget.taken(Use::Documents), budget.refused(Use::Documents)), (63 * MIB, 3));
        drop((first, second, third));
        assert_eq!(budget.taken(Use::Documents), 0);
        assert!(budget.0.lock().by_payer.is_empty());
    }

    #[test]
    fn clients_of_no_mapping_have_a_quarter_together_and_come_last() {
        let budget = MemoryBudget::new(64 * MIB);
        let strangers = take_all(&budget, Payer::Strangers);
        assert_eq!(strangers.len(), 16);
        drop(strangers);
        let _client = take_all(&budget, client(1));
        assert_eq!(take_all(&budget, Payer::Strangers).len(), 4);
    }

    #[test]
    fn a_share_that_cannot_grow_stays_as_it_was() {
        let budget = MemoryBudget::new(4 * MIB);
        let mut share = budget.take(client(1), Use::Heads, MIB).unwrap();
        assert_eq!(share.grow_to(4 * MIB).unwrap_err().rule, Rule::MemoryFull);
        assert_eq!(share.grow_to(usize::MAX).unwrap_err().rule, Rule::MemoryFull);
        assert_eq!((share.bytes(), budget.taken(Use::Heads)), (MIB, MIB));
        share.grow_to(2 * MIB).unwrap();
        share.grow_to(MIB).unwrap();
        assert_eq!(budget.taken(Use::Heads), 2 * MIB);
    }
}
