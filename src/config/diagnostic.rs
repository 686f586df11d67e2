//! Mistakes and warnings: where, what, and how to mend it.

use super::source::{Excerpt, Place};
use crate::net::terminal::plain;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use std::path::Path;

/// Something to tell about a configuration. It never shows a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Where it is; absent where it is about the file as a whole.
    pub place: Option<Place>,
    /// What is wrong.
    pub message: String,
    /// What is expected, and how to mend it.
    pub help: String,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It works, and is probably not intended.
    Warning,
}

impl Diagnostic {
    /// Returns a warning about the configuration as a whole.
    pub fn warning(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, place: None, message: message.into(), help: help.into() }
    }

    /// Formats it on one line, for the log.
    pub fn to_line(&self, path: &Path) -> String {
        let Self { place, message, help, .. } = self;
        let path = path.display();
        let line = match place {
            Some(Place { line, column, .. }) => format!("{path}:{line}:{column}: {message}; {help}"),
            None => format!("{path}: {message}; {help}"),
        };
        plain(&line).into_owned()
    }

    /// Draws it with its line of the file, as compilers do, for a terminal.
    ///
    /// Colours are escape sequences: write the text through `anstream`, which removes them where they are not wanted.
    /// There are no other control characters in it.
    pub fn draw(&self, path: &Path) -> String {
        let title = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let path = path.display().to_string();
        let group = Group::with_title(title.primary_title(plain(&self.message)));
        let group = match &self.place {
            Some(Place { line, excerpt: Some(Excerpt { text, marker }), .. }) => {
                let marked = AnnotationKind::Primary.span(marker.clone());
                group.element(Snippet::source(text).path(plain(&path)).line_start(*line).annotation(marked))
            }
            Some(Place { line, column, excerpt: None }) => {
                group.element(Origin::path(plain(&path)).line(*line).char_column(*column))
            }
            None => group.element(Origin::path(plain(&path))),
        };
        let help = Level::HELP.message(plain(&self.help));
        Renderer::styled().render(&[group.element(help)]) + "\n"
    }
}
