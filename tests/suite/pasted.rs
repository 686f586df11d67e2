//! Commands that people paste into a shell. An interactive zsh has no comments and reports patterns that match
//! nothing, so lines with either fail there.

use crate::support::scopegate::scopegate;
use std::fs;
use std::path::{Path, PathBuf};

/// Returns every page.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![
        root.to_owned(),
        root.join("docs"),
        root.join("docs/identity"),
        root.join("docs/recipes"),
        root.join("deploy"),
    ];
    pages = pages
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    pages.retain(|page| page.extension().is_some_and(|end| end == "md"));
    assert!(pages.len() > 10, "{pages:?}");
    pages
}

/// Returns the lines of a page's shell blocks. Those of a `console` begin with `$ ` or `> `; its others are output.
fn shell_lines(page: &str) -> Vec<String> {
    let (mut lines, mut language): (Vec<String>, Option<&str>) = (Vec::new(), None);
    for line in page.lines() {
        match (line.trim_start().strip_prefix("```"), language) {
            (Some(_), Some(_)) => language = None,
            (Some(named), None) => language = Some(named.trim()),
            (None, Some("sh" | "bash" | "zsh" | "shell")) => lines.push(line.trim().to_owned()),
            (None, Some("console")) => {
                let typed = line.strip_prefix("$ ").or_else(|| line.strip_prefix("> "));
                lines.extend(typed.map(str::to_owned));
            }
            (None, _) => {}
        }
    }
    lines
}

/// Returns why an interactive zsh reads a line differently from other shells, if it does.
fn unfit(line: &str) -> Option<&'static str> {
    let mut quote = None;
    let mut before = ' ';
    for c in line.chars() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (None, '#') if before == ' ' => return Some("a comment"),
            (None, '*' | '?' | '[') => return Some("a pattern"),
            (Some('"'), '!') => return Some("a reference to history"),
            _ => {}
        }
        before = c;
    }
    None
}

#[test]
fn detects_lines_that_zsh_misreads() {
    for (line, found) in [
        ("# a comment", Some("a comment")),
        ("curl http://a/b    # what it does", Some("a comment")),
        ("curl http://a/b?c", Some("a pattern")),
        ("curl http://a/b#c", None),
        ("curl 'http://a/b?c#d' # e", Some("a comment")),
        ("curl 'http://a/b?c=*'", None),
        ("echo \"hello!\"", Some("a reference to history")),
    ] {
        assert_eq!(unfit(line), found, "{line}");
    }
    assert_eq!(
        shell_lines(
            "a\n```sh\none\n```\n# b\n  ```toml\n# c\n  ```\n   ```sh\n   two\n   ```\n```console\n$ three\n# d\n> four\n```\n"
        ),
        ["one", "two", "three", "four"]
    );
}

#[test]
fn documented_commands_can_be_pasted_into_zsh() {
    let mut seen = 0;
    for page in pages() {
        for line in shell_lines(&fs::read_to_string(&page).unwrap()) {
            assert_eq!(unfit(&line), None, "{}: {line}", page.display());
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen} lines");
}

#[test]
fn examples_in_help_texts_can_be_pasted_into_zsh() {
    let help = |arguments: &[&str]| String::from_utf8(scopegate(arguments, &[], b"").stdout).unwrap();
    let whole = help(&["--help"]);
    let commands =
        whole.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let commands: Vec<&str> = commands.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(commands.contains(&"serve") && commands.contains(&"health"), "{whole}");
    let mut seen = 0;
    for command in commands {
        let text = help(&[command, "--help"]);
        for line in text.lines().filter(|line| line.trim_start().starts_with("scopegate ")) {
            assert_eq!(unfit(line.trim()), None, "{command}: {line}");
            seen += 1;
        }
    }
    assert!(seen > 5, "{seen} examples");
}
