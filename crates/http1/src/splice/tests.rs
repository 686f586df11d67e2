//! Tests of spliced bodies: a relay between real sockets, with an origin whose bytes are known.

use super::*;
use crate::body::BoxError;
use crate::client::{Connection, Patience};
use crate::low_water;
use crate::read_budget;
use crate::server::{ConnectionLimits, serve};
use crate::{
    Fields, HeadLimits, Malformed, MemoryShare, MemoryUse, OutOfMemory, PeerState, Request, Response,
    Service, Socket,
};
use bytes::BytesMut;
use http::StatusCode;
use http_body::{Frame, SizeHint};
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{sleep, timeout};

const LENGTH: usize = 20_000_003;
const PATIENCE: Patience = Patience { response: Duration::from_secs(30), stall: Duration::from_secs(30) };
/// A pause that is shorter than the time for which bytes are awaited.
const LATER: Duration = Duration::from_millis(70);
/// Less than the time after which a stalled transfer is looked at.
const SOON: Duration = Duration::from_secs(10);
const LIMITS: ConnectionLimits = ConnectionLimits {
    head: HeadLimits { bytes: 4096, fields: 20 },
    header: Duration::from_secs(30),
    idle: Duration::from_secs(30),
    stall: Duration::from_secs(30),
    rate: 1,
    request: Duration::from_secs(100),
};

/// Returns the content of the origin's object `seed`.
fn content(seed: u8, length: usize) -> Vec<u8> {
    let pattern: Vec<u8> = (0..=250).map(|byte: u8| byte.wrapping_add(seed)).collect();
    pattern.into_iter().cycle().take(length).collect()
}

/// Passes requests on to the origin over a new connection each.
struct Relay {
    origin: SocketAddr,
    /// The number of pieces of responses that came in a pipe.
    pipes: Rc<Cell<usize>>,
}

struct NoMemory;

impl MemoryShare for NoMemory {
    fn grow_to(&mut self, _: usize) -> Result<(), OutOfMemory> {
        Ok(())
    }
}

struct Relayed {
    connection: Option<Connection<Socket>>,
    pipes: Rc<Cell<usize>>,
}

impl Body for Relayed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(connection) = &mut self.connection else { return Poll::Ready(None) };
        connection.poll_body(cx).map_ok(Frame::data)
    }

    fn is_end_stream(&self) -> bool {
        self.connection.as_ref().is_none_or(Connection::is_body_done)
    }

    fn size_hint(&self) -> SizeHint {
        let remaining = self.connection.as_ref().map_or(Some(0), Connection::remaining);
        remaining.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl SpliceBody for Relayed {
    fn poll_splice(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Pipe>, BoxError>> {
        let Some(connection) = &mut self.connection else { return Poll::Ready(Ok(None)) };
        let piece = ready!(connection.poll_splice(cx))?;
        self.pipes.set(self.pipes.get() + usize::from(piece.is_some()));
        Poll::Ready(Ok(piece))
    }
}

impl<B: SpliceBody<Data = Bytes, Error = BoxError> + Unpin> Service<B> for Relay {
    type Body = Relayed;
    type Share = NoMemory;

    async fn call(&self, request: &Request, mut body: B) -> Response<Relayed> {
        let stream = TcpStream::connect(self.origin).await.unwrap();
        let mut connection = Connection::new(Socket::from(stream), PATIENCE);
        let length = body.size_hint().exact().unwrap();
        let (method, path) = (&request.method, request.target.path());
        let text = format!("{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n");
        let sent = connection.send(method.clone(), BytesMut::from(&*text), &mut body, false);
        let head = sent.await.unwrap();
        let body = Relayed { connection: Some(connection), pipes: Rc::clone(&self.pipes) };
        Response { status: head.status, fields: head.fields, body }
    }

    fn share(&self, _: MemoryUse) -> NoMemory {
        NoMemory
    }

    fn refuse(&self, _: &Malformed) -> Response<Relayed> {
        let body = Relayed { connection: None, pipes: Rc::default() };
        Response { status: StatusCode::BAD_REQUEST, fields: Fields::default(), body }
    }

    fn note_peer(&self, _: &mut Response<Relayed>, _: PeerState) {}
}

/// Serves one request of the origin: `GET /SEED/ANNOUNCED/SENT` returns an object, `PUT` returns whether the body is the
/// object. `GET /SEED/ANNOUNCED/SENT/LATE` sends that many bytes more after a while, and then nothing.
async fn answer(mut stream: TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let mut parts = head.split_whitespace().nth(1).unwrap().split('/').skip(1);
    let mut number = || parts.next().map_or(0, |part| part.parse::<usize>().unwrap());
    let (seed, announced, sent, late) = (number(), number(), number(), number());
    let mut object = content(u8::try_from(seed).unwrap(), sent + late);
    let late = object.split_off(sent);
    if head.starts_with("GET") {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {announced}\r\n\r\n");
        let _ = stream.write_all(head.as_bytes()).await;
        // A client that leaves ends the response.
        let _ = stream.write_all(&object).await;
        if !late.is_empty() {
            sleep(LATER).await;
            let _ = stream.write_all(&late).await;
            std::future::pending::<()>().await;
        }
    } else {
        let mut body = vec![0; announced];
        let _ = stream.read_exact(&mut body).await;
        let same = if body == object { "same" } else { "diff" };
        let _ =
            stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{same}").as_bytes()).await;
    }
}

/// A relay in front of an origin.
struct Served {
    address: SocketAddr,
    pipes: Rc<Cell<usize>>,
    accepting: [JoinHandle<()>; 2],
    _running: watch::Sender<bool>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.accepting.iter().for_each(JoinHandle::abort);
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn relay() -> Served {
    let (origin, origin_address) = listen().await;
    let (relay, address) = listen().await;
    let running = watch::Sender::new(false);
    let (pipes, stopping) = (Rc::new(Cell::new(0)), running.subscribe());
    let serving = spawn_local(async move {
        while let Ok((stream, _)) = origin.accept().await {
            spawn_local(answer(stream));
        }
    });
    let service = Rc::new(Relay { origin: origin_address, pipes: Rc::clone(&pipes) });
    let relaying = spawn_local(async move {
        while let Ok((stream, _)) = relay.accept().await {
            let (service, stopping) = (Rc::clone(&service), stopping.clone());
            spawn_local(async move { drop(serve(Socket::from(stream), &*service, &LIMITS, stopping).await) });
        }
    });
    Served { address, pipes, accepting: [serving, relaying], _running: running }
}

impl Served {
    async fn ask(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn get(&self, seed: u8, announced: usize, sent: usize) -> TcpStream {
        self.ask(&format!("GET /{seed}/{announced}/{sent} HTTP/1.1\r\nHost: h\r\n\r\n")).await
    }
}

/// Reads the head of a response.
async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

async fn read_object(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    assert!(read_head(stream).await.starts_with("HTTP/1.1 200 OK\r\n"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    body
}

/// Runs a test with a number of pipes that no other test changes meanwhile.
fn with_pipes<T>(pipes: usize, test: impl AsyncFnOnce() -> T) -> T {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    set_limit(pipes);
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap();
    let result = runtime.block_on(async { timeout(Duration::from_mins(1), test()).await.unwrap() });
    drop(runtime);
    drop(SPARE.take());
    result
}

#[test]
fn bodies_arrive_as_they_were_sent() {
    with_pipes(256, async || {
        let relay = relay().await;
        let mut stream = relay.get(1, LENGTH, LENGTH).await;
        assert!(read_object(&mut stream, LENGTH).await == content(1, LENGTH));
        assert!(relay.pipes.get() > 50, "{} pieces came in pipes", relay.pipes.get());
        assert_eq!((in_use(), OPEN.load(Ordering::Relaxed)), (0, 1), "one pipe served all pieces");
        // The connection goes on with the next request.
        stream.write_all(b"GET /2/100000/100000 HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        assert!(read_object(&mut stream, 100_000).await == content(2, 100_000));
    });
}

#[test]
fn uploads_arrive_as_they_were_sent_and_end_where_they_end() {
    with_pipes(256, async || {
        let relay = relay().await;
        let head =
            format!("PUT /3/{LENGTH}/{LENGTH} HTTP/1.1\r\nHost: h\r\nContent-Length: {LENGTH}\r\n\r\n");
        let mut stream = relay.ask(&head).await;
        let sent = [content(3, LENGTH), b"GET /4/5/5 HTTP/1.1\r\nHost: h\r\n\r\n".to_vec()].concat();
        stream.write_all(&sent).await.unwrap();
        assert_eq!(read_object(&mut stream, 4).await, b"same");
        assert_eq!(
            read_object(&mut stream, 5).await,
            content(4, 5),
            "the next request is not part of the body"
        );
        assert!(OPEN.load(Ordering::Relaxed) >= 1, "pipes were used");
    });
}

#[test]
fn a_body_that_breaks_off_does_not_look_complete() {
    with_pipes(256, async || {
        let relay = relay().await;
        let mut stream = relay.get(1, LENGTH, LENGTH / 2).await;
        let head = read_head(&mut stream).await;
        assert!(head.contains(&format!("{LENGTH}")), "{head}");
        let mut body = Vec::new();
        let _ = stream.read_to_end(&mut body).await;
        assert!(body == content(1, LENGTH / 2), "{} bytes arrived", body.len());
        assert_eq!(in_use(), 0);
    });
}

/// The kernel does not report a few bytes while large pieces are awaited, so the proxy must look for them.
#[test]
fn bytes_of_a_server_that_slows_down_are_not_held_back() {
    with_pipes(256, async || {
        let relay = relay().await;
        let (fast, all) = (LENGTH / 2, LENGTH / 2 + 1000);
        let mut stream = relay.ask(&format!("GET /1/{LENGTH}/{fast}/1000 HTTP/1.1\r\nHost: h\r\n\r\n")).await;
        let read = timeout(SOON, read_object(&mut stream, all)).await;
        assert!(read.expect("all bytes arrive") == content(1, all));
        assert!(low_water::tests::raised() > 0, "large pieces were awaited");
    });
}

#[test]
fn bytes_of_a_client_that_slows_down_are_not_held_back() {
    with_pipes(256, async || {
        let relay = relay().await;
        let (fast, all) = (LENGTH / 2, LENGTH / 2 + 1000);
        let head = format!("PUT /1/{all}/{all} HTTP/1.1\r\nHost: h\r\nContent-Length: {LENGTH}\r\n\r\n");
        let mut stream = relay.ask(&head).await;
        let object = content(1, LENGTH);
        stream.write_all(&object[..fast]).await.unwrap();
        sleep(LATER).await;
        stream.write_all(&object[fast..all]).await.unwrap();
        let response = timeout(SOON, read_object(&mut stream, 4)).await;
        assert_eq!(response.expect("the server has all bytes that it waits for"), b"same");
        assert!(low_water::tests::raised() > 0, "large pieces were awaited");
    });
}

/// The bytes that a client leaves behind in a pipe are nobody else's.
#[test]
fn a_pipe_that_holds_bytes_is_not_used_again() {
    with_pipes(256, async || {
        let relay = relay().await;
        let mut gone = relay.get(1, LENGTH, LENGTH).await;
        read_head(&mut gone).await;
        wait_until(|| in_use() == 1).await;
        drop(gone);
        wait_until(|| in_use() == 0).await;
        assert_eq!(OPEN.load(Ordering::Relaxed), 0, "it is closed");
        let mut stream = relay.get(2, LENGTH, LENGTH).await;
        assert!(read_object(&mut stream, LENGTH).await == content(2, LENGTH));
    });
}

/// Clients that read nothing hold half of the pipes and no more, and lose nothing by that.
#[test]
fn slow_clients_leave_pipes_to_others() {
    with_pipes(8, async || {
        let relay = relay().await;
        let mut slow = Vec::new();
        for seed in 0..12 {
            slow.push(relay.get(seed, LENGTH, LENGTH).await);
            sleep(Duration::from_millis(20)).await;
        }
        wait_until(|| in_use() == 4).await;
        sleep(Duration::from_millis(300)).await;
        assert_eq!(in_use(), 4);
        let before = relay.pipes.get();
        let mut stream = relay.get(99, LENGTH, LENGTH).await;
        assert!(read_object(&mut stream, LENGTH).await == content(99, LENGTH));
        assert!(relay.pipes.get() - before > 20, "the fast client has pipes");
        for (seed, stream) in (0..).zip(&mut slow) {
            assert!(read_object(stream, LENGTH).await == content(seed, LENGTH), "client {seed}");
        }
        assert_eq!(in_use(), 0);
    });
}

/// Pieces in pipes are charged to the read budget.
#[test]
fn pieces_are_smaller_or_copied_if_the_read_budget_has_no_room() {
    for (budget, pieces) in [(4 * REDUCED_PIECE, LENGTH / REDUCED_PIECE..=LENGTH), (0, 0..=0)] {
        with_pipes(256, async || {
            let relay = relay().await;
            read_budget::set_limit(budget);
            let mut stream = relay.get(1, LENGTH, LENGTH).await;
            let read = read_object(&mut stream, LENGTH).await;
            read_budget::set_limit(usize::MAX);
            assert!(read == content(1, LENGTH));
            assert!(pieces.contains(&relay.pipes.get()), "{budget}: {} pieces", relay.pipes.get());
        });
    }
}

#[test]
fn bodies_are_copied_without_pipes() {
    with_pipes(0, async || {
        let relay = relay().await;
        let mut stream = relay.get(1, LENGTH, LENGTH).await;
        assert!(read_object(&mut stream, LENGTH).await == content(1, LENGTH));
        assert_eq!((relay.pipes.get(), OPEN.load(Ordering::Relaxed)), (0, 0));
    });
}

/// A socket that takes no pipe gets the bytes from memory.
#[test]
fn bytes_return_from_a_pipe_that_cannot_be_written() {
    with_pipes(256, async || {
        let (listener, address) = listen().await;
        let (sender, receiver) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (mut sender, (receiver, _)) = (sender.unwrap(), receiver.unwrap());
        sender.write_all(b"abcdef").await.unwrap();
        let filled = std::future::poll_fn(|cx| Pipe::poll_fill(SpliceSocket::Tcp(&receiver), cx, 4)).await;
        let Filled::Piece(pipe) = filled.unwrap() else { panic!("no pipe") };
        assert_eq!(pipe.held(), 4);
        let (mut pipe, mut rest) = (Some(pipe), Bytes::new());
        let written = std::future::poll_fn(|cx| poll_write_pipe(None, cx, &mut pipe, &mut rest)).await;
        assert_eq!((written.unwrap(), pipe.is_none(), &*rest), (0, true, &b"abcd"[..]));
        assert_eq!((in_use(), OPEN.load(Ordering::Relaxed)), (0, 1));
    });
}

#[test]
fn only_errors_of_the_system_are_refusals() {
    for (error, refuses) in [
        (Errno::INVAL, true),
        (Errno::NOSYS, true),
        (Errno::PERM, true),
        (Errno::CONNRESET, false),
        (Errno::PIPE, false),
        (Errno::AGAIN, false),
    ] {
        assert_eq!(is_refusal(&error.into()), refuses, "{error}");
    }
    assert!(!is_refusal(&io::ErrorKind::UnexpectedEof.into()));
}

async fn wait_until(holds: impl Fn() -> bool) {
    while !holds() {
        sleep(Duration::from_millis(5)).await;
    }
}
