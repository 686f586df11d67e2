//! `X-Forwarded-For` at a real listener.

use super::{BALANCER, Balanced, OTHER, get};
use crate::identity::declare::{hash, user};
use crate::support::http::{Connection, Response};
use crate::support::world::outcome;
use std::net::Ipv4Addr;

const FORWARDED: &str =
    "forwarded = { header = \"X-Forwarded-For\", from = [\"127.0.0.1\", \"10.0.0.0/8\"] }";
const STRANGER: &str = "403 AccessDenied no-mapping";
const BAD: &str = "400 InvalidRequest bad-forwarded";

fn ask(world: &Balanced, from: Ipv4Addr, headers: &str) -> String {
    let mut connection = world.connect_from(from);
    connection.send(&get(headers)).unwrap();
    outcome(&connection.read_response("GET").unwrap())
}

#[test]
fn the_header_of_a_load_balancer_names_the_client_of_each_request() {
    let world = Balanced::start(FORWARDED, "");
    let many = "10.0.0.2,".repeat(32) + "203.0.113.9";
    let cases = [
        ("X-Forwarded-For: 203.0.113.9\r\n", "200"),
        ("x-forwarded-for: 198.51.100.9, 203.0.113.9\r\n", "200"),
        ("X-Forwarded-For: 203.0.113.9, 198.51.100.9\r\n", STRANGER),
        ("X-Forwarded-For: 203.0.113.9, 10.0.0.2\r\n", "200"),
        ("X-Forwarded-For: 198.51.100.9\r\nX-Forwarded-For: 203.0.113.9:51234, 10.0.0.2\r\n", "200"),
        ("X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 198.51.100.9\r\n", STRANGER),
        ("X-Forwarded-For: [2001:db8::9]:51234\r\n", "200"),
        ("X-Forwarded-For: unknown, 203.0.113.9\r\n", "200"),
        ("X-Forwarded-For: 203.0.113.9, unknown\r\n", BAD),
        ("X-Forwarded-For: 203.0.113.9, , 10.0.0.2\r\n", BAD),
        ("X-Forwarded-For:\r\n", BAD),
        (&format!("X-Forwarded-For: {many}\r\n"), BAD),
        ("", STRANGER),
        // Other headers of the family mean nothing.
        (
            "X-Real-IP: 203.0.113.9\r\nForwarded: for=203.0.113.9\r\nX_Forwarded_For: 203.0.113.9\r\n",
            STRANGER,
        ),
    ];
    let mut kept = world.connect();
    for (headers, expected) in cases {
        assert_eq!(ask(&world, BALANCER, headers), expected, "{headers}");
        // One connection carries the requests of many clients.
        kept.send(&get(headers)).unwrap();
        assert_eq!(outcome(&kept.read_response("GET").unwrap()), expected, "{headers}");
        // Nobody else chooses an address.
        assert_eq!(ask(&world, OTHER, headers), STRANGER, "{headers}");
    }
    let log = world.proxy.stderr();
    assert!(
        log.contains("client=203.0.113.9 peer=127.0.0.1 ") && log.contains("client=127.0.0.8 listener="),
        "{log}"
    );
}

/// Sends a request with these lines, and returns its response.
fn exchange(connection: &mut Connection, method: &str, target: &str, headers: &str, body: &str) -> Response {
    let length = body.len();
    let head = format!("{method} {target} HTTP/1.1\r\nHost: s3.example.test\r\nContent-Length: {length}\r\n");
    connection.send(format!("{head}{headers}\r\n{body}").as_bytes()).unwrap();
    connection.read_response(method).unwrap()
}

/// Returns the URLs that Scopegate writes for a client that sends these headers: that of the upload command on the page of
/// a folder, and that of an object after a multipart upload.
fn urls(world: &Balanced, from: Ipv4Addr, headers: &str) -> [String; 2] {
    let mut connection = world.connect_from(from);
    let mut ask = |method: &str, target: &str, headers: &str, body: &str| {
        exchange(&mut connection, method, target, headers, body)
    };
    let between = |text: &str, begin: &str, end: &str| {
        let (_, rest) = text.split_once(begin).unwrap_or_else(|| panic!("no {begin}: {text}"));
        rest.split_once(end).unwrap().0.to_owned()
    };
    let page = ask("GET", "/tmp/media/", &format!("{headers}Accept: text/html\r\n"), "").text();
    let command = between(&page, "curl -T FILE &#39;", "&#39;");
    let created = ask("POST", "/tmp/media/m?uploads", headers, "").text();
    let id = between(&created, "<UploadId>", "</UploadId>");
    let part = ask("PUT", &format!("/tmp/media/m?partNumber=1&uploadId={id}"), headers, "part");
    let etag = part.header("etag").unwrap();
    let parts = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    );
    let completed = ask("POST", &format!("/tmp/media/m?uploadId={id}"), headers, &parts).text();
    [command, between(&completed, "<Location>", "</Location>")]
}

/// Only the header of the setting, and only from a load balancer, changes the scheme of a URL.
#[test]
fn urls_have_the_scheme_that_a_load_balancer_names() {
    let writer = "[[mapping]]\nname = \"writer\"\nclient = { network = [\"203.0.113.0/24\", \"127.0.0.8\"] }\n\
                  [[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"media/\"\nallow = [\"read\", \"list\", \"write\"]\n";
    let with_scheme =
        "forwarded = { header = \"X-Forwarded-For\", scheme = \"X-Forwarded-Proto\", from = \"127.0.0.1\" }";
    let client = "X-Forwarded-For: 203.0.113.9\r\n";
    let secure = &format!("{client}X-Forwarded-Proto: https\r\n");
    for (lines, cases) in [
        (
            with_scheme,
            &[
                (BALANCER, secure, "https"),
                (BALANCER, &format!("{client}X-Forwarded-Proto: http\r\n"), "http"),
                (BALANCER, &client.to_owned(), "http"),
                (
                    BALANCER,
                    &format!("{client}X-Forwarded-Scheme: https\r\nForwarded: proto=https\r\n"),
                    "http",
                ),
                (OTHER, secure, "http"),
            ][..],
        ),
        (FORWARDED, &[(BALANCER, secure, "http"), (OTHER, secure, "http")]),
        ("", &[(OTHER, secure, "http")]),
    ] {
        let world = Balanced::start(lines, writer);
        for (from, headers, scheme) in cases {
            let root = format!("{scheme}://s3.example.test/tmp/media/");
            let expected = [root.clone(), format!("{root}m")];
            assert_eq!(urls(&world, *from, headers), expected, "{lines} {from} {headers}");
        }
        let unreadable = format!("{client}X-Forwarded-Proto: ftp\r\n");
        let expected = if lines == with_scheme { BAD } else { "200" };
        if !lines.is_empty() {
            assert_eq!(ask(&world, BALANCER, &unreadable), expected, "{lines}");
        }
    }
}

/// A load balancer that caches must not give the response to clients of other mappings.
#[test]
fn responses_for_a_forwarded_client_are_private() {
    let world = Balanced::start(FORWARDED, "");
    let mut connection = world.connect();
    connection.send(&get("X-Forwarded-For: 203.0.113.9\r\n")).unwrap();
    let answer = connection.read_response("GET").unwrap();
    assert_eq!((answer.status(), answer.header("cache-control")), (200, Some("private")));
}

/// A person on this machine who opens a page of another site is protected, whatever the load balancer says of the address.
#[test]
fn a_load_balancer_on_this_machine_changes_no_check_of_browsers() {
    let world = Balanced::start(FORWARDED, "");
    let client = "X-Forwarded-For: 203.0.113.9\r\n";
    let page = format!("{client}Origin: https://evil.test\r\nSec-Fetch-Site: cross-site\r\n");
    assert_eq!(ask(&world, BALANCER, &page), "403 AccessDenied cross-site");
    let mut connection = world.connect();
    let rebound = format!("GET /tmp/media/hello.txt HTTP/1.1\r\nHost: evil.test\r\n{client}\r\n");
    connection.send(rebound.as_bytes()).unwrap();
    assert_eq!(outcome(&connection.read_response("GET").unwrap()), "403 AccessDenied foreign-host");
}

#[test]
fn failed_attempts_are_those_of_the_client_that_the_header_names() {
    let sections = format!(
        "[limits]\nfailed_attempts_per_client = 3\n{}\
         [[mapping]]\nname = \"alice\"\nclient = {{ user = \"alice\" }}\n[[mapping.scope]]\nbucket = \"tmp\"\n\
         prefix = \"media/\"\nallow = [\"read\"]\n",
        user("alice", &[&hash("right")])
    );
    let world = Balanced::start(FORWARDED, &sections);
    let attempt = |source: &str, login: &str| {
        let headers = format!("X-Forwarded-For: {source}\r\nAuthorization: Basic {login}\r\n");
        ask(&world, BALANCER, &headers)
    };
    let (wrong, right) = ("YWxpY2U6d3Jvbmc=", "YWxpY2U6cmlnaHQ=");
    for _ in 0..3 {
        assert_eq!(attempt("198.51.100.20", wrong), "401 AccessDenied bad-credentials");
    }
    assert_eq!(attempt("198.51.100.20", wrong), "429 TooManyRequests too-many-failures");
    assert_eq!(attempt("198.51.100.21", right), "200", "another client of the same load balancer");
}

/// With both settings, the sender of the header is the client of the PROXY header.
#[test]
fn the_peer_of_the_header_is_the_source_of_the_proxy_header() {
    let lines = "proxy_protocol = { from = \"127.0.0.1\", versions = \"v1\" }\n\
                 forwarded = { header = \"X-Forwarded-For\", from = \"10.0.0.0/8\" }";
    let world = Balanced::start(lines, "");
    let ask = |source: &str, headers: &str| {
        let mut connection = world.connect();
        let header = format!("PROXY TCP4 {source} 127.0.0.1 1 1\r\n");
        connection.send(&[header.as_bytes(), &get(headers)].concat()).unwrap();
        outcome(&connection.read_response("GET").unwrap())
    };
    let said = "X-Forwarded-For: 203.0.113.9\r\n";
    assert_eq!(ask("10.1.2.3", said), "200");
    assert_eq!(ask("10.1.2.3", ""), STRANGER);
    assert_eq!(ask("198.51.100.9", said), STRANGER);
    assert_eq!(ask("203.0.113.9", "X-Forwarded-For: 198.51.100.9\r\n"), "200");
}
