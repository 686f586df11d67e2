//! Rules for all kinds of credentials: which request gets which mapping, and what a client is told if none.

use super::declare::{hash, token, user};
use crate::support::http::{self, Response};
use crate::support::world::{World, outcome};
use aws_smithy_types::base64;

const PASSWORD: &str = "correct horse";
const SCOPE: &str =
    "[[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"media/\"\nallow = [\"read\", \"list\"]\n";

/// A listener for each set of mappings, with one user and one token.
struct Setup {
    world: World,
    token: String,
}

impl Setup {
    fn start() -> Self {
        let user = user("alice", &[&hash(PASSWORD)]);
        let (token, section) = token("ci");
        let listeners = ["strict", "mixed", "plain", "elsewhere"]
            .map(|name| format!("[[listener]]\nname = \"{name}\"\naddress = \"127.0.0.1:0\"\n"));
        let mappings = [
            ("alice", "user = [\"alice\"], listener = \"strict\""),
            ("ci", "token = [\"ci\"], listener = \"strict\""),
            ("alice-or", "user = [\"alice\"], listener = \"mixed\""),
            ("anyone", "network = [\"127.0.0.0/8\"], listener = \"mixed\""),
            ("plain", "network = [\"127.0.0.0/8\"], listener = \"plain\""),
            ("far", "user = [\"alice\"], network = [\"10.0.0.0/8\"], listener = \"elsewhere\""),
        ]
        .map(|(name, client)| format!("[[mapping]]\nname = \"{name}\"\nclient = {{ {client} }}\n{SCOPE}"));
        let more = format!("{user}{section}\n{}{}", listeners.concat(), mappings.concat());
        Self { world: World::start_with(&[], &more), token }
    }

    fn ask(&self, listener: &str, headers: &[(&str, &str)]) -> Response {
        http::request(self.world.proxy.address(listener), "GET", "/tmp/media/hello.txt", headers, b"")
            .unwrap()
    }
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64::encode(format!("{user}:{password}")))
}

#[test]
fn wrong_credentials_never_fall_through_to_a_weaker_mapping() {
    let setup = Setup::start();
    let (right, wrong) = (basic("alice", PASSWORD), basic("alice", "x"));
    let (unknown, bearer) = (basic("bob", PASSWORD), format!("Bearer {}", setup.token));
    let aws =
        "AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00";
    let cases: [(&str, &[&str], &str); 22] = [
        ("strict", &[&right], "200"),
        ("strict", &[&bearer], "200"),
        ("strict", &[], "401 AccessDenied credentials-required"),
        ("strict", &[&wrong], "401 AccessDenied bad-credentials"),
        ("strict", &[&unknown], "401 AccessDenied bad-credentials"),
        ("strict", &["Basic !"], "401 AccessDenied bad-credentials"),
        ("strict", &["Basic"], "401 AccessDenied bad-credentials"),
        ("strict", &["Bearer x"], "401 AccessDenied bad-credentials"),
        ("strict", &["Bearer sgt_x"], "401 AccessDenied bad-credentials"),
        ("strict", &["Bearer a.b.c"], "401 AccessDenied bad-credentials"),
        ("strict", &[&right, &bearer], "400 InvalidRequest ambiguous-credentials"),
        ("strict", &[&right, &right], "400 InvalidRequest ambiguous-credentials"),
        // Dummy credentials, as every S3 client sends them, are none.
        ("strict", &[aws], "401 AccessDenied credentials-required"),
        ("mixed", &[], "200"),
        ("mixed", &[&right], "200"),
        ("mixed", &[&wrong], "401 AccessDenied bad-credentials"),
        ("mixed", &[&unknown], "401 AccessDenied bad-credentials"),
        ("mixed", &[aws], "200"),
        ("plain", &[&wrong], "200"),
        ("plain", &[&wrong, &right], "200"),
        // No credential would help a client from this network.
        ("elsewhere", &[], "403 AccessDenied no-mapping"),
        ("elsewhere", &[&right], "403 AccessDenied no-mapping"),
    ];
    for (listener, values, expected) in cases {
        let headers: Vec<(&str, &str)> = values.iter().map(|value| ("authorization", *value)).collect();
        let response = setup.ask(listener, &headers);
        assert_eq!(outcome(&response), expected, "{listener} {values:?}");
    }
    let metric = |labels: &str| setup.world.metric(&format!("scopegate_authentications_total{{{labels}}}"));
    assert_eq!(metric("scheme=\"basic\",result=\"ok\""), 3);
    assert!(metric("scheme=\"basic\",result=\"wrong-password\"") >= 2);
}

#[test]
fn a_client_is_told_how_to_prove_who_it_is_and_not_why_it_failed() {
    let setup = Setup::start();
    let challenges = |listener: &str, headers: &[(&str, &str)]| -> Vec<String> {
        setup.ask(listener, headers).head.all("www-authenticate").map(str::to_owned).collect()
    };
    let (bearer, basic_challenge) =
        ("Bearer realm=\"scopegate\"", "Basic realm=\"scopegate\", charset=\"UTF-8\"");
    assert_eq!(challenges("strict", &[]), [bearer, basic_challenge]);
    let invalid = "Bearer realm=\"scopegate\", error=\"invalid_token\"";
    assert_eq!(challenges("strict", &[("authorization", "Bearer x")]), [invalid, basic_challenge]);
    assert_eq!(challenges("mixed", &[("authorization", &basic("alice", "x"))]), [basic_challenge]);
    assert_eq!(challenges("elsewhere", &[]), [""; 0]);

    let known = setup.ask("strict", &[("authorization", &basic("alice", "secret-guess"))]);
    let unknown = setup.ask("strict", &[("authorization", &basic("nobody", "secret-guess"))]);
    let without_id = |response: &Response| {
        let id = response.header("x-amz-request-id").unwrap().to_owned();
        response.text().replace(&id, "ID")
    };
    assert_eq!(without_id(&known), without_id(&unknown));
    for word in ["alice", "nobody", "user", "password", "secret-guess"] {
        assert!(!known.text().contains(word), "{word} in {}", known.text());
    }
    let Setup { world, token } = setup;
    let (_, log) = world.proxy.terminate();
    for word in ["wrong-password", "unknown-user"] {
        assert!(log.contains(word), "no {word} in {log}");
    }
    assert!(!log.contains("secret-guess") && !log.contains(PASSWORD) && !log.contains(&token));
}

#[test]
fn credentials_never_reach_the_store_and_responses_are_private() {
    let setup = Setup::start();
    let response = setup.ask("strict", &[("authorization", &basic("alice", PASSWORD))]);
    assert_eq!(response.status(), 200);
    assert!(response.header("cache-control").is_some_and(|value| value.contains("private")));
    assert!(
        response.header("vary").is_some_and(|value| value.to_ascii_lowercase().contains("authorization"))
    );
    let plain = setup.ask("plain", &[("authorization", &basic("alice", "x"))]);
    assert_eq!((plain.status(), plain.header("cache-control")), (200, None));
}
