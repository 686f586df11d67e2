//! Methods: responses to `OPTIONS`, `Allow` in 405, meaningless bodies, and leading slashes in paths.

use crate::support::http::{self, Connection, Response};
use crate::support::minio::Minio;
use crate::support::world::{Corner, World, config, corner, outcome, start};
use std::net::{Ipv4Addr, SocketAddr};

const SCOPES: &[(&str, &str, &str)] = &[("tmp", "media/", "read,list"), ("tmp", "inbox/", "write,delete")];

const CORS: &str = "[mapping.cors]\norigins = [\"https://app.example\", \"https://*.viewer.example\"]\n\
    methods = [\"GET\", \"HEAD\", \"PUT\"]\nmax_age = \"10m\"\n";

fn world() -> World {
    let mut scopes = corner("cors", SCOPES);
    scopes.more = CORS;
    World::start(&[corner("plain", SCOPES), scopes])
}

fn vary(answer: &Response) -> Vec<&str> {
    answer.head.all("vary").flat_map(|line| line.split(", ")).collect()
}

#[test]
fn method_not_allowed_names_usable_methods() {
    let world = world();
    let ask = |method: &str, target: &str| world.ask("plain", method, target, &[], b"");
    for (method, target, allow) in [
        ("PUT", "/", "GET, HEAD, OPTIONS"),
        ("PATCH", "/tmp/media/hello.txt", "GET, HEAD, OPTIONS"),
        ("PROPFIND", "/tmp/inbox/", "PUT, DELETE, OPTIONS"),
        ("POST", "/tmp/inbox/a", "PUT, DELETE, OPTIONS"),
        ("TRACE", "/tmp/inbox/a?uploads", "POST, OPTIONS"),
    ] {
        let answer = ask(method, target);
        assert_eq!(outcome(&answer), "405 MethodNotAllowed method-not-allowed", "{method} {target}");
        assert_eq!(answer.header("allow"), Some(allow), "{method} {target}");
        let asked = ask("OPTIONS", target);
        assert_eq!((asked.status(), asked.header("allow")), (204, Some(allow)), "OPTIONS {target}");
    }
    assert_eq!(outcome(&ask("PATCH", "/tmp/other/a")), "403 AccessDenied outside-scope");
    assert_eq!(outcome(&ask("OPTIONS", "/tmp/other/a")), "403 AccessDenied outside-scope");
    let everything = ask("OPTIONS", "*");
    assert_eq!(
        (everything.status(), everything.header("allow")),
        (204, Some("GET, HEAD, PUT, POST, DELETE, OPTIONS"))
    );
    let (head, get) = (ask("HEAD", "/"), ask("GET", "/"));
    assert_eq!(
        (head.status(), head.body.len(), get.status()),
        (200, 0, 200),
        "HEAD works like GET, without a body"
    );
    assert_eq!(head.header("content-length"), get.header("content-length"));
}

#[test]
fn preflights_are_answered_for_named_pages() {
    let world = world();
    let ask = |corner: &str, origin: &str, method: &str| {
        let headers = [
            ("Origin", origin),
            ("Access-Control-Request-Method", method),
            ("Access-Control-Request-Headers", "authorization,x-amz-date,range"),
        ];
        world.ask(corner, "OPTIONS", "/tmp/media/hello.txt", &headers, b"")
    };
    for origin in ["https://app.example", "https://a.b.viewer.example"] {
        let answer = ask("cors", origin, "PUT");
        assert_eq!((answer.status(), answer.header("access-control-allow-origin")), (204, Some(origin)));
        assert_eq!(answer.header("access-control-allow-methods"), Some("GET, HEAD, PUT"));
        assert_eq!(answer.header("access-control-allow-headers"), Some("authorization, x-amz-date, range"));
        assert_eq!(answer.header("access-control-max-age"), Some("600"));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        let expected = ["Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"];
        assert_eq!(vary(&answer), expected);
    }
    for (corner, origin, method) in [
        ("cors", "https://app.example.evil", "GET"),
        ("cors", "http://app.example", "GET"),
        ("cors", "https://app.example:8443", "GET"),
        ("cors", "https://APP.example", "GET"),
        ("cors", "https://app.example.", "GET"),
        ("cors", "https://viewer.example", "GET"),
        ("cors", "null", "GET"),
        ("cors", "https://app.example", "DELETE"),
        ("plain", "https://app.example", "GET"),
    ] {
        let answer = ask(corner, origin, method);
        assert_eq!(outcome(&answer), "403 AccessDenied cross-site", "{corner} {origin} {method}");
        let may_read = method == "DELETE";
        let allowed = answer.header("access-control-allow-origin").is_some();
        assert_eq!(allowed, may_read, "{corner} {origin} {method}: {:?}", answer.head);
        assert!(!answer.text().contains("mapping.cors"), "the page's user cannot do that: {}", answer.text());
    }
    let operator = "help=\"add [mapping.cors] with origins = [\\\"https://app.example\\\"] to the mapping";
    let (_, log) = world.proxy.terminate();
    assert!(log.contains(operator), "{log}");
    assert_eq!(log.matches("operation=\"Preflight\"").count(), 11, "{log}");
}

#[test]
fn only_named_pages_read_responses_and_refusals() {
    let world = world();
    let ask = |corner: &str, method: &str, target: &str, origin: &str| {
        let headers = [("Origin", origin), ("Sec-Fetch-Site", "cross-site")];
        world.ask(corner, method, target, &headers, if method == "PUT" { b"x" } else { b"" })
    };
    let app = "https://app.example";
    for (method, target, expected) in [
        ("GET", "/tmp/media/hello.txt", "200"),
        ("GET", "/tmp?list-type=2&prefix=media/", "200"),
        ("GET", "/tmp/media/none", "404 NoSuchKey"),
        ("GET", "/tmp/other/secret.txt", "403 AccessDenied outside-scope"),
        ("PUT", "/tmp/inbox/a", "200"),
        ("DELETE", "/tmp/inbox/a", "403 AccessDenied cross-site"),
        ("GET", "/tmp/media/hello.txt?response-content-type=text/html", "400 InvalidRequest active-override"),
    ] {
        let answer = ask("cors", method, target, app);
        assert_eq!(outcome(&answer), expected, "{method} {target}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(app), "{method} {target}");
        let exposed = answer.header("access-control-expose-headers").unwrap();
        assert!(["ETag", "Content-Range", "x-amz-request-id"].iter().all(|name| exposed.contains(name)));
        assert_eq!(answer.header("cross-origin-resource-policy"), Some("cross-origin"));
        assert!(vary(&answer).contains(&"Origin"), "{method} {target}: {:?}", answer.head);

        let evil = ask("cors", method, target, "https://app.example.evil");
        assert_eq!(outcome(&evil), "403 AccessDenied cross-site", "{method} {target}");
        assert_eq!(evil.header("access-control-allow-origin"), None);
        assert_eq!(evil.header("cross-origin-resource-policy"), Some("same-site"));
        assert!(vary(&evil).contains(&"Origin"));
        assert_eq!(outcome(&ask("plain", method, target, app)), "403 AccessDenied cross-site");
    }
    let program = world.get("cors", "/tmp/media/hello.txt");
    assert_eq!((program.status(), vary(&program)), (200, vec!["Origin"]));
    assert_eq!(program.header("access-control-allow-origin"), None);
    assert_eq!(program.header("cross-origin-resource-policy"), Some("same-site"));
    assert_eq!(
        vary(&world.get("plain", "/tmp/media/hello.txt")),
        [""; 0],
        "unchanged without [mapping.cors]"
    );
    // A named page may embed an object. The browser then names the page only in `Referer`.
    let embed = |referer: &str| {
        let headers = [("Referer", referer), ("Sec-Fetch-Site", "cross-site")];
        world.ask("cors", "GET", "/tmp/media/hello.txt", &headers, b"")
    };
    let shown = embed("https://app.example/");
    assert_eq!((shown.status(), vary(&shown)), (200, vec!["Origin", "Referer"]));
    assert_eq!(shown.header("cross-origin-resource-policy"), Some("cross-origin"));
    assert_eq!(outcome(&embed("https://app.example.evil/")), "403 AccessDenied cross-site");
    // The store's own headers allow any origin to read with credentials. None of them may pass.
    let answer = ask("cors", "GET", "/tmp/media/hello.txt", app);
    assert_eq!(answer.head.all("access-control-allow-origin").count(), 1);
    assert_eq!(answer.header("access-control-allow-credentials"), None);
}

#[test]
fn every_page_reads_public_objects() {
    let scopes = [("tmp", "media/", "read,list")];
    let (minio, issuer) = Minio::start_seeded();
    let public = Corner { name: "public", scopes: &scopes, more: "[mapping.cors]\norigins = \"*\"\n" };
    let text = config(minio.address, minio.address, &[public], "")
        .replace("network = \"127.0.0.0/8\"", "network = \"0.0.0.0/0\"")
        .replace(
            "name = \"public\"\naddress = \"127.0.0.1:0\"",
            "name = \"public\"\naddress = \"0.0.0.0:0\"",
        );
    let proxy = start(&text, &issuer);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, proxy.address("public").port()));
    for origin in ["https://any.test", "null"] {
        let headers = [("Origin", origin), ("Sec-Fetch-Site", "cross-site")];
        let answer = http::request(address, "GET", "/tmp/media/hello.txt", &headers, b"").unwrap();
        let allowed = answer.header("access-control-allow-origin");
        assert_eq!((answer.status(), allowed), (200, Some("*")), "{origin}: {}", answer.text());
    }
}

#[test]
fn meaningless_bodies_are_read_and_dropped() {
    let world = world();
    let mut connection = Connection::open(world.proxy.address("plain")).unwrap();
    let mut ask = |head: &str, body: &str| {
        let method = head.split(' ').next().unwrap().to_owned();
        connection.send(format!("{head} HTTP/1.1\r\nHost: localhost\r\n{body}").as_bytes()).unwrap();
        connection.read_response(&method).unwrap_or_else(|error| panic!("{head} {body:.40}: {error}"))
    };
    let forms = [
        "Content-Length: 5\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nTrailer: x\r\n\r\n",
        "Content-Length: 0\r\n\r\n",
    ];
    for form in forms {
        assert_eq!(ask("GET /tmp/media/hello.txt", form).text(), "hello, media\n", "{form:?}");
        assert_eq!(ask("HEAD /tmp/media/hello.txt", form).status(), 200, "{form:?}");
        assert_eq!(ask("GET /tmp?list-type=2&prefix=media/", form).status(), 200, "{form:?}");
        assert_eq!(ask("GET /", form).status(), 200, "{form:?}");
        let shown = format!("Accept: text/html\r\n{form}");
        assert_eq!(ask("GET /tmp/media/", &shown).status(), 200, "{form:?}");
        assert_eq!(ask("OPTIONS /tmp/media/", form).status(), 204, "{form:?}");
        assert_eq!(ask("DELETE /tmp/inbox/none", form).status(), 204, "{form:?}");
    }
    let expecting = "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    assert_eq!(ask("GET /tmp/media/hello.txt", &format!("{expecting}hello")).status(), 200);
    let whole = "x".repeat(64 << 10);
    let whole = format!("Transfer-Encoding: chunked\r\n\r\n10000\r\n{whole}\r\n0\r\n\r\n");
    assert_eq!(ask("GET /tmp/media/hello.txt", &whole).status(), 200);
    // A copy with a body is refused, because the body would be lost.
    world.minio.put("tmp/inbox/kept", b"kept");
    for (head, form) in [
        ("GET /tmp/media/hello.txt", "Content-Length: 65537\r\nConnection: close\r\n\r\n".to_owned()),
        (
            "DELETE /tmp/inbox/kept",
            format!("Transfer-Encoding: chunked\r\n\r\n10001\r\n{}\r\n0\r\n\r\n", "x".repeat(65537)),
        ),
        ("POST /tmp/inbox/a?uploads", "Content-Length: 1\r\n\r\nx".to_owned()),
        ("POST /tmp/inbox/a?uploads", "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n".to_owned()),
    ] {
        let mut connection = Connection::open(world.proxy.address("plain")).unwrap();
        connection.send(format!("{head} HTTP/1.1\r\nHost: localhost\r\n{form}").as_bytes()).unwrap();
        let answer = connection.read_response("GET").unwrap();
        assert_eq!(outcome(&answer), "400 InvalidRequest payload-form", "{head}");
    }
    // A malformed or incomplete body is refused before anything is done.
    for broken in ["Transfer-Encoding: chunked\r\n\r\nzz\r\n", "Content-Length: 9\r\n\r\nx"] {
        let mut connection = Connection::open(world.proxy.address("plain")).unwrap();
        let head = "DELETE /tmp/inbox/kept HTTP/1.1\r\nHost: localhost\r\n";
        connection.send(format!("{head}{broken}").as_bytes()).unwrap();
        connection.end_sending().unwrap();
        let _refusal_if_the_client_is_still_there = connection.read_to_end();
    }
    assert_eq!(world.minio.mc(&["cat", "local/tmp/inbox/kept"]).trim_end(), "kept");
}

#[test]
fn leading_slashes_count_as_one() {
    let world = world();
    for path in ["//tmp/media/hello.txt", "///tmp/media/hello.txt", "//tmp%2Fmedia/hello.txt"] {
        assert_eq!(world.get("plain", path).text(), "hello, media\n", "{path}");
        let direct = http::get(world.minio.address, path).unwrap();
        assert_eq!(direct.code().as_deref(), Some("BadRequest"), "MinIO alone does not: {path}");
    }
    assert_eq!(world.get("plain", "//").status(), 200);
    for (path, expected) in [
        ("//tmp/other/secret.txt", "403 AccessDenied outside-scope"),
        ("//tmp//media/hello.txt", "400 InvalidURI bad-target"),
        ("/tmp//media/hello.txt", "400 InvalidURI bad-target"),
        ("/tmp/media//hello.txt", "400 InvalidURI bad-target"),
        ("/%2Ftmp/media/hello.txt", "400 InvalidURI bad-target"),
        ("//%2Ftmp/media/hello.txt", "400 InvalidURI bad-target"),
        ("//%2e%2e/tmp/media/hello.txt", "400 InvalidURI bad-target"),
    ] {
        assert_eq!(outcome(&world.get("plain", path)), expected, "{path}");
    }
    let encoded = world.get("plain", "/%2Ftmp/media/hello.txt").text();
    assert!(encoded.contains("the path begins with two slashes: write /bucket/key"), "{encoded}");
}

#[test]
fn a_bucket_in_host_is_explained_without_a_domain() {
    let world = world();
    let host = [("Host", "tmp.localhost:8080")];
    let answer = world.ask("plain", "GET", "/media/hello.txt", &host, b"");
    assert_eq!(outcome(&answer), "403 AccessDenied outside-scope");
    assert!(
        answer.text().contains("forcePathStyle") && !answer.text().contains("domain"),
        "{}",
        answer.text()
    );
    let foreign = world.ask("plain", "GET", "/media/hello.txt", &[("Host", "tmp.s3.test")], b"");
    assert_eq!(outcome(&foreign), "403 AccessDenied foreign-host");
    assert!(!foreign.text().contains("names the bucket"), "{}", foreign.text());
    let (_, log) = world.proxy.terminate();
    for domain in ["localhost", "s3.test"] {
        assert!(log.contains(&format!("set domain = \\\"{domain}\\\" at the listener")), "{log}");
    }
}
