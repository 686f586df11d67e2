//! The reasons a stream ends early.

use crate::ResetBy;

/// The reason a stream ended before its response was complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The client reset it, or its connection ended.
    Gone,
    /// The request took too long.
    TimedOut,
    /// The client reads too slowly.
    Stalled,
    /// The response broke off.
    Broken,
}

impl From<Cut> for ResetBy {
    fn from(cut: Cut) -> Self {
        match cut {
            Cut::Gone => Self::Client,
            Cut::TimedOut => Self::TimedOut,
            Cut::Stalled => Self::Stalled,
            Cut::Broken => Self::Broken,
        }
    }
}
