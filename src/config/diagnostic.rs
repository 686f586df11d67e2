//! Mistakes and warnings about a configuration: location, problem and remedy.

use super::source::{Excerpt, Place};
use crate::net::terminal::plain;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use std::path::Path;

/// A mistake in a configuration, or a warning about it. It never shows a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The severity.
    pub severity: Severity,
    /// The location. `None` if it concerns the file as a whole.
    pub place: Option<Place>,
    /// The problem.
    pub message: String,
    /// The expectation, and the remedy.
    pub help: String,
}

/// The severity of a diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// A mistake: the configuration cannot be used.
    Error,
    /// A warning: the configuration works, but something is probably not intended.
    Warning,
}

impl Diagnostic {
    /// Returns a warning about the configuration as a whole.
    pub fn warning(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, place: None, message: message.into(), help: help.into() }
    }

    /// Formats the diagnostic on one line, for the log.
    pub fn to_line(&self, path: &Path) -> String {
        let Self { place, message, help, .. } = self;
        let path = path.display();
        let line = match place {
            Some(Place { line, column, .. }) => format!("{path}:{line}:{column}: {message}; {help}"),
            None => format!("{path}: {message}; {help}"),
        };
        plain(&line).into_owned()
    }

    /// Draws the diagnostic with its line of the file, as compilers do.
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
