//! Memory for data that clients send, or do not read, stays within the limits and is released.

use super::{ALL, metric};
use crate::streaming::{GET, SESSION, driven};
use crate::support::http::{self, Connection, request_bytes};
use crate::support::keys::Keys;
use crate::support::process::wait_for;
use crate::support::proxy::{Proxy, command};
use crate::support::record::Recorder;
use crate::support::scopegate::binary;
use crate::support::world::{self, config, corner, outcome};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// Returns a process's resident memory in bytes.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

fn taken(proxy: &Proxy, used_for: &str) -> u64 {
    metric(proxy, &format!("scopegate_memory_bytes{{use=\"{used_for}\"}}"))
}

fn is_given_back(proxy: &Proxy, used_for: &str, before: u64, most: u64) {
    assert!(
        wait_for(|| (taken(proxy, used_for) == 0).then_some(())).is_some(),
        "the memory is still counted"
    );
    let back = wait_for(|| (resident(proxy.id()) < before + most).then_some(()));
    assert!(back.is_some(), "{} MiB and {} MiB before", resident(proxy.id()) / MIB, before / MIB);
}

/// Delete documents that wait for their last byte. Those over the memory limit are refused, and another client's are
/// served.
#[test]
fn unfinished_documents_are_limited_in_total() {
    let driven = driven("");
    let address = driven.address();
    let answer =
        driven.client(b"GET /tmp/other HTTP/1.1\r\nHost: localhost\r\n\r\n").read_response("GET").unwrap();
    assert_eq!(answer.status(), 403);
    let before = resident(driven.proxy.id());
    let body = vec![b' '; 2 << 20];
    let request = request_bytes("POST", "/tmp?delete", &[], &body);
    let mut held: Vec<Connection> = Vec::new();
    for _ in 0..100 {
        let mut connection = Connection::open(address).unwrap();
        // The proxy may refuse before everything is sent.
        let _ = connection.send(&request[..request.len() - 1]);
        held.push(connection);
    }
    let refused =
        || (metric(&driven.proxy, "scopegate_memory_refused_total{use=\"documents\"}") > 50).then_some(());
    assert!(wait_for(refused).is_some());
    assert!(taken(&driven.proxy, "documents") <= 44 * MIB);
    let grown = resident(driven.proxy.id()).saturating_sub(before);
    assert!(grown < 110 * MIB, "{} MiB", grown / MIB);
    let refused = held.pop().unwrap().read_response("POST").unwrap();
    assert_eq!(outcome(&refused), "503 SlowDown memory-full");
    assert_eq!(refused.header("retry-after"), Some("1"));
    drop(held);
    is_given_back(&driven.proxy, "documents", before, 40 * MIB);
}

/// Heads that never end, from clients without a mapping.
#[test]
fn unfinished_heads_are_limited_in_total_and_release_memory() {
    let nobody = Recorder::start(b"");
    let more = "[limits]\nheader_timeout = \"1h\"\n\
        [[listener]]\nname = \"strangers\"\naddress = \"127.0.0.1:0\"\n\
        [[mapping]]\nname = \"far\"\nclient = { network = \"203.0.113.0/24\", listener = \"strangers\" }\n\
        [[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"far/\"\nallow = [\"read\"]\n";
    let config = config(nobody.address(), nobody.address(), &[corner("all", ALL)], more);
    let proxy = world::start(&config, &Keys::random("issuer"));
    let before = resident(proxy.id());
    for (listener, length) in [("strangers", 4000), ("all", 30_000)] {
        let half = format!("GET /{} HTTP/1.1\r\nX: ", "x".repeat(length)).into_bytes();
        let half = if length > 8000 {
            [b"GET / HTTP/1.1\r\nX: ".to_vec(), vec![b'x'; length]].concat()
        } else {
            half
        };
        let held: Vec<TcpStream> = (0..4000)
            .map(|_| {
                let mut connection = TcpStream::connect(proxy.address(listener)).unwrap();
                let _ = connection.write_all(&half);
                connection
            })
            .collect();
        let counted = || (taken(&proxy, "heads") > 4 * MIB).then_some(());
        assert!(wait_for(counted).is_some(), "{}", taken(&proxy, "heads"));
        assert!(taken(&proxy, "heads") <= 44 * MIB);
        // Refused clients are disconnected soon, and hold nothing meanwhile.
        let grown = resident(proxy.id()).saturating_sub(before);
        assert!(grown < 80 * MIB, "{} MiB", grown / MIB);
        drop(held);
        is_given_back(&proxy, "heads", before, 40 * MIB);
    }
}

/// Starts a proxy before a store whose objects are large.
fn before_large_objects(more: &str) -> (Proxy, [Recorder; 2]) {
    let answer =
        [&b"HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\n"[..], &vec![b'x'; 8_000_000]].concat();
    let store = Recorder::start(&answer);
    let session = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{SESSION}", SESSION.len());
    let sts = Recorder::start(session.as_bytes());
    let config = config(store.address(), sts.address(), &[corner("all", ALL)], more);
    (world::start(&config, &Keys::random("issuer")), [store, sts])
}

/// A thousand clients that request a large object and read nothing, and others that read at full speed meanwhile. Besides
/// the resident memory, 128 pipes hold a piece of 32 KiB each.
#[test]
fn stalled_readers_hold_only_small_buffers() {
    let (proxy, _servers) = before_large_objects("[limits]\nrequests_per_mapping = 4000\n");
    let before = resident(proxy.id());
    let open = || {
        let mut connection = Connection::open(proxy.address("all")).unwrap();
        connection.send(GET).unwrap();
        let head = connection.read_head().unwrap();
        assert_eq!(head.status, 200, "{head:?}: {}", proxy.stderr());
        connection
    };
    let readers: Vec<Connection> = (0..1000).map(|_| open()).collect();
    let in_buffers = taken(&proxy, "reads");
    assert!(in_buffers <= 16 * MIB, "{in_buffers}");
    let grown = resident(proxy.id()).saturating_sub(before);
    assert!(grown + 128 * 32 * 1024 < 64 * MIB, "{} MiB", grown / MIB);
    for _ in 0..20 {
        let body = open().read_exactly(8_000_000).unwrap();
        assert!(body.iter().all(|byte| *byte == b'x'));
    }
    drop(readers);
    assert!(wait_for(|| (taken(&proxy, "reads") == 0).then_some(())).is_some());
}

/// Returns the start of an HTTP/2 connection: the preface, the window of each stream, a window of 2 GiB for the
/// connection, and a GET on each of `streams` streams (RFC 9113, RFC 7541).
fn begin_http2(window: u32, streams: u32) -> Vec<u8> {
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    };
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, &[&[0, 4][..], &window.to_be_bytes()].concat()));
    bytes.extend(frame(8, 0, 0, &(0x7FFF_FFFF_u32 - 65_535).to_be_bytes()));
    let path = b"/tmp/inbox/large";
    let head = [&[0x82, 0x86, 0x04, 16][..], path, &[0x01, 9], b"localhost"].concat();
    for number in 0..streams {
        bytes.extend(frame(1, 0b101, 2 * number + 1, &head));
    }
    bytes
}

/// Clients that open many streams over HTTP/2 and read nothing: they leave no room in the windows of their streams, or as
/// much as there can be and then do not read from the socket.
#[test]
fn stalled_readers_over_http2_hold_only_small_buffers() {
    for (window, most) in [(0, 30), (1000, 30), (0x7FFF_FFFF, 60)] {
        let more = "[limits]\nconnections_per_client = 400\nrequests_per_mapping = 400\n";
        let (proxy, _servers) = before_large_objects(more);
        let before = resident(proxy.id());
        let readers: Vec<TcpStream> = (0..20)
            .map(|_| {
                let mut connection = TcpStream::connect(proxy.address("all")).unwrap();
                connection.write_all(&begin_http2(window, 15)).unwrap();
                connection
            })
            .collect();
        let are_open = || (metric(&proxy, "scopegate_http2_streams_open") == 300).then_some(());
        assert!(wait_for(are_open).is_some(), "{window}: {}", proxy.stderr());
        let are_served = || (metric(&proxy, "scopegate_requests_in_flight") == 300).then_some(());
        assert!(wait_for(are_served).is_some(), "{window}: {}", proxy.stderr());
        std::thread::sleep(Duration::from_secs(1));
        let grown = resident(proxy.id()).saturating_sub(before) / MIB;
        assert!(grown < most, "{window}: {grown} MiB");
        drop(readers);
        for used_for in ["reads", "answers"] {
            assert!(wait_for(|| (taken(&proxy, used_for) == 0).then_some(())).is_some(), "{used_for}");
        }
    }
}

/// An unread log is dropped above its limit, and later reports how much is missing.
#[test]
fn an_unread_log_is_limited_and_reports_lost_lines() {
    let nobody = Recorder::start(b"");
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("proxy.toml");
    std::fs::write(&file, config(nobody.address(), nobody.address(), &[corner("all", ALL)], "")).unwrap();
    let keys = [("ISSUER_KEY", "issuer"), ("ISSUER_SECRET", "a-secret-of-the-issuer")];
    let mut child = command(binary(), &keys)
        .args(["serve", "--config"])
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let process = crate::support::process::Killed(child);
    let mut address = |name: &str| loop {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).unwrap() > 0);
        if line.contains("listening") && line.contains(&format!("name={name} ")) {
            let address = line.trim_end().rsplit_once("address=").unwrap().1;
            break address.parse().unwrap();
        }
    };
    let (all, admin): (std::net::SocketAddr, std::net::SocketAddr) = (address("all"), address("admin"));
    let before = resident(process.0.id());
    let dropped = || {
        let text = http::get(admin, "/metrics").unwrap().text();
        let line = text.lines().find_map(|line| line.strip_prefix("scopegate_log_lines_dropped_total "));
        line.unwrap().parse::<u64>().unwrap()
    };
    let mut client = Connection::open(all).unwrap();
    // The longest path that is logged.
    let path = format!("/other{}", format!("/{}", "x".repeat(200)).repeat(5));
    while dropped() == 0 {
        for _ in 0..1000 {
            assert_eq!(client.request("GET", &path, &[], b"").unwrap().status(), 403);
        }
    }
    for _ in 0..2000 {
        client.request("GET", &path, &[], b"").unwrap();
    }
    assert!(dropped() >= 2000);
    let grown = resident(process.0.id()).saturating_sub(before);
    assert!(grown < 16 * MIB, "{} MiB", grown / MIB);
    let said = loop {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).unwrap() > 0);
        if line.contains("log lines were dropped") {
            break line;
        }
    };
    let count = said.trim_end().rsplit_once("lines=").unwrap().1.parse::<u64>().unwrap();
    assert!((2000..=dropped()).contains(&count), "{said}");
}

/// A client that opens connections to the admin listener and reads nothing does not delay probes.
#[test]
fn probes_are_answered_while_a_client_holds_the_admin_listener() {
    let driven = driven("");
    let admin = driven.proxy.address("admin");
    let held: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut connection = TcpStream::connect(admin).unwrap();
            connection.write_all(&b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(200)).unwrap();
            connection
        })
        .collect();
    for _ in 0..20 {
        let mut probe = Connection::open(admin).unwrap();
        probe.set_read_timeout(Duration::from_secs(10)).unwrap();
        let answer = probe.request("GET", "/livez", &[], b"").unwrap();
        assert_eq!((answer.status(), answer.text().as_str()), (200, "ok\n"));
    }
    let mut cut = 0;
    for mut connection in held {
        connection.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let mut rest = Vec::new();
        cut += usize::from(
            !connection
                .read_to_end(&mut rest)
                .is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock),
        );
    }
    assert!(cut >= 100, "{cut} were closed");
}
