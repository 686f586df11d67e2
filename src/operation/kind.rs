//! Kinds of sessions: which of a mapping's sessions signs a request.

/// A kind of session. A mapping has one of each kind that its scopes need, each with a policy of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionKind {
    /// The session for what a policy can restrict to the scopes.
    #[default]
    Scopes,
    /// The session for lists of multipart uploads. No policy can restrict such a list to a prefix, so this session can do
    /// nothing else, and Scopegate filters what it lists.
    Uploads,
}

impl SessionKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Scopes, Self::Uploads];

    /// Its name in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scopes => "scopes",
            Self::Uploads => "uploads",
        }
    }
}
