//! The memory that a connection holds on behalf of its peer. The program owns the budget; the codec asks it for shares.

/// A use of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryUse {
    /// A request head that is long or incomplete.
    Head,
    /// A response that its reader has not taken.
    Response,
    /// The body of a request, as far as its sender may send it before anything reads it.
    Body,
}

/// A share of a memory budget, returned when it is dropped.
pub trait MemoryShare {
    /// Makes the share at least `bytes` large.
    ///
    /// # Errors
    /// When the budget does not allow it; the share stays as it was.
    fn grow_to(&mut self, bytes: usize) -> Result<(), OutOfMemory>;
}

/// The error of a share that cannot grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

/// The memory that a connection is charged for, for one use at a time. Boxed because most connections are charged nothing.
#[derive(Debug)]
pub struct Charge<M>(Option<Box<(MemoryUse, M)>>);

impl<M: MemoryShare> Charge<M> {
    /// No charge.
    pub const NONE: Self = Self(None);

    /// Charges `bytes` in all to `used_for`, and drops the share of any other use.
    ///
    /// # Errors
    /// When the budget does not allow it.
    pub fn grow_to(
        &mut self,
        used_for: MemoryUse,
        bytes: usize,
        make_share: impl FnOnce(MemoryUse) -> M,
    ) -> Result<(), OutOfMemory> {
        if self.0.as_ref().is_some_and(|charge| charge.0 != used_for) {
            self.0 = None;
        }
        let charge = self.0.get_or_insert_with(|| Box::new((used_for, make_share(used_for))));
        charge.1.grow_to(bytes)
    }

    /// Returns what is charged.
    pub fn release(&mut self) {
        self.0 = None;
    }
}
