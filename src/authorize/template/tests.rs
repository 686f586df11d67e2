use super::*;
use proptest::prelude::*;

fn parsed(prefix: &str) -> Result<Option<String>, String> {
    Template::parse(prefix, Some("corp")).map(|template| template.map(|template| template.to_string()))
}

#[test]
fn placeholders_are_whole_segments() {
    for (prefix, template) in [
        ("{user}/", "{user}/"),
        ("home/{user}/", "home/{user}/"),
        ("home/{user}/*", "home/{user}/"),
        ("{token}/a/{key}/", "{token}/a/{key}/"),
        ("{uid}/", "{uid}/"),
        ("{cn}/x/", "{cn}/x/"),
        ("ns/{spiffe:2}/{spiffe:12}/", "ns/{spiffe:2}/{spiffe:12}/"),
        ("a/{sub}/{sub:sha256}/", "a/{sub}/{sub:sha256}/"),
        ("{service_account}/x/", "{service_account}/x/"),
        ("{claim:name}/", "{claim:name}/"),
        ("{claim:https://id.test/a.b}/x/", "{claim:https://id.test/a.b}/x/"),
        ("{issuer}/{sub}/", "corp/{sub}/"),
        ("a}b{/{user}/", "a}b{/{user}/"),
    ] {
        assert_eq!(parsed(prefix), Ok(Some(template.to_owned())), "{prefix}");
    }
    for prefix in ["", "media/", "a{b}/", "{a/", "a}/", "{a}b/", "{{user/", "${x/"] {
        assert_eq!(parsed(prefix), Ok(None), "{prefix}: as before");
    }
    for (prefix, told) in [
        ("home-{user}/", "{user} is only a part of the segment"),
        ("{user}x/", "{user} is only a part of the segment"),
        ("a/{user}{sub}/", "{user} is only a part of the segment"),
        ("{{user}}/", "{user} is only a part of the segment"),
        ("x{claim:a}/", "{claim:a} is only a part"),
        ("{user}/x{issuer}/", "{issuer} is only a part"),
        ("{User}/", "there is no placeholder {User}; there are: {user}, {token}"),
        ("{}/", "there is no placeholder {}"),
        ("{claim:}/", "there is no placeholder {claim:}"),
        ("{dn}/", "there is no placeholder {dn}"),
        ("{spiffe:0}/", "there is no placeholder {spiffe:0}"),
        ("{spiffe:01}/", "there is no placeholder {spiffe:01}"),
        ("{spiffe:33}/", "there is no placeholder {spiffe:33}"),
        ("{spiffe}/", "there is no placeholder {spiffe}"),
        ("ns-{spiffe:2}/", "{spiffe:2} is only a part"),
        ("{user}", "a prefix with a placeholder ends in '/'"),
        ("home/{user}", "a prefix with a placeholder ends in '/'"),
        ("/{user}/", "a prefix does not begin with '/'"),
        ("{user}//a/", "empty segment"),
        ("{user}/../", "'.' or '..' segment"),
        ("{user}/a*/", "wildcards"),
        ("${user}/{sub}/", "{user} is only a part"),
    ] {
        let error = parsed(prefix).unwrap_err();
        assert!(error.contains(told), "{prefix}: {error}");
    }
    let error = Template::parse("{issuer}/{user}/", None).unwrap_err();
    assert!(error.contains("add jwt to client"), "{error}");
    assert!(Template::parse("{issuer}/{user}/", Some("a b")).is_err());
}

/// Names that mean something to a path, a policy, a file system or a reader, or that have another spelling.
const HOSTILE: [&str; 58] = [
    "",
    ".",
    "..",
    "...",
    "a/b",
    "/",
    "/a",
    "a/",
    "../alice",
    "a\\b",
    "..\\a",
    "*",
    "a*",
    "?",
    "a?",
    "${aws:username}",
    "${",
    "$",
    "{user}",
    "{",
    "}",
    "%",
    "%2e%2e",
    "%2F",
    "a%",
    ":",
    "a:b",
    "\"",
    "'",
    "<",
    ">",
    "|",
    "&",
    "#",
    ";",
    ",",
    "~",
    "!",
    " ",
    " a",
    "a ",
    "a b",
    "a\n",
    "\r",
    "\t",
    "\0",
    "a\0b",
    "\u{7f}",
    "caf\u{e9}",
    "cafe\u{301}",
    "\u{ff41}",
    "\u{430}lice",
    "a\u{200b}",
    "a.",
    "_a",
    "-a",
    "xl.meta",
    "a__XLDIR__",
];

#[test]
fn hostile_names_are_refused() {
    for name in HOSTILE {
        assert!(IdentityName::parse(name).is_err(), "{name:?}");
    }
    assert!(IdentityName::parse(&"a".repeat(129)).is_err());
    for name in
        ["a", "A", "0", "alice", "alice@example.test", "a.b_c-d=e+f", "a..b", "a_", "a-", &"a".repeat(128)]
    {
        assert_eq!(IdentityName::parse(name).map(|parsed| parsed.as_str().to_owned()), Ok(name.to_owned()));
    }
}

#[test]
fn a_template_without_a_value_has_no_prefix() {
    let template = Template::parse("{user}/", None).unwrap().unwrap();
    let values = Values::new([IdentityName::parse("alice").unwrap()]);
    assert_eq!(template.expand(&[Source::User], &values).unwrap().as_str(), "alice/");
    assert!(template.expand(&[Source::Token], &values).is_err());
    assert!(template.expand(&[], &values).is_err());
    assert!(template.expand(&[Source::User], &Values::new([])).is_err());
}

fn expanded(name: &str) -> Option<String> {
    let template = Template::parse("home/{user}/{sub}/files/", None).unwrap().unwrap();
    let values = Values::new([IdentityName::parse(name).ok()?, IdentityName::parse("bob").unwrap()]);
    Some(template.expand(&[Source::User, Source::Subject], &values).unwrap().to_string())
}

proptest! {
    /// Any text is refused, or fills exactly its own segment, unchanged.
    #[test]
    fn no_value_leaves_its_segment(name in prop_oneof![
        "\\PC{0,20}",
        "[a-zA-Z0-9._@=+/*?${}%:-]{0,140}",
        prop::sample::select(&HOSTILE[..]).prop_flat_map(|hostile| ("[a-z]{0,3}", "[a-z]{0,3}").prop_map(move |(a, b)| format!("{a}{hostile}{b}"))),
    ]) {
        if let Some(prefix) = expanded(&name) {
            prop_assert_eq!(prefix.split('/').collect::<Vec<_>>(), ["home", &*name, "bob", "files", ""]);
            let is_plain = prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._@=+-".contains(&b));
            prop_assert!(is_plain);
        }
    }

    /// Different names have prefixes of which neither contains the other.
    #[test]
    fn different_names_have_disjoint_prefixes(one in "[aA0.@]{1,6}", other in "[aA0.@]{1,6}") {
        if let (Some(first), Some(second)) = (expanded(&one), expanded(&other)) {
            prop_assert_eq!(one == other, first.starts_with(&second) || second.starts_with(&first));
        }
    }

    /// Every prefix that was valid before templates is read as before, or is refused because it has a placeholder.
    #[test]
    fn prefixes_without_placeholders_are_not_templates(prefix in "([a-z{}:]{1,8}/){0,3}") {
        let braces = prefix.split('/').any(|segment| segment.starts_with('{') && segment.ends_with('}'));
        if !braces && !prefix.contains("{user}") {
            prop_assert_eq!(Template::parse(&prefix, None).ok().flatten(), None);
        }
    }
}
