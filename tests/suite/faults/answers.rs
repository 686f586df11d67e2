//! Invalid, truncated and stalled responses, for every kind of request.

use super::{ASKS, Ask, Fixture, answers, ask, good, is_one_of, resident, send};
use crate::support::faults::Step;
use std::thread;

const UPSTREAM: &str = "502 InternalError upstream";
const TIMEOUT: &str = "504 InternalError upstream-timeout";
const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: 10\r\n\r\n";

/// A name, what the store does, and what the client sees.
type Case = (String, Vec<Step>, &'static str);

fn case(name: &str, script: Vec<Step>, seen: &'static str) -> Case {
    (name.to_owned(), script, seen)
}

/// Returns the script of a store that reads a request and then does this.
fn taken(then: &[Step]) -> Vec<Step> {
    [&[Step::Head, Step::Body], then].concat()
}

fn cut_off() -> Vec<Case> {
    let half = [HEAD, b"half"].concat();
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n".to_vec();
    let mut cases = vec![
        case("reset before the request", vec![Step::Reset], UPSTREAM),
        case("reset before the answer", taken(&[Step::Reset]), UPSTREAM),
        case("closed before the answer", taken(&[]), UPSTREAM),
        case("half-closed before the answer", taken(&[Step::HalfClose]), UPSTREAM),
        case("silent", taken(&[Step::Stall]), TIMEOUT),
        case("closed in the body", answers(&half), "broken"),
        case("half-closed in the body", taken(&[Step::Send(half.clone()), Step::HalfClose]), "broken"),
        case(
            "reset in the body",
            taken(&[Step::Send(half.clone()), Step::Reset]),
            "broken or 502 InternalError upstream",
        ),
        case("silent in the body", taken(&[Step::Send(half), Step::Stall]), "broken"),
        case("closed in the chunks", answers(&chunked), "broken"),
        case("silent in the chunks", taken(&[Step::Send(chunked), Step::Stall]), "broken"),
        case(
            "closed before the last chunk",
            answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n"),
            "broken",
        ),
        case(
            "closed in a chunk's size",
            answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1"),
            "broken",
        ),
    ];
    for at in (1..HEAD.len()).step_by(7) {
        let part = Step::Send(HEAD[..at].to_vec());
        cases.push(case(
            &format!("closed in the head at {at}"),
            taken(std::slice::from_ref(&part)),
            UPSTREAM,
        ));
        cases.push(case(
            &format!("reset in the head at {at}"),
            taken(&[part.clone(), Step::Reset]),
            UPSTREAM,
        ));
    }
    cases.push(case("silent in the head", taken(&[Step::Send(HEAD[..20].to_vec()), Step::Stall]), TIMEOUT));
    cases
}

fn malformed() -> Vec<Case> {
    let heads: &[&str] = &[
        "220 smtp.example ready\r\n\r\n",
        "SSH-2.0-OpenSSH_9.9\r\n\r\n",
        "<html><body>an answer of HTTP/0.9</body></html>\r\n\r\n",
        "\0\0\0\0\0\0\0\0\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\r\n\r\n",
        "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 +20 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTQ/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-A : b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0x4\r\n\r\nbody",
        "HTTP/1.1 200 OK\r\nContent-Length: 4 4\r\n\r\nbody",
        "HTTP/1.1 200 OK\r\nContent-Length: 4;\r\n\r\nbody",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nbody",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nbody",
    ];
    let mut cases: Vec<Case> =
        heads.iter().map(|head| (format!("{head:?}"), answers(head.as_bytes()), UPSTREAM)).collect();
    for size in ["zz", "-1", "0x4", "+4", "", "5 5", "fffffffffffffffff"] {
        let bytes =
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\nbody\r\n0\r\n\r\n");
        cases.push(case(
            &format!("chunk size {size:?}"),
            answers(bytes.as_bytes()),
            "broken or 502 InternalError upstream",
        ));
    }
    let overlong = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbodyX\r\n0\r\n\r\n";
    cases.push(case("a chunk longer than said", answers(overlong), "broken or 502 InternalError upstream"));
    let head = |more: String| format!("HTTP/1.1 200 OK\r\n{more}Content-Length: 0\r\n\r\n").into_bytes();
    cases.push(case(
        "a header of a MiB",
        answers(&head(format!("X-A: {}\r\n", "a".repeat(1 << 20)))),
        UPSTREAM,
    ));
    cases.push(case("10,000 headers", answers(&head("X-A: a\r\n".repeat(10_000))), UPSTREAM));
    let endless = vec![
        Step::Head,
        Step::Body,
        Step::Send(b"HTTP/1.1 200 OK\r\n".to_vec()),
        Step::Flood(b"X-A: a\r\n".to_vec()),
    ];
    cases.push(case("headers without end", endless, UPSTREAM));
    cases
}

fn sound() -> Vec<Case> {
    let slow = "<Error><Code>SlowDown</Code></Error>";
    let busy = format!(
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{slow}",
        slow.len()
    );
    let trickled = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\n<a/>".to_vec();
    let chunks =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n<a\r\n2\r\n/>\r\n0\r\n\r\n".to_vec();
    vec![
        case("busy", answers(busy.as_bytes()), "503 SlowDown"),
        case("trickled", taken(&[Step::Trickle(trickled)]), "200"),
        case("trickled chunks", taken(&[Step::Trickle(chunks)]), "200"),
        case("well", good(), "200"),
    ]
}

/// Plays each case over each kind of request, and reports unexpected outcomes.
pub(super) fn check(cases: &[Case], asks: &[Ask]) {
    let fixture = Fixture::start();
    let mut wrong = Vec::new();
    for (name, script, expected) in cases {
        for (ask, seen, answer) in fixture.see_all(asks, script) {
            if !is_one_of(&seen, expected) {
                wrong.push(format!("{name}, {}: {seen}, not {expected}", ask.name));
            }
            if let Some(answer) = answer
                && seen == "200"
                && answer.text() != "<a/>"
            {
                wrong.push(format!("{name}, {}: a success with {:?}", ask.name, answer.text()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    fixture.finish();
}

#[test]
fn truncated_and_stalled_responses_are_failures() {
    check(&cut_off(), &ASKS);
}

#[test]
fn invalid_responses_are_failures() {
    check(&malformed(), &[ASKS[0], ASKS[2], ASKS[3], ASKS[6]]);
}

#[test]
fn valid_responses_pass() {
    check(&sound(), &ASKS);
    let fixture = Fixture::start();
    let busy = answers(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    let (seen, answer) = fixture.see(ASKS[0], &busy);
    assert_eq!((seen.as_str(), answer.unwrap().header("retry-after")), ("503", Some("7")));
    fixture.finish();
}

/// A proxy in front of the store may answer with its own page.
#[test]
fn errors_other_than_s3_documents_are_passed_on_unchanged() {
    let fixture = Fixture::start();
    let page = "x".repeat(100_000);
    for status in ["404 Not Found", "409 Conflict", "500 Internal Server Error"] {
        let head =
            format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", page.len());
        let script = answers((head + &page).as_bytes());
        for (ask, seen, answer) in fixture.see_all(&[ASKS[0], ASKS[1], ASKS[3]], &script) {
            assert_eq!(Some(&*seen), status.split(' ').next(), "{}", ask.name);
            assert_eq!(answer.unwrap().text().len(), page.len(), "{}", ask.name);
        }
    }
    fixture.finish();
}

/// Some stores show the signed request, which contains the session's key and token.
#[test]
fn a_store_cannot_leak_the_session_to_clients() {
    let fixture = Fixture::start();
    for (status, code) in
        [(403, "SignatureDoesNotMatch"), (400, "AuthorizationHeaderMalformed"), (503, "SlowDown")]
    {
        let document = format!(
            "<Error><Code>{code}</Code><AWSAccessKeyId>SESSION</AWSAccessKeyId><CanonicalRequest>GET\n\
             x-amz-security-token:SESSION\n</CanonicalRequest><RequestId>7</RequestId></Error>"
        );
        let answer = format!("HTTP/1.1 {status} No\r\nContent-Length: {}\r\n\r\n{document}", document.len());
        let (seen, answer) = fixture.see(ASKS[0], &answers(answer.as_bytes()));
        assert_eq!(seen, format!("{status} {code}"));
        let text = answer.unwrap().text();
        assert!(!text.contains("SESSION") && text.contains("<RequestId>7</RequestId>"), "{text}");
    }
    fixture.finish();
}

#[test]
fn head_requests_fail_visibly() {
    let head = ask("head", "HEAD", "/tmp/inbox/a", 0);
    let cases = [
        case("reset", taken(&[Step::Reset]), "502"),
        case("closed in the head", answers(&HEAD[..20]), "502"),
        case("silent", taken(&[Step::Stall]), "504"),
        case("garbage", answers(b"\0\r\n\r\n"), "502"),
        case("well", answers(HEAD), "200"),
    ];
    let fixture = Fixture::start();
    for (name, script, expected) in &cases {
        let (seen, _) = fixture.see(head, script);
        assert!(seen.starts_with(expected), "{name}: {seen}");
    }
    fixture.finish();
}

#[test]
fn surplus_bytes_are_never_taken_for_the_next_response() {
    let fixture = Fixture::start();
    let other = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    for first in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n",
    ] {
        let script = [answers(&[first, other].concat()), vec![Step::Head, Step::Body, Step::Stall]].concat();
        for _ in 0..3 {
            fixture.store.play(script.clone());
            let (_, answer) = send(fixture.proxy.address("all"), ASKS[0]);
            assert!(
                answer.is_none_or(|answer| answer.text() != "evil"),
                "{}",
                String::from_utf8_lossy(first)
            );
            let (seen, answer) = fixture.see(ASKS[0], &good());
            assert_eq!((seen.as_str(), answer.unwrap().text().as_str()), ("200", "<a/>"));
        }
    }
    fixture.finish();
}

#[test]
fn bytes_before_the_request_are_not_a_response() {
    let fixture = Fixture::start();
    // Whether bytes came before or after the request cannot always be told. They must never count as the response to
    // the next request.
    let early = vec![
        Step::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil".to_vec()),
        Step::Head,
        Step::Body,
    ];
    for _ in 0..20 {
        let (seen, _) = fixture.see(ASKS[0], &early);
        assert!(is_one_of(&seen, "200 or 502 InternalError upstream"), "{seen}");
        let (seen, answer) = fixture.see(ASKS[0], &good());
        assert_eq!((seen.as_str(), answer.unwrap().text().as_str()), ("200", "<a/>"));
    }
    fixture.finish();
}

#[test]
fn a_store_that_does_not_listen_is_a_failure() {
    let fixture = Fixture::start();
    let Fixture { proxy, store, .. } = fixture;
    drop(store);
    for ask in ASKS {
        let (seen, answer) = send(proxy.address("all"), ask);
        assert_eq!(
            (seen.as_str(), answer.unwrap().header("retry-after")),
            (UPSTREAM, Some("1")),
            "{}",
            ask.name
        );
    }
}

#[test]
fn lasting_failures_take_no_memory() {
    const CLIENTS: usize = 4;
    let fixture = Fixture::start();
    let half = [HEAD, b"half"].concat();
    let scripts = [
        taken(&[Step::Reset]),
        answers(&half),
        answers(b"\0\r\n\r\n"),
        vec![
            Step::Head,
            Step::Begin(1),
            Step::Send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".to_vec()),
        ],
        vec![Step::Head, Step::Reset],
    ];
    let round = |times: usize| {
        for script in &scripts {
            fixture.store.play(script.clone());
            thread::scope(|scope| {
                for _ in 0..CLIENTS {
                    scope.spawn(|| {
                        for ask in [ASKS[0], ASKS[3], ASKS[4]].into_iter().cycle().take(times) {
                            let (seen, _) = send(fixture.proxy.address("all"), ask);
                            assert_ne!(seen, "200");
                        }
                    });
                }
            });
        }
    };
    // Lasting allocations are made in the first rounds.
    round(12);
    let before = resident(&fixture.proxy);
    round(24);
    let after = resident(&fixture.proxy);
    assert!(after < before + 8 * 1024, "{before} KiB, then {after} KiB");
    fixture.finish();
}
