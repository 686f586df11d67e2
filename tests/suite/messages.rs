//! The messages of the log that need an operator: docs/troubleshooting.md has each, and no other.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Collects the sources below a folder, without their unit tests.
fn sources(folder: &Path, into: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(path).unwrap();
            into.push(text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned());
        }
    }
}

/// Returns the messages of the warnings and errors that a source logs. Those that are put together from parts are left
/// out: no page can have them word by word.
fn logged(source: &str) -> Vec<&str> {
    let calls = ["warn!(", "error!("].into_iter().flat_map(|name| source.split(name).skip(1));
    calls.filter_map(|rest| last_text(arguments(rest))).filter(|text| !text.contains('{')).collect()
}

/// Returns the text up to the parenthesis that closes a call.
fn arguments(rest: &str) -> &str {
    let (mut depth, mut in_text, mut escaped) = (1, false, false);
    for (at, c) in rest.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => in_text = !in_text,
            '(' if !in_text => depth += 1,
            ')' if !in_text => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &rest[..at];
        }
    }
    rest
}

/// Returns the text with which the arguments end.
fn last_text(arguments: &str) -> Option<&str> {
    let text = arguments.trim_end().trim_end_matches(',').strip_suffix('"')?;
    text.rsplit_once('"').map(|(_, text)| text)
}

/// Returns the messages in the table of the page.
fn explained(page: &str) -> Vec<&str> {
    let (_, section) = page.split_once("\n## By message of the log\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect()
}

#[test]
fn every_message_that_needs_an_operator_is_explained() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = Vec::new();
    sources(&root.join("src"), &mut texts);
    let logged: BTreeSet<&str> = texts.iter().flat_map(|text| logged(text)).collect();
    let page = fs::read_to_string(root.join("docs/troubleshooting.md")).unwrap();
    let explained: BTreeSet<&str> = explained(&page).into_iter().collect();
    let missing: Vec<_> = logged.difference(&explained).collect();
    let unknown: Vec<_> = explained.difference(&logged).collect();
    assert!(missing.is_empty(), "docs/troubleshooting.md does not explain: {missing:#?}");
    assert!(unknown.is_empty(), "docs/troubleshooting.md explains what is not logged: {unknown:#?}");
    assert!(logged.len() > 20, "{logged:?}");
}

#[test]
fn finds_the_messages_of_a_source() {
    let source = "warn!(%error, help = \"no\", \"one (1)\");\ntracing::error!(\n    a = f(x),\n    \"two\",\n);\nwarn!(\"{said}\");\n\
                  info!(\"three\"); error!(%error);";
    assert_eq!(logged(source), ["one (1)", "two"]);
}
