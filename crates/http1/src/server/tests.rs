//! Tests of the server over an in-memory stream: bytes in, bytes out, and the requests that reached the service.

mod ahead;
mod http2;
mod leaving;
mod memory;
mod waits;

use super::head_wait::BUSY_WINDOW;
use super::*;
use crate::body::BoxError;
use crate::buffered::Shared;
use crate::clock::with_event_clock;
use crate::socket::Socket;
use crate::{Fields, Reason, Request, Response, outbox};
use http::StatusCode;
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, StreamBody};
use memory::{TestMemory, TestShare};
use std::cell::Cell;
use std::sync::{Arc, LazyLock};
use std::task::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

const LIMITS: ConnectionLimits = ConnectionLimits {
    head: HeadLimits { bytes: 4096, fields: 20 },
    header: Duration::from_secs(5),
    idle: Duration::from_secs(20),
    stall: Duration::from_secs(10),
    rate: 1024,
    request: Duration::from_secs(100),
};

type TestBody = http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>;

/// A service that reads each request and responds with what it saw: `GET /path [body]`.
#[derive(Default)]
struct Mirror {
    seen: RefCell<Vec<String>>,
    /// Whether it responds before the body is read.
    early: bool,
    /// Whether the response has no length.
    streams: bool,
    /// Whether the response's body breaks off.
    breaks: bool,
    /// `/held` waits for this before it reads its body, `/read` afterwards.
    go: Notify,
    /// The states of clients before they had their responses.
    peers: RefCell<Vec<PeerState>>,
    /// The number of requests that are being served.
    running: Rc<Cell<usize>>,
    /// Held by responses without a length.
    held: Arc<()>,
    memory: TestMemory,
}

struct Running(Rc<Cell<usize>>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

fn body(bytes: impl Into<Bytes>) -> TestBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

fn answer(status: StatusCode, body: TestBody) -> Response<TestBody> {
    Response { status, fields: Fields::default(), body }
}

impl<B: Body<Data = Bytes, Error = BoxError>> Service<B> for Mirror {
    type Body = TestBody;
    type Share = TestShare;

    async fn call(&self, request: &Request, content: B) -> Response<TestBody> {
        self.running.set(self.running.get() + 1);
        let _running = Running(Rc::clone(&self.running));
        if request.target.path() == "/never" {
            std::future::pending::<()>().await;
        }
        if request.target.path() == "/held" {
            self.go.notified().await;
        }
        let text = if self.early {
            String::new()
        } else {
            match content.collect().await {
                Ok(content) => String::from_utf8_lossy(&content.to_bytes()).into_owned(),
                Err(error) => {
                    self.seen.borrow_mut().push(format!("{} {} broken", request.method, request.target));
                    return answer(StatusCode::BAD_REQUEST, body(error.to_string()));
                }
            }
        };
        if request.target.path() == "/read" {
            self.go.notified().await;
        }
        let seen = format!("{} {} [{text}]", request.method, request.target);
        self.seen.borrow_mut().push(seen.clone());
        if self.breaks {
            let frames = [Ok(Frame::data(Bytes::from(seen))), Err(BoxError::from("broke"))];
            return answer(
                StatusCode::OK,
                StreamBody::new(Frames { left: frames.into(), _held: None }).boxed_unsync(),
            );
        }
        if self.streams {
            let frames = seen
                .into_bytes()
                .chunks(7)
                .map(|data| Ok(Frame::data(Bytes::copy_from_slice(data))))
                .collect();
            let frames = Frames { left: frames, _held: Some(Arc::clone(&self.held)) };
            return answer(StatusCode::OK, StreamBody::new(frames).boxed_unsync());
        }
        answer(StatusCode::OK, body(seen))
    }

    fn share(&self, used_for: MemoryUse) -> TestShare {
        self.memory.share(used_for)
    }

    fn refuse(&self, malformed: &Malformed) -> Response<TestBody> {
        answer(status_of(malformed.reason), body(""))
    }

    fn note_peer(&self, _: &mut Response<TestBody>, peer: PeerState) {
        self.peers.borrow_mut().push(peer);
    }
}

/// Returns the status of the response to a malformed request.
fn status_of(reason: Reason) -> StatusCode {
    match reason {
        Reason::HeadTimeout => StatusCode::REQUEST_TIMEOUT,
        Reason::TargetTooLong => StatusCode::URI_TOO_LONG,
        Reason::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Reason::UnsupportedVersion => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        Reason::UnsupportedExpectation => StatusCode::EXPECTATION_FAILED,
        Reason::UnsupportedCoding | Reason::UnsupportedMethod => StatusCode::NOT_IMPLEMENTED,
        Reason::OutOfMemory => StatusCode::SERVICE_UNAVAILABLE,
        Reason::UnexpectedTls
        | Reason::InvalidSyntax
        | Reason::InvalidTarget
        | Reason::InvalidHost
        | Reason::InvalidBody => StatusCode::BAD_REQUEST,
    }
}

struct Frames {
    left: std::collections::VecDeque<Result<Frame<Bytes>, BoxError>>,
    _held: Option<Arc<()>>,
}

impl futures_core::Stream for Frames {
    type Item = Result<Frame<Bytes>, BoxError>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.get_mut().left.pop_front())
    }
}

/// A server that does not stop.
fn running() -> watch::Receiver<bool> {
    static RUNNING: LazyLock<watch::Sender<bool>> = LazyLock::new(|| watch::Sender::new(false));
    RUNNING.subscribe()
}

/// Sends bytes and ends the client's side. Returns the responses, and the requests that reached the service.
async fn talk(mirror: &Mirror, sent: &[u8]) -> (String, Vec<String>) {
    outbox::open_for_test();
    let (mut client, server) = duplex(1 << 20);
    client.write_all(sent).await.unwrap();
    let mut answer = Vec::new();
    let talking = async {
        let _ = timeout(Duration::from_mins(5), client.read_to_end(&mut answer)).await;
    };
    let serving = with_event_clock(serve(server, mirror, &LIMITS, running()));
    let (_, ()) = tokio::join!(serving, talking);
    (String::from_utf8_lossy(&answer).into_owned(), mirror.seen.take())
}

fn statuses(answer: &str) -> Vec<u16> {
    answer.split("HTTP/1.1 ").skip(1).filter_map(|rest| rest.get(..3)?.parse().ok()).collect()
}

/// Checks the responses to some bytes, and the requests that reached the service.
#[tokio::test(start_paused = true)]
async fn messages_that_arrive_together() {
    let cases: &[(&str, &[u16], &[&str])] = &[
        ("GET /a HTTP/1.1\r\nHost: h\r\n\r\n", &[200], &["GET /a []"]),
        ("\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n", &[200], &["GET /a []"]),
        ("GET /a HTTP/1.0\r\n\r\n", &[200], &["GET /a []"]),
        (
            "GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n",
            &[200, 200],
            &["GET /a []", "GET /b []"],
        ),
        (
            "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nHost: h\r\n\r\n",
            &[200, 200],
            &["PUT /a [abc]", "GET /b []"],
        ),
        (
            "PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n",
            &[200, 200],
            &["PUT /a [abc]", "GET /b []"],
        ),
        (
            "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n",
            &[200],
            &["GET /a []"],
        ),
        ("GET /a HTTP/1.0\r\n\r\nGET /b HTTP/1.0\r\n\r\n", &[200], &["GET /a []"]),
        (
            "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n",
            &[200, 200],
            &["GET /a []", "GET /b []"],
        ),
        ("GET /a HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", &[200], &["GET /a []"]),
        ("GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n", &[400], &[]),
        ("GET /a HTTP/1.1\nHost: h\n\n", &[400], &[]),
        ("GET /a HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n", &[400], &[]),
        ("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", &[400], &[]),
        (
            "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            &[400],
            &[],
        ),
        ("PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: cow\r\n\r\n0\r\n\r\n", &[400], &[]),
        ("PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", &[501], &[]),
        ("PUT /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400], &[]),
        ("CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n", &[501], &[]),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[505], &[]),
        ("PUT /a HTTP/1.1\r\nHost: h\r\nExpect: the unexpected\r\nContent-Length: 1\r\n\r\n", &[417], &[]),
        // The body decides: nothing after it is taken for a request.
        (
            "PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n",
            &[400],
            &["PUT /a broken"],
        ),
        (
            "PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5 5\r\nabcde\r\n0\r\n\r\n",
            &[400],
            &["PUT /a broken"],
        ),
    ];
    for (sent, answers, requests) in cases {
        let (answer, seen) = talk(&Mirror::default(), sent.as_bytes()).await;
        assert_eq!(
            (&*statuses(&answer), &*seen),
            (*answers, &*requests.iter().map(ToString::to_string).collect::<Vec<_>>()),
            "{sent:?}\n{answer}"
        );
        if answers.iter().any(|status| *status >= 400) {
            assert!(answer.contains("connection: close\r\n"), "{sent:?}\n{answer}");
        }
    }
}

/// A client that asks before it sends an empty body has nothing to wait for, so the connection goes on.
#[tokio::test(start_paused = true)]
async fn an_empty_body_is_not_waited_for() {
    let put = b"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n";
    for early in [false, true] {
        let (answer, _) = talk(&Mirror { early, ..Mirror::default() }, put).await;
        assert_eq!(statuses(&answer), [200], "{answer}");
        assert!(!answer.contains("connection: close"), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn responses_are_framed_for_their_reader() {
    let get = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
    let (answer, _) = talk(&Mirror { streams: true, ..Mirror::default() }, get).await;
    assert!(
        answer.contains("transfer-encoding: chunked\r\n")
            && answer.ends_with("\r\n\r\n7\r\nGET /a \r\n2\r\n[]\r\n0\r\n\r\n"),
        "{answer}"
    );
    let old = b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let (answer, _) = talk(&Mirror { streams: true, ..Mirror::default() }, old).await;
    assert!(
        !answer.contains("transfer-encoding")
            && answer.contains("connection: close\r\n")
            && answer.ends_with("\r\n\r\nGET /a []"),
        "{answer}"
    );
    let (answer, _) = talk(&Mirror { breaks: true, ..Mirror::default() }, get).await;
    assert!(
        answer.contains("GET /a []") && !answer.contains("\r\n0\r\n"),
        "a broken answer does not look whole: {answer}"
    );
    let (answer, _) = talk(&Mirror::default(), b"HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(answer.ends_with("\r\n\r\n") && statuses(&answer) == [200], "{answer}");
}

fn connect(mirror: Mirror) -> (DuplexStream, Rc<Mirror>, tokio::task::JoinHandle<io::Result<()>>) {
    connect_over(1 << 16, mirror)
}

/// Connects over a stream that holds `room` unread bytes.
fn connect_over(
    room: usize,
    mirror: Mirror,
) -> (DuplexStream, Rc<Mirror>, tokio::task::JoinHandle<io::Result<()>>) {
    outbox::open_for_test();
    let (client, server) = duplex(room);
    let mirror = Rc::new(mirror);
    let service = Rc::clone(&mirror);
    let task = tokio::task::spawn_local(with_event_clock(async move {
        serve(server, &*service, &LIMITS, running()).await
    }));
    (client, mirror, task)
}

async fn read_some(client: &mut DuplexStream) -> String {
    let mut buf = vec![0; 4096];
    let length = client.read(&mut buf).await.unwrap();
    String::from_utf8_lossy(&buf[..length]).into_owned()
}

/// Reads until these words, as long as anything arrives.
async fn read_until(client: &mut DuplexStream, end: &str) -> String {
    let mut all = String::new();
    while !all.ends_with(end) {
        match timeout(Duration::from_secs(1), read_some(client)).await {
            Ok(some) if !some.is_empty() => all.push_str(&some),
            over => panic!("{all:?} and then {over:?}"),
        }
    }
    all
}

async fn local<F: Future<Output = ()>>(test: F) {
    tokio::task::LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn sends_100_continue_when_the_body_is_read() {
    local(async {
        let head = b"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
        let (mut client, _, _task) = connect(Mirror::default());
        client.write_all(head).await.unwrap();
        assert_eq!(read_some(&mut client).await, "HTTP/1.1 100 Continue\r\n\r\n");
        client.write_all(b"abc").await.unwrap();
        assert!(read_some(&mut client).await.contains("PUT /a [abc]"));
        // A response that needs no body does not ask for it, and then it is unknown what comes next.
        let (mut client, _, _task) = connect(Mirror { early: true, ..Mirror::default() });
        client.write_all(head).await.unwrap();
        let answer = read_some(&mut client).await;
        assert!(!answer.contains("100 Continue") && answer.contains("connection: close\r\n"), "{answer}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn drains_the_rest_of_a_small_body() {
    local(async {
        let (mut client, mirror, _task) = connect(Mirror { early: true, ..Mirror::default() });
        client.write_all(b"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        let mut answers = String::new();
        while statuses(&answers).len() < 2 {
            answers += &read_some(&mut client).await;
        }
        assert_eq!(*mirror.seen.borrow(), ["PUT /a []", "GET /b []"]);
    })
    .await;
}

/// A response releases what it holds, such as its permit, without waiting for bytes that the client may never send.
#[tokio::test(start_paused = true)]
async fn a_response_ends_before_the_rest_of_its_request() {
    local(async {
        let (mut client, mirror, task) = connect(Mirror { early: true, streams: true, ..Mirror::default() });
        client.write_all(b"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        while !answer.ends_with("\r\n0\r\n\r\n") {
            answer += &read_some(&mut client).await;
        }
        yield_now().await;
        assert_eq!(Arc::strong_count(&mirror.held), 1);
        assert!(!task.is_finished(), "the connection waits for the rest");
    })
    .await;
}

/// A body that is or may be large is not drained for the sake of the connection.
#[tokio::test(start_paused = true)]
async fn closes_instead_of_draining_a_large_body() {
    local(async {
        for framing in ["Content-Length: 16777217", "Transfer-Encoding: chunked"] {
            let (mut client, _, _task) = connect(Mirror { early: true, ..Mirror::default() });
            let head = format!("PUT /a HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n");
            client.write_all(head.as_bytes()).await.unwrap();
            let answer = read_some(&mut client).await;
            assert!(answer.contains("connection: close\r\n"), "{framing}: {answer}");
        }
    })
    .await;
}

/// Incomplete heads are charged, and a client without memory left gets a response that says so.
#[tokio::test(start_paused = true)]
async fn incomplete_heads_take_memory_and_return_it() {
    local(async {
        let memory = TestMemory::new(4096);
        let begin = |length: usize| format!("GET /a HTTP/1.1\r\nX: {}", "x".repeat(length)).into_bytes();
        let connect = || connect(Mirror { memory: memory.clone(), ..Mirror::default() });
        let (mut first, _, task) = connect();
        first.write_all(&begin(2500)).await.unwrap();
        yield_now().await;
        assert!((2500..=4096).contains(&memory.taken(MemoryUse::Head)), "{}", memory.taken(MemoryUse::Head));
        let (mut second, ..) = connect();
        second.write_all(&begin(2500)).await.unwrap();
        assert_eq!(statuses(&read_some(&mut second).await), [503]);
        assert_eq!(memory.refused(), 1);
        drop(first);
        let _ = task.await.unwrap();
        assert_eq!(memory.taken(MemoryUse::Head), 0);
    })
    .await;
}
