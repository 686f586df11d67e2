//! A configuration is either accepted or rejected with mistakes at places that exist, and no message contains a secret.

use scopegate::internals::{Config, ConfigError, Diagnostic, Environment, Place, ReadError, Secret};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

pub(crate) const WORDS: &[&[u8]] = &[
    b"\n",
    b"[[listener]]\n",
    b"[admin]\n",
    b"[upstream]\n",
    b"[issuer]\n",
    b"[[mapping]]\n",
    b"[[mapping.scope]]\n",
    b"[mapping.cors]\n",
    b"origins = [\"https://a.example\"]\n",
    b"[limits]\n",
    b"[log]\n",
    b"name = \"a\"\n",
    b"address = \"127.0.0.1:0\"\n",
    b"address = \"unix:/run/s.sock\"\n",
    b"endpoints = []\n",
    b"region = \"r\"\n",
    b"client = { network = [\"::1/128\"] }\n",
    b"session = \"15m\"\n",
    b"bucket = \"tmp\"\n",
    b"prefix = \"a/\"\n",
    b"allow = [\"read\"]\n",
    b"max_object_size = \"5GiB\"\n",
    b"mint = \"start\"\n",
    b"access_key = ",
    b"secret_key = ",
    b"{ env = \"SCOPEGATE_SECRET_KEY\" }\n",
    b"{ file = \"/run/secrets/scopegate\" }\n",
    b"\"HUSH-WRITTEN-HUSH\"\n",
    b"'''",
    b"\"\"\"",
    b"= ",
    b"{",
    b"}",
    b"[",
    b"]",
    b"-1",
    b"0",
    b"99999999999999999999",
    b"1e400",
    b"1979-05-27",
    b"true",
    b"\\u0000",
    b"\\",
    b"\xc3\xbc",
    b"\xef\xbb\xbf",
    b"../",
    b"${aws:username}",
    b"*",
    b"hosts = [\"a\"]\n",
    b"domain = \"s3.example.test\"\n",
    b"workers = 2\n",
    b"format = \"json\"\n",
    b"role_arn = \"a\"\n",
    b"drain_timeout = \"1s\"\n",
];

/// The content of every environment variable and file.
const SECRET: &str = "HUSH-KEPT-HUSH";
/// The secret that replaces a variable's or file's content.
const WRITTEN: &str = "HUSH-WRITTEN-HUSH";

struct Fake;

impl Environment for Fake {
    fn variable(&self, name: &str) -> Result<Secret, ReadError> {
        let known = name.starts_with("SCOPEGATE_").then(|| Secret::new(SECRET.into()));
        known.ok_or_else(|| ReadError { message: "it is not set".into(), help: "set it".into() })
    }

    fn file(&self, path: &Path) -> Result<Secret, ReadError> {
        let known = path.starts_with("/run/secrets").then(|| Secret::new(SECRET.into()));
        known.ok_or_else(|| ReadError { message: "it cannot be read".into(), help: "write it".into() })
    }
}

pub(crate) fn check(input: &[u8]) -> String {
    let Ok(source) = std::str::from_utf8(input) else { return "not UTF-8".to_owned() };
    match Config::parse(source, &Fake) {
        Ok(config) => {
            check_config(&config);
            format!("{} {} {}", config.listeners.len(), config.mappings.len(), config.admin.is_some())
        }
        Err(diagnostics) => {
            check_diagnostics(&diagnostics, source);
            let mut messages: Vec<String> = diagnostics.iter().map(|found| outline(&found.message)).collect();
            messages.dedup();
            messages.join("; ")
        }
    }
}

/// Returns a message without its quotations.
fn outline(message: &str) -> String {
    message.split('"').step_by(2).collect()
}

fn check_config(config: &Config) {
    assert!(
        !config.listeners.is_empty() && !config.mappings.is_empty() && !config.upstream.endpoints.is_empty()
    );
    let listeners: HashSet<&str> = config.listeners.iter().map(|listener| &*listener.name).collect();
    let mappings: HashSet<&str> = config.mappings.iter().map(|mapping| &*mapping.name).collect();
    assert_eq!(
        (listeners.len(), mappings.len()),
        (config.listeners.len(), config.mappings.len()),
        "a name occurs twice"
    );
    for mapping in &config.mappings {
        assert!(!mapping.scopes.is_empty());
        for scope in &mapping.scopes {
            let prefix = scope.prefix.as_str();
            assert!(
                prefix.is_empty() || (prefix.ends_with('/') && !prefix.contains(['*', '?', '\\'])),
                "{prefix:?}"
            );
            assert_ne!(scope.allow.to_string(), "", "a scope that allows nothing");
        }
    }
    assert!(!format!("{config:?}").contains(SECRET), "the debug output contains a secret");
}

fn check_diagnostics(diagnostics: &[Diagnostic], source: &str) {
    assert!(!diagnostics.is_empty(), "it is rejected without a message");
    assert!(
        diagnostics.is_sorted_by_key(|found| found.place.as_ref().map(|place| (place.line, place.column))),
        "not in the order of their places"
    );
    let lines: Vec<&str> = source.split('\n').collect();
    // A message may quote keys and values of other tables, but no value of [issuer].
    let written = ["access_key = ", "secret_key = "].iter().any(|key| {
        let line = format!("\n[issuer]\n{key}\"{WRITTEN}\"\n");
        source.contains(&line)
            && source.matches(WRITTEN).count() == 1
            && !source.contains(['\'', '\\'])
            && !source.contains("\"\"\"")
    });
    for Diagnostic { place, message, help, .. } in diagnostics {
        if let Some(Place { line, column, .. }) = place {
            let width = lines.get(line.wrapping_sub(1)).expect("a line of the source").chars().count();
            assert!((1..=width + 1).contains(column), "{line}:{column}");
        }
        assert!(!message.is_empty() && !help.is_empty());
    }
    let error = ConfigError::Wrong(PathBuf::from("proxy.toml"), diagnostics.to_vec());
    for told in [error.to_string(), error.draw()] {
        assert!(!told.contains(SECRET), "a secret is told");
        assert!(!written || !told.contains(WRITTEN), "a secret that was written down is told");
    }
    let unstyled = anstream::adapter::strip_str(&error.draw()).to_string();
    assert!(!unstyled.contains(|c: char| c.is_control() && c != '\n'), "{unstyled:?} is not safe to print");
}
