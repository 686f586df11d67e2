//! Kinds of sessions.

/// A kind of session. A mapping has one session of each kind that its scopes need, each with its own policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SessionKind {
    /// The session for everything that a policy can restrict to the scopes.
    #[default]
    Scopes,
    /// The session that lists multipart uploads. No policy can restrict such a list to a prefix. So this session can
    /// do nothing else, and Scopegate filters the list.
    Uploads,
}

impl SessionKind {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::Scopes, Self::Uploads];

    /// Returns its name in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scopes => "scopes",
            Self::Uploads => "uploads",
        }
    }
}
