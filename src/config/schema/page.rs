//! The tables of keys in docs/reference/configuration.md and docs/commands.md.

use super::{Key, Layout, SECTIONS, Section, TEST, grouped};
use std::fs;
use std::path::Path;

const REFERENCE: &str = "docs/reference/configuration.md";
const COMMANDS: &str = "docs/commands.md";

/// Returns the table of a section in Markdown.
fn table(section: &Section) -> String {
    let head = match section.layout {
        Layout::Defaults => "| key | default | meaning |\n|---|---|---|\n",
        Layout::Ranges => "| key | default | range | bounds |\n|---|---|---|---|\n",
        Layout::Conditions => "| key | a client matches if |\n|---|---|\n",
        Layout::Certificates => "| key | the certificate |\n|---|---|\n",
        Layout::Meanings => "| key | meaning |\n|---|---|\n",
    };
    section.keys.iter().fold(head.to_owned(), |text, key| text + &row(key, section.layout))
}

fn row(key: &Key, layout: Layout) -> String {
    // A `|` would end the table cell.
    let meaning = key.explained().replace('|', "\\|");
    let (default, range) = (key.default(), key.values.shown());
    let name = key.name;
    match layout {
        Layout::Defaults => format!("| `{name}` | {default} | {meaning} |\n"),
        Layout::Ranges => format!("| `{name}` | {default} | {range} | {meaning} |\n"),
        Layout::Conditions | Layout::Certificates | Layout::Meanings => format!("| `{name}` | {meaning} |\n"),
    }
}

/// Returns a page with the current tables between its marks.
fn written(page: &str, path: &str, sections: &[(&str, &Section)]) -> String {
    sections.iter().fold(page.to_owned(), |text, (name, section)| {
        let begin = format!("<!-- keys of {name}: from src/config/schema -->\n");
        let (before, rest) =
            text.split_once(&begin).unwrap_or_else(|| panic!("{path} has no mark {}", begin.trim()));
        let (_, after) =
            rest.split_once("<!-- /keys -->").unwrap_or_else(|| panic!("{path} has no end of {name}"));
        format!("{before}{begin}{}<!-- /keys -->{after}", table(section))
    })
}

#[test]
fn the_pages_show_the_keys_of_the_table() {
    let pages: [(&str, &[(&str, &Section)]); 2] =
        [(REFERENCE, &SECTIONS), (COMMANDS, &[("[[test]]", &TEST)])];
    for (path, sections) in pages {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let page = fs::read_to_string(&file).unwrap();
        let current = written(&page, path, sections);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&file, &current).unwrap();
        } else {
            assert!(page == current, "{path} is not what src/config/schema gives: run with UPDATE_DOCS=1");
        }
    }
}

#[test]
fn ranges_are_written_as_people_write_them() {
    for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_000_000, "1,000,000")] {
        assert_eq!(grouped(number), text);
    }
}
