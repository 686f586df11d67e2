//! The memory a connection holds on behalf of its peer, charged to an account of the program's.

/// What a connection holds memory for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryUse {
    /// A request head that is long or incomplete.
    Head,
    /// A response that its reader has not taken.
    Response,
}

/// A share of a memory budget, returned when it is dropped.
pub trait MemoryShare {
    /// Makes the share at least `bytes` large.
    ///
    /// # Errors
    /// When the budget does not allow it; the share stays as it was.
    fn grow_to(&mut self, bytes: usize) -> Result<(), OutOfMemory>;
}

/// The budget does not allow a share to grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;
