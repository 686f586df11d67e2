use super::*;
use crate::authenticate::tokens::{TokenDigest, new_token};
use crate::config::tests::{EXAMPLE, Fake};
use crate::refusal::Rule;
use clap::Parser;
use std::path::Path;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn ask(words: &[&str]) -> String {
    let config = Config::parse(EXAMPLE, &Fake).unwrap();
    let args = Line::try_parse_from([&["explain"], words].concat()).unwrap().args;
    let told = question(&args).and_then(|question| Ok(explain(&config, &question)?.text(args.policy)));
    told.unwrap_or_else(|error| error.to_string())
}

#[test]
fn a_client_or_a_mapping_is_required() {
    let missing = Line::try_parse_from(["explain", "GET", "/"]).map(|_| ()).unwrap_err().to_string();
    for option in ["--mapping", "--from", "--unix"] {
        assert!(missing.contains(option), "{missing}");
    }
    for both in [
        ["--mapping=a", "--from=127.0.0.1"],
        ["--user=a", "--key=b"],
        ["--token=a", "--key=b"],
        ["--mapping=a", "--user=b"],
        ["--gid=1", "--unix"],
    ] {
        assert!(Line::try_parse_from([&["explain"][..], &both[..]].concat()).is_err(), "{both:?}");
    }
}

/// Returns the example with a user, and a token of this digest, each with a mapping.
fn with_credentials(digest: &TokenDigest) -> Config {
    let scope = "[[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"a/\"\nallow = [\"read\"]\n";
    let sections = format!(
        "[[user]]\nname = \"alice\"\npassword = [\"$argon2id$v=19$m=19456,t=2,p=1$jHwkGfbAUPGBk0QcIPt2Og$bi3yu0Fojh6aOljZgf+dB1ou+dGAJ1OT/V9fVr4CKq4\"]\n\
         [[token]]\nname = \"ci\"\nsha256 = \"{digest}\"\n\
         [[mapping]]\nname = \"people\"\nclient = {{ user = [\"*\"] }}\n{scope}\
         [[mapping]]\nname = \"programs\"\nclient = {{ token = [\"ci\"] }}\n{scope}[[mapping]]"
    );
    Config::parse(&EXAMPLE.replacen("[[mapping]]", &sections, 1), &Fake).unwrap()
}

#[test]
fn clients_may_bear_credentials() {
    let (_, digest) = new_token().unwrap();
    let config = with_credentials(&digest);
    for (words, expected) in [
        (
            &["--user", "alice"][..],
            "client 127.0.0.1 at listener \"sidecar\", user \"alice\"\n  mapping \"people\" matches\n",
        ),
        (
            &["--from", "10.0.0.1", "--token", "ci"],
            "client 10.0.0.1 at listener \"sidecar\", token \"ci\"\n  mapping \"people\" does not",
        ),
        (&["--user", "bob"], "there is no user \"bob\"; there are: alice"),
        (&["--uid", "7", "--key", "AK"], "there is no key \"AK\"; the configuration declares none"),
        (&["--from", "10.0.0.1"], "client 10.0.0.1 at listener \"sidecar\"\n  mapping \"people\" does not"),
    ] {
        let args = Line::try_parse_from([&["explain"], words].concat()).unwrap().args;
        let told = question(&args).and_then(|question| Ok(explain(&config, &question)?.text(false)));
        let told = told.unwrap_or_else(|error| error.to_string());
        assert!(told.starts_with(expected), "{words:?}: {told}");
    }
    let args = Line::try_parse_from(["explain", "--from", "10.0.0.1"]).unwrap().args;
    let question = question(&args).unwrap();
    let unknown = explain(&config, &question).unwrap();
    assert_eq!(unknown.refusal().map(|(rule, _)| rule), Some(Rule::CredentialsRequired));
}

#[test]
fn tokens_in_files_are_verified_and_failures_are_explained() {
    let (token, digest) = new_token().unwrap();
    let (other, _) = new_token().unwrap();
    let config = with_credentials(&digest);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    for (text, expected) in [
        (format!("{}\n", token.as_str()), "client 127.0.0.1 at listener \"sidecar\", token \"ci\"\n"),
        (other.to_string(), "the credentials are refused by rule bad-credentials: unknown-token: "),
        ("a.b.c".to_owned(), "the credentials are refused by rule bad-credentials: unknown-token: "),
    ] {
        std::fs::write(&path, &text).unwrap();
        let words = ["explain", "--token-file", path.to_str().unwrap(), "GET", "/tmp/a/b"];
        let args = Line::try_parse_from(words).unwrap().args;
        let mut question = question(&args).unwrap();
        question.bear(credentials::verify_file(&config, &path).unwrap());
        let explanation = explain(&config, &question).unwrap();
        let told = explanation.text(false);
        assert!(told.starts_with(expected) && !told.contains(text.trim()), "{told}");
        assert_eq!(explanation.refusal().is_some(), told.contains("refused"), "{told}");
        assert!(!explanation.json(false).contains(text.trim()));
    }
    let words = ["explain", "--token-file", "-", "-H", "Origin: http://evil.test", "GET", "/tmp/a/b"];
    let args = Line::try_parse_from(words).unwrap().args;
    let mut question = question(&args).unwrap();
    question.bear(credentials::verify_file(&config, &path).unwrap());
    let rule = explain(&config, &question).unwrap().refusal().map(|(rule, _)| rule);
    assert_eq!(rule, Some(Rule::CrossSite), "the proxy does not look at the token");
    assert!(credentials::verify_file(&config, &folder.path().join("absent")).is_err());
}

#[test]
fn answers() {
    let cases: [(&[&str], &str); 31] = [
        (&["--mapping", "media-reader"], "tmp/media/ allows read,list"),
        (&["--mapping", "media"], "there are: media-reader"),
        (&["--from", "127.0.0.1"], "mapping \"media-reader\""),
        (
            &["--from", "10.0.0.1"],
            "mapping \"media-reader\" does not match\n    \
             network: wants 127.0.0.0/8, ::1/128; found 10.0.0.1: does not hold\n    \
             listener: wants sidecar; found sidecar: holds\n  no mapping matches",
        ),
        (&["--unix"], "network: wants 127.0.0.0/8, ::1/128; found no address: does not hold\n"),
        (&["--mapping", "media-reader", "--policy"], "\"Action\": ["),
        (&["--from", "10.0.0.1", "GET", "/tmp/media/a"], "every request is refused by rule no-mapping"),
        (&["--from", "127.0.0.1", "-H", "x-minio-a: b", "GET", "/"], "refused by rule forbidden-header"),
        (&["--from", "127.0.0.1", "GET", "/?max-buckets=0"], "refused by rule bad-argument"),
        (
            &["--from", "127.0.0.1", "-H", "origin: http://evil.test", "POST", "/tmp?delete"],
            "refused by rule cross-site",
        ),
        (
            &["--from", "127.0.0.1", "-H", "origin: http://127.0.0.1:8080", "POST", "/tmp?delete"],
            "refused by rule right-not-granted",
        ),
        (
            &["--from", "127.0.0.1", "-H", "host: a", "-H", "host: b", "GET", "/tmp/media/a"],
            "refused by rule bad-host",
        ),
        (&["--from", "127.0.0.1", "--listener", "x"], "there are: sidecar"),
        (
            &["--from", "127.0.0.1", "GET", "/tmp/media/a b"],
            "allowed: GetObject, which needs: read\n  signed with the session get, which needs: s3:GetObject\n  sent as GET /tmp/media/a%20b\n",
        ),
        (
            &["--from", "127.0.0.1", "GET", "/tmp/other/a"],
            "refused by rule outside-scope: 403 AccessDenied: mapping \"media-reader\" does not cover this key\n  \
             help: add a [[mapping.scope]]",
        ),
        (&["--from", "127.0.0.1", "GET", "/"], "answered by Scopegate from the scopes"),
        (
            &["--from", "127.0.0.1", "GET", "/tmp?uploads"],
            "does not grant ListMultipartUploads, which needs: list,write",
        ),
        (
            &["--from", "127.0.0.1", "GET", "/tmp?acl"],
            "refused by rule unknown-operation: 501 NotImplemented: GetBucketAcl",
        ),
        (&["--from", "127.0.0.1", "PUT", "/tmp/media/a"], "refused by rule right-not-granted"),
        (&["--from", "127.0.0.1", "GET", "/tmp/media"], "with a redirect to the folder"),
        (&["--from", "127.0.0.1", "GET", "//tmp/media/a"], "sent as GET /tmp/media/a\n"),
        (&["--from", "127.0.0.1", "OPTIONS", "/tmp/media/a"], "the methods supported here are GET, HEAD"),
        (
            &["--from", "127.0.0.1", "OPTIONS", "*"],
            "the methods supported here are GET, HEAD, PUT, POST, DELETE",
        ),
        (
            &[
                "--from",
                "127.0.0.1",
                "-H",
                "origin: https://a.example",
                "-H",
                "access-control-request-method: GET",
                "OPTIONS",
                "/tmp/media/a",
            ],
            "help: add [mapping.cors] with origins = [\"https://a.example\"]",
        ),
        (
            &["--from", "127.0.0.1", "-H", "host: tmp.localhost", "GET", "/media/a"],
            "help: set domain = \"localhost\" at the listener",
        ),
        (
            &["--from", "127.0.0.1", "-H", "accept: text/html", "GET", "/tmp/media/"],
            "with a list of the folder\n    allowed: ListObjectsV2, which needs: list\n",
        ),
        (
            &["--from", "127.0.0.1", "-H", "accept: text/html", "GET", "/tmp/other/"],
            "refused by rule outside-scope: ",
        ),
        (
            &["--from", "127.0.0.1", "-H", "x-minio-a: b", "GET", "/tmp/media/a"],
            "refused by rule forbidden-header",
        ),
        (
            &["--from", "127.0.0.1", "-H", "host: evil.test", "GET", "/tmp/media/a"],
            "refused by rule foreign-host",
        ),
        (
            &["--from", "127.0.0.1", "-H", "sec-fetch-site: cross-site", "GET", "/tmp/media/a"],
            "refused by rule cross-site",
        ),
        (
            &["--from", "127.0.0.1", "-H", "service-worker: script", "GET", "/tmp/media/a"],
            "refused by rule service-worker",
        ),
    ];
    for (words, expected) in cases {
        let text = ask(words);
        assert!(text.contains(expected), "{words:?}: {text}");
    }
}

/// The session that signs a request, and the actions that its policy must allow.
#[test]
fn the_session_of_a_request_is_explained() {
    let split =
        EXAMPLE.replace("[\"read\", \"list\"]", "[\"read\", \"list\", \"write\", \"delete\", \"versions\"]");
    let one = split.replace("[[mapping.scope]]", "sessions = \"one\"\n\n[[mapping.scope]]");
    let cases: [(&[&str], &str, &str, &str); 10] = [
        (&["HEAD", "/tmp/media/a"], "get", "all", "s3:GetObject"),
        (&["GET", "/tmp/media/a?versionId=null"], "versions", "all", "s3:GetObject, s3:GetObjectVersion"),
        (&["GET", "/tmp?prefix=media/"], "list", "all", "s3:ListBucket"),
        (&["HEAD", "/tmp"], "bucket", "all", "s3:HeadBucket"),
        (&["GET", "/tmp?versions&prefix=media/"], "versions", "all", "s3:ListBucketVersions"),
        (&["PUT", "/tmp/media/a"], "put", "all", "s3:PutObject"),
        (&["POST", "/tmp?delete"], "delete", "all", "s3:DeleteObject"),
        (
            &["-H", "x-amz-copy-source: /tmp/media/a", "PUT", "/tmp/media/b"],
            "copy",
            "all",
            "s3:PutObject; for the source of the copy: s3:GetObject",
        ),
        (
            &["-H", "x-amz-copy-source: /tmp/media/a?versionId=null", "PUT", "/tmp/media/b"],
            "copy",
            "all",
            "s3:PutObject; for the source of the copy: s3:GetObject, s3:GetObjectVersion",
        ),
        (&["GET", "/tmp?uploads"], "uploads", "uploads", "s3:ListBucketMultipartUploads"),
    ];
    for (words, of_split, of_one, actions) in cases {
        for (text, session) in [(&split, of_split), (&one, of_one)] {
            let config = Config::parse(text, &Fake).unwrap();
            let args = [&["explain", "--from", "127.0.0.1"], words].concat();
            let args = Line::try_parse_from(args).unwrap().args;
            let question = question(&args).unwrap();
            let explanation = explain(&config, &question).unwrap();
            let expected = format!("  signed with the session {session}, which needs: {actions}\n");
            let told = explanation.text(false);
            assert!(told.contains(&expected), "{words:?}: {told}");
            let json = explanation.json(false);
            assert!(json.contains(&format!("\"session\":\"{session}\"")), "{words:?}: {json}");
        }
    }
}

#[test]
fn a_preflight_is_explained() {
    let text = format!("{EXAMPLE}[mapping.cors]\norigins = \"https://a.example\"\n");
    let config = Config::parse(&text, &Fake).unwrap();
    let words = [
        "explain",
        "--from",
        "127.0.0.1",
        "-H",
        "origin: https://a.example",
        "-H",
        "access-control-request-method: GET",
        "OPTIONS",
        "/tmp/media/a",
    ];
    let args = Line::try_parse_from(words).unwrap().args;
    let told = explain(&config, &question(&args).unwrap()).unwrap().text(false);
    assert!(told.contains("allowed: Preflight, answered by Scopegate"), "{told}");
    assert!(told.contains("access-control-allow-methods: GET, HEAD"), "{told}");
}

/// Returns the example with a listener that asks for certificates, and with a mapping for those of `a.test`.
fn with_tls(mode: &str) -> Config {
    let listener = format!(
        "[[listener]]\nname = \"tls\"\naddress = \"127.0.0.1:8443\"\ntls = {{ certificates = [{{ chain = \"a.crt\", key = \
         \"a.key\" }}], client_ca = [\"ca.pem\"], client_certificate = \"{mode}\" }}\n\n[admin]"
    );
    let mapping = "[[mapping]]\nname = \"workloads\"\nclient = { certificate = { spiffe = [\"spiffe://td/ns/*\"] } }\n\
                   [[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"ns/{spiffe:2}/\"\nallow = [\"read\"]\n[[mapping]]\nname = \
                   \"all\"\nclient = { listener = \"tls\" }\n[[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"all/\"\nallow = [\"read\"]\n";
    let source = EXAMPLE.replacen("[admin]", &listener, 1) + mapping;
    Config::parse(&source, &Fake).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

/// Writes a certificate with these URIs, and returns its path.
fn write_certificate(folder: &Path, uris: &[&str]) -> PathBuf {
    let mut params = rcgen::CertificateParams::new(vec!["A.Test".to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, "alice");
    params.subject_alt_names.extend(uris.iter().map(|uri| rcgen::SanType::URI((*uri).try_into().unwrap())));
    let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
    let path = folder.join(format!("{}.crt", uris.len()));
    std::fs::write(&path, certificate.pem()).unwrap();
    path
}

fn ask_with(config: &Config, words: &[&str]) -> String {
    let args = Line::try_parse_from([&["explain"], words].concat()).unwrap().args;
    let told = question(&args).and_then(|question| Ok(explain(config, &question)?.text(false)));
    told.unwrap_or_else(|error| error.to_string())
}

#[test]
fn a_client_may_show_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let one = write_certificate(folder.path(), &["spiffe://td/ns/data/sa/reader"]);
    let two = write_certificate(folder.path(), &["spiffe://td/ns/data/sa/reader", "urn:a"]);
    let (one, two) = (one.to_str().unwrap(), two.to_str().unwrap());
    let config = with_tls("optional");
    let told = ask_with(&config, &["--certificate", one, "GET", "/tmp/ns/data/a"]);
    for expected in [
        "client 127.0.0.1 at listener \"tls\", certificate spiffe://td/ns/data/sa/reader\n",
        "  its spiffe: spiffe://td/ns/data/sa/reader\n  its dns: a.test\n  its uri: spiffe://td/ns/data/sa/reader\n",
        "  its cn: the certificate has subject alternative names, so its common name does not count\n  its sha256: ",
        "certificate spiffe: wants spiffe://td/ns/*; found spiffe://td/ns/data/sa/reader: holds",
        "  tmp/ns/data/ allows read",
        "allowed: GetObject",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    let told = ask_with(&config, &["--certificate", two, "GET", "/tmp/ns/data/a"]);
    assert!(
        told.contains("found the certificate has 2 URIs; one with a SPIFFE id has exactly one: does not"),
        "{told}"
    );
    assert!(told.contains("mapping \"all\" matches") && told.contains("outside-scope"), "{told}");
    let told = ask_with(&config, &["--certificate", one, "--listener", "sidecar"]);
    assert!(told.contains("the listener \"sidecar\" asks for no client certificates"), "{told}");
    let told = ask_with(&config, &["--from", "10.0.0.1", "--listener", "tls"]);
    assert!(
        told.contains("found no client certificate: does not hold") && told.contains("\"all\" matches"),
        "{told}"
    );
    let required = with_tls("required");
    let told = ask_with(&required, &["--from", "10.0.0.1", "--listener", "tls"]);
    assert!(told.contains("the connection is refused: this listener ends the handshake"), "{told}");
    for (content, why) in [("", "holds no certificate"), ("-----BEGIN CERTIFICATE-----\nMIIB\n", "holds no")]
    {
        let path = folder.path().join("bad.crt");
        std::fs::write(&path, content).unwrap();
        let told = ask_with(&config, &["--certificate", path.to_str().unwrap()]);
        assert!(told.contains(why), "{told}");
    }
}
