//! Bearer tokens.

use super::declare::{config, replace, token};
use crate::support::http::{self, Response};
use crate::support::minio::Minio;
use crate::support::process::wait_for;
use crate::support::scopegate::scopegate;
use crate::support::world::{outcome, start};
use std::fs;
use std::net::SocketAddr;
use std::time::SystemTime;
use tempfile::TempDir;

const HELLO: &str = "/tmp/media/hello.txt";
const SECRET: &str = "/tmp/other/secret.txt";
const REFUSED: &str = "401 AccessDenied bad-credentials";

fn bear(address: SocketAddr, path: &str, token: &str) -> Response {
    http::request(address, "GET", path, &[("Authorization", &format!("Bearer {token}"))], b"").unwrap()
}

#[test]
fn a_valid_token_opens_its_mapping_and_every_other_token_opens_none() {
    let (minio, issuer) = Minio::start_seeded();
    let [(ci, ci_section), (old, old_section), (soon, soon_section), (unknown, _)] =
        ["ci", "old", "soon", "unknown"].map(token);
    let sections = format!(
        "{ci_section}not_after = 2999-01-01T00:00:00Z\n{old_section}not_after = 2020-01-01T00:00:00Z\n\
         {soon_section}not_before = 2999-01-01T00:00:00+01:00\n"
    );
    let mappings =
        [("tokens", "token = \"*\"", "other/"), ("everyone", "network = \"127.0.0.0/8\"", "media/")];
    let proxy = start(&config(&minio, "", &sections, &mappings), &issuer);
    let (web, admin) = (proxy.address("web"), proxy.address("admin"));
    let begin = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    assert_eq!(bear(web, SECRET, &ci).text(), "not for everyone\n");
    assert_eq!(outcome(&bear(web, HELLO, &ci)), "403 AccessDenied outside-scope");
    let mistyped = ci.replace('_', "-");
    for wrong in [&*old, &soon, &unknown, &mistyped, &ci[..51], "sgt_", "x", "a.b.c"] {
        let answer = bear(web, HELLO, wrong);
        assert_eq!(outcome(&answer), REFUSED);
        let challenges: Vec<&str> = answer.head.all("www-authenticate").collect();
        assert_eq!(challenges, ["Bearer realm=\"scopegate\", error=\"invalid_token\""]);
    }
    let metrics = http::get(admin, "/metrics").unwrap().text();
    let used =
        metrics.lines().filter_map(|line| line.strip_prefix("scopegate_token_last_used_seconds{token="));
    let used: Vec<&str> = used.collect();
    let [only] = used[..] else { panic!("{used:?}") };
    let (name, seconds) = only.split_once("} ").unwrap();
    assert!(name == "\"ci\"" && seconds.parse::<u64>().unwrap() >= begin, "{only}");
    let (_, log) = proxy.terminate();
    for told in [
        "the token \\\"old\\\" was valid until 2020-01-01T00:00:00Z",
        "the token \\\"soon\\\" is valid from 2998",
    ] {
        assert!(log.contains(told), "{log}");
    }
    for secret in [&ci, &old, &soon, &unknown, &mistyped] {
        assert!(!log.contains(&secret[10..40]) && !metrics.contains(&secret[10..40]));
    }
}

#[test]
fn a_file_of_tokens_replaces_one_token_by_another() {
    let (minio, issuer) = Minio::start_seeded();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("tokens");
    let line = |section: &str| {
        let (_, digest) = section.split_once("sha256 = \"").unwrap();
        digest.split_once('"').unwrap().0.to_owned()
    };
    let ((old, old_section), (new, new_section)) = (token("old"), token("new"));
    replace(&file, &format!("old:{}\n", line(&old_section)));
    let root = format!("tokens = {{ file = \"{}\" }}", file.display());
    let proxy =
        start(&config(&minio, &root, "", &[("tokens", "token = [\"old\", \"new\"]", "other/")]), &issuer);
    let web = proxy.address("web");
    let both = || [outcome(&bear(web, SECRET, &old)), outcome(&bear(web, SECRET, &new))];
    assert_eq!(both(), ["200", REFUSED]);
    replace(&file, &format!("old:{}\nnew:{}:2999-01-01T00:00:00Z\n", line(&old_section), line(&new_section)));
    wait_for(|| (both() == ["200", "200"]).then_some(())).unwrap();
    replace(&file, &format!("new:{}\n", line(&new_section)));
    wait_for(|| (both() == [REFUSED, "200"]).then_some(())).unwrap();
}

#[test]
fn a_token_in_the_configuration_is_a_mistake_and_is_not_shown() {
    let minio = Minio::start();
    let (ci, section) = token("ci");
    let (_, digest) = section.split_once("sha256 = \"").unwrap();
    let pasted = section.replace(digest.split_once('"').unwrap().0, &ci);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("proxy.toml");
    fs::write(&file, config(&minio, "", &pasted, &[("tokens", "token = \"ci\"", "other/")])).unwrap();
    let output = scopegate(&["check", "--without-secrets", "--config", file.to_str().unwrap()], &[], b"");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{told}");
    assert!(told.contains("it is the token itself") && !told.contains(&ci[10..40]), "{told}");
    for (name, why) in [("a b", "is not a name"), (&*ci, "NAME is a token")] {
        let output = scopegate(&["new-token", name], &[], b"");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.code() == Some(2) && told.contains(why) && !told.contains(&ci[10..40]),
            "{told}"
        );
    }
}
