//! The pages of the documentation that show commands, each run from its first block to its last as its reader would, on
//! the real MinIO.
//!
//! A page consists of prose and of fenced blocks of these kinds:
//!
//! - ```` ```console ```` holds commands (`$ `, continued with `> `), each with what it prints. `…` is any text in a
//!   line, and a line with `…` alone is any number of lines. A command that fails must show what it prints.
//! - ```` ```sh ```` holds commands to paste, each in a line. Each must succeed. Below the comment
//!   `<!-- the last command prints "TEXT" -->` the last one may fail, and must print this text.
//! - ```` ```LANGUAGE FILE ```` is a file that the reader writes.
//! - ```` ```log ```` holds lines of `scopegate serve`, in order.
//! - ```` ```toml ````, `yaml` and `json` are parts of files, ```` ```text ```` is anything else. They are not run, and no other
//!   language is allowed, so no command escapes the test.
//!
//! Below the comment `<!-- not run: REASON -->` a block is not run. [`covered`] knows the reasons, and fails for a page with
//! commands that is not in this list.
//!
//! [`terminal`] says what surrounds the commands: the servers, and the words that are replaced.

mod covered;
mod page;
mod shown;
mod terminal;

use crate::support::scopegate::scopegate;
use page::{End, Page, Step};
use std::env;
use std::fs;
use std::path::Path;
use terminal::Terminal;

/// The MinIO that the reader of a page has.
#[derive(PartialEq, Eq)]
enum Store {
    /// It is empty, and the page sets it up.
    Empty,
    /// It is set up as the README says.
    Seeded,
}

/// Reads a page of the repository.
fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Runs a page. Without one of the programs that it needs, it is not run, or the test fails with `CI=true`.
fn run(path: &str, store: &Store, needs: &[&str]) {
    let mut terminal = if *store == Store::Empty { Terminal::open_empty() } else { Terminal::open() };
    if let Some(missing) = needs.iter().find(|program| !terminal.has(program)) {
        let how = "docs/testing.md lists the packages; `root` is the user that may start processes of others";
        assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "{missing} is missing ({how})");
        eprintln!("not tested: {path}: {missing} is missing ({how})");
        return;
    }
    let page = Page::parse(&read(path)).unwrap_or_else(|why| panic!("{path}:{why}"));
    for (line, step) in &page.steps {
        let done = match step {
            Step::File { name, content } => terminal.write(name, content),
            Step::Command { text, end } => terminal.run(text, end),
            Step::Log { lines } => terminal.expect_log(lines),
        };
        if let Err(why) = done {
            panic!("{path}:{line}: {why}\n--- serve wrote:\n{}", terminal.log());
        }
    }
    terminal.assert_log_without_secrets();
}

/// Declares a test for each page, with the store and the programs that the page needs.
macro_rules! pages {
    ($($test:ident: $path:literal, $store:ident, $needs:expr;)*) => {
        const RUN: &[&str] = &[$($path),*];
        $(#[test]
        fn $test() {
            run($path, &Store::$store, $needs);
        })*
    };
}

pages! {
    the_readme_runs: "README.md", Empty, &["curl", "mc"];
    the_sts_example_runs: "docs/sts-example.md", Empty, &["curl", "mc", "aws"];
    the_recipe_for_sidecars_runs: "docs/recipes/sidecar.md", Seeded, &["curl"];
    the_recipe_for_sites_runs: "docs/recipes/site.md", Seeded, &["curl", "mc"];
    the_recipe_for_pipes_runs: "docs/recipes/pipes.md", Seeded, &["curl", "rclone", "tar"];
    the_recipe_for_passwords_runs: "docs/recipes/passwords.md", Seeded, &["curl", "htpasswd", "mc"];
    the_recipe_for_ci_runs: "docs/recipes/ci.md", Seeded, &["curl", "openssl", "python3", "tar"];
    the_recipe_for_kubernetes_runs: "docs/recipes/kubernetes.md", Seeded, &["helm"];
    the_recipe_for_clients_runs: "docs/recipes/clients.md", Seeded,
        &["curl", "python3", "node", "node_modules/@aws-sdk/client-s3", "aws", "rclone"];
    the_page_on_commands_runs: "docs/commands.md", Seeded, &[];
    the_page_on_cors_runs: "docs/cors.md", Seeded, &[];
    the_page_on_monitoring_runs: "docs/monitoring.md", Seeded, &["promtool"];
    the_page_on_running_runs: "docs/running.md", Seeded, &["openssl"];
    the_page_on_troubleshooting_runs: "docs/troubleshooting.md", Seeded, &[];
    the_page_on_upgrades_runs: "docs/upgrading.md", Seeded, &["curl"];
    the_page_on_identity_runs: "docs/identity/README.md", Seeded, &["curl"];
    the_page_on_unix_sockets_runs: "docs/identity/unix.md", Seeded, &["curl", "runuser", "root"];
    the_page_on_passwords_runs: "docs/identity/basic.md", Seeded, &["curl", "htpasswd"];
    the_page_on_tokens_runs: "docs/identity/bearer.md", Seeded, &["curl"];
    the_page_on_jwts_runs: "docs/identity/jwt.md", Seeded, &["curl", "openssl", "python3"];
    the_page_on_keys_runs: "docs/identity/keys.md", Seeded, &["curl", "aws", "python3", "mc", "rclone", "s5cmd"];
    the_page_on_certificates_runs: "docs/identity/certificates.md", Seeded, &["curl", "openssl"];
    the_page_on_homes_runs: "docs/identity/homes.md", Seeded, &["curl"];
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
        let end = match output {
            ["succeeds"] => End::Succeeds,
            ["prints", text] => End::Prints((*text).to_owned()),
            lines => End::Shows(lines.iter().map(|line| (*line).to_owned()).collect()),
        };
        terminal.run(text, &end).is_ok()
    };
    assert!(run("echo one; echo two", &["one", "two"]));
    assert!(run("echo one; echo two", &["…"]));
    assert!(run("x=3; cd /", &[]) && run("echo $x $PWD", &["3 /"]), "commands share a shell");
    assert!(run("false; echo shown; false", &["shown"]), "a failure that is shown");
    assert!(!run("echo one; echo two", &["one"]) && !run("echo one", &["one", "two"]));
    assert!(!run("echo one", &[]) && !run("true", &["one"]));
    assert!(!run("false", &[]), "a failure that is not shown");
    assert!(!run("no-such-command-anywhere 2> /dev/null", &[]));
    assert!(run("echo one", &["succeeds"]) && !run("echo one; false", &["succeeds"]));
    assert!(run("echo one; false", &["prints", "on"]) && !run("echo one", &["prints", "two"]));
}
