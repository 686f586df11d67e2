//! Tests of the client over an in-memory stream.

use super::*;
use crate::buffered::spare_buffers;
use crate::outbox;
use crate::splice::SpliceBody;
use http::StatusCode;
use http_body::Body;
use http_body_util::{BodyExt, Empty, Full};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::ready;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;

const PATIENCE: Patience = Patience { response: Duration::from_secs(30), stall: Duration::from_secs(10) };

fn no_body() -> impl SpliceBody<Data = Bytes, Error = BoxError> + Unpin {
    Empty::<Bytes>::new().map_err(|never| match never {})
}

fn content(bytes: &'static [u8]) -> impl SpliceBody<Data = Bytes, Error = BoxError> + Unpin {
    Full::new(Bytes::from_static(bytes)).map_err(|never| match never {})
}

static LARGE: [u8; 1 << 22] = [b'x'; 1 << 22];

fn connect() -> (Connection<DuplexStream>, DuplexStream) {
    outbox::open_for_test();
    let (ours, theirs) = duplex(1 << 16);
    (Connection::new(ours, PATIENCE), theirs)
}

fn head(text: &str) -> BytesMut {
    text.as_bytes().into()
}

async fn read_body(connection: &mut Connection<DuplexStream>) -> Result<Vec<u8>, String> {
    let mut all = Vec::new();
    while let Some(data) = poll_fn(|cx| connection.poll_body(cx)).await {
        all.extend_from_slice(&data.map_err(|error| error.to_string())?);
    }
    Ok(all)
}

type Asked = Result<(u16, Result<String, String>, bool), String>;

/// Returns the status, the body and whether the connection can be kept, or the failure.
async fn ask(answer: &[u8], closes: bool) -> Asked {
    let (mut connection, mut store) = connect();
    let serving = async {
        let mut request = [0; 18];
        store.read_exact(&mut request).await.unwrap();
        store.write_all(answer).await.unwrap();
        if closes {
            store.shutdown().await.unwrap();
        }
    };
    let asking = async {
        let mut body = no_body();
        let head = connection.send(Method::GET, head("GET / HTTP/1.1\r\n\r\n"), &mut body, false).await;
        let status = head.map_err(|failure| failure.to_string())?.status.as_u16();
        let body = read_body(&mut connection).await.map(|body| String::from_utf8(body).unwrap());
        Ok((status, body, connection.is_ready()))
    };
    tokio::join!(serving, asking).1
}

#[tokio::test(start_paused = true)]
async fn answers() {
    let whole = |status, body: &str, kept| Ok((status, Ok(body.to_owned()), kept));
    let cases: [(&[u8], bool, Asked); 8] = [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", false, whole(200, "abc", true)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, whole(200, "", true)),
        (b"HTTP/1.1 204 No Content\r\n\r\n", false, whole(204, "", true)),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            false,
            whole(200, "abc", true),
        ),
        (
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc",
            false,
            whole(200, "abc", false),
        ),
        (
            b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            false,
            whole(200, "", true),
        ),
        // Bytes after a response belong to no request, so the connection is not used again.
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\n",
            false,
            whole(200, "abc", false),
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", true, whole(200, "abc", false)),
    ];
    for (answer, closes, expected) in cases {
        assert_eq!(ask(answer, closes).await, expected, "{}", answer.escape_ascii());
    }
}

#[tokio::test(start_paused = true)]
async fn truncated_responses_never_look_complete() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    ] {
        for closes in [true, false] {
            let (status, body, kept) = ask(answer, closes).await.unwrap();
            assert!(status == 200 && body.is_err() && !kept, "{} {closes}: {body:?}", answer.escape_ascii());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rejects_malformed_responses() {
    let flood = b"HTTP/1.1 102 Processing\r\n\r\n".repeat(17);
    let long = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'x'; 70_000]].concat();
    for (answer, closes, why) in [
        (&b"220 smtp.test ready\r\n\r\n"[..], false, "not valid HTTP/1.1"),
        (b"<html>\n", false, "not valid HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\n\r\nabc", true, "where its body ends"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nabcde", false, "not valid HTTP/1.1"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nabcde",
            false,
            "not valid HTTP/1.1",
        ),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", false, "switches protocols"),
        (&flood, false, "too many interim"),
        (&long, false, "not valid HTTP/1.1"),
        (b"", true, "without a response"),
        (b"HTTP/1.1 200 OK\r\nContent-", true, "within the head of the response"),
        (b"", false, "no response in time"),
        (b"HTTP/1.1 200 OK\r\n", false, "no response in time"),
    ] {
        let error = ask(answer, closes).await.unwrap_err();
        assert!(error.contains(why), "{}: {error}", answer.escape_ascii());
    }
    let (mut connection, mut store) = connect();
    store.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    assert!(!connection.is_ready(), "an answer that nobody asked for");
    let failure = connection.send(Method::GET, head("GET / HTTP/1.1\r\n\r\n"), no_body(), false).await;
    assert!(failure.unwrap_err().to_string().contains("before the request"));
}

/// Sends `PUT` with a body that is held back. For each pair, the store reads as much as `reads` and then sends
/// `says`.
async fn put(script: &[(&str, &str)]) -> (Result<u16, String>, bool, Duration) {
    let (mut connection, mut store) = connect();
    let start = Instant::now();
    let serving = async {
        for (reads, says) in script {
            let mut read = vec![0; reads.len()];
            store.read_exact(&mut read).await.unwrap();
            assert_eq!(String::from_utf8_lossy(&read), *reads);
            store.write_all(says.as_bytes()).await.unwrap();
        }
        // Nothing outside the script is sent.
        let mut more = [0];
        let silent = tokio::time::timeout(Duration::from_millis(1), store.read(&mut more)).await;
        assert!(silent.is_err(), "more was sent");
    };
    let asking = async {
        let mut body = content(b"abc");
        let sent = connection.send(Method::PUT, head("PUT / HTTP/1.1\r\n\r\n"), &mut body, true).await;
        (sent.map(|head| head.status.as_u16()).map_err(|failure| failure.to_string()), start.elapsed())
    };
    let ((), (answer, took)) = tokio::join!(serving, asking);
    let kept = answer.is_ok() && read_body(&mut connection).await.is_ok() && connection.is_reusable();
    (answer, kept, took)
}

#[tokio::test(start_paused = true)]
async fn a_body_waits_until_the_store_asks_for_it() {
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let (answer, kept, took) =
        put(&[("PUT / HTTP/1.1\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n"), ("abc", ok)]).await;
    assert_eq!((answer, kept, took), (Ok(200), true, Duration::ZERO));
    // A store that does not ask gets the body after a second.
    let (answer, kept, took) = put(&[("PUT / HTTP/1.1\r\n\r\n", ""), ("abc", ok)]).await;
    assert_eq!((answer, kept, took.as_secs()), (Ok(200), true, 1));
    // A store that refuses gets no body, and the connection is not used again.
    let refusal = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
    let (answer, kept, took) = put(&[("PUT / HTTP/1.1\r\n\r\n", refusal)]).await;
    assert_eq!((answer, kept, took), (Ok(403), false, Duration::ZERO));
}

/// A body whose pieces arrive with a pause before each.
struct Late {
    pieces: Vec<&'static [u8]>,
    pause: Duration,
    sleep: Pin<Box<tokio::time::Sleep>>,
}

impl SpliceBody for Late {}

impl Body for Late {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, BoxError>>> {
        ready!(self.sleep.as_mut().poll(cx));
        let next = Instant::now() + self.pause;
        self.sleep.as_mut().reset(next);
        Poll::Ready(self.pieces.pop().map(|piece| Ok(http_body::Frame::data(Bytes::from_static(piece)))))
    }
}

/// The time for a response runs only while the store has all of the request that was sent.
#[tokio::test(start_paused = true)]
async fn pauses_of_the_client_do_not_count_against_the_store() {
    const PAUSE: Duration = Duration::from_secs(100);
    for (last, answers) in [(&b"cd"[..], true), (b"", true), (b"cd", false)] {
        let (mut connection, mut store) = connect();
        let start = Instant::now();
        let sleep = Box::pin(tokio::time::sleep(PAUSE));
        let body = Late { pieces: vec![last, b"ab"], pause: PAUSE, sleep };
        let serving = async {
            let mut read = vec![0; 20 + last.len()];
            store.read_exact(&mut read).await.unwrap();
            if answers {
                tokio::time::sleep_until(start + 3 * PAUSE + PATIENCE.response * 2 / 3).await;
                store.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            }
            store
        };
        let asking = async {
            let sent = connection.send(Method::PUT, head("PUT / HTTP/1.1\r\n\r\n"), body, false).await;
            (sent.map(|head| head.status.as_u16()).map_err(|failure| failure.to_string()), start.elapsed())
        };
        let (_store, (answer, took)) = tokio::join!(serving, asking);
        if answers {
            assert_eq!(answer, Ok(200), "{last:?}");
        } else {
            assert_eq!((answer, took), (Err("no response in time".into()), 3 * PAUSE + PATIENCE.response));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_early_response_ends_the_sending() {
    let (mut connection, mut store) = connect();
    let serving = async {
        let mut read = vec![0; 1 << 17];
        store.read_exact(&mut read).await.unwrap();
        store.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno").await.unwrap();
    };
    let asking = async {
        let mut body = content(&LARGE);
        let answer = connection.send(Method::PUT, head("PUT / HTTP/1.1\r\n\r\n"), &mut body, false).await;
        (answer.unwrap().status.as_u16(), read_body(&mut connection).await.unwrap(), connection.is_reusable())
    };
    assert_eq!(tokio::join!(serving, asking).1, (403, b"no".to_vec(), false));
    drop(store);
    // The same if the store closes afterwards: the response is read after a failed write.
    let (mut connection, mut store) = connect();
    let serving = async move {
        let mut read = vec![0; 1 << 17];
        store.read_exact(&mut read).await.unwrap();
        store.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno").await.unwrap();
        drop(store);
    };
    let asking = async {
        let mut body = content(&LARGE);
        let answer = connection.send(Method::PUT, head("PUT / HTTP/1.1\r\n\r\n"), &mut body, false).await;
        (answer.unwrap().status.as_u16(), read_body(&mut connection).await.unwrap())
    };
    assert_eq!(tokio::join!(serving, asking).1, (403, b"no".to_vec()));
}

/// A request is sent once all else is done, unless its response is no longer wanted.
#[tokio::test(start_paused = true)]
async fn a_request_that_is_given_up_is_not_sent() {
    for gives_up in [false, true] {
        let (mut connection, mut store) = connect();
        let mut body = no_body();
        let request = head("GET / HTTP/1.1\r\n\r\n");
        let mut sending = Box::pin(connection.send(Method::GET, request, &mut body, false));
        assert!(poll_fn(|cx| Poll::Ready(sending.as_mut().poll(cx))).await.is_pending());
        if gives_up {
            drop(sending);
            drop(connection);
            let mut read = Vec::new();
            store.read_to_end(&mut read).await.unwrap();
            assert_eq!(read, b"");
        } else {
            let mut read = [0; 18];
            store.read_exact(&mut read).await.unwrap();
            assert_eq!(&read, b"GET / HTTP/1.1\r\n\r\n");
        }
    }
}

/// A head that cannot be written at once is written in pieces before its response is awaited.
#[tokio::test(start_paused = true)]
async fn a_long_head_is_sent_whole() {
    outbox::open_for_test();
    let (ours, mut store) = duplex(64);
    let mut connection = Connection::new(ours, PATIENCE);
    let request = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(5000));
    let serving = async {
        let mut read = vec![0; request.len()];
        store.read_exact(&mut read).await.unwrap();
        assert_eq!(read, request.as_bytes());
        store.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    };
    let mut body = no_body();
    let asking = connection.send(Method::GET, head(&request), &mut body, false);
    let ((), answer) = tokio::join!(serving, asking);
    assert_eq!(answer.unwrap().status, StatusCode::OK);
    assert!(connection.is_ready());
    // A connection with a response before the head was written cannot serve another request.
    let serving = async {
        store.read_exact(&mut [0; 64]).await.unwrap();
        store.write_all(b"HTTP/1.1 431 x\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    };
    let asking = connection.send(Method::GET, head(&request), &mut body, false);
    let ((), answer) = tokio::join!(serving, asking);
    assert_eq!((answer.unwrap().status.as_u16(), connection.is_reusable()), (431, false));
    let (ours, _store) = duplex(64);
    let mut connection = Connection::new(ours, PATIENCE);
    // A head that the store does not read is given up.
    let start = Instant::now();
    let failure = connection.send(Method::GET, head(&request), &mut body, false).await;
    assert_eq!(failure.unwrap_err().to_string(), "no response in time");
    assert_eq!(start.elapsed(), PATIENCE.response);
    assert!(!connection.is_reusable());
}

/// Bytes that arrive before any of the request was sent are not its response, even if the sending fails.
#[tokio::test(start_paused = true)]
async fn unsolicited_responses_are_rejected() {
    let (mut connection, mut store) = connect();
    let mut body = no_body();
    let request = head("GET / HTTP/1.1\r\n\r\n");
    let mut sending = Box::pin(connection.send(Method::GET, request, &mut body, false));
    assert!(poll_fn(|cx| Poll::Ready(sending.as_mut().poll(cx))).await.is_pending());
    store.write_all(b"HTTP/1.1 408 x\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    drop(store);
    // The sending fails meanwhile.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    let failure = sending.await.unwrap_err();
    assert!(failure.to_string().contains("before the request"), "{failure}");
}

/// A connection that waits for another request holds no buffer that a body was read into.
#[tokio::test(start_paused = true)]
async fn an_idle_connection_holds_no_buffer_of_a_body() {
    let length = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", LARGE.len());
    let chunked = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n", LARGE.len());
    for (before, behind) in [(length, ""), (chunked, "\r\n0\r\n\r\n")] {
        let (mut connection, mut store) = connect();
        let answering = async {
            store.read_exact(&mut [0; 18]).await.unwrap();
            store.write_all(&[before.as_bytes(), &LARGE, behind.as_bytes()].concat()).await.unwrap();
        };
        let asking = async {
            let mut body = no_body();
            let request = head("GET / HTTP/1.1\r\n\r\n");
            connection.send(Method::GET, request, &mut body, false).await.unwrap();
            read_body(&mut connection).await.unwrap()
        };
        let (read, ()) = tokio::join!(asking, answering);
        assert_eq!(read.len(), LARGE.len());
        assert!(connection.is_ready() && !connection.bytes.unread.try_reclaim(1 << 14));
        assert!(!connection.bytes.has_waker());
    }
}

/// An emptied buffer serves the next response on this thread, on any connection.
#[tokio::test(start_paused = true)]
async fn connections_share_the_buffer_for_responses() {
    for answer in ["HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"] {
        for _ in 0..3 {
            let (mut connection, mut store) = connect();
            let answering = async {
                store.read_exact(&mut [0; 18]).await.unwrap();
                store.write_all(answer.as_bytes()).await.unwrap();
            };
            let asking = async {
                let request = head("GET / HTTP/1.1\r\n\r\n");
                connection.send(Method::GET, request, no_body(), false).await.unwrap();
                read_body(&mut connection).await.unwrap();
            };
            tokio::join!(asking, answering);
            assert_eq!((connection.bytes.unread.capacity(), spare_buffers()), (0, 1), "{answer}");
            assert!(!connection.bytes.has_waker(), "{answer}");
        }
    }
}
