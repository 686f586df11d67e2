//! Kinds of sessions: which operations share one.

use std::fmt;

/// A kind of session, named after the operations that it signs. Its policy allows these and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SessionKind {
    /// All operations that a policy can restrict to the scopes, for mappings with one session.
    All,
    /// Reads of objects.
    Get,
    /// Lists of objects.
    List,
    /// Requests about a bucket.
    Bucket,
    /// Reads of versions by their id, and lists of versions.
    Versions,
    /// Writes of objects, whole or in parts.
    Put,
    /// Deletes of objects.
    Delete,
    /// Copies, which read one object and write another.
    Copy,
    /// All other operations: attributes, tags, parts of an upload, and its end without an object.
    Other,
    /// Lists of multipart uploads. No policy can restrict such a list to a prefix, so Scopegate filters it.
    Uploads,
}

impl SessionKind {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::All,
        Self::Get,
        Self::List,
        Self::Bucket,
        Self::Versions,
        Self::Put,
        Self::Delete,
        Self::Copy,
        Self::Other,
        Self::Uploads,
    ];

    /// Returns its name in the log, in metrics and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Get => "get",
            Self::List => "list",
            Self::Bucket => "bucket",
            Self::Versions => "versions",
            Self::Put => "put",
            Self::Delete => "delete",
            Self::Copy => "copy",
            Self::Other => "other",
            Self::Uploads => "uploads",
        }
    }

    /// Returns whether most clients use it, so that `mint = "start"` mints it.
    pub(crate) const fn is_common(self) -> bool {
        matches!(self, Self::All | Self::Get | Self::List | Self::Put | Self::Delete)
    }

    /// Returns whether it signs operations of this kind in the table, which never has `All`.
    pub(crate) fn signs(self, of_row: Self) -> bool {
        self == of_row || (self == Self::All && of_row != Self::Uploads)
    }
}

impl fmt::Display for SessionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How the operations of a mapping are divided among sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionPlan {
    /// A session of each kind, so that a request is signed with a session that can do little more than it needs.
    #[default]
    Split,
    /// One session for everything except lists of multipart uploads.
    One,
}

impl SessionPlan {
    /// Returns the kind of session that signs operations of this kind in the table.
    pub(crate) const fn kind_for(self, of_row: SessionKind) -> SessionKind {
        match (self, of_row) {
            (Self::Split, kind) => kind,
            (Self::One, SessionKind::Uploads) => SessionKind::Uploads,
            (Self::One, _) => SessionKind::All,
        }
    }

    /// Returns the kinds of its sessions.
    pub(crate) fn kinds(self) -> impl Iterator<Item = SessionKind> {
        SessionKind::ALL.into_iter().filter(move |kind| match self {
            Self::Split => *kind != SessionKind::All,
            Self::One => matches!(kind, SessionKind::All | SessionKind::Uploads),
        })
    }
}
