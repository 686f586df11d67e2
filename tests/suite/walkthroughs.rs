//! The pages of `docs/identity`, each run from its first block to its last as its reader would, on the real MinIO.
//!
//! A page consists of prose and of fenced blocks of these kinds:
//!
//! - ```` ```console ```` holds commands (`$ `, continued with `> `), each with what it prints. `…` is any text in a
//!   line, and a line with `…` alone is any number of lines. A command that fails must show what it prints.
//! - ```` ```LANGUAGE FILE ```` is a file that the reader writes.
//! - ```` ```log ```` holds lines of `scopegate serve`, in order.
//! - ```` ```toml ```` is a part of a configuration, ```` ```text ```` is anything else. Neither is run, and no other
//!   language is allowed, so no command escapes the test.
//!
//! [`terminal`] says what surrounds the commands: the servers, and the words that are replaced.

mod page;
mod shown;
mod terminal;

use crate::support::scopegate::scopegate;
use page::{Page, Step};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use terminal::Terminal;

/// Returns the folder of the pages.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/identity")
}

/// Runs a page. Without one of the programs that it needs, it is not run, or the test fails with `CI=true`.
fn run(name: &str, needs: &[&str]) {
    let mut terminal = Terminal::open();
    if let Some(missing) = needs.iter().find(|program| !terminal.has(program)) {
        let how = "docs/testing.md lists the packages; `root` is the user that may start processes of others";
        assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "{missing} is missing ({how})");
        eprintln!("not tested: docs/identity/{name}.md: {missing} is missing ({how})");
        return;
    }
    let text = fs::read_to_string(folder().join(format!("{name}.md"))).unwrap();
    let page = Page::parse(&text).unwrap_or_else(|why| panic!("docs/identity/{name}.md:{why}"));
    assert!(page.commands() > 3, "docs/identity/{name}.md has {} commands", page.commands());
    for (line, step) in &page.steps {
        let done = match step {
            Step::File { name, content } => terminal.write(name, content),
            Step::Command { text, output } => terminal.run(text, output),
            Step::Log { lines } => terminal.expect_log(lines),
        };
        if let Err(why) = done {
            panic!("docs/identity/{name}.md:{line}: {why}\n--- serve wrote:\n{}", terminal.log());
        }
    }
    terminal.assert_log_without_secrets();
}

/// Declares a test for each page, with the programs that the page needs.
macro_rules! pages {
    ($($test:ident: $name:literal, $needs:expr;)*) => {
        const NAMES: &[&str] = &[$($name),*];
        $(#[test]
        fn $test() {
            run($name, $needs);
        })*
    };
}

pages! {
    the_page_on_identity_runs: "README", &["curl"];
    the_page_on_unix_sockets_runs: "unix", &["curl", "runuser", "root"];
    the_page_on_passwords_runs: "basic", &["curl", "htpasswd"];
    the_page_on_tokens_runs: "bearer", &["curl"];
    the_page_on_jwts_runs: "jwt", &["curl", "openssl", "python3"];
    the_page_on_keys_runs: "keys", &["curl", "aws", "python3", "mc", "rclone", "s5cmd"];
    the_page_on_certificates_runs: "certificates", &["curl", "openssl"];
    the_page_on_homes_runs: "homes", &["curl"];
}

#[test]
fn every_page_is_run() {
    let mut found: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let mut named: Vec<&str> = NAMES.to_vec();
    found.sort();
    named.sort_unstable();
    assert_eq!(found, named);
}

/// The README shows the most wanted set-ups as lines to add to its configuration.
#[test]
fn the_set_ups_of_the_readme_are_valid() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (before, after) = readme.split_once("\n## Know who is calling\n").unwrap();
    let (section, _) = after.split_once("\n## ").unwrap();
    let blocks = |text: &str| -> Vec<String> {
        let blocks = text.split("```toml\n").skip(1);
        blocks.map(|rest| rest.split_once("```").unwrap().0.replace("\n   ", "\n")).collect()
    };
    let [configuration] = &blocks(before)[..] else { panic!("the README shows one whole configuration") };
    let set_ups = blocks(section);
    assert_eq!(set_ups.len(), 2, "{set_ups:?}");
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("proxy.toml");
    for set_up in set_ups {
        assert_eq!(set_up.lines().count(), 5, "{set_up}");
        fs::write(&file, format!("{set_up}{configuration}")).unwrap();
        let arguments = ["check", "--without-secrets", "--config", file.to_str().unwrap()];
        let output = scopegate(&arguments, &[], b"");
        assert!(output.status.success(), "{set_up}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The files in `deploy` have listeners with TLS in comments.
#[test]
fn the_shipped_configurations_are_valid_with_tls() {
    let folder = tempfile::TempDir::new().unwrap();
    for name in ["kubernetes", "systemd"] {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name).join("proxy.toml");
        let text = fs::read_to_string(shipped).unwrap();
        let (before, commented) = text.split_once("\n# [[listener]]\n").unwrap();
        let lines = commented.lines().map(|line| line.strip_prefix('#').unwrap().trim_start());
        let text = format!("{before}\n[[listener]]\n{}\n", lines.collect::<Vec<_>>().join("\n"));
        let file = folder.path().join("proxy.toml");
        fs::write(&file, &text).unwrap();
        let arguments = ["check", "--without-secrets", "--config", file.to_str().unwrap()];
        let output = scopegate(&arguments, &[], b"");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
        assert!(!said.contains("warning"), "{name}: {said}");
    }
}

/// Without these, a page that is wrong could pass.
#[test]
fn a_page_that_shows_something_else_fails() {
    let mut terminal = Terminal::open();
    let mut run = |text: &str, output: &[&str]| {
        let output: Vec<String> = output.iter().map(|line| (*line).to_owned()).collect();
        terminal.run(text, &output).is_ok()
    };
    assert!(run("echo one; echo two", &["one", "two"]));
    assert!(run("echo one; echo two", &["…"]));
    assert!(run("x=3; cd /", &[]) && run("echo $x $PWD", &["3 /"]), "commands share a shell");
    assert!(run("false; echo shown; false", &["shown"]), "a failure that is shown");
    assert!(!run("echo one; echo two", &["one"]) && !run("echo one", &["one", "two"]));
    assert!(!run("echo one", &[]) && !run("true", &["one"]));
    assert!(!run("false", &[]), "a failure that is not shown");
    assert!(!run("no-such-command-anywhere 2> /dev/null", &[]));
}
