//! Problems with files, in words for the operator who mends them.

use std::fmt;
use std::path::{Path, PathBuf};

/// A kind of file, which decides who may be able to read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A private key, which only the process may read.
    PrivateKey,
    /// A certificate or a revocation list, which anyone may read.
    Public,
}

/// A function that reads a file. It checks the file's mode and bounds its size.
pub type Read<'r> = dyn FnMut(&Path, FileKind) -> Result<Vec<u8>, Problem> + 'r;

/// A problem with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it, as the rest of a sentence that begins with the file.
    pub what: String,
    /// How to mend it.
    pub help: String,
}

impl Problem {
    /// Makes a problem with `file`.
    pub fn new(file: &Path, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { file: file.to_owned(), what: what.into(), help: help.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.file.display(), self.what, self.help)
    }
}

impl std::error::Error for Problem {}
