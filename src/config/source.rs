//! Locates mistakes in a configuration file, and makes its lines safe to show.

use super::mask::Masked;
use crate::net::terminal::is_unseen;
use crate::net::terminal::picture;
use std::cell::OnceCell;
use std::ops::Range;

/// Maximum length of a line that is shown, in bytes. For a longer one only the line and column are given.
const MAX_SHOWN: usize = 500;

/// A range of bytes in the source, such as those of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        Self { start: range.start, end: range.end }
    }
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line, starting at 1.
    pub line: usize,
    /// The column in characters, starting at 1.
    pub column: usize,
    /// The text of the line, if it is short enough to show.
    pub(super) excerpt: Option<Excerpt>,
}

/// A line that is safe to print: without secrets, and without characters that a terminal obeys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    pub(super) text: String,
    /// The bytes that the mistake is about.
    pub(super) marker: Range<usize>,
}

/// The text of a configuration file, divided into lines.
pub(super) struct Source<'s> {
    text: &'s str,
    /// The start of each line.
    lines: Vec<usize>,
    /// Computed for the first mistake, because most files have none.
    masked: OnceCell<Masked>,
}

impl<'s> Source<'s> {
    pub(super) fn new(text: &'s str) -> Self {
        let ends = text.match_indices('\n').map(|(end, _)| end + 1);
        let lines = std::iter::once(0).chain(ends).collect();
        Self { text, lines, masked: OnceCell::new() }
    }

    pub(super) fn text(&self) -> &'s str {
        self.text
    }

    /// Returns the line of a byte, starting at 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|begin| *begin <= offset).max(1)
    }

    /// Locates the start of a span. The marker ends with the line.
    pub(super) fn place(&self, span: Span) -> Place {
        let start = self.text.floor_char_boundary(span.start);
        let line = self.line(start);
        let begin = self.lines.get(line - 1).copied().unwrap_or_default();
        let text = self.text.get(begin..).unwrap_or_default().split('\n').next().unwrap_or_default();
        let start = start.saturating_sub(begin).min(text.len());
        let column = text.get(..start).unwrap_or_default().chars().count() + 1;
        let end = start.max(span.end.saturating_sub(begin));
        let shown = (text.len() <= MAX_SHOWN).then(|| {
            let masked = self.masked.get_or_init(|| Masked::new(self.text));
            excerpt(masked.line(line, text).trim_end(), start, end)
        });
        Place { line, column, excerpt: shown }
    }
}

/// Makes a line safe to print. Each character is replaced by one character, so that columns do not change.
fn excerpt(line: &str, start: usize, end: usize) -> Excerpt {
    let [start, end] = [start, end].map(|offset| line.floor_char_boundary(offset.min(line.len())));
    let safe = |text: &str| -> String {
        text.chars().map(|c| if is_unseen(c) { '\u{fffd}' } else { picture(c) }).collect()
    };
    let part = |range: Range<usize>| safe(line.get(range).unwrap_or_default());
    let (before, within, after) = (part(0..start), part(start..end), part(end..line.len()));
    let marker = before.len()..before.len() + within.len();
    Excerpt { text: before + &within + &after, marker }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str, start: usize, end: usize) -> (usize, usize, String, String) {
        let Place { line, column, excerpt } = Source::new(text).place(Span { start, end });
        let Excerpt { text, marker } = excerpt.unwrap();
        let marked = text[marker].to_owned();
        (line, column, text, marked)
    }

    #[test]
    fn a_place_has_line_column_and_marked_text() {
        let text = "a = 1\r\nü = \"x\"\nc";
        assert_eq!(shown(text, 12, 15), (2, 5, "ü = \"x\"".to_owned(), "\"x\"".to_owned()));
        assert_eq!(shown(text, 0, 99), (1, 1, "a = 1".to_owned(), "a = 1".to_owned()), "ends with the line");
        assert_eq!(shown(text, text.len(), text.len()), (3, 2, "c".to_owned(), String::new()));
        assert_eq!(shown("", 0, 0), (1, 1, String::new(), String::new()));
    }

    #[test]
    fn characters_that_a_terminal_obeys_are_replaced_one_by_one() {
        let (line, column, text, marked) = shown("a\u{1b}[2J\u{202e}\u{9b}b\tc", 1, 5);
        assert_eq!((line, column, &*text, &*marked), (1, 2, "a␛[2J\u{fffd}\u{fffd}b␉c", "␛[2J"));
    }

    #[test]
    fn very_long_lines_are_not_shown() {
        let text = "a".repeat(1000);
        let place = Source::new(&text).place(Span { start: 500, end: 501 });
        assert_eq!(place, Place { line: 1, column: 501, excerpt: None });
    }

    proptest! {
        #[test]
        fn places_exist_and_are_safe_to_print(text in "[\\PC\n\r\t\u{1b}\u{9b}\u{202e}]{0,80}", start in 0..300_usize, end in 0..300_usize) {
            let place = Source::new(&text).place(Span { start, end });
            let Excerpt { text: shown, marker } = place.excerpt.unwrap();
            prop_assert!(shown.get(marker).is_some());
            let is_unsafe = |c: char| c.is_control() || c == '\u{202e}';
            prop_assert!(!shown.contains(is_unsafe));
            let line = text.split('\n').nth(place.line - 1).unwrap();
            prop_assert!((1..=line.chars().count() + 1).contains(&place.column));
        }
    }
}
