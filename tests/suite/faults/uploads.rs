//! Stores that respond, break off or stall in the middle of an upload.

use super::{ASKS, Ask, Fixture, good, is_one_of};
use crate::support::faults::Step;

const LARGE: [Ask; 2] = [ASKS[4], ASKS[5]];
const DENIED: &str = "<Error><Code>AccessDenied</Code></Error>";

fn denied(more: &str) -> Step {
    let head = format!("HTTP/1.1 403 Forbidden\r\n{more}Content-Length: {}\r\n\r\n", DENIED.len());
    Step::Send((head + DENIED).into_bytes())
}

#[test]
fn an_early_response_reaches_the_client() {
    let fixture = Fixture::start();
    let begin = [Step::Head, Step::Begin(100_000), denied("Connection: close\r\n")];
    for (name, then) in [("closed in order", Step::HalfClose), ("left open", Step::Stall)] {
        for ask in LARGE {
            for _ in 0..5 {
                let (seen, _) = fixture.see(ask, &[&begin[..], std::slice::from_ref(&then)].concat());
                assert_eq!(seen, "403 AccessDenied", "{name}, {}", ask.name);
            }
        }
    }
    fixture.finish();
}

#[test]
fn a_broken_upload_is_a_failure_and_not_retried() {
    let fixture = Fixture::start();
    let upstream = "502 InternalError upstream";
    for (name, then, expected) in [
        ("reset", Step::Reset, upstream),
        ("closed", Step::Begin(0), upstream),
        ("half-closed", Step::HalfClose, upstream),
        ("garbage", Step::Send(b"\0\r\n\r\n".to_vec()), upstream),
        ("silent", Step::Stall, "504 InternalError upstream-timeout"),
    ] {
        for ask in LARGE {
            for begun in [1, 100_000, 2 << 20] {
                let before = fixture.store.requests();
                let (seen, _) = fixture.see(ask, &[Step::Head, Step::Begin(begun), then.clone()]);
                assert!(is_one_of(&seen, expected), "{name} after {begun}, {}: {seen}", ask.name);
                assert_eq!(fixture.store.requests(), before + 1, "{name}: sent again");
            }
        }
    }
    fixture.finish();
}

/// The store responded early and stopped reading. The rest of the body must not precede the next request.
#[test]
fn a_connection_with_an_unfinished_upload_is_not_reused() {
    let fixture = Fixture::start();
    let early = [
        Step::Head,
        Step::Begin(1000),
        Step::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody".to_vec()),
        Step::Stall,
    ];
    // More than the sockets on the way can buffer.
    let large = Ask { body: 48 << 20, ..ASKS[4] };
    let _either = fixture.see(large, &early);
    let before = fixture.store.requests();
    let (seen, _) = fixture.see(ASKS[0], &good());
    assert_eq!((seen.as_str(), fixture.store.requests()), ("200", before + 1));
    fixture.finish();
}
