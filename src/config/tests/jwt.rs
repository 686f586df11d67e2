//! `[[jwt]]`: what it means, and the mistakes in it.

use super::*;
use crate::authenticate::jwt::{Algorithm, Audience, JwtSettings, KeyOrigin};
use std::time::Duration;

/// A machine with some files.
struct Machine;

impl Environment for Machine {
    fn variable(&self, name: &str) -> Result<Secret, ReadError> {
        match name {
            "SHORT" => Ok(Secret::new("hush".repeat(7))),
            "LONG" => Ok(Secret::new("hush".repeat(8))),
            _ => Fake.variable(name),
        }
    }

    fn file(&self, path: &Path) -> Result<Secret, ReadError> {
        Fake.file(path)
    }

    fn public_keys(&self, path: &Path) -> Result<Option<String>, ReadError> {
        let key =
            r#"{"kty":"OKP","crv":"Ed25519","kid":"a","x":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"}"#;
        Ok(Some(match path.to_str() {
            Some("good.json") => format!("{{\"keys\":[{key}]}}"),
            Some("mixed.json") => {
                format!("{{\"keys\":[{key},{{\"kty\":\"oct\",\"k\":\"AQ\",\"kid\":\"b\"}}]}}")
            }
            Some("empty.json") => r#"{"keys":[{"kty":"oct","k":"AQ"}]}"#.to_owned(),
            Some("page.html") => "<html>".to_owned(),
            _ => return Err(ReadError { message: "cannot read it".into(), help: "write it".into() }),
        }))
    }

    fn user(&self, name: &str) -> Result<u32, ReadError> {
        Fake.user(name)
    }

    fn group(&self, name: &str) -> Result<u32, ReadError> {
        Fake.group(name)
    }
}

const CORP: &str = "name = \"corp\"\nissuer = \"https://id.test/\"\naudience = \"scopegate\"\n";

fn parse(sections: &str) -> Result<Config, Vec<Diagnostic>> {
    Config::parse(&format!("{EXAMPLE}{sections}"), &Machine)
}

fn issuer(keys: &str) -> JwtSettings {
    let config = parse(&format!("[[jwt]]\n{keys}")).unwrap_or_else(|wrong| panic!("{keys}: {wrong:?}"));
    config.jwt.into_iter().next().unwrap()
}

fn wrong(sections: &str) -> String {
    let mistakes = parse(sections).expect_err(sections);
    let lines: Vec<String> = mistakes.iter().map(|one| format!("{} | {}", one.message, one.help)).collect();
    let told = lines.join("\n");
    assert!(!told.contains("hush"), "{told}");
    told
}

#[test]
fn an_issuer_has_safe_defaults() {
    let corp = issuer(CORP);
    assert_eq!((&*corp.name, &*corp.issuer), ("corp", "https://id.test/"));
    assert_eq!(corp.audience, Audience::AnyOf(vec!["scopegate".into()]));
    assert_eq!(corp.algorithms, Algorithm::DEFAULT);
    assert_eq!((corp.leeway, corp.max_lifetime), (Duration::from_mins(1), None));
    assert_eq!(corp.max_stale, Duration::from_hours(24));
    let KeyOrigin::Discovery(url, access) = corp.keys else { panic!("{:?}", corp.keys) };
    assert_eq!(url.to_string(), "https://id.test/.well-known/openid-configuration");
    assert!(access.tls.ca.is_empty() && access.bearer_file.is_none());
}

#[test]
fn keys_come_from_a_url_a_file_a_secret_or_discovery() {
    let of = |keys: &str| issuer(&format!("{CORP}{keys}")).keys;
    let KeyOrigin::Url(url, access) =
        of("jwks = { url = \"https://id.test/keys\", ca = [\"ca.pem\"], bearer_file = \"token\" }")
    else {
        panic!("a URL")
    };
    assert_eq!((url.to_string().as_str(), access.tls.ca.len()), ("https://id.test/keys", 1));
    assert_eq!(access.bearer_file.as_deref(), Some(Path::new("token")));
    assert!(
        matches!(of("jwks = { ca = \"ca.pem\" }"), KeyOrigin::Discovery(_, access) if access.tls.ca.len() == 1)
    );
    assert_eq!(of("jwks = { file = \"good.json\" }"), KeyOrigin::File("good.json".into()));
    assert!(matches!(of("secret = { env = \"LONG\" }"), KeyOrigin::Secret(_)));
    assert!(!format!("{:?}", of("secret = { env = \"LONG\" }")).contains("hush"));
    let shared = issuer(&format!("{CORP}secret = {{ env = \"LONG\" }}"));
    assert_eq!(shared.algorithms, [Algorithm::Hs256]);
}

#[test]
fn kubernetes_names_the_keys_of_the_cluster() {
    let pods = issuer("name = \"pods\"\nkubernetes = true\naudience = [\"scopegate\"]");
    assert_eq!(&*pods.issuer, "https://kubernetes.default.svc.cluster.local");
    let KeyOrigin::Url(url, access) = pods.keys else { panic!("a URL") };
    assert_eq!(url.to_string(), "https://kubernetes.default.svc/openid/v1/jwks");
    let folder = Path::new("/var/run/secrets/kubernetes.io/serviceaccount");
    assert_eq!(access.tls.ca, [folder.join("ca.crt")]);
    assert_eq!(access.bearer_file, Some(folder.join("token")));
    let other = issuer(
        "name = \"pods\"\nkubernetes = true\nissuer = \"https://oidc.test/id/1\"\naudience = \"scopegate\"\n\
         jwks = { url = \"https://oidc.test/keys\", ca = \"own.pem\" }",
    );
    let KeyOrigin::Url(url, access) = other.keys else { panic!("a URL") };
    assert_eq!(
        (&*other.issuer, url.to_string().as_str()),
        ("https://oidc.test/id/1", "https://oidc.test/keys")
    );
    assert_eq!((access.tls.ca, access.bearer_file.is_some()), (vec!["own.pem".into()], true));
}

#[test]
fn the_audience_of_the_api_server_is_refused() {
    let of = |audience: &str, more: &str| {
        format!("[[jwt]]\nname = \"pods\"\nissuer = \"https://id.test\"\naudience = \"{audience}\"\n{more}")
    };
    for audience in [
        "https://kubernetes.default.svc",
        "https://kubernetes.default.svc.cluster.local",
        "https://kubernetes.default:443",
        "kubernetes.default.svc",
    ] {
        let told = wrong(&of(audience, ""));
        assert!(told.contains("is an audience of the Kubernetes API server"), "{told}");
    }
    for audience in ["api", "https://id.test"] {
        assert!(parse(&of(audience, "")).is_ok(), "{audience} means nothing elsewhere");
        assert!(wrong(&of(audience, "kubernetes = true")).contains("API server"));
    }
    assert!(parse(&of("https://kubernetes.defaults.test", "kubernetes = true")).is_ok());
}

#[test]
fn mistakes_in_issuers_say_what_to_write() {
    let with = |keys: &str| format!("[[jwt]]\n{CORP}{keys}");
    for (sections, expected) in [
        ("[[jwt]]\nname = \"corp\"\naudience = \"a\"".to_owned(), "[[jwt]] has no \"issuer\""),
        ("[[jwt]]\nname = \"corp\"\nissuer = \"https://id.test\"".to_owned(), "[[jwt]] has no \"audience\""),
        ("[[jwt]]\nissuer = \"https://id.test\"\naudience = \"a\"".to_owned(), "[[jwt]] has no \"name\""),
        (
            "[[jwt]]\nname = \"c\"\nissuer = \"https://id.test\"\naudience = []".to_owned(),
            "audience has 0 entries",
        ),
        (
            "[[jwt]]\nname = \"c\"\nissuer = \"https://id.test\"\naudience = [\"a\", \"none\"]".to_owned(),
            "cannot be combined",
        ),
        (
            format!("[[jwt]]\n{CORP}[[jwt]]\nname = \"corp\"\nissuer = \"https://b.test\"\naudience = \"a\""),
            "\"corp\" is the name of another [[jwt]]",
        ),
        (
            format!("[[jwt]]\n{CORP}[[jwt]]\nname = \"b\"\nissuer = \"https://id.test/\"\naudience = \"a\""),
            "\"https://id.test/\" is the issuer of another [[jwt]] | a token's iss decides",
        ),
        (
            "[[jwt]]\nname = \"c\"\nissuer = \"corp\"\naudience = \"a\"".to_owned(),
            "\"corp\" cannot be asked for its keys",
        ),
        (
            "[[jwt]]\nname = \"c\"\nissuer = \"http://id.test\"\naudience = \"a\"".to_owned(),
            "plain HTTP is for loopback addresses only",
        ),
        (with("jwks = { url = \"http://id.test/keys\" }"), "plain HTTP is for loopback addresses only"),
        (with("jwks = { url = \"https://u:hush@id.test/keys\" }"), "holds a user or password"),
        (with("jwks = { url = \"https://id.test/\", file = \"good.json\" }"), "jwks has file and other keys"),
        (with("jwks = { file = \"good.json\", ca = \"ca.pem\" }"), "jwks has file and other keys"),
        (with("jwks = { file = \"absent.json\" }"), "jwks: cannot read it | write it"),
        (with("jwks = { file = \"page.html\" }"), "jwks: page.html: expected value"),
        (with("jwks = { file = \"empty.json\" }"), "has no usable key (key without kid: it is a secret"),
        (with("jwks = { uri = \"x\" }"), "unknown key \"uri\" in jwks"),
        (
            with("jwks = \"https://id.test/keys\""),
            "jwks is of type string | jwks is a table, such as jwks = { url = \"https://...\" }",
        ),
        (with("algorithms = [\"none\"]"), "\"none\" is not an algorithm for signatures"),
        (with("algorithms = [\"RS265\"]"), "did you mean \"RS256\"?"),
        (with("algorithms = []"), "algorithms is empty"),
        (with("algorithms = [\"RS256\", \"RS256\"]"), "listed twice"),
        (with("algorithms = [\"RS256\", \"HS256\"]"), "\"HS256\" uses a shared secret"),
        (
            with("algorithms = [\"HS256\", \"RS256\"]\nsecret = { env = \"LONG\" }"),
            "\"RS256\" does not use a secret",
        ),
        (
            with("secret = { env = \"SHORT\" }"),
            "secret has 28 bytes; its algorithms need 32 or more | make one with",
        ),
        (
            with("secret = { env = \"LONG\" }\nalgorithms = \"HS512\""),
            "secret has 32 bytes; its algorithms need 64",
        ),
        (with("secret = \"hush\""), "secret is in plain text"),
        (
            with("secret = { env = \"LONG\" }\njwks = { file = \"good.json\" }"),
            "jwks has no meaning beside secret",
        ),
        (with("leeway = \"6m\""), "leeway = \"6m\" is out of range"),
        (with("max_stale = \"1s\""), "max_stale = \"1s\" is out of range"),
        (with("max_lifetime = \"0s\""), "max_lifetime = \"0s\" is out of range"),
        (with("aud = \"x\""), "unknown key \"aud\" in [[jwt]]"),
    ] {
        let told = wrong(&sections);
        assert!(told.contains(expected), "no {expected:?} in {told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}

#[test]
fn unwise_issuers_are_warned_about() {
    let warnings = |keys: &str| {
        let config = parse(&format!("[[jwt]]\n{keys}")).unwrap();
        config.warnings().iter().map(|one| one.message.clone()).collect::<Vec<_>>().join("\n")
    };
    let none = CORP.replace("\"scopegate\"", "\"none\"");
    assert!(warnings(&none).contains("accepts tokens without aud"));
    let mixed = warnings(&format!("{CORP}jwks = {{ file = \"mixed.json\" }}"));
    assert!(mixed.contains("keys of mixed.json are not usable: key \"b\": it is a secret"), "{mixed}");
    assert!(warnings(CORP).is_empty(), "{}", warnings(CORP));
}
