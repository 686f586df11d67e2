//! Clients that close their sending side before the response, as `nc -N`, `printf | socat` and ffmpeg do, and clients
//! that disconnect: complete requests are executed, and incomplete ones leave nothing.

use crate::limits::{from_another_address, metric};
use crate::streaming::{GET, driven};
use crate::support::http::{Connection, request_bytes};
use crate::support::process::wait_for;
use crate::support::sigv4::direct;
use crate::support::world::{World, corner};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const ALL: &[(&str, &str, &str)] = &[("tmp", "inbox/", "read,list,write,delete")];
const ENDLESS: (&str, &str) = ("Transfer-Encoding", "chunked");
/// Size of the first part of an upload of unknown length that becomes a multipart upload.
const PART: usize = 8 << 20;

/// How a client leaves after sending its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaves {
    HalfCloses,
    Closes,
    Resets,
}

/// Sends a request and leaves. Returns the status if the client waits for it.
fn send(world: &World, request: &[u8], leaves: Leaves) -> Option<u16> {
    let mut connection = Connection::open(world.proxy.address("all")).unwrap();
    connection.send(request).unwrap();
    match leaves {
        Leaves::HalfCloses => {
            connection.end_sending().unwrap();
            Some(connection.read_response("PUT").unwrap().status())
        }
        Leaves::Closes => None,
        Leaves::Resets => {
            connection.reset();
            None
        }
    }
}

fn chunked(content: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    for chunk in content.chunks(100_000) {
        wire.extend(format!("{:x}\r\n", chunk.len()).bytes());
        wire.extend([chunk, b"\r\n"].concat());
    }
    [&wire[..], b"0\r\nX-Behind: it\r\n\r\n"].concat()
}

fn stored(world: &World, key: &str) -> Option<Vec<u8>> {
    let got = direct(&world.minio, &world.issuer, "GET", &format!("/tmp/inbox/{key}"), &[], b"");
    (got.status() == 200).then_some(got.body)
}

fn is_stored(world: &World, key: &str, content: &[u8]) -> bool {
    wait_for(|| stored(world, key).map(|found| found == content)).unwrap_or_default()
}

#[test]
fn complete_uploads_are_stored_after_their_client_left() {
    let world = World::start(&[corner("all", ALL)]);
    let content = |length: usize| (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect::<Vec<_>>();
    let (small, large, huge) = (content(5), content(2_000_000), content(2 * PART + 1000));
    let bodies = [("small", &small), ("large", &large), ("huge", &huge)];
    for leaves in [Leaves::HalfCloses, Leaves::Closes, Leaves::Resets] {
        for (name, content) in bodies {
            // A reset discards what the client's kernel has not sent yet.
            if leaves == Leaves::Resets && name != "small" {
                continue;
            }
            for (framing, body) in [("chunked", Some(chunked(content))), ("length", None)] {
                let key = format!("{name}-{framing}-{leaves:?}");
                let headers: &[(&str, &str)] = if body.is_some() { &[ENDLESS] } else { &[] };
                let body = body.as_ref().unwrap_or(content);
                let request = request_bytes("PUT", &format!("/tmp/inbox/{key}"), headers, body);
                let status = send(&world, &request, leaves);
                assert!(status.is_none_or(|status| status == 200), "{key}: {status:?}");
                assert!(is_stored(&world, &key, content), "{key}\n{}", world.proxy.stderr());
            }
        }
        // Requests other than PUT.
        let keys = ["a", "b"].map(|name| format!("{name}-{leaves:?}"));
        for key in &keys {
            world.minio.put(&format!("tmp/inbox/{key}"), b"x");
        }
        let document = format!("<Delete><Object><Key>inbox/{}</Key></Object></Delete>", keys[0]);
        send(&world, &request_bytes("POST", "/tmp?delete", &[], document.as_bytes()), leaves);
        send(&world, &request_bytes("DELETE", &format!("/tmp/inbox/{}", keys[1]), &[], b""), leaves);
        for key in &keys {
            let is_gone = || stored(&world, key).is_none().then_some(());
            assert!(wait_for(is_gone).is_some(), "{key}");
        }
    }
    let over = || (world.metric("scopegate_requests_in_flight") == 0).then_some(());
    assert!(wait_for(over).is_some(), "{}", world.proxy.stderr());
}

#[test]
fn incomplete_uploads_are_not_stored() {
    let world = World::start(&[corner("all", ALL)]);
    let wire = chunked(&vec![b'x'; 300_000]);
    let (begun, full) = (vec![b'x'; 999], &wire[..]);
    for leaves in [Leaves::HalfCloses, Leaves::Closes, Leaves::Resets] {
        let expecting = [("Content-Length", "5"), ("Expect", "100-continue")];
        let requests = [
            request_bytes("PUT", "/tmp/inbox/a", &[("Content-Length", "1000")], &begun),
            request_bytes("PUT", "/tmp/inbox/a", &[ENDLESS], &full[..1000]),
            request_bytes("PUT", "/tmp/inbox/a", &[ENDLESS], &full[..full.len() - 2]),
            request_bytes("PUT", "/tmp/inbox/a", &[ENDLESS], b""),
            request_bytes("PUT", "/tmp/inbox/a", &expecting, b""),
        ];
        for request in requests {
            let mut connection = Connection::open(world.proxy.address("all")).unwrap();
            connection.send(&request).unwrap();
            match leaves {
                Leaves::HalfCloses => {
                    connection.end_sending().unwrap();
                    let answer = String::from_utf8_lossy(&connection.read_to_end().unwrap()).into_owned();
                    assert!(!answer.contains("HTTP/1.1 2"), "{answer}");
                }
                Leaves::Closes => drop(connection),
                Leaves::Resets => connection.reset(),
            }
            let over = || (world.metric("scopegate_requests_in_flight") == 0).then_some(());
            assert!(wait_for(over).is_some(), "{}", world.proxy.stderr());
            assert_eq!(stored(&world, "a"), None, "{leaves:?}");
        }
    }
}

#[test]
fn half_closed_clients_get_their_responses() {
    let world = World::start(&[corner("all", ALL)]);
    let content: Vec<u8> = (0..5_000_000_u32).map(|n| u8::try_from(n % 253).unwrap()).collect();
    world.minio.put("tmp/inbox/large", &content);
    let mut connection = Connection::open(world.proxy.address("all")).unwrap();
    let requests = [
        request_bytes("PUT", "/tmp/inbox/a", &[], b"content"),
        request_bytes("GET", "/tmp/inbox/a", &[], b""),
        request_bytes("HEAD", "/tmp/inbox/a", &[], b""),
        request_bytes("GET", "/tmp?list-type=2&prefix=inbox/", &[], b""),
        request_bytes("GET", "/tmp/inbox/none", &[], b""),
        request_bytes("GET", "/tmp/inbox/large", &[], b""),
    ];
    connection.send(&requests.concat()).unwrap();
    connection.end_sending().unwrap();
    let expected = [("PUT", 200), ("GET", 200), ("HEAD", 200), ("GET", 200), ("GET", 404), ("GET", 200)];
    let answers = expected.map(|(method, status)| {
        let answer = connection.read_response(method).unwrap();
        assert_eq!(answer.status(), status, "{}", answer.text());
        answer
    });
    assert!(answers[1].text() == "content" && answers[5].body == content);
    assert_eq!(connection.read_to_end().unwrap(), b"", "the connection ends");
}

/// A shutdown waits for these requests too.
#[test]
fn shutdown_finishes_uploads_of_clients_that_left() {
    let driven = driven("");
    let put = b"PUT /tmp/inbox/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody";
    let client = driven.client(put);
    let (mut upstream, _) = driven.upstream();
    drop(client);
    let proxy = driven.proxy;
    let address = proxy.address("all");
    let ended = std::thread::spawn(move || proxy.terminate());
    assert!(wait_for(|| TcpStream::connect(address).err()).is_some(), "still accepting");
    upstream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
    let mut body = [0; 4];
    upstream.read_exact(&mut body).unwrap();
    upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    let (code, log) = ended.join().unwrap();
    assert_eq!((&body, code), (b"body", Some(0)), "{log}");
    assert!(log.contains("stopped cut_short=false"), "{log}");
}

/// The log has the store's status, and says that nobody read the response.
#[test]
fn the_log_shows_clients_that_left() {
    let driven = driven("[log]\naccess = true\n");
    for (reset, said) in [
        (false, "the client closed its side of the connection before the answer"),
        (true, "the client disconnected"),
    ] {
        let put = b"PUT /tmp/inbox/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody";
        let client = driven.client(put);
        let (mut upstream, _) = driven.upstream();
        upstream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
        upstream.read_exact(&mut [0; 4]).unwrap();
        if reset {
            client.reset();
        } else {
            drop(client);
        }
        std::thread::sleep(Duration::from_millis(600));
        upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        let line = || {
            let log = driven.proxy.stderr();
            log.lines().find(|line| line.contains("method=PUT") && line.contains(said)).map(str::to_owned)
        };
        let line = wait_for(line).unwrap_or_else(|| panic!("{}", driven.proxy.stderr()));
        assert!(line.contains("status=200"), "{line}");
    }
}

/// Requests of clients that have left are subject to the same limits as all others.
#[test]
fn two_thousand_departed_clients_do_not_block_others() {
    let driven = driven(
        "[limits]\nrequests_per_mapping = 16\nqueue_per_mapping = 64\nqueue_timeout = \"1m\"\n\
         connections_per_client = 300\n",
    );
    let put = b"PUT /tmp/inbox/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody";
    for number in 0..2000 {
        let mut leaver = TcpStream::connect(driven.address()).unwrap();
        // A connection over the limit may already be closed.
        let _ = leaver.write_all(if number % 2 == 0 { GET } else { put });
    }
    let in_flight = || metric(&driven.proxy, "scopegate_requests_in_flight");
    assert!(in_flight() <= 80, "{}", in_flight());
    assert!(metric(&driven.proxy, "scopegate_connections") <= 301);
    let mut other = from_another_address(driven.address());
    other.write_all(b"GET /tmp/inbox/mine HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    // Clients that have left hold at most three quarters of the places.
    let served = std::thread::spawn(move || {
        let mut begin = [0; 12];
        other.read_exact(&mut begin).unwrap();
        String::from_utf8_lossy(&begin).into_owned()
    });
    let mut running = Vec::new();
    let mut mine = loop {
        let (upstream, head) = driven.upstream();
        if head.starts_with("get /tmp/inbox/mine ") {
            break upstream;
        }
        running.push(upstream);
        assert!(running.len() <= 16, "too many run");
    };
    mine.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    assert_eq!(served.join().unwrap(), "HTTP/1.1 200");
    drop(running);
}
