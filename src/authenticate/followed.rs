//! Files that declare credentials, and take effect when they change.

use std::fmt;
use std::path::Path;

/// Puts a new text into effect. Returns the number of declarations, unless nothing changed, or the mistakes in it.
pub(crate) type Follow<'a> = dyn Fn(&str) -> Result<Option<usize>, Vec<String>> + 'a;

/// A file to read again when it changes.
pub(crate) struct Followed<'a> {
    /// The name in the log and in metrics: the key of the configuration that names the file.
    pub name: &'static str,
    /// Where it is.
    pub path: &'a Path,
    /// What a change does.
    pub follow: Box<Follow<'a>>,
}

impl fmt::Debug for Followed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Followed({} at {})", self.name, self.path.display())
    }
}
