//! Groups of files that take effect together.

use std::path::Path;

/// What configures a group of files.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    /// The listener with this name.
    Listener(Box<str>),
    /// This section of the configuration.
    Section(&'static str),
}

/// Files that take effect together, or not at all.
pub(super) trait Group {
    /// Returns the files.
    fn files(&self) -> Vec<&Path>;

    /// Reads the files.
    ///
    /// # Errors
    /// Lists everything that is wrong with them.
    fn load(&mut self) -> Result<(), Vec<String>>;

    /// Puts what was read last into effect. Returns whether it differs from what was.
    fn apply(&mut self) -> bool;
}

impl Owner {
    /// Returns the name of the listener or of the section, for the log.
    pub(super) fn names(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::Listener(name) => (Some(name), None),
            Self::Section(name) => (None, Some(name)),
        }
    }
}
