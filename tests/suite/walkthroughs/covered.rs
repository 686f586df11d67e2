//! Every block of commands in the documentation is run, or says why it is not. These tests need no MinIO.

use super::page::Page;
use super::{RUN, read};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The reasons for which a block may not be run. Add one only if no test can run the commands.
const REASONS: &[&str] = &[
    "it builds programs",
    "it changes the whole machine",
    "it is a part of a program",
    "it needs a Kubernetes cluster",
    "it needs a container registry",
    "it needs another machine",
    "it needs systemd",
    "it runs the tests",
    "it shows a command that the page runs later",
];

/// Collects the paths of the pages in a folder, relative to the repository.
fn pages(folder: &str, into: &mut Vec<String>) {
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap().map(Result::unwrap)
    {
        let name = entry.file_name().into_string().unwrap();
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        if entry.path().is_dir() && !folder.is_empty() {
            pages(&path, into);
        } else if entry.path().extension().is_some_and(|ending| ending == "md") {
            into.push(path);
        }
    }
}

fn all_pages() -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["", "docs", "deploy"] {
        pages(folder, &mut found);
    }
    assert!(found.len() > 30, "{found:?}");
    found
}

#[test]
fn every_block_of_commands_is_run_or_says_why_not() {
    let mut wrong = Vec::new();
    for path in all_pages() {
        match Page::parse(&read(&path)) {
            Err(why) => {
                wrong.push(format!("{path}:{why}: add a comment `<!-- not run: REASON -->` above it"));
            }
            Ok(page) if page.commands() > 0 && !RUN.contains(&&*path) => {
                let line = page.steps.first().map_or(0, |(line, _)| *line);
                let help = "add the page to the list in tests/suite/walkthroughs.rs";
                wrong.push(format!("{path}:{line}: no test runs these commands: {help}"));
            }
            Ok(page) if page.commands() == 0 && RUN.contains(&&*path) => {
                wrong.push(format!("{path} is in the list of pages that are run, and has no command"));
            }
            Ok(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A reason that anyone may write excuses everything.
#[test]
fn the_reasons_for_not_running_a_block_are_known_and_used() {
    let mut used = BTreeSet::new();
    for path in all_pages() {
        for (line, reason) in Page::parse(&read(&path)).unwrap_or_else(|why| panic!("{path}:{why}")).not_run {
            assert!(REASONS.contains(&&*reason), "{path}:{line}: {reason:?}, expected one of {REASONS:#?}");
            used.insert(reason);
        }
    }
    let known: BTreeSet<String> = REASONS.iter().map(|reason| (*reason).to_owned()).collect();
    assert_eq!(used, known);
}
