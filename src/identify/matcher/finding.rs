//! What a condition expects of a client, and what it finds.

use std::fmt;

/// One thing that a condition compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The key of the condition, or the claim.
    pub what: String,
    /// The expected value.
    pub wanted: String,
    /// The actual value.
    pub found: String,
    /// Whether they agree.
    pub holds: bool,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, wanted, found, holds } = self;
        let verdict = if *holds { "holds" } else { "does not hold" };
        write!(f, "{what}: wants {wanted}; found {found}: {verdict}")
    }
}
