//! The outcome of a shutdown.

/// The way in which a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Every request finished.
    Drained,
    /// The drain timeout ended requests.
    CutShort,
}
