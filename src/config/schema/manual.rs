//! The manual page of the configuration, scopegate-proxy.toml(5).

use super::{Key, Layout, SECTIONS, Section};
use roff::{Inline, Roff, bold, roman};

const ABOUT: &str = "The configuration is one TOML file. Unknown keys are errors. `scopegate check` reports every mistake with \
                     its line, `scopegate init` writes an example, and `scopegate explain` shows what a configuration means for a \
                     request. A duration is written as `1h 30m`, `30s` or `500ms`, and a size as `64KiB` or `5GiB`.";

/// Returns the page in roff.
pub(crate) fn manual() -> String {
    let mut page = Roff::new();
    page.control("TH", ["scopegate-proxy.toml", "5", "", "scopegate"]);
    page.control("SH", ["NAME"]).text([roman("scopegate-proxy.toml - the configuration of scopegate")]);
    page.control("SH", ["DESCRIPTION"]).text(inlines(ABOUT));
    for (name, section) in SECTIONS {
        page.control("SH", [&*name.to_uppercase()]);
        write_section(section, &mut page);
    }
    page.control("SH", ["SEE ALSO"]).text([
        bold("scopegate"),
        roman("(1), "),
        bold("scopegate-check"),
        roman("(1)"),
    ]);
    page.to_roff()
}

fn write_section(section: &Section, page: &mut Roff) {
    let condition = match section.layout {
        Layout::Conditions => "A client matches if, for each key that is given:",
        Layout::Certificates => "For each key that is given, the certificate:",
        Layout::Defaults | Layout::Ranges | Layout::Meanings => "",
    };
    if !condition.is_empty() {
        page.text([roman(condition)]);
    }
    for key in section.keys {
        page.control("TP", []).text([bold(key.name)]);
        page.text(inlines(&said(key, condition.is_empty())));
    }
}

/// Returns what a key means, its range and its default, in Markdown.
fn said(key: &Key, has_default: bool) -> String {
    let (meaning, range) = (key.explained(), key.values.shown());
    let range = if range.is_empty() || meaning.contains(&range) { range } else { format!(", {range}") };
    let range = if range.starts_with(',') { &range } else { "" };
    if has_default { format!("{meaning}{range}. Default: {}", key.default()) } else { meaning }
}

/// Returns Markdown in the fonts of a manual page: code is bold, and of a link the text remains.
fn inlines(markdown: &str) -> Vec<Inline> {
    let mut found = Vec::new();
    for (index, part) in without_links(markdown).split('`').enumerate() {
        found.push(if index % 2 == 1 { bold(part) } else { roman(part) });
    }
    found
}

fn without_links(markdown: &str) -> String {
    let mut text = String::new();
    let mut rest = markdown;
    while let Some((before, after)) = rest.split_once("](") {
        let (head, label) = open_bracket(before);
        text.push_str(head);
        text.push_str(label);
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    text + rest
}

/// Divides the text before a link's address into what is before the link, and its label. A label may contain brackets.
fn open_bracket(text: &str) -> (&str, &str) {
    let mut depth = 0;
    for (at, c) in text.char_indices().rev() {
        match c {
            ']' => depth += 1,
            '[' if depth == 0 => return (text.get(..at).unwrap_or(text), text.get(at + 1..).unwrap_or("")),
            '[' => depth -= 1,
            _ => {}
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_leave_their_text() {
        for (markdown, text) in [
            ("a [b](c) d", "a b d"),
            ("that no [`[[key]]`](#key) has", "that no `[[key]]` has"),
            ("[x](y), [z](w).", "x, z."),
            ("a list `[1]` of", "a list `[1]` of"),
        ] {
            assert_eq!(without_links(markdown), text);
        }
    }

    #[test]
    fn the_manual_has_every_key_with_its_default() {
        let page = manual();
        for (_, section) in SECTIONS {
            for key in section.names() {
                let name = key.replace('-', "\\-");
                assert!(page.contains(&format!("\\fB{name}\\fR")), "{key}: {page}");
            }
        }
        assert!(page.contains("the lifetime of a session, 15m to 12h"), "{page}");
        assert!(!page.contains("](") && !page.contains("{range}") && !page.contains('`'), "{page}");
    }
}
