//! Collects the mistakes and warnings found while a TOML file is read. Handwritten because serde stops at the first
//! mistake.

use super::Diagnostic;
use super::diagnostic::Severity;
use super::source::{Source, Span};
use std::cell::{Cell, RefCell};
use toml::Spanned;
use toml::de::DeTable;

/// A value with its location in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Span,
}

impl<'t> At<&'t str> {
    /// Parses the text. If that fails, the mistake is the text followed by `what`, and the parser's error is its
    /// help.
    pub(super) fn parse_with<T, H: Into<String>>(
        self,
        reader: &Reader<'_>,
        what: &str,
        parse: impl FnOnce(&'t str) -> Result<T, H>,
    ) -> Option<T> {
        parse(self.value).map_err(|help| reader.wrong(self, what, help)).ok()
    }
}

/// The mistakes and warnings found in one file so far.
pub(super) struct Reader<'s> {
    source: Source<'s>,
    is_valid_toml: Cell<bool>,
    mistakes: RefCell<Vec<Finding>>,
    warnings: RefCell<Vec<Finding>>,
}

/// A mistake or a warning. Without a span it concerns the file as a whole.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    span: Option<Span>,
    message: String,
    help: String,
}

impl<'s> Reader<'s> {
    pub(super) fn new(source: &'s str) -> Self {
        Self {
            source: Source::new(source),
            is_valid_toml: Cell::new(true),
            mistakes: RefCell::default(),
            warnings: RefCell::default(),
        }
    }

    /// Parses the source as TOML. Parts that do not parse are noted as mistakes and left out.
    pub(super) fn parse(&self) -> Spanned<DeTable<'s>> {
        let (root, errors) = DeTable::parse_recoverable(self.source.text());
        self.is_valid_toml.set(errors.is_empty());
        for error in errors {
            let message = format!("invalid TOML: {}", error.message());
            self.error(error.span().map(Span::from), message, "see https://toml.io for the syntax");
        }
        root
    }

    /// Notes a mistake.
    pub(super) fn error(
        &self,
        span: impl Into<Option<Span>>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let finding = Finding { span: span.into(), message: message.into(), help: help.into() };
        self.mistakes.borrow_mut().push(finding);
    }

    /// Notes an invalid value. The message begins with the value, so it must not be a secret.
    pub(super) fn wrong(&self, text: At<&str>, what: &str, help: impl Into<String>) {
        self.error(text.span, format!("{} {what}", quoted(text.value)), help);
    }

    /// Notes something that is valid but probably not intended.
    pub(super) fn warn(
        &self,
        span: impl Into<Option<Span>>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let finding = Finding { span: span.into(), message: message.into(), help: help.into() };
        self.warnings.borrow_mut().push(finding);
    }

    /// Returns the line of a span, starting at 1.
    pub(super) fn line(&self, span: Option<Span>) -> usize {
        span.map_or(1, |span| self.source.line(span.start))
    }

    /// Returns whether all of the source was parsed.
    pub(super) fn is_valid_toml(&self) -> bool {
        self.is_valid_toml.get()
    }

    /// Returns whether no mistake has been noted.
    pub(super) fn is_clean(&self) -> bool {
        self.mistakes.borrow().is_empty()
    }

    /// Returns every mistake, and every warning.
    pub(super) fn into_diagnostics(self) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
        let mistakes = diagnostics(&self.source, Severity::Error, self.mistakes.into_inner());
        (mistakes, diagnostics(&self.source, Severity::Warning, self.warnings.into_inner()))
    }
}

/// Sorts findings by their location, removes duplicates, and locates them.
fn diagnostics(source: &Source<'_>, severity: Severity, mut findings: Vec<Finding>) -> Vec<Diagnostic> {
    findings.sort();
    findings.dedup();
    let locate = |Finding { span, message, help }| Diagnostic {
        severity,
        place: span.map(|span| source.place(span)),
        message,
        help,
    };
    findings.into_iter().map(locate).collect()
}

/// Quotes a value for a message: escaped, and cut to 60 characters.
pub(super) fn quoted(text: &str) -> String {
    let beginning: String = text.chars().take(60).collect();
    let more = if beginning.len() < text.len() { "..." } else { "" };
    format!("{beginning:?}{more}")
}
