//! Makes text from peers safe to show on a terminal or a page.

use std::borrow::Cow;

/// Replaces control characters by visible ones. HTML cannot express most of them, and terminals obey them.
pub(crate) fn visible(name: &str) -> Cow<'_, str> {
    if !name.chars().any(char::is_control) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.chars().map(picture).collect())
}

/// Returns the picture of a control character, and any other character itself.
pub(crate) fn picture(c: char) -> char {
    match c {
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
        '\u{7f}' => '\u{2421}',
        '\u{80}'..='\u{9f}' => '\u{fffd}',
        c => c,
    }
}

/// Returns `text` on one line, with its control characters made visible.
///
/// Terminals obey control characters, and bidirectional controls reorder the text around them.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    let text = visible(text);
    if !text.chars().any(reorders) {
        return text;
    }
    let escaped = |c: char| if reorders(c) { c.escape_unicode().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escaped).collect())
}

/// Returns the lines of `text`, each made safe by [`plain`].
pub(crate) fn plain_lines(text: &str) -> Cow<'_, str> {
    if text.split('\n').all(|line| matches!(plain(line), Cow::Borrowed(_))) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.split('\n').map(plain).collect::<Vec<_>>().join("\n"))
}

/// Returns whether a character controls the direction of text, or separates lines without being a control character.
fn reorders(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}')
}

/// Returns whether a character reorders text or has no width, so that two different texts look alike.
pub(crate) fn is_unseen(c: char) -> bool {
    let is_without_width = matches!(
        c,
        '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}'
    );
    is_without_width || reorders(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_and_direction_controls_are_shown() {
        assert_eq!(plain("a b ü 🦀"), "a b ü 🦀");
        assert_eq!(plain("a\u{1b}[2Jb\r\n\u{9b}1m"), "a␛[2Jb␍␊\u{fffd}1m");
        assert_eq!(plain("cod\u{202e}txt.exe\u{2069}\u{200f}"), "cod\\u{202e}txt.exe\\u{2069}\\u{200f}");
        assert_eq!(plain_lines("one\n  two\n"), "one\n  two\n");
        assert_eq!(plain_lines("over\r\n"), "over␍\n");
        assert_eq!(plain_lines("one\u{7}\n\u{202d}two"), "one␇\n\\u{202d}two");
    }

    #[test]
    fn control_characters_are_shown() {
        assert_eq!(visible("a b"), "a b");
        assert_eq!(visible("a\nb\u{1b}[2J\u{7f}\u{9b}"), "a␊b␛[2J␡\u{fffd}");
    }

    proptest! {
        #[test]
        fn removes_everything_that_moves_the_cursor(text in "\\PC{0,20}|[\u{0}-\u{ff}\u{2028}-\u{206f}]{0,20}") {
            let left = |text: &str| text.chars().any(|c| c.is_control() || reorders(c));
            prop_assert!(!left(&plain(&text)));
            prop_assert!(!left(&plain_lines(&text).replace('\n', "")));
        }
    }
}
