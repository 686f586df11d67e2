//! One client cannot take what others of its mapping need, however slowly it proceeds.

use super::{ALL, from_another_address, metric};
use crate::streaming::{GET, driven};
use crate::support::http::{self, Connection, request_bytes};
use crate::support::keys::Keys;
use crate::support::process::wait_for;
use crate::support::record::Recorder;
use crate::support::world::{World, corner, outcome};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

const ENDLESS: (&str, &str) = ("Transfer-Encoding", "chunked");

fn send(address: SocketAddr, bytes: &[u8]) -> Connection {
    let mut connection = Connection::open(address).unwrap();
    connection.send(bytes).unwrap();
    connection
}

fn status_from_another_address(address: SocketAddr, request: &[u8]) -> String {
    let mut other = from_another_address(address);
    other.write_all(request).unwrap();
    let mut begin = [0; 12];
    other.read_exact(&mut begin).unwrap();
    String::from_utf8_lossy(&begin).into_owned()
}

/// Slow uploads wait for a buffer without holding a place that other requests need. Clients that leave free what they
/// wait for at once.
#[test]
fn slow_and_abandoned_uploads_do_not_block_a_mapping() {
    let limits = "[limits]\nrequests_per_mapping = 16\nqueue_per_mapping = 64\nupload_buffer = \"16MiB\"\n";
    let world = World::start_with(&[corner("all", ALL)], limits);
    let address = world.proxy.address("all");
    let begun = request_bytes("PUT", "/tmp/inbox/slow", &[ENDLESS], b"1\r\nx\r\n");
    let slow: Vec<Connection> = (0..16).map(|_| send(address, &begun)).collect();
    let are_running =
        |count| wait_for(|| (world.metric("scopegate_requests_in_flight") == count).then_some(())).is_some();
    assert!(are_running(16), "{}", world.proxy.stderr());
    let left: Vec<Connection> = (0..32).map(|_| send(address, &begun)).collect();
    assert!(are_running(48), "{}", world.proxy.stderr());
    drop(left);
    // Far less than any time-out.
    let start = Instant::now();
    assert!(are_running(16), "departed clients still hold places");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    for _ in 0..32 {
        let read = http::get(address, "/tmp/inbox/none").unwrap();
        assert_eq!(outcome(&read), "404 NoSuchKey");
    }
    drop(slow);
    let put = world.ask("all", "PUT", "/tmp/inbox/a", &[ENDLESS], b"1\r\nx\r\n0\r\n\r\n");
    assert_eq!(put.status(), 200, "{}", put.text());
}

/// One client has all the places that it may have and fills its part of the queue. Another client is served at once.
#[test]
fn one_client_leaves_places_for_another() {
    let driven =
        driven("[limits]\nrequests_per_mapping = 8\nqueue_per_mapping = 8\nqueue_timeout = \"5m\"\n");
    let hostile: Vec<Connection> = (0..6).map(|_| driven.client(GET)).collect();
    let held: Vec<TcpStream> = hostile.iter().map(|_| driven.upstream().0).collect();
    let _queued: Vec<Connection> = (0..6).map(|_| driven.client(GET)).collect();
    let in_flight = || (metric(&driven.proxy, "scopegate_requests_in_flight") == 12).then_some(());
    assert!(wait_for(in_flight).is_some());
    assert_eq!(outcome(&driven.client(GET).read_response("GET").unwrap()), "503 SlowDown queue-full");

    let address = driven.address();
    let other = thread::spawn(move || status_from_another_address(address, GET));
    let (mut upstream, _) = driven.upstream();
    upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    assert_eq!(other.join().unwrap(), "HTTP/1.1 200");
    drop((hostile, held));
}

/// Sends a body piece by piece until it is complete or the proxy responds. Returns the outcome and the time.
fn drip(address: SocketAddr, piece: &[u8], pieces: usize) -> (String, Duration) {
    let mut connection = TcpStream::connect(address).unwrap();
    let head = format!(
        "PUT /tmp/inbox/drip HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
        piece.len() * pieces
    );
    connection.write_all(head.as_bytes()).unwrap();
    connection.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let (start, mut begin) = (Instant::now(), [0; 12]);
    for _ in 0..pieces {
        let _ = connection.write_all(piece);
        if connection.read_exact(&mut begin).is_ok() {
            return (String::from_utf8_lossy(&begin).into_owned(), start.elapsed());
        }
    }
    connection.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    connection.read_exact(&mut begin).unwrap();
    (String::from_utf8_lossy(&begin).into_owned(), start.elapsed())
}

/// The rate decides, not whether something arrives now and then.
#[test]
fn bodies_below_the_minimum_rate_are_aborted() {
    let limits = "[limits]\nstall_timeout = \"2s\"\nminimum_rate = \"1KiB\"\n";
    let world = World::start_with(&[corner("all", ALL)], limits);
    let address = world.proxy.address("all");
    // 20 and 20,000 bytes per second.
    let (slow, took) = drip(address, b"x", 2000);
    assert_eq!(slow, "HTTP/1.1 400");
    assert!(took < Duration::from_secs(30), "{took:?}");
    assert_eq!(world.get("all", "/tmp/inbox/drip").code().as_deref(), Some("NoSuchKey"));
    let (steady, took) = drip(address, &[b'x'; 1000], 100);
    assert_eq!(steady, "HTTP/1.1 200", "after {took:?}");
    assert!(took > Duration::from_secs(4), "{took:?} shows nothing");
}

/// A reader at a mobile phone's rate gets everything, although its own buffers and the kernel's are large. One that
/// reads next to nothing is disconnected.
#[test]
fn slow_readers_are_served_and_stalled_ones_are_not() {
    let driven = driven("[limits]\nstall_timeout = \"5s\"\nminimum_rate = \"1KiB\"\n");
    for (rate, survives) in [(64 * 1024, true), (100, false)] {
        let mut client = driven.client(GET);
        let (mut upstream, _) = driven.upstream();
        let flood = thread::spawn(move || {
            upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")?;
            let piece = vec![b'x'; 65536];
            (0..1500).try_for_each(|_| upstream.write_all(&piece))
        });
        assert_eq!(client.read_head().unwrap().status, 200);
        let in_flight = || metric(&driven.proxy, "scopegate_requests_in_flight") == 1;
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(20) && in_flight() {
            let tick = Instant::now();
            client.read_exactly(rate / 10).unwrap();
            thread::sleep(Duration::from_millis(100).saturating_sub(tick.elapsed()));
        }
        assert_eq!(in_flight(), survives, "{rate} bytes a second, {:?}", start.elapsed());
        drop(client);
        assert!(flood.join().unwrap().is_err());
        let over = || (!in_flight()).then_some(());
        assert!(wait_for(over).is_some());
    }
}

/// Clients of one unix user share a limit, like those of one address.
#[test]
fn unix_clients_are_counted_by_user() {
    let nobody = Recorder::start(b"");
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("s3.sock");
    let more = format!(
        "[limits]\nconnections_per_client = 2\n\
         [[listener]]\nname = \"socket\"\naddress = \"unix:{}\"\n\
         [[mapping]]\nname = \"socket\"\nclient = {{ listener = \"socket\" }}\n\
         [[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"socket/\"\nallow = [\"read\"]\n",
        path.display()
    );
    let config =
        crate::support::world::config(nobody.address(), nobody.address(), &[corner("all", ALL)], &more);
    let proxy = crate::support::world::start(&config, &Keys::random("issuer"));
    let served = || {
        let mut client = Connection::open_unix(&path).unwrap();
        let answer = client.request("GET", "/tmp/other", &[], b"");
        answer.map(|answer| (client, answer.status()))
    };
    let (first, _second) = (served().unwrap(), served().unwrap());
    assert_eq!(first.1, 403);
    assert!(served().is_err(), "a third connection of one user is served");
    let refused = metric(&proxy, "scopegate_connections_refused_total{limit=\"connections_per_client\"}");
    assert_eq!(refused, 1);
}
