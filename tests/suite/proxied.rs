//! The proxy's main job on a real MinIO: unsigned requests are answered from the client's own scopes only.

use crate::support::http::{self, Connection};
use crate::support::minio::Minio;
use crate::support::proxy::Proxy;
use crate::support::world::{self, Corner, World, config, corner, outcome};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tempfile::TempDir;

type Scope<'a> = (&'a str, &'a str, &'a str);
type Headers<'a> = &'a [(&'a str, &'a str)];

const READER: &[(&str, &str, &str)] = &[("tmp", "media/", "read,list")];
const ALL: &[(&str, &str, &str)] = &[("tmp", "inbox/", "read,list,write,delete")];

#[test]
fn reads_match_the_store() {
    let world = World::start(&[corner("reader", READER)]);
    let object = "/tmp/media/hello.txt";

    let got = world.get("reader", object);
    assert_eq!((got.status(), got.text().as_str()), (200, "hello, media\n"));
    assert_eq!(got.header("content-length"), Some("13"));
    let etag = got.header("etag").unwrap().to_owned();

    let head = world.ask("reader", "HEAD", object, &[], b"");
    assert_eq!(
        (head.status(), head.header("content-length"), head.header("etag")),
        (200, Some("13"), Some(&*etag))
    );

    let range = world.ask("reader", "GET", object, &[("Range", "bytes=7-11")], b"");
    assert_eq!((range.status(), range.text().as_str()), (206, "media"));
    assert_eq!(range.header("content-range"), Some("bytes 7-11/13"));
    assert_eq!(world.ask("reader", "GET", object, &[("Range", "bytes=99-")], b"").status(), 416);

    let modified = got.header("last-modified").unwrap();
    let conditions: [(&str, &str, u16); 6] = [
        ("If-None-Match", &etag, 304),
        ("If-None-Match", "\"other\"", 200),
        ("If-Match", &etag, 200),
        ("If-Match", "\"other\"", 412),
        ("If-Modified-Since", modified, 304),
        ("If-Unmodified-Since", "Mon, 01 Jan 2001 00:00:00 GMT", 412),
    ];
    for (name, value, status) in conditions {
        assert_eq!(
            world.ask("reader", "GET", object, &[(name, value)], b"").status(),
            status,
            "{name}: {value}"
        );
    }
    let renamed = world.get("reader", &format!("{object}?response-content-disposition=attachment"));
    assert_eq!(renamed.header("content-disposition"), Some("attachment"));
    assert_eq!(outcome(&world.get("reader", "/tmp/media/none")), "404 NoSuchKey");
    let none = world.ask("reader", "HEAD", "/tmp/media/none", &[], b"");
    assert_eq!((none.status(), none.header("x-minio-error-code")), (404, None));
    for name in ["server", "x-minio-error-code", "access-control-allow-origin", "vary"] {
        let answer = world.ask("reader", "GET", object, &[("Origin", "http://localhost")], b"");
        assert_eq!(answer.header(name), None, "{name} is the store's own");
    }
    assert_eq!(
        world.metric("scopegate_mints_total{mapping=\"reader\",result=\"minted\"}"),
        2,
        "reads share a session, and a list has looked for a folder of the absent name"
    );
}

#[test]
fn lists_are_paged_and_stay_below_the_prefix() {
    let world = World::start(&[corner("reader", READER), corner("all", ALL)]);
    for number in 0..5 {
        assert_eq!(world.ask("all", "PUT", &format!("/tmp/inbox/d/{number}"), &[], b"x").status(), 200);
    }
    let mut keys = Vec::new();
    let mut next = String::new();
    loop {
        let page = world.get("all", &format!("/tmp?list-type=2&prefix=inbox/d/&max-keys=2{next}"));
        assert_eq!(page.status(), 200, "{}", page.text());
        keys.extend(
            page.text().split("<Key>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()),
        );
        match page.element("NextContinuationToken") {
            Some(token) => {
                let token = utf8_percent_encode(&token, NON_ALPHANUMERIC).to_string();
                next = format!("&continuation-token={token}");
            }
            None => break,
        }
    }
    assert_eq!(keys, (0..5).map(|number| format!("inbox/d/{number}")).collect::<Vec<_>>());

    let v1 = world.get("all", "/tmp/?prefix=inbox/&delimiter=/");
    assert_eq!(v1.element("CommonPrefixes").as_deref(), Some("<Prefix>inbox/d/</Prefix>"));
    let marked = world.get("all", "/tmp?prefix=inbox/d/&marker=inbox/d/3");
    assert_eq!(marked.element("Key").as_deref(), Some("inbox/d/4"));

    for target in [
        "/tmp",
        "/tmp?list-type=2",
        "/tmp?prefix=",
        "/tmp?prefix=media",
        "/tmp?prefix=other/",
        "/tmp?list-type=2&prefix=inbox/",
    ] {
        assert_eq!(outcome(&world.get("reader", target)), "403 AccessDenied outside-scope", "{target}");
    }
}

/// MinIO folds all of Unicode's white space before it compares signatures. S3 folds only spaces.
#[test]
fn header_white_space_is_signed_as_the_store_folds_it() {
    let world = World::start(&[Corner { name: "all", scopes: &[ALL[0]], more: "" }]);
    for value in ["a  b", "\u{a0}\u{2003}", "a\u{a0}\u{2003}b", "a \u{85}b\u{3000}", "\u{200b}a\u{feff}"] {
        let put = world.ask("all", "PUT", "/tmp/inbox/a", &[("x-amz-meta-a", value)], b"x");
        assert_eq!(put.status(), 200, "{value:?}: {}", put.text());
    }
}

#[test]
fn objects_are_written_copied_and_deleted_within_the_scope() {
    let world =
        World::start(&[Corner { name: "all", scopes: &[ALL[0], ("tmp", "media/", "read")], more: "" }]);
    let headers =
        [("Content-Type", "text/plain"), ("x-amz-meta-colour", "blue green"), ("Cache-Control", "no-store")];
    assert_eq!(world.ask("all", "PUT", "/tmp/inbox/a", &headers, b"first").status(), 200);
    let got = world.get("all", "/tmp/inbox/a");
    assert_eq!(got.text(), "first");
    assert_eq!(
        (got.header("content-type"), got.header("x-amz-meta-colour"), got.header("cache-control")),
        (Some("text/plain"), Some("blue green"), Some("no-store"))
    );
    assert_eq!(world.ask("all", "PUT", "/tmp/inbox/a", &[("If-None-Match", "*")], b"x").status(), 412);
    let wrong_md5 = [("Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA==")];
    assert_eq!(outcome(&world.ask("all", "PUT", "/tmp/inbox/a", &wrong_md5, b"x")), "400 BadDigest");
    let wrong_sha = [("x-amz-content-sha256", &*"0".repeat(64))];
    assert_eq!(
        outcome(&world.ask("all", "PUT", "/tmp/inbox/a", &wrong_sha, b"x")),
        "400 XAmzContentSHA256Mismatch"
    );
    assert_eq!(world.get("all", "/tmp/inbox/a").text(), "first", "the wrong upload must not be stored");

    for (source, outcome_of) in [
        ("/tmp/inbox/a", "200"),
        ("tmp/media/hello.txt", "200"),
        ("/tmp/other/secret.txt", "403 AccessDenied copy-source"),
        ("/tmp/media/../other/secret.txt", "400 InvalidArgument bad-header"),
        ("/tmp/media/%2e%2e/other/secret.txt", "400 InvalidArgument bad-header"),
        ("/tmp/media/hello.txt?versionId=null", "403 AccessDenied copy-source"),
    ] {
        let copied = world.ask("all", "PUT", "/tmp/inbox/copy", &[("x-amz-copy-source", source)], b"");
        assert_eq!(outcome(&copied), outcome_of, "{source}");
    }
    assert_eq!(world.get("all", "/tmp/inbox/copy").text(), "hello, media\n");

    assert_eq!(world.ask("all", "DELETE", "/tmp/inbox/a", &[], b"").status(), 204);
    assert_eq!(outcome(&world.get("all", "/tmp/inbox/a")), "404 NoSuchKey");
    assert_eq!(
        outcome(&world.ask("all", "DELETE", "/tmp/media/hello.txt", &[], b"")),
        "403 AccessDenied right-not-granted"
    );
}

#[test]
fn a_multipart_upload_works_from_start_to_finish() {
    let world = World::start(&[corner("all", ALL)]);
    let created = world.ask("all", "POST", "/tmp/inbox/large?uploads", &[], b"");
    let upload = created.element("UploadId").unwrap();
    let part = vec![7; 5 << 20];
    let sent =
        world.ask("all", "PUT", &format!("/tmp/inbox/large?partNumber=1&uploadId={upload}"), &[], &part);
    let etag = sent.header("etag").unwrap().to_owned();
    let copied = world.ask("all", "PUT", "/tmp/inbox/large-source", &[], b"tail");
    assert_eq!(copied.status(), 200);
    let source = [("x-amz-copy-source", "/tmp/inbox/large-source")];
    let copied =
        world.ask("all", "PUT", &format!("/tmp/inbox/large?partNumber=2&uploadId={upload}"), &source, b"");
    let second = copied.element("ETag").unwrap();
    let parts = world.get("all", &format!("/tmp/inbox/large?uploadId={upload}"));
    assert_eq!(parts.text().matches("<Part>").count(), 2);
    let list = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>\
         <Part><PartNumber>2</PartNumber><ETag>{second}</ETag></Part></CompleteMultipartUpload>"
    );
    let done = world.ask("all", "POST", &format!("/tmp/inbox/large?uploadId={upload}"), &[], list.as_bytes());
    assert_eq!(done.status(), 200, "{}", done.text());
    assert_eq!(world.get("all", "/tmp/inbox/large").body, [part, b"tail".to_vec()].concat());

    let created = world.ask("all", "POST", "/tmp/inbox/aborted?uploads", &[], b"");
    let upload = created.element("UploadId").unwrap();
    assert_eq!(
        world.ask("all", "DELETE", &format!("/tmp/inbox/aborted?uploadId={upload}"), &[], b"").status(),
        204
    );
}

/// A missing upload, with an id in MinIO's form.
const ABSENT_UPLOAD: &str = "/tmp/inbox/m?uploadId=MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwLjAwMDAwMDAwLTAwMDAtMDAwMC0wMDAwLTAwMDAwMDAwMDAwMHgw";

/// `+` means that the store gets the request, `-` that the proxy refuses it.
#[test]
fn each_right_gives_exactly_its_operations() {
    let corners: Vec<(&str, [Scope<'_>; 1])> = ["read", "list", "write", "delete"]
        .into_iter()
        .map(|right| (right, [("tmp", "inbox/", right)]))
        .collect();
    let corners: Vec<Corner<'_>> = corners.iter().map(|(name, scopes)| corner(name, scopes)).collect();
    let world = World::start(&corners);
    world.minio.put("tmp/inbox/a", b"a");
    let tags = b"<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>";
    let attributes = [("x-amz-object-attributes", "ETag")];
    let cases: [(&str, &str, Headers<'_>, &[u8], &str); 18] = [
        ("GET", "/tmp/inbox/a", &[], b"", "read"),
        ("HEAD", "/tmp/inbox/a", &[], b"", "read"),
        ("GET", "/tmp/inbox/a?tagging", &[], b"", "read"),
        ("GET", "/tmp/inbox/a?attributes", &attributes, b"", "read"),
        ("GET", "/tmp?prefix=inbox/", &[], b"", "list"),
        ("GET", "/tmp?list-type=2&prefix=inbox/", &[], b"", "list"),
        ("HEAD", "/tmp", &[], b"", "list"),
        ("GET", "/tmp?location", &[], b"", "list"),
        ("PUT", "/tmp/inbox/new", &[], b"b", "write"),
        ("PUT", "/tmp/inbox/a?tagging", &[], tags, "write"),
        ("DELETE", "/tmp/inbox/a?tagging", &[], b"", "write"),
        ("POST", "/tmp/inbox/m?uploads", &[], b"", "write"),
        ("GET", ABSENT_UPLOAD, &[], b"", "write"),
        ("DELETE", ABSENT_UPLOAD, &[], b"", "write"),
        ("DELETE", "/tmp/inbox/none", &[], b"", "delete"),
        ("GET", "/tmp/inbox/a?versionId=null", &[], b"", "none"),
        ("DELETE", "/tmp/inbox/a?versionId=null", &[], b"", "none"),
        ("GET", "/tmp?versions&prefix=inbox/", &[], b"", "none"),
    ];
    for right in ["read", "list", "write", "delete"] {
        for (method, target, headers, body, needs) in cases {
            let answer = world.ask(right, method, target, headers, body);
            let let_through = answer.header("x-scopegate-rule").is_none();
            assert_eq!(let_through, right == needs, "{right}: {method} {target}: {}", outcome(&answer));
            if let_through {
                assert_ne!(
                    answer.status(),
                    403,
                    "the session's policy allows it too: {right}: {method} {target}"
                );
            } else {
                assert_eq!(
                    answer.header("x-scopegate-rule"),
                    Some("right-not-granted"),
                    "{right}: {method} {target}"
                );
            }
        }
    }
}

#[test]
fn dummy_credentials_are_ignored() {
    let world = World::start(&[corner("reader", READER)]);
    let object = "/tmp/media/hello.txt";
    let sigv4 = "AWS4-HMAC-SHA256 Credential=DUMMY/20200101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00";
    for headers in [
        &[
            ("Authorization", sigv4),
            ("x-amz-date", "20200101T000000Z"),
            ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        ][..],
        &[("Authorization", "AWS DUMMY:c2lnbmF0dXJl")],
        &[("Authorization", "Basic dXNlcjpwYXNz"), ("x-amz-security-token", "dummy")],
    ] {
        assert_eq!(world.ask("reader", "GET", object, headers, b"").status(), 200, "{headers:?}");
    }
    for query in [
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=D%2F20200101%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20200101T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=00",
        "AWSAccessKeyId=D&Signature=00&Expires=1",
    ] {
        assert_eq!(world.get("reader", &format!("{object}?{query}")).status(), 200, "{query}");
    }
}

#[test]
fn two_clients_never_share_a_session() {
    let world = World::start(&[corner("reader", READER), corner("all", ALL)]);
    assert_eq!(world.get("reader", "/tmp/media/hello.txt").status(), 200);
    assert_eq!(world.ask("all", "PUT", "/tmp/inbox/a", &[], b"a").status(), 200);
    assert_eq!(outcome(&world.get("all", "/tmp/media/hello.txt")), "403 AccessDenied outside-scope");
    assert_eq!(outcome(&world.get("reader", "/tmp/inbox/a")), "403 AccessDenied outside-scope");
    for mapping in ["reader", "all"] {
        assert_eq!(
            world.metric(&format!("scopegate_mints_total{{mapping=\"{mapping}\",result=\"minted\"}}")),
            1
        );
    }
}

#[test]
fn awkward_keys_reach_the_right_object() {
    let world = World::start(&[corner("all", ALL)]);
    let keys = [
        "a b",
        "a+b",
        "100%",
        "a!b",
        "a~b",
        "a*b",
        "it's",
        "(1)",
        "a:b",
        "a;b",
        "a=b&c",
        "a,b",
        "a@b",
        "$a",
        "ü",
        "日本/語",
        "🦀",
        "dir/sub",
        "...",
        "a..b",
        "[x]{y}",
        "\"q\"",
        "<b>",
        "#h",
        "a?b",
        "^`|",
        "%41",
        "a%2Fb",
    ];
    for key in keys {
        let encoded = utf8_percent_encode(key, NON_ALPHANUMERIC);
        let target = format!("/tmp/inbox/{encoded}");
        let content = format!("the content of {key}");
        assert_eq!(world.ask("all", "PUT", &target, &[], content.as_bytes()).status(), 200, "{key}");
        assert_eq!(world.get("all", &target).text(), content, "{key}");
    }
    // Read back through mc, which signs for itself: the object with this name is the one that was written.
    let listed = world.minio.mc(&["ls", "--recursive", "--json", "local/tmp/inbox/"]);
    let names: Vec<String> = listed
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["key"].as_str().unwrap().to_owned()
        })
        .collect();
    for key in keys {
        assert!(names.iter().any(|name| name == key), "{key} is not in {names:?}");
    }
    let raw = [
        "a+b",
        "a!b",
        "it's",
        "(1)",
        "a:b",
        "a=b&c",
        "a,b",
        "a@b",
        "$a",
        "ü",
        "日本/語",
        "a~b",
        "a*b",
        "...",
    ];
    for key in raw {
        let content = format!("the content of {key}");
        assert_eq!(world.get("all", &format!("/tmp/inbox/{key}")).text(), content, "raw {key}");
    }
}

/// Bytes that a request line cannot contain unencoded.
const SPARING: &AsciiSet = &AsciiSet::EMPTY
    .add(b' ')
    .add(b'%')
    .add(b'?')
    .add(b'#')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'^')
    .add(b'|')
    .add(b'\\');

/// Generated keys, encoded completely and as little as possible.
#[test]
fn generated_keys_are_signed_correctly() {
    let world = World::start(&[corner("all", ALL)]);
    let mut connection = Connection::open(world.proxy.address("all")).unwrap();
    let mut runner = TestRunner::deterministic();
    let keys =
        prop_oneof!["[ -~]{1,30}", "[a-zäöü日本🦀+%&=;:~'()!*,@$ ]{1,20}", "[a-z]{1,5}/[ +%-~]{1,10}/?"];
    let mut stored = 0;
    while stored < 150 {
        let key = keys.new_tree(&mut runner).unwrap().current();
        // MinIO may refuse a name that is also a folder, or that its file system cannot store.
        if scopegate::internals::check_key(&key).is_err() || key.contains('/') && key.ends_with('/') {
            continue;
        }
        let key = format!("{stored}/{key}");
        let full = format!("/tmp/inbox/{}", utf8_percent_encode(&key, NON_ALPHANUMERIC));
        let spare = format!("/tmp/inbox/{}", utf8_percent_encode(&key, SPARING));
        let answer = connection.request("PUT", &full, &[], key.as_bytes()).unwrap();
        assert_ne!(answer.code().as_deref(), Some("SignatureDoesNotMatch"), "{key:?}");
        if answer.status() == 200 {
            assert_eq!(connection.request("GET", &spare, &[], b"").unwrap().text(), key, "{spare}");
            stored += 1;
        } else {
            assert!(
                answer.header("x-scopegate-rule").is_none() && answer.status() == 400,
                "{key:?}: {}",
                outcome(&answer)
            );
        }
    }
}

#[test]
fn one_connection_serves_many_requests() {
    let world = World::start(&[corner("all", ALL)]);
    let mut connection = Connection::open(world.proxy.address("all")).unwrap();
    for number in 0..20 {
        let target = format!("/tmp/inbox/{number}");
        assert_eq!(connection.request("PUT", &target, &[], b"content").unwrap().status(), 200);
        assert_eq!(connection.request("GET", &target, &[], b"").unwrap().text(), "content");
        assert_eq!(connection.request("HEAD", &target, &[], b"").unwrap().status(), 200);
        assert_eq!(connection.request("GET", "/tmp/other/secret.txt", &[], b"").unwrap().status(), 403);
        assert_eq!(connection.request("DELETE", &target, &[], b"").unwrap().status(), 204);
    }
}

#[test]
fn works_with_one_of_several_nodes_dead() {
    let (minio, issuer) = Minio::start_seeded();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // The same nodes answer STS.
    let config = config(minio.address, minio.address, &[corner("reader", READER)], "")
        .replace(&format!("endpoint = \"http://{}\"\n", minio.address), "")
        .replace("endpoints = [", &format!("endpoints = [\"http://{nobody}\", "));
    let proxy = world::start(&config, &issuer);
    for _ in 0..20 {
        assert_eq!(http::get(proxy.address("reader"), "/tmp/media/hello.txt").unwrap().status(), 200);
    }
}

#[test]
fn listens_on_a_unix_socket() {
    let (minio, issuer) = Minio::start_seeded();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("s3.sock");
    // A crash leaves a socket file behind on which nobody listens.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let config = config(minio.address, minio.address, &[corner("reader", READER)], "")
        .replace(
            "name = \"reader\"\naddress = \"127.0.0.1:0\"",
            &format!("name = \"reader\"\naddress = \"unix:{}\"", path.display()),
        )
        .replace("network = \"127.0.0.0/8\", ", "");
    let proxy = world::start(&config, &issuer);
    for _ in 0..2 {
        let mut connection = Connection::open_unix(&path).unwrap();
        assert_eq!(
            connection.request("GET", "/tmp/media/hello.txt", &[], b"").unwrap().text(),
            "hello, media\n"
        );
        assert_eq!(connection.request("GET", "/tmp/other/secret.txt", &[], b"").unwrap().status(), 403);
    }
    let (code, log) = proxy.terminate();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("client=unix") && !path.exists(), "{log}");
}

#[test]
fn the_log_contains_no_secret() {
    let (minio, issuer) = Minio::start_seeded();
    let config = config(minio.address, minio.address, &[corner("all", ALL)], "[log]\nformat = \"json\"\n");
    let env =
        [("ISSUER_KEY", &*issuer.access_key), ("ISSUER_SECRET", &*issuer.secret_key), ("RUST_LOG", "trace")];
    let proxy = Proxy::start(&config, &env);
    let address = proxy.address("all");
    let dummy = [
        ("Authorization", "AWS4-HMAC-SHA256 Credential=CLIENTKEY/x, Signature=c11e"),
        ("x-amz-security-token", "clienttoken"),
    ];
    for (method, target, body) in [
        ("GET", "/tmp/inbox/a", ""),
        ("PUT", "/tmp/inbox/a", "body"),
        ("GET", "/tmp/other/a?X-Amz-Signature=c11e", ""),
        ("GET", "/tmp/inbox/%zz", ""),
    ] {
        http::request(address, method, target, &dummy, body.as_bytes()).unwrap();
    }
    minio.revoke_sessions("stsadmin");
    http::request(address, "GET", "/tmp/inbox/a", &dummy, b"").unwrap();
    minio.remove_user("stsadmin");
    let (_, log) = proxy.terminate();
    assert_eq!(log.matches("\"target\":\"access\"").count(), 5, "{log}");
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
    // A session's token is a JWT, which begins like this (`{"alg":`). Its keys appear in the Credential of a signature.
    for secret in
        [&*issuer.secret_key, "CLIENTKEY", "clienttoken", "c11e", "eyJhbGciO", "Credential=", "Signature="]
    {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

/// A client that sends its whole body before it reads anything still learns why it was refused, and the connection
/// stays usable.
#[test]
fn a_refused_upload_gets_its_response_in_every_form() {
    let world = World::start(&[corner("all", ALL)]);
    let address = world.proxy.address("all");
    let body = vec![0; 5_000_000];
    let mut connection = Connection::open(address).unwrap();
    for _ in 0..3 {
        let refused = connection.request("PUT", "/tmp/other/a", &[], &body).unwrap();
        assert_eq!(outcome(&refused), "403 AccessDenied outside-scope");
        let wrong = connection
            .request("PUT", "/tmp/inbox/a", &[("Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA==")], &body)
            .unwrap();
        assert_eq!(outcome(&wrong), "400 BadDigest");
    }
    // A client that sends `Expect` is refused at once and sends no body.
    let mut connection = Connection::open(address).unwrap();
    connection.send(b"PUT /tmp/other/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000\r\nExpect: 100-continue\r\n\r\n").unwrap();
    assert_eq!(connection.read_head().unwrap().status, 403);
    // A body of unknown length.
    let chunked = b"PUT /tmp/other/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n";
    let mut connection = Connection::open(address).unwrap();
    connection.send(chunked).unwrap();
    assert_eq!(outcome(&connection.read_response("PUT").unwrap()), "403 AccessDenied outside-scope");
}
