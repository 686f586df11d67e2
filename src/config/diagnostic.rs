//! Mistakes in a configuration: where, what, and how to mend it.

use std::fmt;

/// One mistake. It never quotes a value of `[issuer]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: String,
}

impl Diagnostic {
    /// A mistake at a byte of `source`.
    pub(super) fn at(
        source: &str,
        offset: usize,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        let before = source.get(..source.floor_char_boundary(offset)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self { line, column, message: message.into(), help: help.into() }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, message, help } = self;
        write!(f, "{line}:{column}: error: {message}\n  help: {help}")
    }
}
