//! Tests of how mistakes are shown: on a terminal, in the log, and never with a secret.

use super::*;
use proptest::prelude::*;

/// Draws the mistakes in a file, without colours.
fn drawn(source: &str) -> String {
    let mistakes = Config::parse(source, &Fake).unwrap_err();
    anstream::adapter::strip_str(&ConfigError::Wrong("proxy.toml".into(), mistakes).draw()).to_string()
}

#[test]
fn mistakes_are_drawn_with_their_lines() {
    let source = EXAMPLE.replace("us-east-1", "us east").replace("[admin]", "[admn]");
    assert_eq!(
        drawn(&source),
        r#"error: unknown key "admn" in the file
 --> proxy.toml:5:2
  |
5 | [admn]
  |  ^^^^
  |
  = help: did you mean "admin"?

error: "us east" is not a valid region
  --> proxy.toml:10:13
   |
10 | region    = "us east"
   |             ^^^^^^^^^
   |
   = help: write the store's region, such as "us-east-1"
"#
    );
    let without = EXAMPLE.split("[[mapping]]").next().unwrap();
    assert_eq!(
        drawn(without),
        "error: there is no [[mapping]]\n--> proxy.toml\n = help: add one: without a mapping every client is refused\n"
    );
}

#[test]
fn mistakes_have_one_line_each_in_the_log() {
    let source = EXAMPLE.replace("us-east-1", "us\\u001b east").replace("[admin]", "[admn]");
    let error = ConfigError::Wrong("a\n.toml".into(), Config::parse(&source, &Fake).unwrap_err());
    assert_eq!(
        error.to_lines(),
        [
            "a␊.toml:5:2: unknown key \"admn\" in the file; did you mean \"admin\"?",
            "a␊.toml:10:13: \"us\\u{1b} east\" is not a valid region; write the store's region, such as \"us-east-1\"",
        ]
    );
}

#[test]
fn invalid_toml_is_drawn_like_every_mistake() {
    let told = drawn(&EXAMPLE.replace("\"us-east-1\"", "\"us-east-1"));
    assert!(told.contains("error: invalid TOML: "), "{told}");
    assert!(told.contains("10 | region    = \"us-east-1\n"), "{told}");
}

#[test]
fn control_characters_of_a_file_do_not_reach_the_terminal() {
    let source = EXAMPLE.replace("\"us-east-1\"", "\"\u{1b}[2J\u{202e}\u{9b}\" # \u{1b}]0;title\u{7}");
    let told = drawn(&source);
    assert!(told.contains("region    = \"␛[2J"), "{told}");
    assert!(!told.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'), "{told:?}");
}

proptest! {
    #[test]
    fn parsing_never_panics(source in "\\PC{0,200}") {
        let _ = Config::parse(&source, &Fake);
    }

    /// No message shows a secret, wherever in [issuer] it is pasted.
    #[test]
    fn a_pasted_secret_is_never_shown(secret in "[A-Za-z0-9/+]{20,40}", place in 0..13_usize) {
        let line = [
            format!("access_key = \"{secret}\""),
            format!("access_key = {secret}"),
            format!("access_key = '{secret}"),
            format!("access_key = {{ value = \"{secret}\" }}"),
            format!("access_key = [\"{secret}\"]"),
            format!("acces_key = \"{secret}\""),
            format!("access_key = {{ env = [\"{secret}\"] }}"),
            format!("access_key = [\n  [\"{secret}\"]\n]"),
            format!("access_key = \"\"\"\n{secret}\n\"\"\""),
            format!("access_key = 1 # {secret}"),
            format!("access_key = {{ env = \"NONE\" }} # {secret}"),
            format!("\"access_key\" = \"{secret}"),
            secret.clone(),
        ][place].clone();
        let source = EXAMPLE.replace("access_key = { env = \"SCOPEGATE_ACCESS_KEY\" }", &line);
        for message in mistakes(&source) {
            prop_assert!(!message.contains(&secret), "{message}");
        }
        let told = drawn(&source);
        prop_assert!(!told.contains(&secret), "{told}");
    }
}

/// Wherever else somebody pastes it, and however the tables are spelled, no message shows it either.
#[test]
fn a_pasted_secret_is_not_shown_elsewhere() {
    let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    let keys = "access_key = { env = \"SCOPEGATE_ACCESS_KEY\" }        # or { file = \"...\" }\nsecret_key = { file = \"/run/secrets/scopegate\" }";
    let upstream = EXAMPLE.replace("[upstream]", "[upstream]\n@");
    let issuer = EXAMPLE.replace(keys, "@");
    let header = EXAMPLE.replace(keys, "").replace("[issuer]", "@");
    let root = format!("@\n{header}").replacen("\n@\n", "\n", 1);
    let shown = [
        (&header, format!("[issuer] secret_key = \"{secret}\"")),
        (&header, format!("[issuer] # {secret}\nx = 1")),
        (&header, format!("['issuer']\nkey = \"{secret}")),
        (&header, format!("[ISSUER]\nkey = \"{secret}")),
        (&header, format!("[credentials]\nkey = \"{secret}")),
        (&header, format!("[upstream.issuer]\nname = \"{secret}")),
        (&header, format!("[[issuer]]\nsecret_key = \"{secret}\"")),
        (&root, format!("\"issuer\" = {{ secret_key = \"{secret}\" }}")),
        (&root, format!("isuer = {{ secret_key = \"{secret}\" }}")),
        (&root, format!("credentials = {{ secret_key = \"{secret}\" }}")),
        (&root, format!("issuer = {{ key = \"{secret}\" }}")),
        (&root, format!("issuer = {{\n  access_key = {{\n  value = \"{secret}\" }} }}")),
        (&root, format!("issuer.access_key = {{\n  value = \"{secret}\"\n}}")),
        (&root, format!("issuer.secret_key = \"\"\"\n{secret}\\q\n\"\"\"")),
        (&root, format!("\"issuer\".access_key = [\n \"{secret}\",\n [\"{secret}\"]]")),
        (&root, format!("issuer . 'secret_key' = '{secret}'")),
        (&root, format!("MINIO_ROOT_PASSWORD={secret}")),
        (&root, format!("\u{feff}[issuer]\nkey = \"{secret}")),
        (&root, format!("\u{feff}secret_key = \"{secret}")),
        (&upstream, format!("secret_key = \"\"\"\n{secret}\\q\n\"\"\"")),
        (&upstream, format!("credentials = {{\n id = \"{secret}\\q\" }}")),
        (&upstream, format!("key = \"{secret}\"")),
        (&upstream, format!("passphrase = \"{secret}\"")),
        (&upstream, format!("endpoints = {{ secret = \"{secret}\" }}")),
        (&upstream, format!("endpoints = [\n\"http://me:{secret}@a\"]")),
        (&issuer, format!("access_key = {{ env = \"{secret}\" }}")),
        (&issuer, format!("access_key = {{ file = \"{secret}\" }}")),
        (&issuer, format!("access_key = {{ credential = \"{secret}\" }}")),
        (&issuer, format!("secret_key: {secret}")),
        (&issuer, format!("secret_key = {secret}==")),
        (&issuer, format!("access_key = \"\"\"\r\n{secret}\\q\r\n\"\"\"")),
        (&issuer, format!("access_key = [ # the\n\"{secret}\"")),
        (&issuer, format!("access_key = [\n[ {secret} ]\n]")),
    ]
    .into_iter()
    .filter(|(source, text)| {
        let mistakes = Config::parse(&source.replacen('@', text, 1), &SystemEnvironment).unwrap_err();
        let error = ConfigError::Wrong("proxy.toml".into(), mistakes);
        let told = anstream::adapter::strip_str(&error.draw()).to_string() + &error.to_string();
        told.contains(secret)
    });
    let shown: Vec<String> = shown.map(|(_, text)| text).collect();
    assert!(shown.is_empty(), "{shown:#?}");
}
