//! HTTP framing from the client's socket to the store's: each message is refused, or forwarded in one canonical form
//! that all parsers read alike.

mod cases;
mod peers;

use self::cases::{Case, cases};
use crate::support::http::Connection;
use crate::support::keys::Keys;
use crate::support::proxy::Proxy;
use crate::support::record::Recorder;
use crate::support::world::{self, config, corner};
use std::net::SocketAddr;

/// The answer of an STS whose sessions may do anything.
const ANYTHING_GOES: &str = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
    <Credentials><AccessKeyId>ANYTHING</AccessKeyId><SecretAccessKey>goes</SecretAccessKey>\
    <SessionToken>token</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration></Credentials>\
    </AssumeRoleResult></AssumeRoleResponse>";

struct Line {
    store: Recorder,
    _sts: Recorder,
    proxy: Proxy,
}

/// Starts a proxy in front of a recording store, or of what `between` puts in front of that store.
fn line(between: impl FnOnce(SocketAddr) -> SocketAddr) -> Line {
    let store = Recorder::start(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let length = ANYTHING_GOES.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {length}\r\n\r\n{ANYTHING_GOES}"
    );
    let sts = Recorder::start(answer.as_bytes());
    let scopes = [("tmp", "media/", "read,list,write,delete")];
    let upstream = between(store.address());
    // Short time-outs, because some cases end in a wait for more bytes.
    let limits = "[limits]\nheader_timeout = \"2s\"\nidle_timeout = \"2s\"\nstall_timeout = \"3s\"";
    let config = config(upstream, sts.address(), &[corner("client", &scopes)], limits);
    let proxy = world::start(&config, &Keys::random("issuer"));
    Line { store, _sts: sts, proxy }
}

/// Returns the statuses of the responses and the requests that reached the store, as `METHOD target [body]`.
fn play(line: &Line, case: &Case) -> (Vec<u16>, Vec<String>) {
    let before: Vec<usize> = line.store.received().iter().map(Vec::len).collect();
    let mut connection = Connection::open(line.proxy.address("client")).unwrap();
    connection.send(&case.sent).unwrap();
    let mut statuses = Vec::new();
    while statuses.len() < case.statuses.len().max(1) {
        match connection.read_response(case.method()) {
            Ok(answer) => statuses.push(answer.status()),
            Err(_) => break,
        }
    }
    // After a message that closes the connection, the connection must stay closed.
    if case.statuses.iter().any(|status| cases::CLOSING.contains(status)) {
        let rest = connection.read_to_end();
        assert!(rest.is_ok_and(|rest| rest.is_empty()), "{}: more came", case.name);
    }
    drop(connection);
    (statuses, requests_since(&line.store.received(), &before))
}

/// Returns the requests on each connection to the store since `before`, which holds their lengths at that time.
fn requests_since(all: &[Vec<u8>], before: &[usize]) -> Vec<String> {
    let mut requests = Vec::new();
    for (index, bytes) in all.iter().enumerate() {
        let mut rest = &bytes[before.get(index).copied().unwrap_or(0)..];
        while !rest.is_empty() {
            let (request, length) = read_canonical(rest);
            requests.push(request);
            rest = &rest[length..];
        }
    }
    requests
}

/// Reads a request in the only form that Scopegate writes. Anything else is a failure.
fn read_canonical(bytes: &[u8]) -> (String, usize) {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head") + 4;
    let head = std::str::from_utf8(&bytes[..end]).expect("a head in UTF-8");
    let mut lines = head.trim_end().split("\r\n");
    let first = lines.next().unwrap();
    let [method, target, "HTTP/1.1"] = first.split(' ').collect::<Vec<_>>()[..] else { panic!("{first:?}") };
    assert!(target.starts_with('/') && target.bytes().all(|b| b.is_ascii_graphic()), "{first:?}");
    let mut length = 0;
    let mut names = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{line:?}"));
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{line:?}");
        assert!(!value.is_empty() && !value.bytes().any(|b| b.is_ascii_control()), "{line:?}");
        if name == "content-length" {
            assert!(value == "0" || !value.starts_with('0'), "{line:?}");
            length = value.parse().unwrap();
        }
        names.push(name);
    }
    for once in ["host", "authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"] {
        assert_eq!(names.iter().filter(|name| **name == once).count(), 1, "{once} in {head}");
    }
    for never in
        ["transfer-encoding", "te", "trailer", "upgrade", "connection", "keep-alive", "x-injected", "cookie"]
    {
        assert!(!names.contains(&never), "{never} in {head}");
    }
    let body = String::from_utf8_lossy(&bytes[end..end + length]);
    (format!("{method} {target} [{body}]"), end + length)
}

#[test]
fn each_message_is_refused_or_forwarded_in_canonical_form() {
    let line = line(|store| store);
    let mut wrong = Vec::new();
    for case in cases() {
        let (statuses, forwarded) = play(&line, &case);
        if statuses != case.statuses || forwarded != case.forwarded {
            wrong.push(format!(
                "{}: {} answered {statuses:?} (not {:?}), forwarded {forwarded:?} (not {:?})",
                case.name,
                case.sent.escape_ascii(),
                case.statuses,
                case.forwarded
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Other parsers read forwarded messages as the recording store does.
#[test]
fn other_parsers_agree_on_forwarded_messages() {
    type Start = fn(SocketAddr) -> peers::Peer;
    let known: [(&str, Start); 2] = [("nginx", peers::nginx), ("haproxy", peers::haproxy)];
    for (_, start) in known.into_iter().filter(|(name, _)| peers::is_installed(name)) {
        let mut peer = None;
        let line = line(|store| {
            let started = start(store);
            let address = started.address;
            peer = Some(started);
            address
        });
        for case in cases().iter().filter(|case| !case.forwarded.is_empty()) {
            assert_eq!(statuses_of(&line, case), case.statuses, "{}", case.name);
        }
        let received = line.store.received();
        let requests = received.iter().flat_map(|bytes| peers::requests(bytes));
        // A connection of these proxies may carry a health check as well.
        let seen: Vec<String> =
            requests.filter(|request| !request.starts_with("GET /minio/health/")).collect();
        let mut expected: Vec<String> = cases().into_iter().flat_map(|case| case.forwarded).collect();
        let mut seen = seen;
        expected.sort();
        seen.sort();
        assert_eq!(seen, expected, "through {}", peer.unwrap().name);
    }
}

fn statuses_of(line: &Line, case: &Case) -> Vec<u16> {
    let mut connection = Connection::open(line.proxy.address("client")).unwrap();
    connection.send(&case.sent).unwrap();
    let statuses =
        case.statuses.iter().map_while(|_| Some(connection.read_response(case.method()).ok()?.status()));
    statuses.collect()
}
