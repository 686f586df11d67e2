//! Heads: what is accepted, and how everything else is refused.

use super::raw::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GET, HEADERS, Outcome, Raw, block, frame, get, put,
};
use super::*;

/// Sends frames for stream 1 and returns what becomes of it, with the requests that reached the service.
async fn send(paths: &Paths, frames: &[u8]) -> (Outcome, Vec<String>) {
    let (_, outcome) = run(paths, |stream| async {
        let mut raw = Raw::open(stream).await;
        raw.send(frames).await;
        raw.outcome(1).await
    })
    .await;
    (outcome, paths.seen.take())
}

/// Replaces, adds or (with an empty value) removes fields of a plain GET.
fn with(changes: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let mut fields: Vec<_> = GET.to_vec();
    for (name, value) in changes {
        let place = fields.iter_mut().find(|field| field.0 == *name && name.starts_with(':'));
        match place {
            Some(field) => field.1 = value,
            None => fields.push((name, value)),
        }
    }
    fields.retain(|(name, value)| !(name.starts_with(':') && value.is_empty()));
    fields
}

const PROTOCOL_ERROR: Outcome = Outcome::Reset(1);

#[tokio::test(start_paused = true)]
async fn heads_that_are_valid_reach_the_service() {
    for (changes, seen) in [
        (&[][..], "GET h /a [0]"),
        (&[(":authority", "H:80")], "GET H:80 /a [0]"),
        (&[("host", "H")], "GET h /a [0]"),
        (&[(":authority", ""), ("host", "other")], "GET other /a [0]"),
        (&[(":path", "/a%20b?c=d&e")], "GET h /a%20b?c=d&e [0]"),
        (&[(":path", "/ü[1]")], "GET h /ü[1] [0]"),
        // HTTP/1.1 refuses a fragment. `h2` drops it before anything can see it.
        (&[(":path", "/a#b?c")], "GET h /a [0]"),
        (&[(":method", "OPTIONS"), (":path", "*")], "OPTIONS h * [0]"),
        // A load balancer that ends TLS may keep the scheme.
        (&[(":scheme", "https")], "GET h /a [0]"),
        (&[("te", "trailers")], "GET h /a [0]"),
        (&[("content-length", "0")], "GET h /a [0]"),
        (&[("expect", "100-continue")], "GET h /a [0]"),
        (&[("expect", "")], "GET h /a [0]"),
        (&[("cookie", "a=b"), ("cookie", "c=d")], "GET h /a [0]"),
    ] {
        let (outcome, reached) = send(&Paths::default(), &get(1, &with(changes))).await;
        assert_eq!((outcome, reached), (Outcome::Status(200), vec![seen.to_owned()]), "{changes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn heads_that_are_malformed_reach_no_service() {
    let (bad, many) = (Outcome::Status(400), "x".repeat(40));
    let twice = |name, value| [GET, &[(name, value)]].concat();
    let mut wrong = Vec::new();
    for (fields, outcome) in [
        // Pseudo-headers.
        (twice(":path", "/b"), PROTOCOL_ERROR),
        (twice(":method", "GET"), PROTOCOL_ERROR),
        (twice(":scheme", "http"), PROTOCOL_ERROR),
        (twice(":authority", "h"), PROTOCOL_ERROR),
        (twice(":status", "200"), PROTOCOL_ERROR),
        ([&[("x-a", "b")], GET].concat(), PROTOCOL_ERROR),
        (GET[1..].to_vec(), PROTOCOL_ERROR),
        (with(&[(":scheme", "")]), PROTOCOL_ERROR),
        (with(&[(":path", "")]), PROTOCOL_ERROR),
        (vec![(":method", "GET"), (":scheme", "http"), (":path", ""), (":authority", "h")], PROTOCOL_ERROR),
        (with(&[(":scheme", "ftp")]), bad),
        (with(&[(":method", "CONNECT")]), PROTOCOL_ERROR),
        (vec![(":method", "CONNECT"), (":authority", "h:1")], Outcome::Status(501)),
        ([&[(":protocol", "websocket")], &with(&[(":method", "CONNECT")])[..]].concat(), PROTOCOL_ERROR),
        (with(&[(":method", &*many.clone().leak())]), Outcome::Status(501)),
        // Targets.
        (with(&[(":path", "*")]), bad),
        (with(&[(":path", "a")]), PROTOCOL_ERROR),
        (with(&[(":path", "http://h/a")]), PROTOCOL_ERROR),
        (with(&[(":path", "/a^b")]), bad),
        (with(&[(":path", "/a\"b")]), bad),
        (with(&[(":path", "/a b")]), PROTOCOL_ERROR),
        // Hosts.
        (with(&[(":authority", "")]), bad),
        (with(&[(":authority", "user@h")]), bad),
        (with(&[("host", "other")]), bad),
        (with(&[("host", "h"), ("host", "h")]), bad),
        (with(&[(":authority", ""), ("host", "a"), ("host", "a")]), bad),
        (with(&[(":authority", ""), ("host", "a/b")]), bad),
        // Fields.
        (with(&[("Upper", "x")]), Outcome::GoAway(1)),
        (with(&[("connection", "close")]), PROTOCOL_ERROR),
        (with(&[("keep-alive", "1")]), PROTOCOL_ERROR),
        (with(&[("proxy-connection", "close")]), PROTOCOL_ERROR),
        (with(&[("transfer-encoding", "chunked")]), PROTOCOL_ERROR),
        (with(&[("upgrade", "h2c")]), PROTOCOL_ERROR),
        (with(&[("te", "gzip")]), PROTOCOL_ERROR),
        (with(&[("\"", "b")]), bad),
        (with(&[("x-a", " b")]), bad),
        (with(&[("x-a", "b\t")]), bad),
        (with(&[("content-length", "1")]), PROTOCOL_ERROR),
        (with(&[("content-length", "0"), ("content-length", "0")]), bad),
        (with(&[("content-length", "0, 0")]), PROTOCOL_ERROR),
        (with(&[("expect", "200-ok")]), Outcome::Status(417)),
        ([GET, &vec![("x-a", "b"); 21]].concat(), Outcome::Status(431)),
        (with(&[("x-a", &*"x".repeat(4096).leak())]), Outcome::Status(431)),
    ] {
        let (reached, seen) = send(&Paths::default(), &get(1, &fields)).await;
        if (reached, seen.len()) != (outcome, 0) {
            wrong.push(format!("{reached:?} instead of {outcome:?}, {seen:?}: {fields:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let secure = Paths { is_secure: true, ..Paths::default() };
    assert_eq!(send(&secure, &get(1, GET)).await, (Outcome::Status(400), vec![]), "http over TLS");
    assert_eq!(send(&secure, &get(1, &with(&[(":scheme", "https")]))).await.0, Outcome::Status(200));
}

/// Values that a field may not have are not even compressed: these are errors of the connection.
#[tokio::test(start_paused = true)]
async fn control_characters_end_the_stream_or_the_connection() {
    for value in ["a\rb", "a\nb", "a\0b", "a\u{7f}b"] {
        let (outcome, seen) =
            send(&Paths::default(), &get(1, &with(&[("x-a", &*value.to_owned().leak())]))).await;
        assert!(matches!(outcome, Outcome::GoAway(_) | Outcome::Reset(1)), "{value:?}: {outcome:?}");
        assert_eq!(seen, [""; 0], "{value:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_have_the_length_that_is_announced() {
    let data = |flags, bytes: &[u8]| frame(DATA, flags, 1, bytes);
    for (length, body, outcome) in [
        ("3", data(END_STREAM, b"abc"), Outcome::Status(200)),
        ("3", [data(0, b"ab"), data(END_STREAM, b"c")].concat(), Outcome::Status(200)),
        ("3", data(END_STREAM, b"ab"), PROTOCOL_ERROR),
        ("3", data(END_STREAM, b"abcd"), PROTOCOL_ERROR),
        ("0", data(END_STREAM, b"a"), PROTOCOL_ERROR),
        ("0", data(END_STREAM, b""), Outcome::Status(200)),
    ] {
        let paths = Paths::default();
        let frames = [put(1, &[("content-length", length)]), body].concat();
        assert_eq!(send(&paths, &frames).await.0, outcome, "{length}");
    }
    // Trailers are dropped.
    let trailers = frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&[("x-behind", "it")]));
    let (outcome, seen) = send(&Paths::default(), &[put(1, &[]), data(0, b"abc"), trailers].concat()).await;
    assert_eq!((outcome, seen), (Outcome::Status(200), vec!["PUT h /a [3]".to_owned()]));
}

/// A head in pieces is the same head.
#[tokio::test(start_paused = true)]
async fn a_head_may_continue() {
    let whole = block(&with(&[("x-a", "b")]));
    let (first, second) = whole.split_at(20);
    let frames = [frame(HEADERS, END_STREAM, 1, first), frame(CONTINUATION, END_HEADERS, 1, second)].concat();
    assert_eq!(send(&Paths::default(), &frames).await.0, Outcome::Status(200));
    // Another stream must not come in between.
    let frames = [frame(HEADERS, END_STREAM, 1, first), get(3, GET)].concat();
    assert_eq!(send(&Paths::default(), &frames).await, (Outcome::GoAway(1), vec![]));
}
