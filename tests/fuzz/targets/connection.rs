//! A client's connection: for any input, in any pieces, the answered requests are those that a second reader finds at
//! the same places, and no others.

use super::reference::{Message, is_token};
use super::request_head::check_head;
use super::script::{End, Pace, Script, block_on};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, DATE, HOST};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Response};
use http_body::Body as _;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use http1::body::BoxError;
use http1::server::{ConnectionLimits, RequestBody, serve};
use http1::{self, Fields, Malformed, MemoryUse, PeerState, Request, RequestHead, Service};
use scopegate::internals::{MemoryBudget, Payer, Refusal, Share};
use std::cell::RefCell;
use std::time::Duration;
use tokio::sync::watch;

pub(crate) const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"PUT /a HTTP/1.1\r\nHost: h\r\n",
    b"Content-Length: 3\r\n\r\nabc",
    b"Content-Length: 0\r\n",
    b"Content-Length: 30\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n",
    b"0\r\n\r\n",
    b"3\r\nabc\r\n",
    b"0\r\nA: b\r\n\r\n",
    b"1;a=\"\\\"b\"\r\nx\r\n",
    b"1 ; a = b\r\n",
    b"Expect: 100-continue\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b" HTTP/1.0\r\n",
    b"00",
    b"ffffffffffffffff\r\n",
    b"Host: h\r\n",
];

const LIMITS: ConnectionLimits = ConnectionLimits {
    head: super::request_head::LIMITS,
    header: Duration::from_secs(5),
    idle: Duration::from_secs(20),
    stall: Duration::from_secs(10),
    rate: 1024,
    request: Duration::from_secs(100),
};

/// A request as the service received it. The body is absent if it was incomplete.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    method: Method,
    target: PathAndQuery,
    fields: Fields,
    body: Option<Vec<u8>>,
}

#[derive(Default)]
struct Recorder {
    seen: RefCell<Vec<Seen>>,
    /// Whether it answers before it has read the body.
    early: bool,
}

type Answer = http1::Response<UnsyncBoxBody<Bytes, BoxError>>;

fn answer(status: u16, text: &'static str) -> Answer {
    let body = Full::new(Bytes::from_static(text.as_bytes())).map_err(|never| match never {}).boxed_unsync();
    // The current time would make two responses differ.
    let date = HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT");
    Response::builder().status(status).header(DATE, date).body(body).unwrap().into()
}

impl Service<RequestBody<Script>> for Recorder {
    type Body = UnsyncBoxBody<Bytes, BoxError>;
    type Share = Share;

    async fn call(&self, request: &Request, body: RequestBody<Script>) -> Answer {
        let said = body.size_hint().exact();
        let read =
            if self.early { None } else { body.collect().await.ok().map(|body| body.to_bytes().to_vec()) };
        if let (Some(read), Some(said)) = (&read, said) {
            assert_eq!(read.len() as u64, said, "the body has another length than its size hint");
        }
        let status = if read.is_some() || self.early { 200 } else { 400 };
        self.seen.borrow_mut().push(Seen {
            method: request.method.clone(),
            target: request.target.clone(),
            fields: request.fields().clone(),
            body: read,
        });
        answer(status, "seen")
    }

    fn share(&self, used_for: MemoryUse) -> Share {
        MemoryBudget::new(1 << 30).share(Payer::Strangers, used_for.into())
    }

    fn refuse(&self, malformed: &Malformed) -> Answer {
        answer(Refusal::from(*malformed).rule.status().as_u16(), malformed.why)
    }

    fn note_peer(&self, _: &mut Answer, _: PeerState) {}
}

/// Returns the received requests, the responses and whether the connection ended without an error.
fn talk(input: &[u8], pace: Pace, end: End, early: bool) -> (Vec<Seen>, String, bool) {
    let recorder = Recorder { early, ..Recorder::default() };
    let script = Script::new(input, pace, end);
    let sent = script.sent();
    let running = watch::Sender::new(false);
    let served = block_on(serve(script, &recorder, &LIMITS, running.subscribe()));
    let answers = String::from_utf8(sent.take()).unwrap();
    // Whether a client is sent `100 Continue` depends on how fast its body arrives.
    (recorder.seen.take(), answers.replace("HTTP/1.1 100 Continue\r\n\r\n", ""), served.is_ok())
}

pub(crate) fn check(input: &[u8]) -> String {
    let (seen, answers, orderly) = talk(input, Pace::Whole, End::Closes, false);
    check_seen(&seen, input, false);
    for pace in [Pace::Pieces, Pace::Halting] {
        let (again, other, _) = talk(input, pace, End::Closes, false);
        assert_eq!(seen, again, "{pace:?}: the requests differ");
        assert_eq!(answers, other, "{pace:?}: the responses differ");
    }
    // The input means the same if the client does not close the connection.
    let (again, _, _) = talk(input, Pace::Pieces, End::Waits, false);
    assert_eq!(seen, again, "the requests of a client that waits differ");
    for pace in [Pace::Whole, Pace::Halting] {
        let (seen, _, _) = talk(input, pace, End::Closes, true);
        check_seen(&seen, input, true);
    }
    let statuses: Vec<&str> = answers.split("HTTP/1.1 ").filter_map(|answer| answer.get(..3)).collect();
    let last = seen.last().map(|seen| {
        (seen.body.as_ref().map(|body| body.len().min(2)), seen.fields.has(CONTENT_LENGTH.as_str()))
    });
    let why = answers.rsplit("\r\n\r\n").next().unwrap_or_default();
    format!("{} {statuses:?} {last:?} {orderly} {why}", seen.len().min(3))
}

/// Compares the received requests with those of the second reader.
fn check_seen(seen: &[Seen], mut input: &[u8], early: bool) {
    let mut last = false;
    for request in seen {
        assert!(!last, "a request was received after the last one");
        let (message, rest) = Message::read(input).expect("the second reader finds a request here");
        let [method, _, version] = message.line;
        assert!(is_token(method) && version.starts_with(b"HTTP/1."));
        let head = &input[..input.len() - rest.len()];
        let start = head.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap();
        let parsed = RequestHead::parse(Bytes::copy_from_slice(&head[start..]), super::request_head::LIMITS)
            .expect("a received request has a head");
        check_head(&parsed, head);
        assert_eq!((&parsed.request.method, &parsed.request.target), (&request.method, &request.target));
        assert_eq!(*parsed.request.fields(), request.fields);
        assert!(request.fields.all(HOST.as_str()).count() <= 1);
        last = version == b"HTTP/1.0" && !message.connection_has("keep-alive")
            || message.connection_has("close");
        match (message.body(rest), &request.body) {
            (Some((body, rest)), Some(read)) => {
                assert_eq!(&body, read, "the second reader finds another body");
                input = rest;
            }
            (Some((_, rest)), None) if early => input = rest,
            (None, Some(_)) => panic!("a body was received that the second reader does not find"),
            // The body is malformed, or it exceeds a limit that the second reader does not have.
            (_, None) => last = true,
        }
    }
}
