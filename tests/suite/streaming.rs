//! Streamed bodies: nothing is buffered whole, no loss goes unnoticed, and a side that disconnects ends the other.

use crate::support::http::{self, Connection};
use crate::support::keys::Keys;
use crate::support::process::wait_for;
use crate::support::proxy::Proxy;
use crate::support::record::Recorder;
use crate::support::world::{self, World, config, corner, outcome};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;

const ALL: &[(&str, &str, &str)] = &[("tmp", "inbox/", "read,list,write,delete")];
pub(crate) const SESSION: &str = "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>K</AccessKeyId>\
    <SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration>\
    </Credentials></AssumeRoleResult></AssumeRoleResponse>";

/// A proxy in front of an upstream that the test controls, one accepted connection at a time.
pub(crate) struct Driven {
    pub(crate) proxy: Proxy,
    pub(crate) accepted: Receiver<TcpStream>,
    _sts: Recorder,
}

pub(crate) fn driven(more: &str) -> Driven {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = listener.local_addr().unwrap();
    let (sender, accepted) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            if sender.send(stream.unwrap()).is_err() {
                return;
            }
        }
    });
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{SESSION}", SESSION.len());
    let sts = Recorder::start(answer.as_bytes());
    let proxy =
        world::start(&config(upstream, sts.address(), &[corner("all", ALL)], more), &Keys::random("issuer"));
    Driven { proxy, accepted, _sts: sts }
}

impl Driven {
    pub(crate) fn address(&self) -> SocketAddr {
        self.proxy.address("all")
    }

    pub(crate) fn client(&self, request: &[u8]) -> Connection {
        let mut client = Connection::open(self.address()).unwrap();
        client.send(request).unwrap();
        client
    }

    /// Accepts the next connection and reads the head of its first request. Health checks succeed and do not count.
    pub(crate) fn upstream(&self) -> (TcpStream, String) {
        loop {
            let mut stream = self.accepted.recv().unwrap();
            let head = read_head(&mut stream);
            if !head.starts_with("get /minio/health/") {
                return (stream, head);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        }
    }
}

fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "closed in {:?}", String::from_utf8_lossy(&head));
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap().to_lowercase()
}

fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
    match stream.read_to_end(&mut rest) {
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

pub(crate) const GET: &[u8] = b"GET /tmp/inbox/a HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn a_client_that_disconnects_ends_the_upstream_request() {
    let driven = driven("");
    // Before the response.
    let client = driven.client(GET);
    let (mut upstream, _) = driven.upstream();
    client.reset();
    assert!(is_closed(&mut upstream));
    // In the middle of the response.
    let mut client = driven.client(GET);
    let (mut upstream, _) = driven.upstream();
    upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\nbegin").unwrap();
    assert_eq!(client.read_head().unwrap().status, 200);
    drop(client);
    let chunk = vec![0; 65536];
    assert!(wait_for(|| upstream.write_all(&chunk).err()).is_some(), "the upstream continues to send");
    // In the middle of an upload: the upstream must not mistake the part for the whole.
    let mut client =
        driven.client(b"PUT /tmp/inbox/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n");
    let (mut upstream, head) = driven.upstream();
    assert!(head.contains("content-length: 100\r\n") && head.contains("expect: 100-continue\r\n"), "{head}");
    upstream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
    client.send(b"half").unwrap();
    let mut half = [0; 4];
    upstream.read_exact(&mut half).unwrap();
    drop(client);
    assert!(is_closed(&mut upstream));
}

#[test]
fn a_broken_upstream_breaks_the_response_visibly() {
    let driven = driven("");
    let cases: [&[u8]; 2] = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ];
    for answer in cases {
        let mut client = driven.client(GET);
        let (mut upstream, _) = driven.upstream();
        upstream.write_all(answer).unwrap();
        drop(upstream);
        assert!(client.read_response("GET").is_err(), "a short answer passes for a whole one");
    }
    for garbage in [&b"220 smtp.example\r\n\r\n"[..], b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", b""] {
        let mut client = driven.client(GET);
        let (mut upstream, _) = driven.upstream();
        upstream.write_all(garbage).unwrap();
        drop(upstream);
        assert_eq!(outcome(&client.read_response("GET").unwrap()), "502 InternalError upstream");
    }
}

#[test]
fn a_body_is_not_sent_before_the_store_asks_for_it() {
    let driven = driven("");
    let mut client = driven.client(
        b"PUT /tmp/inbox/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\nExpect: 100-continue\r\n\r\n",
    );
    let (mut upstream, _) = driven.upstream();
    let refusal = "<Error><Code>AccessDenied</Code></Error>";
    let answer = format!(
        "HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{refusal}",
        refusal.len()
    );
    upstream.write_all(answer.as_bytes()).unwrap();
    // Without a 100 the client never begins.
    let head = client.read_head().unwrap();
    assert_eq!(head.status, 403);
    assert!(is_closed(&mut upstream));
}

#[test]
fn sends_the_body_to_a_store_that_never_sends_100() {
    let driven = driven("");
    let mut client =
        driven.client(b"PUT /tmp/inbox/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody");
    let (mut upstream, _) = driven.upstream();
    let mut body = [0; 4];
    upstream.read_exact(&mut body).unwrap();
    upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    assert_eq!((&body, client.read_response("PUT").unwrap().status()), (b"body", 200));
}

#[test]
fn an_early_refusal_in_the_middle_of_an_upload_reaches_the_client() {
    let driven = driven("");
    let mut client = driven
        .client(b"PUT /tmp/inbox/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nbegin");
    let (mut upstream, _) = driven.upstream();
    upstream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
    let mut begun = [0; 5];
    upstream.read_exact(&mut begun).unwrap();
    let refusal = "<Error><Code>EntityTooLarge</Code></Error>";
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{refusal}",
        refusal.len()
    );
    upstream.write_all(answer.as_bytes()).unwrap();
    assert_eq!(outcome(&client.read_response("PUT").unwrap()), "400 EntityTooLarge");
}

#[test]
fn retries_safe_requests_on_stale_connections() {
    let driven = driven("");
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let put = b"PUT /tmp/inbox/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody";
    let create = b"POST /tmp/inbox/a?uploads HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    for (request, again) in [(GET, true), (put, true), (create, false)] {
        // One client connection, so that one worker and its pool serve it.
        let mut client = driven.client(GET);
        let (mut stale, _) = driven.upstream();
        stale.write_all(ok).unwrap();
        assert_eq!(client.read_response("GET").unwrap().text(), "ok");
        client.send(request).unwrap();
        read_head(&mut stale);
        drop(stale);
        if again {
            let (mut fresh, _) = driven.upstream();
            fresh.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
            fresh.write_all(ok).unwrap();
            assert_eq!(client.read_response("GET").unwrap().text(), "ok");
        } else {
            assert_eq!(outcome(&client.read_response("POST").unwrap()), "502 InternalError upstream");
        }
    }
}

#[test]
fn connections_to_the_store_are_reused() {
    let store = Recorder::start(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{SESSION}", SESSION.len());
    let sts = Recorder::start(answer.as_bytes());
    let config = config(store.address(), sts.address(), &[corner("all", ALL)], "");
    let proxy = world::start(&config, &Keys::random("issuer"));
    let mut client = Connection::open(proxy.address("all")).unwrap();
    // A PUT waits a second for the 100, which this store does not send.
    for _ in 0..3 {
        for (method, body) in [("GET", ""), ("HEAD", ""), ("PUT", "body"), ("DELETE", "")] {
            assert_eq!(client.request(method, "/tmp/inbox/a", &[], body.as_bytes()).unwrap().status(), 200);
        }
    }
    for _ in 0..50 {
        assert_eq!(client.request("GET", "/tmp/inbox/a", &[], b"").unwrap().status(), 200);
    }
    assert_eq!(store.connections(), 1);
}

const DEAD: &str = "<Error><Code>InvalidAccessKeyId</Code></Error>";

#[test]
fn an_upload_is_replayed_only_if_nothing_of_it_was_sent() {
    let driven = driven("");
    let dead = format!("HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\n\r\n{DEAD}", DEAD.len());
    let put = b"PUT /tmp/inbox/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody";
    let mut client = driven.client(put);
    let (mut upstream, _) = driven.upstream();
    upstream.write_all(dead.as_bytes()).unwrap();
    let (mut upstream, _) = driven.upstream();
    upstream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
    let mut body = [0; 4];
    upstream.read_exact(&mut body).unwrap();
    // Once the body was sent, another dead session cannot be replaced.
    upstream.write_all(dead.as_bytes()).unwrap();
    let answer = client.read_response("PUT").unwrap();
    assert_eq!((&body, outcome(&answer).as_str()), (b"body", "503 SlowDown session-replaced"));
    assert!(answer.header("retry-after").is_some());
    assert!(driven.accepted.try_recv().is_err(), "the request was sent a third time");
}

#[test]
fn a_request_is_replayed_only_once() {
    let driven = driven("");
    let dead = format!(
        "HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{DEAD}",
        DEAD.len()
    );
    let mut client = driven.client(GET);
    for _ in 0..2 {
        let (mut upstream, _) = driven.upstream();
        upstream.write_all(dead.as_bytes()).unwrap();
    }
    assert_eq!(outcome(&client.read_response("GET").unwrap()), "503 ServiceUnavailable no-session");
    assert!(driven.accepted.try_recv().is_err(), "the request was sent a third time");
}

#[test]
fn stalled_transfers_time_out() {
    let driven = driven(
        "[limits]\nstall_timeout = \"300ms\"\nresponse_timeout = \"500ms\"\nheader_timeout = \"400ms\"\n\
         idle_timeout = \"500ms\"\n",
    );
    let mut client = driven.client(GET);
    let (upstream, _) = driven.upstream();
    assert_eq!(outcome(&client.read_response("GET").unwrap()), "504 InternalError upstream-timeout");
    drop(upstream);
    let mut client = driven.client(GET);
    let (mut upstream, _) = driven.upstream();
    upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").unwrap();
    assert!(client.read_response("GET").is_err());
    drop(upstream);
    let mut client =
        driven.client(b"PUT /tmp/inbox/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf");
    let (mut upstream, _) = driven.upstream();
    upstream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
    assert_eq!(outcome(&client.read_response("PUT").unwrap()), "400 IncompleteBody bad-body");
    assert!(is_closed(&mut upstream));
    // A head that never ends, and a connection without a request.
    for begun in [&b"GET /tmp/inbox/a HTTP/1.1\r\nHost: loc"[..], b""] {
        let mut client = driven.client(begun);
        let _either_408_or_nothing = client.read_to_end();
    }
}

#[test]
fn large_objects_are_streamed_both_ways_with_their_length() {
    let world = World::start(&[corner("all", ALL)]);
    let content: Vec<u8> =
        (0..40_000_000_u32).map(|n| u8::try_from(n.wrapping_mul(2_654_435_761) >> 24).unwrap()).collect();
    assert_eq!(world.ask("all", "PUT", "/tmp/inbox/large", &[], &content).status(), 200);
    let got = world.get("all", "/tmp/inbox/large");
    assert_eq!(got.header("content-length"), Some("40000000"));
    assert!(got.header("transfer-encoding").is_none());
    assert!(got.body == content, "the received object differs from the stored one");
    assert_eq!(world.metric("scopegate_requests_in_flight"), 0);
}

#[test]
fn shutdown_finishes_running_transfers() {
    let driven = driven("");
    let mut client = driven.client(GET);
    let (mut upstream, _) = driven.upstream();
    upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf").unwrap();
    let head = client.read_head().unwrap();
    let Driven { proxy, .. } = driven;
    let address = proxy.address("all");
    let ended = thread::spawn(move || proxy.terminate());
    let refused = wait_for(|| TcpStream::connect(address).err());
    assert!(refused.is_some(), "still accepting");
    upstream.write_all(b"half").unwrap();
    let mut body = Vec::new();
    assert_eq!(client.read_body("GET", &head, &mut body).unwrap(), 8);
    let (code, log) = ended.join().unwrap();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("shutting down") && log.contains("stopped cut_short=false"), "{log}");
}

#[test]
fn shutdown_does_not_wait_forever() {
    let driven = driven("[limits]\ndrain_timeout = \"300ms\"\n");
    let _client = driven.client(GET);
    let (_upstream, _) = driven.upstream();
    let (code, log) = driven.proxy.terminate();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("stopped cut_short=true requests_cut=1"), "{log}");
}

/// The log does not blame the client.
#[test]
fn the_log_says_what_a_shutdown_cut_off() {
    let driven = driven("[limits]\ndrain_timeout = \"300ms\"\n");
    let mut leaver = driven.client(GET);
    let (mut upstream, _) = driven.upstream();
    upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").unwrap();
    assert_eq!(leaver.read_head().unwrap().status, 200);
    drop((leaver, upstream));
    let left = || driven.proxy.stderr().matches("the client disconnected").count();
    let seen = wait_for(|| {
        let text = http::get(driven.proxy.address("admin"), "/metrics").unwrap().text();
        (text.contains("scopegate_requests_cut_total{by=\"client\"} 1\n")
            || text.contains("scopegate_requests_cut_total{by=\"store\"} 1\n"))
        .then_some(())
    });
    assert!(seen.is_some(), "{}", driven.proxy.stderr());
    let before = left();

    let mut client = driven.client(GET);
    let (mut upstream, _) = driven.upstream();
    upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").unwrap();
    assert_eq!(client.read_head().unwrap().status, 200);
    let waiting = driven.client(GET);
    let (_silent, _) = driven.upstream();
    let (code, log) = driven.proxy.terminate();
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(log.matches("the client disconnected").count(), before, "{log}");
    assert_eq!(log.matches("cut off by the shutdown: limits.drain_timeout ran out").count(), 2, "{log}");
    assert!(log.contains("stopped cut_short=true requests_cut=2"), "{log}");
    drop(waiting);
}
