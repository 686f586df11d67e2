//! `X-Forwarded-For` at a real listener.

use super::{BALANCER, Balanced, OTHER, get};
use crate::identity::declare::{hash, user};
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
