use super::*;
use crate::authorize::operations::SessionKind;
use crate::config::Config;
use crate::config::tests::{EXAMPLE, Fake, mistakes};
use crate::identify::certificate::spiffe::SpiffePattern;
use crate::identify::identity::Names;
use crate::identify::matcher::{CertificateCondition, Condition, JwtCondition};
use std::fmt::Write;

/// Returns the example with a unix listener, and with one mapping for this prefix.
fn of_prefix(prefix: &str, more: &str) -> String {
    EXAMPLE
        .replace("127.0.0.1:8080", "unix:/run/s3.sock")
        .replace("network = [\"127.0.0.0/8\", \"::1/128\"]", "uid = [1000, 1001]")
        .replace("\"media/\"", &format!("\"{prefix}\""))
        .replace("session = \"15m\"", more)
}

fn wrong(prefix: &str, more: &str) -> Vec<String> {
    mistakes(&of_prefix(prefix, more))
}

#[test]
fn a_prefix_with_a_placeholder_makes_homes() {
    let config = Config::parse(&of_prefix("home/{uid}/", "identities = 7"), &Fake).unwrap();
    let mapping = &config.mappings[0];
    let homes = mapping.homes.as_ref().unwrap();
    assert_eq!((homes.sources(), homes.identities().get()), (&[Source::Uid][..], 7));
    assert!(mapping.scopes.is_empty(), "without an identity nothing is granted");
    let policy = mapping.of_longest_identity().policy_of(SessionKind::Get).unwrap();
    assert!(policy.json().contains("tmp/home/xxxxxxxxxx/*"), "{}", policy.json());
    let plain = Config::parse(&of_prefix("home/{u}id/", ""), &Fake).unwrap();
    assert!(
        plain.mappings[0].homes.is_none() && plain.mappings[0].scopes[0].prefix.as_str() == "home/{u}id/"
    );
}

#[test]
fn mistakes_about_homes_are_told() {
    for (prefix, more, told) in [
        (
            "{user}/",
            "",
            "{user} is not known of all clients of this mapping: its client has no user | add user to client",
        ),
        ("{sub}/", "", "{sub} is not known of all clients of this mapping: its client has no jwt"),
        ("{issuer}/{uid}/", "", "is not a prefix | {issuer} needs clients that a jwt identifies"),
        ("x{uid}/", "", "is not a prefix | {uid} is only a part of the segment"),
        ("{dn}/", "", "is not a prefix | there is no placeholder {dn}; there are: {user},"),
        (
            "{cn}/",
            "",
            "{cn} is not known of all clients of this mapping: its client has no certificate with cn",
        ),
        (
            "{spiffe:2}/",
            "",
            "its client has no certificate with spiffe | add certificate with spiffe to client",
        ),
        ("{uid}/", "identities = 0", "identities = 0 is out of range | write a number from 1 to 10000"),
        ("{uid}/", "identities = 10001", "identities = 10001 is out of range"),
        ("{uid}/", "mint = \"start\"", "mint = \"start\" has no effect: the identities"),
        ("media/", "identities = 5", "identities has no effect: no prefix of this mapping has a placeholder"),
    ] {
        let found = wrong(prefix, more);
        assert!(found.len() == 1 && found[0].contains(told), "{prefix} {more}: {found:?}");
    }
}

#[test]
fn the_longest_names_must_fit() {
    let segment = "s".repeat(230);
    let prefix = |count: usize| format!("{}{{uid}}/", format!("{segment}/").repeat(count));
    assert_eq!(wrong(&prefix(2), ""), [""; 0]);
    let found = wrong(&prefix(4), "sessions = \"one\"");
    assert!(
        found[0].contains("bytes with the longest names of identities; MinIO takes 2048 at most"),
        "{found:?}"
    );
    let found = wrong(&format!("{}{{uid}}/", "s/".repeat(507)), "");
    let told =
        "with the longest names of identities a prefix is invalid: a prefix is at most 1024 bytes long";
    assert!(found.len() == 1 && found[0].contains(told), "{found:?}");
}

/// The defaults go together, also for a mapping with a session of each kind for each identity.
#[test]
fn the_default_limit_of_mints_suffices_for_the_default_number_of_identities() {
    let all = "allow = [\"read\", \"list\", \"write\", \"delete\", \"versions\"]";
    let source = of_prefix("{uid}/", "").replace("allow  = [\"read\", \"list\"]", all);
    assert!(source.contains(all), "{source}");
    let config = Config::parse(&source, &Fake).unwrap();
    let most = config.mappings[0].of_longest_identity().session_kinds().count();
    assert_eq!(most, SessionKind::ALL.len() - 1, "one of each kind but `all`");
    assert!(config.warnings().is_empty(), "{:?}", config.warnings());
}

#[test]
fn all_identities_together_are_bounded() {
    let source = of_prefix("{uid}/", "identities = 10000");
    let (head, mapping) = source.split_at(source.find("[[mapping]]").unwrap());
    let others = |uid: u32| {
        mapping.replace("[1000, 1001]", &format!("{uid}")).replace("media-reader", &format!("m{uid}"))
    };
    let mut config = format!("{head}{}{}", others(1), others(2));
    assert_eq!(mistakes(&config), [""; 0]);
    config += &others(3).replace("10000", "1");
    let found = mistakes(&config);
    assert!(found.len() == 1 && found[0].contains("more than 20000 identities in all"), "{found:?}");
}

/// Adds templates, each with what identifies its clients: `user`, `token`, or the name of an issuer.
fn clash(templates: &[(&str, &str)]) -> Option<String> {
    let mut folders = HashMap::new();
    let mut found = None;
    for (who, prefix) in templates {
        let condition = match *who {
            "user" => Condition::User(Names::Any),
            "token" => Condition::Token(Names::Any),
            "cn" => Condition::Certificate(CertificateCondition {
                cn: Some(Names::Any),
                ..CertificateCondition::default()
            }),
            spiffe if spiffe.starts_with("spiffe:") => Condition::Certificate(CertificateCondition {
                spiffe: vec![SpiffePattern::parse(spiffe).unwrap()],
                ..CertificateCondition::default()
            }),
            issuer => Condition::Jwt(JwtCondition {
                issuer: issuer.into(),
                claims: vec![],
                service_accounts: vec![],
            }),
        };
        let client = Matcher::new(vec![condition]);
        let template = Template::parse(prefix, issuer_of(&client)).unwrap().unwrap();
        let homes = Homes::new(vec![], &client, NonZeroUsize::MIN);
        found = add(&mut folders, "home", &homes, &template, "m").map(|clash| clash.place);
    }
    found
}

#[test]
fn no_two_identities_get_the_same_folder() {
    for apart in [
        &[("user", "{user}/"), ("user", "{user}/")][..],
        &[("user", "{user}/"), ("user", "{user}/deep/")],
        &[("user", "a/{user}/"), ("token", "b/{token}/")],
        &[("corp", "{issuer}/{sub}/"), ("other", "{issuer}/{sub}/")],
        &[("corp", "a/{sub:sha256}/"), ("other", "a/{sub:sha256}/")],
        &[("corp", "{sub}/"), ("corp", "{sub}/")],
        &[("corp", "{service_account}/"), ("corp", "{service_account}/x/")],
        &[("cn", "{cn}/"), ("cn", "{cn}/x/")],
        &[("spiffe://td/ns/*", "{spiffe:2}/"), ("spiffe://td/ns/a/*", "{spiffe:2}/{spiffe:3}/")],
        // No identity can be called so.
        &[("user", "{user}/"), ("token", "_tokens/{token}/")],
    ] {
        assert_eq!(clash(apart), None, "{apart:?}");
    }
    for (together, place) in [
        (&[("user", "{user}/"), ("token", "{token}/")][..], "home/"),
        (&[("user", "a/{user}/"), ("corp", "a/{sub}/")], "home/a/"),
        (&[("corp", "{sub}/"), ("other", "{sub}/")], "home/"),
        (&[("corp", "{sub}/"), ("corp", "{claim:email}/")], "home/"),
        (&[("corp", "{service_account}/"), ("corp", "{sub}/")], "home/"),
        (&[("corp", "{sub:sha256}/"), ("user", "{user}/")], "home/"),
        (&[("user", "{user}/"), ("cn", "{cn}/")], "home/"),
        (&[("spiffe://td/ns/*", "{spiffe:2}/"), ("spiffe://td/vm/*", "{spiffe:2}/")], "home/"),
        (&[("spiffe://a/*", "x/{spiffe:1}/"), ("spiffe://b/*", "x/{spiffe:1}/")], "home/x/"),
        (
            &[("spiffe://a/*", "{spiffe:1}/"), ("spiffe://a/*", "{spiffe:1}/{spiffe:2}/"), ("cn", "{cn}/")],
            "home/",
        ),
        // A user called "team" would get everything of the teams.
        (&[("user", "{user}/"), ("token", "team/{token}/")], "home/"),
        (&[("token", "team/{token}/"), ("user", "{user}/")], "home/"),
        (&[("user", "{user}/"), ("user", "x/{user}/")], "home/"),
        // A fixed name that looks like a placeholder of the description.
        (&[("user", "a/{user}/{user}/"), ("token", "a/{token}/x/")], "home/a/"),
    ] {
        assert_eq!(clash(together).as_deref(), Some(place), "{together:?}");
    }
}

#[test]
fn a_clash_names_both() {
    let config = of_prefix("{uid}/", "");
    let mapping = config.split_at(config.find("[[mapping]]").unwrap()).1;
    let other =
        mapping.replace("[1000, 1001]", "7").replace("media-reader", "b").replace("{uid}/", "teams/{uid}/");
    let found = mistakes(&format!("{config}{other}"));
    let told = "below tmp/ there would be folders of {uid} of the mapping \"media-reader\" and of teams";
    assert!(found.len() == 1 && found[0].contains(told), "{found:?}");
}

/// Returns the mistakes in mappings for these clients, each with a prefix, of declared users and tokens.
fn wrong_of(mappings: &[(&str, &str)]) -> Vec<String> {
    let hash = "$2y$04$XD1q0Xf9p4j7Dew4ErvSNu7TMblhdqGF3vSY8OD2SV.YQM1AV0fO6";
    let (head, mapping) = EXAMPLE.split_at(EXAMPLE.find("[[mapping]]").unwrap());
    let mut text = head.to_owned();
    for name in ["alice", "al ice"] {
        let _ = write!(text, "[[user]]\nname = \"{name}\"\npassword = \"{hash}\"\n");
    }
    let _ = write!(text, "[[token]]\nname = \"ci\"\nsha256 = \"{}\"\n", "a1".repeat(32));
    for (number, (client, prefix)) in mappings.iter().enumerate() {
        text += &mapping
            .replace("network = [\"127.0.0.0/8\", \"::1/128\"]", client)
            .replace("media-reader", &format!("m{number}"))
            .replace("media/", prefix);
    }
    mistakes(&text)
}

#[test]
fn declared_names_are_checked() {
    let (users, tokens) = ("user = \"alice\"", "token = \"*\"");
    assert_eq!(wrong_of(&[(users, "users/{user}/"), (tokens, "tokens/{token}/")]), [""; 0]);
    let found = wrong_of(&[(users, "{user}/"), (tokens, "{token}/")]);
    let told = "below tmp/ there would be folders of {user} of the mapping \"m0\" and of {token}, and one identity could";
    assert!(found.len() == 1 && found[0].contains(told), "{found:?}");
    let found = wrong_of(&[(users, "{token}/")]);
    assert!(found.len() == 1 && found[0].contains("{token} is not known of all clients"), "{found:?}");
    let found = wrong_of(&[("user = [\"alice\", \"al ice\"]", "{user}/")]);
    let told =
        "\"al ice\" cannot be the value of {user}: it holds only a-z, A-Z, 0-9 and . _ @ = + - | rename it";
    assert!(found.len() == 1 && found[0].contains(told), "{found:?}");
    assert_eq!(wrong_of(&[("user = \"*\"", "{user}/")]), [""; 0], "it is refused when it comes");
}
