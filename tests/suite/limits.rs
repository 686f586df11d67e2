//! A client over its limits gets a clear response, and other clients are not affected.

mod memory;
mod shares;

use crate::streaming::{Driven, GET, driven};
use crate::support::http::{self, Connection, Response};
use crate::support::keys::Keys;
use crate::support::minio::Minio;
use crate::support::process::wait_for;
use crate::support::proxy::Proxy;
use crate::support::record::Recorder;
use crate::support::scopegate::binary;
use crate::support::world::{World, config, corner, outcome};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

const ALL: &[(&str, &str, &str)] = &[("tmp", "inbox/", "read,list,write,delete")];

pub(crate) fn metric(proxy: &Proxy, series: &str) -> u64 {
    read_metric(&http::get(proxy.address("admin"), "/metrics").unwrap(), series)
}

fn read_metric(answer: &Response, series: &str) -> u64 {
    let text = answer.text();
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in {text}")).parse().unwrap()
}

/// One request runs until the last byte of its response, one waits, and the third is told to slow down. It reaches
/// neither the store nor STS.
#[test]
fn a_mappings_requests_queue_up_to_a_limit() {
    let driven =
        driven("[limits]\nrequests_per_mapping = 1\nqueue_per_mapping = 1\nqueue_timeout = \"5m\"\n");
    let mut first = driven.client(GET);
    let (mut upstream, _) = driven.upstream();
    upstream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 8\r\n\r\nhalf").unwrap();
    let head = first.read_head().unwrap();

    let (answers, answered) = mpsc::channel();
    for mut client in [driven.client(GET), driven.client(GET)] {
        let answers = answers.clone();
        thread::spawn(move || answers.send(client.read_response("GET").unwrap()));
    }
    drop(answers);
    let refused = answered.recv().unwrap();
    assert_eq!(outcome(&refused), "503 SlowDown queue-full");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(driven.accepted.try_recv().unwrap_err(), TryRecvError::Empty, "the second request must wait");
    let is_counted = || {
        let metrics = http::get(driven.proxy.address("admin"), "/metrics").unwrap().text();
        metrics.contains("scopegate_refusals_total{mapping=\"all\",rule=\"queue-full\"} 1\n").then_some(())
    };
    // A request is counted after its response.
    assert!(wait_for(is_counted).is_some());

    upstream.write_all(b"half").unwrap();
    first.read_body("GET", &head, &mut Vec::new()).unwrap();
    let (mut upstream, _) = driven.upstream();
    upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    assert_eq!(answered.recv().unwrap().status(), 200);
    // A client that leaves during its response also frees its place.
    drop(driven.client(GET));
}

#[test]
fn a_queued_request_times_out() {
    let driven = driven("[limits]\nrequests_per_mapping = 1\nqueue_timeout = \"200ms\"\n");
    let first = driven.client(GET);
    let (_upstream, _) = driven.upstream();
    let refused = driven.client(GET).read_response("GET").unwrap();
    assert_eq!(outcome(&refused), "503 SlowDown queue-timeout");
    assert_eq!(refused.header("retry-after"), Some("1"));
    first.reset();
    let Driven { proxy, accepted, .. } = &driven;
    assert!(accepted.try_recv().is_err(), "the request reached the store");
    let gone = || (metric(proxy, "scopegate_requests_in_flight") == 0).then_some(());
    assert!(wait_for(gone).is_some());
    let _next = driven.client(GET);
    driven.upstream();
}

#[test]
fn requests_per_second_are_limited() {
    let upstream = Recorder::start(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let (minio, issuer) = Minio::start_seeded();
    let more = "[limits]\nrequests_per_second = 2\n";
    let config = config(upstream.address(), minio.address, &[corner("all", ALL)], more);
    let proxy = crate::support::world::start(&config, &issuer);
    let mut client = Connection::open(proxy.address("all")).unwrap();
    let begin = Instant::now();
    let answers: Vec<Response> =
        (0..40).map(|_| client.request("GET", "/tmp/inbox/a", &[], b"").unwrap()).collect();
    let most = 2 * (begin.elapsed().as_secs() + 2);
    let (good, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status() == 200);
    assert!(good.len() as u64 <= most, "{} in {:?}", good.len(), begin.elapsed());
    assert!(good.len() >= 2 && !refused.is_empty(), "{} refused", refused.len());
    for answer in &refused {
        assert_eq!(outcome(answer), "429 TooManyRequests rate-limited");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    let reached: usize = upstream
        .received()
        .iter()
        .map(|bytes| String::from_utf8_lossy(bytes).matches("GET /tmp/inbox/a").count())
        .sum();
    assert_eq!(reached, good.len());
}

#[test]
fn an_upload_over_the_scopes_limit_is_refused_before_it_is_sent() {
    let world =
        World::start(&[corner("all", &[("tmp", "inbox/", "read,write\"]\nmax_object_size = \"1KiB\" #")])]);
    let body = vec![b'x'; 1025];
    let refused = world.ask("all", "PUT", "/tmp/inbox/a", &[], &body);
    assert_eq!(outcome(&refused), "400 EntityTooLarge too-large");
    assert!(refused.text().contains("at most 1024 bytes"), "{}", refused.text());
    assert_eq!(world.get("all", "/tmp/inbox/a").code().as_deref(), Some("NoSuchKey"));
    assert_eq!(world.ask("all", "PUT", "/tmp/inbox/a", &[], &body[1..]).status(), 200);
}

fn is_closed_unanswered(address: SocketAddr) -> bool {
    let Ok(mut client) = Connection::open(address) else { return true };
    // The proxy may close before everything is written.
    let _ = client.send(GET);
    !matches!(client.read_to_end(), Ok(bytes) if !bytes.is_empty())
}

/// Opens a connection and sends a request, whose response shows that the proxy has accepted the connection.
fn accepted(address: SocketAddr) -> Connection {
    let mut client = Connection::open(address).unwrap();
    assert_eq!(client.request("GET", "/tmp/other", &[], b"").unwrap().status(), 403);
    client
}

#[test]
fn connections_are_limited_in_total_and_per_client() {
    let (nobody, sts) = (Recorder::start(b""), Recorder::start(b""));
    let more = "[limits]\nconnections = 3\nconnections_per_client = 2\n";
    let config = config(nobody.address(), sts.address(), &[corner("all", ALL)], more);
    let proxy = crate::support::world::start(&config, &Keys::random("issuer"));
    let address = proxy.address("all");
    let (first, _second) = (accepted(address), accepted(address));
    assert!(is_closed_unanswered(address));
    let mut other = from_another_address(address);
    other.write_all(b"GET /tmp/other HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut begin = [0; 12];
    other.read_exact(&mut begin).unwrap();
    assert_eq!(&begin, b"HTTP/1.1 403");
    let mut third = from_another_address(address);
    // The connection may already be closed.
    let _ = third.write_all(GET);
    assert!(!matches!(third.read(&mut begin), Ok(1..)), "a fourth connection is served");

    let refused =
        |limit| metric(&proxy, &format!("scopegate_connections_refused_total{{limit=\"{limit}\"}}"));
    assert_eq!((refused("connections_per_client"), refused("connections")), (1, 1));
    drop((first, other));
    let again = wait_for(|| (!is_closed_unanswered_after_close(address)).then_some(()));
    assert!(again.is_some(), "a departed client is still counted");
    assert_eq!(nobody.connections(), 0);
}

fn is_closed_unanswered_after_close(address: SocketAddr) -> bool {
    let Ok(mut client) = Connection::open(address) else { return true };
    client.request("GET", "/tmp/other", &[], b"").is_err()
}

pub(crate) fn from_another_address(address: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into()).unwrap();
    socket.connect(&address.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    stream
}

/// Without file descriptors no connection can be accepted. The proxy waits without spinning, and serves clients as
/// soon as descriptors are available.
#[test]
fn survives_a_lack_of_file_descriptors() {
    let upstream = Recorder::start(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let (minio, issuer) = Minio::start_seeded();
    let config = config(upstream.address(), minio.address, &[corner("all", ALL)], "[limits]\nworkers = 2\n");
    let env = [("ISSUER_KEY", &*issuer.access_key), ("ISSUER_SECRET", &*issuer.secret_key)];
    let proxy = Proxy::start_with_descriptors(binary(), 64, &config, &env);
    let address = proxy.address("all");
    let mut admin = Connection::open(proxy.address("admin")).unwrap();
    let mut failed = || {
        let answer = admin.request("GET", "/metrics", &[], b"").unwrap();
        read_metric(&answer, "scopegate_accepts_failed_total")
    };
    assert_eq!(http::get(address, "/tmp/inbox/a").unwrap().status(), 200);

    let mut hostile = Vec::new();
    // The proxy may close a connection to the store meanwhile, so that the next accept succeeds.
    let mut fail_until = |enough: u64| loop {
        let seen = failed();
        if seen >= enough {
            return seen;
        }
        hostile.push(TcpStream::connect(address).unwrap());
        assert!(hostile.len() < 1000, "{seen} of {enough} accepts failed");
        thread::sleep(Duration::from_millis(5));
    };
    let (before, begin) = (fail_until(1), Instant::now());
    let seen = fail_until(before + 4);
    // Two workers, each once in 50 ms.
    let most = before + 2 * (u64::try_from(begin.elapsed().as_millis()).unwrap() / 50 + 1);
    assert!(seen <= most, "{seen} failed accepts, of {most} that pauses allow");

    drop(hostile);
    let served = wait_for(|| http::get(address, "/tmp/inbox/a").ok().filter(|answer| answer.status() == 200));
    assert!(served.is_some(), "{}", proxy.stderr());
    let lines = proxy.stderr().matches("cannot accept connections").count();
    assert!((1..=4).contains(&lines), "{lines} lines");
}

/// With a limit far below what the default of `connections` may need, large bodies still move within the kernel.
#[test]
fn large_bodies_are_spliced_with_few_file_descriptors() {
    let (minio, issuer) = Minio::start_seeded();
    let config = config(minio.address, minio.address, &[corner("all", ALL)], "");
    let env = [("ISSUER_KEY", &*issuer.access_key), ("ISSUER_SECRET", &*issuer.secret_key)];
    let proxy = Proxy::start_with_descriptors(binary(), 1024, &config, &env);
    let content: Vec<u8> = (0..8_u32 << 20).map(|at| (at % 251).to_le_bytes()[0]).collect();
    // The beginning of a body comes with its head, and a short rest is copied.
    let most_of_it = content.len() as u64 * 9 / 10;
    for (method, body, expected) in [("PUT", &*content, most_of_it), ("GET", &[], 2 * most_of_it)] {
        let answer = http::request(proxy.address("all"), method, "/tmp/inbox/large", &[], body).unwrap();
        assert_eq!(answer.status(), 200, "{}", proxy.stderr());
        assert!(method == "PUT" || answer.body == content);
        let spliced = metric(&proxy, "scopegate_spliced_bytes_total");
        assert!(spliced >= expected, "{spliced} of {expected} bytes were spliced");
    }
}
