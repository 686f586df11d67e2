//! References in documentation and code: each names an existing page, heading or note.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Collects the files below a folder whose names end with one of `endings`.
fn files(folder: &Path, endings: &[&str], into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            files(&path, endings, into);
        } else if path.extension().is_some_and(|ending| endings.iter().any(|one| ending == *one)) {
            into.push(path);
        }
    }
}

fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    files(&root().join("docs"), &["md"], &mut pages);
    for entry in fs::read_dir(root()).unwrap().map(Result::unwrap) {
        if entry.path().extension().is_some_and(|ending| ending == "md") {
            pages.push(entry.path());
        }
    }
    pages
}

/// Returns the lines of a page outside code blocks.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    page.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        !in_code && !is_fence
    })
}

/// Returns the anchors of a page's headings, in GitHub's form.
fn anchors(page: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for heading in prose(page).filter_map(|line| line.strip_prefix('#')) {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let numbered = (1..).map(|number| format!("{anchor}-{number}"));
        let free = std::iter::once(anchor.clone()).chain(numbered).find(|name| !found.contains(name));
        found.extend(free);
    }
    found
}

/// Returns what is wrong with a link from a folder, if anything.
fn check(link: &str, page: &Path, folder: &Path) -> Option<String> {
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let target = if file.is_empty() { page.to_path_buf() } else { folder.join(file) };
    let wrong = |why: &str| Some(format!("{}: {link}: {why}", page.display()));
    if !target.exists() {
        return wrong("there is no such file");
    }
    let anchor = anchor.filter(|_| target.extension().is_some_and(|ending| ending == "md"))?;
    let known = anchors(&fs::read_to_string(target).unwrap());
    if known.contains(anchor) { None } else { wrong("there is no such heading") }
}

#[test]
fn links_between_pages_resolve() {
    let mut count = 0;
    let mut wrong = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let links =
            prose(&text).flat_map(|line| line.split("](").skip(1)).filter_map(|rest| rest.split_once(')'));
        for (link, _) in links.filter(|(link, _)| !link.contains("://")) {
            count += 1;
            wrong.extend(check(link, &page, page.parent().unwrap()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count > 60, "only {count} links were found");
}

/// Messages, comments and shipped configurations name pages by their path from the root.
#[test]
fn pages_named_in_code_exist() {
    let mut named = vec![root().join("proxy.toml")];
    files(&root().join("src"), &["rs"], &mut named);
    files(&root().join("deploy"), &["toml", "yaml"], &mut named);
    let mut count = 0;
    let mut wrong = Vec::new();
    for file in named {
        let text = fs::read_to_string(&file).unwrap();
        for rest in text.split("docs/").skip(1) {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '/' | '.' | '#' | '-'));
            let name = rest.get(..end.unwrap_or(rest.len())).unwrap().trim_end_matches('.');
            if name.contains(".md") {
                count += 1;
                wrong.extend(check(&format!("docs/{name}"), &file, root()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count > 5, "only {count} names were found");
}

/// Returns the words of a text, without line breaks, comment markers and backslashes.
fn words(text: &str) -> String {
    let words: Vec<&str> =
        text.split_whitespace().filter(|word| !matches!(*word, "//" | "///" | "//!")).collect();
    words.join(" ").replace('\\', "")
}

/// Comments cite a change in docs/performance.md by the words of its row, so that a reader can find its effect.
#[test]
fn quoted_performance_notes_exist() {
    let page = words(&fs::read_to_string(root().join("docs/performance.md")).unwrap());
    let mut sources = Vec::new();
    files(&root().join("src"), &["rs"], &mut sources);
    files(&root().join("crates"), &["rs"], &mut sources);
    let mut count = 0;
    let mut wrong = Vec::new();
    for file in sources {
        let text = words(&fs::read_to_string(&file).unwrap());
        for quoted in text.split("docs/performance.md, \"").skip(1) {
            count += 1;
            let (note, _) = quoted.split_once('"').unwrap();
            if !page.contains(note) {
                wrong.push(format!("{}: docs/performance.md has no {note:?}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count > 10, "only {count} notes were found");
}
