//! The table of keys is what the reader reads: each key, and each default.

use super::{Default, SECTIONS, Section, TEST, TESTS};
use crate::config::tests::{EXAMPLE, Fake};
use crate::config::{Config, read_tests};
use std::fs;
use std::path::Path;

/// Returns a configuration that ends in the header of a section, by the name of the section in the reference.
fn begun(name: &str) -> &'static str {
    match name {
        "the file" | "a file of tests" => "",
        "a secret" => "[issuer.access_key]\n",
        "[[listener]]" => "[[listener]]\n",
        "tls of [[listener]]" => "[[listener]]\n[listener.tls]\n",
        "a certificate" => "[upstream.tls.certificate]\n",
        "proxy_protocol of [[listener]]" => "[[listener]]\n[listener.proxy_protocol]\n",
        "forwarded of [[listener]]" => "[[listener]]\n[listener.forwarded]\n",
        "[admin]" => "[admin]\n",
        "[upstream]" => "[upstream]\n",
        "tls towards servers" => "[upstream.tls]\n",
        "[issuer]" => "[issuer]\n",
        "[[user]]" => "[[user]]\n",
        "users and tokens" => "[users]\n",
        "[[token]]" => "[[token]]\n",
        "[[key]]" => "[[key]]\n",
        "[[jwt]]" => "[[jwt]]\n",
        "jwks" => "[[jwt]]\n[jwt.jwks]\n",
        "[[mapping]]" => "[[mapping]]\n",
        "client" => "[[mapping]]\n[mapping.client]\n",
        "certificate of client" => "[[mapping]]\n[mapping.client.certificate]\n",
        "jwt of client" => "[[mapping]]\n[mapping.client.jwt]\n",
        "claims" => "[[mapping]]\n[[mapping.client.jwt.claims]]\n",
        "[[mapping.scope]]" => "[[mapping]]\n[[mapping.scope]]\n",
        "[mapping.cors]" => "[[mapping]]\n[mapping.cors]\n",
        "[limits]" => "[limits]\n",
        "[log]" => "[log]\n",
        "[traces]" => "[traces]\n",
        "[[test]]" => "[[test]]\n",
        _ => panic!("say how {name} is written"),
    }
}

/// Returns what is wrong with a file of the kind that a section belongs to.
fn mistakes(name: &str, source: &str) -> Vec<String> {
    if matches!(name, "[[test]]" | "a file of tests") {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("tests.toml");
        fs::write(&file, source).unwrap();
        let wrong = read_tests(&file).unwrap_err();
        return wrong.to_string().lines().map(str::to_owned).collect();
    }
    let wrong = Config::parse(source, &Fake).unwrap_err();
    wrong.into_iter().map(|mistake| mistake.message).collect()
}

/// A key of the table that nothing reads would be accepted without any effect.
#[test]
fn every_key_is_read() {
    let of_tests = [("[[test]]", &TEST), ("a file of tests", &TESTS)];
    for (name, section) in SECTIONS.into_iter().chain(of_tests) {
        for key in section.names() {
            // No key has a list of lists of numbers.
            let found = mistakes(name, &format!("{}{key} = [[1]]\n", begun(name)));
            let told = found.iter().any(|mistake| {
                mistake.contains(key) && !mistake.contains("unknown key") && !mistake.contains(" has no ")
            });
            assert!(told, "{key} of {name}: {found:#?}");
        }
        let found = mistakes(name, &format!("{}no_such_key = [[1]]\n", begun(name)));
        let told = found.iter().any(|mistake| mistake.contains("unknown key \"no_such_key\""));
        assert!(told, "{name}: {found:#?}");
    }
}

/// Returns a valid configuration in which `@` is where a key of the section can be added.
fn whole(name: &str) -> String {
    let after = |header: &str, more: &str| EXAMPLE.replacen(header, &format!("{header}@\n{more}"), 1);
    match name {
        "[[listener]]" => after("[[listener]]\n", ""),
        "[upstream]" => EXAMPLE.replace("region    = \"us-east-1\"", "@"),
        "[[key]]" => format!(
            "{EXAMPLE}[[key]]\naccess_key = \"SGREPORTS\"\nsecret_key = {{ file = \"/run/secrets/long\" }}\n@\n"
        ),
        "[[jwt]]" => format!(
            "{EXAMPLE}[[jwt]]\nname = \"corp\"\nissuer = \"https://id.example.test/\"\naudience = \"scopegate\"\n@\n"
        ),
        "[[mapping]] of homes" => whole("[[key]]")
            .replace('@', "")
            .replacen("[[mapping]]\n", "[[mapping]]\n@\n", 1)
            .replace("client  = {", "client  = { key = \"*\",")
            .replace("\"media/\"", "\"{key}/\""),
        "[[mapping]]" => EXAMPLE.replace("session = \"15m\"", "@"),
        "[mapping.cors]" => format!("{EXAMPLE}[mapping.cors]\norigins = \"https://a.example.test\"\n@\n"),
        "[limits]" => format!("{EXAMPLE}[limits]\n@\n"),
        "[log]" => format!("{EXAMPLE}[log]\n@\n"),
        "[traces]" => format!(
            "{EXAMPLE}[traces]\nendpoint = \"http://otel:4318/v1/traces\"\n\
             authorization = {{ env = \"SCOPEGATE_ACCESS_KEY\" }}\n@\n"
        ),
        _ => panic!("say how a whole configuration with {name} is written"),
    }
}

/// A wrong default misleads readers of the reference, who leave the key out.
#[test]
fn the_defaults_are_those_of_the_reader() {
    let mut count = 0;
    for (name, section) in SECTIONS {
        for (key, value) in defaults(section) {
            let name = match (name, key) {
                // The certificates of a listener are files: the tests of `tls` show these defaults.
                ("tls of [[listener]]", _) => continue,
                ("[[mapping]]", "identities") => "[[mapping]] of homes",
                _ => name,
            };
            let config = |line: &str| {
                let source = whole(name).replace('@', line);
                let config = Config::parse(&source, &Fake);
                format!("{:#?}", config.unwrap_or_else(|wrong| panic!("{source}\n{wrong:#?}")))
            };
            assert_eq!(config(&format!("{key} = {value}")), config(""), "{key} of {name}");
            count += 1;
        }
    }
    assert!(count > 40, "{count} defaults were compared");
}

fn defaults(section: &Section) -> Vec<(&'static str, &'static str)> {
    let value = |key: &'static super::Key| match key.default {
        Default::Value(value, _) => Some((key.name, value)),
        Default::Required | Default::Else(_) => None,
    };
    section.keys.iter().filter_map(value).collect()
}

/// A section that is not in the list is in no page, and its keys are not tested.
#[test]
fn every_section_is_listed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/schema");
    let sources =
        fs::read_dir(folder).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let count: usize = sources.map(|text| text.matches("\npub(in crate::config) static ").count()).sum();
    // Two are of files of tests.
    assert_eq!(count, SECTIONS.len() + 2);
}
