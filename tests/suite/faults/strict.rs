//! Responses that a lenient parser accepts: framing that two parsers may read differently (RFC 9112, sections 6 and
//! 7), and a response before the end of an upload.

use super::{ASKS, Fixture, answers, is_one_of};
use crate::support::faults::Step;

const UPSTREAM: &str = "502 InternalError upstream";
/// If the head was passed on already, the rest is not a complete response.
const NO_SUCCESS: &str = "broken or 502 InternalError upstream";

const HEADS: [&str; 23] = [
    "HTTP/1.1 200 OK\r\nContent-Length: +4\r\n\r\nbody",
    "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 4,4\r\n\r\nbody",
    "HTTP/1.1 200 OK\r\nContent-Length: 4, 4\r\n\r\nbody",
    "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nbody",
    "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity, chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nbody",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: \r\n\r\nbody",
    "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    "HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200OK\r\nContent-Length: 0\r\n\r\n",
    " HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\n Content-Length: 4\r\n\r\nbody",
    "HTTP/1.1 200 OK\r\nX-A: a\r\n b\r\nContent-Length: 4\r\n\r\nbody",
    "HTTP/1.1 200 OK\r\nX-A: a\rb\r\nContent-Length: 4\r\n\r\nbody",
    "HTTP/1.1 200 OK\nContent-Length: 4\n\nbody",
];

const CHUNKS: [&str; 7] = [
    "4 \r\nbody\r\n0\r\n\r\n",
    " 4\r\nbody\r\n0\r\n\r\n",
    "4\nbody\r\n0\r\n\r\n",
    "4\r\nbody\n0\r\n\r\n",
    "4;a=\0\r\nbody\r\n0\r\n\r\n",
    "4\r\nbody\r\n0\r\nno colon\r\n\r\n",
    "4\r\nbody\r\n0\r\n",
];

fn wrong(fixture: &Fixture, name: &str, script: &[Step], expected: &str) -> Vec<String> {
    let seen = fixture.see_all(&[ASKS[0], ASKS[2], ASKS[3]], script).into_iter();
    let wrong = seen.filter(|(_, seen, _)| !is_one_of(seen, expected));
    wrong.map(|(ask, seen, _)| format!("{name}, {}: {seen}, not {expected}", ask.name)).collect()
}

#[test]
fn ambiguous_heads_are_rejected() {
    let fixture = Fixture::start();
    let wrong: Vec<_> = HEADS
        .iter()
        .flat_map(|head| wrong(&fixture, &format!("{head:?}"), &answers(head.as_bytes()), UPSTREAM))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    fixture.finish();
}

#[test]
fn ambiguous_chunks_are_rejected() {
    let fixture = Fixture::start();
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut all: Vec<_> = CHUNKS
        .iter()
        .flat_map(|chunks| {
            let script = answers(format!("{head}{chunks}").as_bytes());
            wrong(&fixture, &format!("{chunks:?}"), &script, NO_SUCCESS)
        })
        .collect();
    let endless = |end: &str| {
        [answers(format!("{head}{end}").as_bytes()), vec![Step::Flood(b"a".repeat(4096))]].concat()
    };
    all.extend(wrong(&fixture, "an endless extension", &endless("4;"), NO_SUCCESS));
    all.extend(wrong(&fixture, "endless trailers", &endless("4\r\nbody\r\n0\r\nX: "), NO_SUCCESS));
    assert!(all.is_empty(), "{}", all.join("\n"));
    fixture.finish();
}

#[test]
fn interim_responses_are_limited() {
    let fixture = Fixture::start();
    let interim = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let flood = vec![Step::Head, Step::Body, Step::Flood(interim.repeat(100))];
    let many = [
        vec![Step::Head, Step::Body, Step::Send(interim.repeat(10_000))],
        vec![Step::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody".to_vec())],
    ];
    let few = [
        vec![Step::Head, Step::Body, Step::Send(interim.repeat(3))],
        vec![Step::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody".to_vec())],
    ];
    let mut all = wrong(&fixture, "without end", &flood, UPSTREAM);
    all.extend(wrong(&fixture, "ten thousand", &many.concat(), UPSTREAM));
    all.extend(wrong(&fixture, "three", &few.concat(), "200"));
    assert!(all.is_empty(), "{}", all.join("\n"));
    fixture.finish();
}

/// The connection is reset because the store did not read the rest of the upload. The response was sent before.
#[test]
fn an_early_response_is_read_despite_a_reset() {
    const DENIED: &str = "<Error><Code>AccessDenied</Code></Error>";
    let fixture = Fixture::start();
    let answer = format!(
        "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{DENIED}",
        DENIED.len()
    );
    let script = [Step::Head, Step::Begin(100_000), Step::Send(answer.into_bytes())];
    for _ in 0..10 {
        for ask in [ASKS[4], ASKS[5]] {
            assert_eq!(fixture.see(ask, &script).0, "403 AccessDenied", "{}", ask.name);
        }
    }
    fixture.finish();
}

/// A body that ends with the connection could be incomplete.
#[test]
fn a_response_without_a_length_is_not_trusted_as_complete() {
    let fixture = Fixture::start();
    let wrong = wrong(&fixture, "until closed", &answers(b"HTTP/1.1 200 OK\r\n\r\nbody"), NO_SUCCESS);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    fixture.finish();
}
