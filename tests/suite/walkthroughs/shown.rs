//! Compares what a page shows with what was printed.

/// Any text in a line, and as a line of its own any number of lines.
const ANY: &str = "…";

/// Returns whether printed lines are those that a page shows.
pub(super) fn matches(shown: &[String], printed: &[&str]) -> bool {
    let Some((first, rest)) = shown.split_first() else { return printed.is_empty() };
    if first == ANY {
        return (0..=printed.len()).any(|count| matches(rest, &printed[count..]));
    }
    printed.split_first().is_some_and(|(line, others)| line_matches(first, line) && matches(rest, others))
}

/// Returns whether a printed line is the one that a page shows.
pub(super) fn line_matches(shown: &str, printed: &str) -> bool {
    let mut parts = shown.split(ANY);
    let Some(mut rest) = printed.strip_prefix(parts.next().unwrap()) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[test]
fn an_ellipsis_is_any_text() {
    for (shown, printed, expected) in [
        ("one", "one", true),
        ("one", "one two", false),
        ("one…", "one two", true),
        ("…two", "one two", true),
        ("o…t…", "one two", true),
        ("o…t…w", "one two", false),
        ("…a", "", false),
        ("aa…a", "aa", false),
    ] {
        assert_eq!(line_matches(shown, printed), expected, "{shown} {printed}");
    }
    let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    assert!(matches(&lines(&["a", "…", "d"]), &["a", "b", "c", "d"]));
    assert!(matches(&lines(&["a", "…", "b"]), &["a", "b"]));
    assert!(!matches(&lines(&["a", "…", "d"]), &["a", "b"]));
    assert!(!matches(&lines(&["a"]), &["a", "b"]) && !matches(&lines(&["a", "b"]), &["a"]));
}
