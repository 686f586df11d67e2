//! A store's response: a body that is reported as complete is the body that a second reader finds, and a connection is
//! reused only if no bytes are left on it.

use super::reference::{Framing, Message};
use super::script::{End, Pace, Script, block_on};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method};
use http_body_util::{BodyExt, Empty};
use http1::Response;
use http1::body::BoxError;
use http1::client::{Connection, Patience};
use std::future::poll_fn;
use std::time::Duration;

pub(crate) const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.0 200 OK\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n",
    b"HTTP/1.1 304 Not Modified\r\n",
    b"HTTP/1.1 101 S\r\n",
    b"Content-Length: 3\r\n",
    b"Content-Length: 3\r\n\r\nabc",
    b"Transfer-Encoding: chunked\r\n\r\n",
    b"3\r\nabc\r\n",
    b"0\r\n\r\n",
    b"0\r\nA: b\r\n\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"ETag: \"x\"\r\n",
];

const PATIENCE: Patience = Patience { response: Duration::from_secs(30), stall: Duration::from_secs(10) };

#[derive(Debug, PartialEq, Eq)]
struct Received {
    status: u16,
    fields: HeaderMap,
    body: Result<Vec<u8>, &'static str>,
    kept: bool,
}

fn exchange(method: &Method, input: &[u8], pace: Pace, end: End) -> Result<Received, String> {
    block_on(async {
        let mut connection = Connection::new(Script::answering(input, pace, end), PATIENCE);
        let body = Empty::<Bytes>::new().map_err(|never| -> BoxError { match never {} });
        let request = BytesMut::from(&b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"[..]);
        let head = connection.send(method.clone(), request, body, false).await;
        let head = head.map_err(|failure| failure.to_string())?;
        let mut read = Vec::new();
        let body = loop {
            match poll_fn(|cx| connection.poll_body(cx)).await {
                Some(Ok(data)) => read.extend_from_slice(&data),
                // Which of several mistakes is found first depends on what has arrived.
                Some(Err(_)) => break Err("broken"),
                None => break Ok(read),
            }
        };
        assert!(body.is_err() || connection.is_body_done(), "a complete body is not over");
        let kept = connection.is_ready();
        let (head, ()) = Response { status: head.status, fields: head.fields, body: () }.into_parts();
        Ok(Received { status: head.status.as_u16(), fields: head.headers, body, kept })
    })
}

pub(crate) fn check(input: &[u8]) -> String {
    let asked = [Method::GET, Method::HEAD]
        .into_iter()
        .flat_map(|method| [End::Closes, End::Waits].map(|end| outcome(&method, input, end)));
    asked.collect::<Vec<_>>().join("; ")
}

fn outcome(method: &Method, input: &[u8], end: End) -> String {
    let received = exchange(method, input, Pace::Whole, end);
    assert_eq!(
        received,
        exchange(method, input, Pace::Pieces, end),
        "{method} {end:?}: the response depends on how it is split"
    );
    let class = match &received {
        Ok(received) => {
            check_received(received, input, method, end);
            format!(
                "{} {:?} {}",
                received.status,
                received.body.as_ref().map(|body| body.len().min(2)),
                received.kept
            )
        }
        Err(why) => why.clone(),
    };
    // Leftover bytes are noticed only after they arrived, so `kept` may differ.
    let unkept = |received: Result<Received, String>| {
        received.map(|received| (received.status, received.fields, received.body))
    };
    let halting = exchange(method, input, Pace::Halting, end);
    assert_eq!(unkept(received), unkept(halting), "{method} {end:?}: the response depends on its pace");
    class
}

/// Compares a response with that of the second reader.
fn check_received(received: &Received, mut input: &[u8], method: &Method, end: End) {
    let (message, rest) = loop {
        let (message, rest) = Message::read(input).expect("the second reader finds a response");
        assert!(message.line[0] == b"HTTP/1.1" || message.line[0] == b"HTTP/1.0");
        if !message.line[1].starts_with(b"1") {
            break (message, rest);
        }
        input = rest;
    };
    assert_eq!(received.status.to_string().as_bytes(), message.line[1]);
    let of_the_message = |name: &[u8]| !matches!(name, b"connection" | b"transfer-encoding");
    let mut expected: Vec<_> =
        message.fields.iter().filter(|(name, _)| of_the_message(name)).cloned().collect();
    let received_fields = received.fields.iter();
    let mut read: Vec<_> = received_fields
        .map(|(name, value)| (name.as_str().as_bytes().to_vec(), value.as_bytes().to_vec()))
        .collect();
    expected.sort();
    read.sort();
    assert_eq!(read, expected);
    let bodiless = *method == Method::HEAD || matches!(received.status, 204 | 304);
    let until_close = !bodiless && message.framing == Framing::Absent;
    let left = match &received.body {
        Ok(body) if bodiless => {
            assert!(body.is_empty());
            Some(rest)
        }
        Ok(body) if until_close => {
            assert_eq!((&**body, end), (rest, End::Closes), "such a body ends only with the connection");
            None
        }
        Ok(body) => {
            let (whole, left) = message.body(rest).expect("the second reader finds a complete body");
            assert_eq!(*body, whole);
            Some(left)
        }
        Err(_) => None,
    };
    if received.kept {
        assert_eq!(left, Some(&b""[..]), "a connection with leftover bytes is kept");
        let old = message.line[0] == b"HTTP/1.0" && !message.connection_has("keep-alive");
        assert!(!old && !message.connection_has("close"), "a connection that the store closes is kept");
    }
}
