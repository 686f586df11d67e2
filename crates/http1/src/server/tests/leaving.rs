//! Tests of clients that end their side or leave: complete requests are served, others are dropped.

use super::*;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinHandle;

/// How a client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaves {
    /// It sends no more, and reads on.
    HalfCloses,
    Closes,
    Resets,
    /// It closes a unix socket.
    ClosesUnix,
}

const WAYS: [Leaves; 4] = [Leaves::HalfCloses, Leaves::Closes, Leaves::Resets, Leaves::ClosesUnix];

/// The rest of a client's connection after it left, and the server's side of it.
struct Left {
    mirror: Rc<Mirror>,
    client: Option<TcpStream>,
    task: JoinHandle<io::Result<()>>,
}

impl Left {
    /// Sends these bytes, waits until the service runs, and leaves.
    async fn behind(sent: &[u8], leaves: Leaves) -> Self {
        outbox::open_for_test();
        let mirror = Rc::new(Mirror::default());
        if leaves == Leaves::ClosesUnix {
            let (mut client, server) = UnixStream::pair().unwrap();
            let task = spawn(server, &mirror);
            send(&mut client, sent, &mirror).await;
            return Self { mirror, client: None, task };
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let task = spawn(Socket::from(listener.accept().await.unwrap().0), &mirror);
        send(&mut client, sent, &mirror).await;
        match leaves {
            Leaves::HalfCloses => client.shutdown().await.unwrap(),
            Leaves::Resets => socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap(),
            Leaves::Closes | Leaves::ClosesUnix => {}
        }
        let client = (leaves == Leaves::HalfCloses).then_some(client);
        Self { mirror, client, task }
    }

    /// Waits until the server has had time to notice that the client left.
    async fn is_noticed(&self) {
        sleep(3 * Duration::from_millis(200)).await;
    }

    /// Lets the service go on. Returns what it saw and what the client received.
    async fn finish(mut self) -> (Vec<String>, String) {
        self.is_noticed().await;
        self.mirror.go.notify_one();
        let mut answer = Vec::new();
        if let Some(client) = &mut self.client {
            timeout(Duration::from_secs(5), client.read_to_end(&mut answer)).await.unwrap().unwrap();
        }
        let _ = timeout(Duration::from_secs(5), self.task).await.expect("the connection ends").unwrap();
        assert_eq!(self.mirror.running.get(), 0);
        (self.mirror.seen.take(), String::from_utf8(answer).unwrap())
    }
}

fn spawn(server: impl Transport, mirror: &Rc<Mirror>) -> JoinHandle<io::Result<()>> {
    let service = Rc::clone(mirror);
    tokio::task::spawn_local(with_event_clock(
        async move { serve(server, &*service, &LIMITS, running()).await },
    ))
}

async fn send(client: &mut (impl AsyncWriteExt + Unpin), sent: &[u8], mirror: &Mirror) {
    client.write_all(sent).await.unwrap();
    while mirror.running.get() == 0 && mirror.seen.borrow().is_empty() {
        yield_now().await;
    }
}

fn put(path: &str, framing: &str, body: &str) -> Vec<u8> {
    format!("PUT {path} HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n{body}").into_bytes()
}

const CHUNKED: &str = "Transfer-Encoding: chunked";

#[tokio::test]
async fn serves_requests_that_arrived_in_full() {
    local(async {
        let bodies = [
            ("Content-Length: 3", "abc"),
            ("Content-Length: 0", ""),
            (CHUNKED, "3\r\nabc\r\n0\r\n\r\n"),
            (CHUNKED, "1;x=y\r\na\r\n2\r\nbc\r\n0\r\nX-Sum: y\r\n\r\n"),
            ("Content-Length: 3\r\nConnection: close", "abc"),
        ];
        let case = |leaves, framing: &'static str, body: &'static str, path: &'static str| async move {
            let (seen, answer) = Left::behind(&put(path, framing, body), leaves).await.finish().await;
            let content = if framing.contains(": 0") { "" } else { "abc" };
            assert_eq!(seen, [format!("PUT {path} [{content}]")], "{leaves:?} {framing} {body:?}");
            if leaves == Leaves::HalfCloses {
                assert_eq!(statuses(&answer), [200], "{framing} {body:?}");
            }
        };
        let mut running = Vec::new();
        for leaves in WAYS {
            for (framing, body) in bodies {
                // The body is not read yet, or has been read.
                for path in ["/held", "/read"] {
                    running.push(tokio::task::spawn_local(case(leaves, framing, body, path)));
                }
            }
        }
        for case in running {
            case.await.unwrap();
        }
    })
    .await;
}

/// The body is longer than what is read ahead to find the end of a chunked body.
#[tokio::test]
async fn a_long_unread_body_is_read_after_its_client_left() {
    local(async {
        let content = "x".repeat(100_000);
        let chunked = format!("{:x}\r\n{content}\r\n0\r\n\r\n", content.len());
        for leaves in WAYS {
            let (seen, _) = Left::behind(&put("/held", CHUNKED, &chunked), leaves).await.finish().await;
            assert_eq!(seen, [format!("PUT /held [{content}]")], "{leaves:?}");
            let cut = &chunked[..chunked.len() - 3];
            let (seen, _) = Left::behind(&put("/held", CHUNKED, cut), leaves).await.finish().await;
            assert_eq!(seen, ["PUT /held broken"], "{leaves:?}");
        }
    })
    .await;
}

/// The end of a client is noticed even behind unread bytes.
#[tokio::test]
async fn a_client_that_leaves_ends_its_incomplete_request() {
    local(async {
        let whole = "3\r\nabc\r\n0\r\nX: y\r\n\r\n";
        let cut = (0..whole.len()).step_by(3).map(|length| put("/never", CHUNKED, &whole[..length]));
        let short = [
            put("/never", "Content-Length: 100000", "begin"),
            put("/never", "Content-Length: 3\r\nExpect: 100-continue", ""),
            put("/never", "Transfer-Encoding: chunked\r\nExpect: 100-continue", ""),
            put("/never", CHUNKED, "zz\r\n"),
        ];
        let mut running = Vec::new();
        for request in short.into_iter().chain(cut) {
            for leaves in WAYS {
                let request = request.clone();
                running.push(tokio::task::spawn_local(async move {
                    let Left { mirror, task, client } = Left::behind(&request, leaves).await;
                    let sent = String::from_utf8_lossy(&request);
                    let ended = timeout(Duration::from_secs(5), task).await;
                    assert!(ended.expect("the request ends").unwrap().is_err(), "{leaves:?} {sent}");
                    assert_eq!(
                        (mirror.running.get(), &*mirror.seen.take()),
                        (0, &[][..]),
                        "{leaves:?} {sent}"
                    );
                    drop(client);
                }));
            }
        }
        for case in running {
            case.await.unwrap();
        }
    })
    .await;
}

/// No one would read the response.
#[tokio::test]
async fn a_read_ends_when_its_client_is_gone() {
    local(async {
        for request in [
            &b"GET /never HTTP/1.1\r\nHost: h\r\n\r\n"[..],
            b"HEAD /never HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET /never HTTP/1.1\r\nHost: h\r\n\r\nGET /next HTTP/1.1\r\n",
        ] {
            for leaves in [Leaves::Resets, Leaves::ClosesUnix] {
                let Left { mirror, task, .. } = Left::behind(request, leaves).await;
                let ended = timeout(Duration::from_secs(5), task).await;
                assert!(ended.expect("the request ends").unwrap().is_err());
                assert_eq!(mirror.running.get(), 0);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_half_closed_client_gets_all_its_responses_in_order() {
    local(async {
        let get = |path| format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
        for held in ["/held", "/a"] {
            let requests = [
                get(held),
                get("/b"),
                String::from_utf8(put("/c", "Content-Length: 3", "abc")).unwrap(),
                String::from_utf8(put("/d", CHUNKED, "0\r\n\r\n")).unwrap(),
                get("/e"),
            ];
            let left = Left::behind(requests.concat().as_bytes(), Leaves::HalfCloses).await;
            let peers = Rc::clone(&left.mirror);
            let (seen, answer) = left.finish().await;
            assert_eq!(statuses(&answer), [200; 5], "{answer}");
            let expected = [&format!("GET {held} []"), "GET /b []", "PUT /c [abc]", "PUT /d []", "GET /e []"];
            assert_eq!(seen, expected);
            assert!(seen.iter().all(|seen| answer.contains(&**seen)), "{answer}");
            assert!(!peers.peers.borrow().contains(&PeerState::Gone));
        }
        // The rest is not a complete request.
        let begun = [get("/a"), "GET /b HTT".to_owned()].concat();
        let (seen, answer) = Left::behind(begun.as_bytes(), Leaves::HalfCloses).await.finish().await;
        assert_eq!((statuses(&answer), seen), (vec![200], vec!["GET /a []".to_owned()]));
        // The response to the last request says that it is the last.
        let (_, answer) = Left::behind(get("/held").as_bytes(), Leaves::HalfCloses).await.finish().await;
        assert!(answer.contains("connection: close\r\n"), "{answer}");
    })
    .await;
}

#[tokio::test]
async fn how_a_client_left_before_its_response_is_noted() {
    local(async {
        for (leaves, expected) in [
            (Leaves::HalfCloses, &[PeerState::Ended][..]),
            (Leaves::Resets, &[PeerState::Gone, PeerState::Gone]),
            (Leaves::ClosesUnix, &[PeerState::Gone, PeerState::Gone]),
        ] {
            let left = Left::behind(&put("/read", "Content-Length: 3", "abc"), leaves).await;
            let mirror = Rc::clone(&left.mirror);
            left.finish().await;
            assert_eq!(*mirror.peers.borrow(), expected, "{leaves:?}");
        }
    })
    .await;
}
