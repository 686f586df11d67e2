//! PROXY headers at a real listener, byte by byte.

use super::{BALANCER, Balanced, OBJECT, OTHER, get, is_closed};
use crate::identity::declare::{hash, user};
use crate::support::http::Connection;
use crate::support::process::wait_for;
use crate::support::world::outcome;
use std::io;
use std::time::Duration;
use tempfile::TempDir;

pub(super) const BOTH: &str = "proxy_protocol = { from = [\"127.0.0.1\"], versions = [\"v1\", \"v2\"] }";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Returns a line of version 1 for a client at this address.
pub(super) fn line(source: &str) -> Vec<u8> {
    let family = if source.contains(':') { ("TCP6", "::1") } else { ("TCP4", "127.0.0.1") };
    format!("PROXY {} {source} {} 51234 443\r\n", family.0, family.1).into_bytes()
}

/// Returns a header of version 2.
fn binary(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, block].concat()
}

fn v4(source: [u8; 4]) -> Vec<u8> {
    binary(0x21, 0x11, &[&source[..], &[127, 0, 0, 1, 0xc8, 0x22, 1, 0xbb]].concat())
}

fn v6(source: &str) -> Vec<u8> {
    let source: std::net::Ipv6Addr = source.parse().unwrap();
    binary(0x21, 0x21, &[&source.octets()[..], &[0; 20]].concat())
}

const CLIENT: [u8; 4] = [203, 0, 113, 9];
const FOREIGN: [u8; 4] = [198, 51, 100, 9];

#[test]
fn a_header_names_the_client() {
    // A connection without a client is not the load balancer's either, whatever that may do itself.
    let of_balancer = "[[mapping]]\nname = \"balancer\"\nclient = { network = \"127.0.0.1\" }\n\
                       [[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"media/\"\nallow = [\"read\"]\n";
    let world = Balanced::start(BOTH, of_balancer);
    let stranger = "403 AccessDenied no-mapping";
    let cases = [
        (line("203.0.113.9"), "200"),
        (line("::ffff:203.0.113.9"), "200"),
        (line("2001:db8::9"), "200"),
        (line("198.51.100.9"), stranger),
        (line("127.0.0.1"), "200"),
        (v4(CLIENT), "200"),
        (v6("::ffff:203.0.113.9"), "200"),
        (v6("2001:db8::9"), "200"),
        (v4(FOREIGN), stranger),
        (b"PROXY UNKNOWN\r\n".to_vec(), stranger),
        (b"PROXY UNKNOWN 203.0.113.9 1.1.1.1 1 1\r\n".to_vec(), stranger),
        (binary(0x20, 0, b""), stranger),
        (binary(0x20, 0x11, &v4(CLIENT)[16..]), stranger),
        (binary(0x20, 0xff, &[0xff; 4096]), stranger),
    ];
    for (header, expected) in &cases {
        // At once with the request, byte by byte, and with a pause before the request.
        let request = get("");
        let whole = [&header[..], &request].concat();
        for pieces in [vec![&whole[..]], whole.chunks(1).collect(), vec![header, &request]] {
            let mut connection = world.connect();
            for piece in pieces {
                connection.send(piece).unwrap();
            }
            let answer = connection.read_response("GET").unwrap();
            assert_eq!(outcome(&answer), *expected, "{header:?}");
            // The header is for the connection.
            connection.send(&request).unwrap();
            assert_eq!(outcome(&connection.read_response("GET").unwrap()), *expected, "{header:?}");
        }
    }
    let log = world.proxy.stderr();
    assert!(log.contains("client=203.0.113.9 peer=127.0.0.1 "), "{log}");
    assert!(log.contains("client=2001:db8::9 peer=127.0.0.1 "), "{log}");
}

#[test]
fn a_connection_without_a_valid_header_is_closed() {
    let world = Balanced::start(BOTH, "");
    let request = get("");
    let mut wrong_checksum = binary(0x21, 0x11, &[&v4(CLIENT)[16..], &[3, 0, 4, 1, 2, 3, 4]].concat());
    wrong_checksum.extend_from_slice(&request);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (request.clone(), "missing"),
        (b"\x16\x03\x01\x02\x00\x01".to_vec(), "missing"),
        (b"proxy TCP4 203.0.113.9 1.1.1.1 1 1\r\n".to_vec(), "missing"),
        (b"PROXY TCP4 203.0.113.9 1.1.1.1 1 1\n".to_vec(), "malformed"),
        (b"PROXY tcp4 203.0.113.9 1.1.1.1 1 1\r\n".to_vec(), "malformed"),
        (b"PROXY TCP4 203.0.113.009 1.1.1.1 1 1\r\n".to_vec(), "malformed"),
        (b"PROXY TCP4 203.0.113.9 1.1.1.1 01 1\r\n".to_vec(), "malformed"),
        (b"PROXY TCP4 203.0.113.9 1.1.1.1 65536 1\r\n".to_vec(), "malformed"),
        (b"PROXY TCP4  203.0.113.9 1.1.1.1 1 1\r\n".to_vec(), "malformed"),
        (b"PROXY TCP6 203.0.113.9 1.1.1.1 1 1\r\n".to_vec(), "malformed"),
        (b"PROXY TCP4 0.0.0.0 1.1.1.1 1 1\r\n".to_vec(), "malformed"),
        ([&b"PROXY UNKNOWN "[..], &[b'f'; 100]].concat(), "malformed"),
        (v6("ff02::1"), "malformed"),
        (binary(0x21, 0, b""), "malformed"),
        (binary(0x21, 0x12, &v4(CLIENT)[16..]), "malformed"),
        (binary(0x21, 0x31, &[b'/'; 216]), "malformed"),
        (binary(0x11, 0x11, &v4(CLIENT)[16..]), "malformed"),
        (binary(0x22, 0x11, &v4(CLIENT)[16..]), "malformed"),
        (binary(0x21, 0x11, &v4(CLIENT)[16..27]), "malformed"),
        (binary(0x21, 0x11, &[&v4(CLIENT)[16..], &[4, 0, 9]].concat()), "malformed"),
        (binary(0x20, 0, &[0; 4097]), "malformed"),
        (wrong_checksum, "checksum"),
        (line("203.0.113.9")[..30].to_vec(), "closed"),
        (v4(CLIENT)[..27].to_vec(), "closed"),
        (Vec::new(), "closed"),
    ];
    for (bytes, reason) in &cases {
        let before = world.refused(reason);
        let mut connection = world.connect();
        // The listener may close before it has read everything.
        let _ = connection.send(bytes);
        if *reason == "closed" {
            connection.end_sending().unwrap();
        }
        assert!(is_closed(&connection.read_response("GET")), "{bytes:?}");
        let counted = wait_for(|| (world.refused(reason) == before + 1).then_some(()));
        assert!(counted.is_some(), "{reason}: {bytes:?}");
    }
    let log = world.proxy.stderr().replace('"', "");
    // The log has one line in ten seconds for each reason.
    let malformed = cases.iter().filter(|(_, reason)| *reason == "malformed").count();
    assert!((1..malformed).contains(&log.matches("reason=malformed").count()), "{log}");
    assert!(log.contains("reason=missing") && log.contains("peer=127.0.0.1"), "{log}");
}

/// Nobody but the load balancer may use the listener, with a header or without.
#[test]
fn other_peers_are_closed_at_once() {
    let world = Balanced::start(BOTH, "");
    for (number, bytes) in
        [Vec::new(), get(""), [line("203.0.113.9"), get("")].concat()].into_iter().enumerate()
    {
        let mut connection = world.connect_from(OTHER);
        let _ = connection.send(&bytes);
        assert!(is_closed(&connection.read_response("GET")), "{bytes:?}");
        assert_eq!(world.refused("untrusted-peer"), number as u64 + 1);
    }
    let mut connection = world.connect_from(BALANCER);
    connection.send(&[line("203.0.113.9"), get("")].concat()).unwrap();
    assert_eq!(connection.read_response("GET").unwrap().status(), 200);
}

#[test]
fn only_the_configured_version_is_accepted() {
    for (version, accepted, refused) in
        [("v1", line("203.0.113.9"), v4(CLIENT)), ("v2", v4(CLIENT), line("203.0.113.9"))]
    {
        let lines = format!("proxy_protocol = {{ from = \"127.0.0.0/30\", versions = \"{version}\" }}");
        let world = Balanced::start(&lines, "");
        let answer = |header: &[u8]| {
            let mut connection = world.connect();
            let _ = connection.send(&[header, &get("")].concat());
            connection.read_response("GET")
        };
        assert_eq!(answer(&accepted).unwrap().status(), 200);
        assert!(is_closed(&answer(&refused)));
        assert_eq!(world.refused("version"), 1);
    }
}

#[test]
fn a_header_must_arrive_in_time() {
    let world = Balanced::start(BOTH, "[limits]\nheader_timeout = \"300ms\"\n");
    for (number, sent) in [&b""[..], b"PROXY TCP4 203", &v4(CLIENT)[..20]].into_iter().enumerate() {
        let mut connection = world.connect();
        connection.send(sent).unwrap();
        assert!(is_closed(&connection.read_response("GET")), "{sent:?}");
        assert_eq!(world.refused("timeout"), number as u64 + 1);
    }
    // A drip of bytes does not move the deadline.
    let mut connection = world.connect();
    connection.set_read_timeout(Duration::from_millis(20)).unwrap();
    let dripped = line("2001:db8:1111:2222:3333:4444:5555:6666").into_iter().try_for_each(|byte| {
        connection.send(&[byte])?;
        match connection.read_response("GET") {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Ok(())
            }
            Err(error) => Err(error),
            Ok(answer) => panic!("{answer:?}"),
        }
    });
    assert!(dripped.is_err() && wait_for(|| (world.refused("timeout") == 4).then_some(())).is_some());
}

#[test]
fn limits_count_the_client_that_the_header_names() {
    let sections = format!(
        "[limits]\nconnections_per_client = 2\nfailed_attempts_per_client = 3\n{}\
         [[mapping]]\nname = \"alice\"\nclient = {{ user = \"alice\" }}\n[[mapping.scope]]\nbucket = \"tmp\"\n\
         prefix = \"other/\"\nallow = [\"read\"]\n",
        user("alice", &[&hash("right")])
    );
    let world = Balanced::start(BOTH, &sections);
    let open = |source: &str| {
        let mut connection = world.connect();
        let _ = connection.send(&[line(source), get("")].concat());
        connection.read_response("GET").map(|answer| (connection, answer.status()))
    };
    let held: Vec<(Connection, u16)> = ["203.0.113.9", "203.0.113.9", "203.0.113.10", "203.0.113.10"]
        .map(|source| open(source).unwrap())
        .into();
    assert!(held.iter().all(|(_, status)| *status == 200));
    assert!(open("203.0.113.9").is_err(), "a third connection of one client");
    assert!(open("203.0.113.11").is_ok(), "the load balancer itself has more than two");
    drop(held);

    let (wrong, right) = ("YWxpY2U6d3Jvbmc=", "YWxpY2U6cmlnaHQ=");
    let attempts = |source: &str, logins: &[&str]| -> Vec<String> {
        let mut connection = world.connect();
        connection.send(&line(source)).unwrap();
        let attempt = |login: &&str| {
            connection.send(&get(&format!("Authorization: Basic {login}\r\n"))).unwrap();
            outcome(&connection.read_response("GET").unwrap())
        };
        logins.iter().map(attempt).collect()
    };
    let bad = "401 AccessDenied bad-credentials";
    let limited = "429 TooManyRequests too-many-failures";
    assert_eq!(attempts("203.0.113.20", &[wrong, wrong, wrong, wrong]), [bad, bad, bad, limited]);
    assert_eq!(attempts("203.0.113.20", &[right]), [limited], "on another connection");
    assert_eq!(attempts("203.0.113.21", &[wrong]), [bad], "another client");
}

#[test]
fn a_unix_socket_believes_the_user_of_the_load_balancer() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("s3.sock");
    let me = rustix::process::getuid().as_raw();
    for (uid, is_believed) in [(me, true), (me + 1, false)] {
        let lines = format!("proxy_protocol = {{ from = \"uid:{uid}\", versions = \"v2\" }}");
        let world = Balanced::start_at(&format!("unix:{}", path.display()), &lines, "");
        let mut connection = Connection::open_unix(&path).unwrap();
        let _ = connection.send(&[v4(CLIENT), get("")].concat());
        let answer = connection.read_response("GET");
        if is_believed {
            assert_eq!(answer.unwrap().text(), "hello, media\n", "{OBJECT}");
            let named = || world.proxy.stderr().contains("client=203.0.113.9 peer=unix ").then_some(());
            assert!(wait_for(named).is_some(), "{}", world.proxy.stderr());
        } else {
            assert!(is_closed(&answer), "{answer:?}");
        }
    }
}
