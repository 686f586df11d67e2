//! The reasons why a request waits.

/// A reason why a request waits before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Its turn among the requests of its mapping, or a buffer for its body.
    Queue,
    /// A session of its mapping.
    Session,
}
