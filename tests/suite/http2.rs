//! HTTP/2 without TLS, with real clients and a real MinIO: large bodies, many streams, the end of the server, and where
//! it is not spoken.

mod conformance;

use crate::support::http2::Connection;
use crate::support::minio::Minio;
use crate::support::process::wait_for;
use crate::support::sigv4::direct;
use crate::support::world::{World, corner};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

const ALL: &[(&str, &str, &str)] = &[("tmp", "inbox/", "read,list,write,delete")];
const LARGE: usize = 40 << 20;

/// Returns bytes that no two places have in common.
fn content(length: usize) -> Vec<u8> {
    let words = (0..=length as u64 / 8).map(|number| number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    bytes.truncate(length);
    bytes
}

/// Runs curl with prior knowledge of HTTP/2, and returns what it wrote.
fn curl(args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut curl = Command::new("curl")
        .args(["--silent", "--show-error", "--http2-prior-knowledge", "--noproxy", "*", "--max-time", "60"])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, input) = (curl.stdin.take().unwrap(), input.to_vec());
    let writing = thread::spawn(move || stdin.write_all(&input));
    let output = curl.wait_with_output().unwrap();
    // A client that is refused does not read all of its input.
    let _ = writing.join().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn curl_uploads_and_downloads_large_bodies() {
    let folder = tempfile::TempDir::new().unwrap();
    let socket = folder.path().join("socket");
    let more = format!(
        "[[listener]]\nname = \"unix\"\naddress = \"unix:{}\"\n[[mapping]]\nname = \"unix\"\n\
         client = {{ listener = \"unix\" }}\n[[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"inbox/\"\n\
         allow = [\"read\", \"write\"]",
        socket.display()
    );
    let world = World::start_with(&[corner("all", ALL)], &more);
    let content = content(LARGE);
    let address = world.proxy.address("all").to_string();
    let socket = socket.to_str().unwrap();
    for (name, place) in [(&*address, vec![]), ("unix", vec!["--unix-socket", socket])] {
        let host = if place.is_empty() { name } else { "localhost" };
        let url = format!("http://{host}/tmp/inbox/{}", name.replace(':', "-"));
        let uploaded =
            curl(&[&place[..], &["-T", "-", "-w", "%{http_version} %{http_code}", &url]].concat(), &content);
        assert_eq!(String::from_utf8_lossy(&uploaded), "2 200", "{name}: {}", world.proxy.stderr());
        let got = curl(&[&place[..], &[&*url]].concat(), b"");
        assert!(got == content, "{name}: {} bytes", got.len());
        let range = curl(&[&place[..], &["-r", "1000000-1999999", &*url]].concat(), b"");
        assert!(range == content[1_000_000..2_000_000], "{name}");
        let head = curl(&[&place[..], &["-I", &*url]].concat(), b"");
        let head = String::from_utf8_lossy(&head).into_owned();
        assert!(
            head.starts_with("HTTP/2 200") && head.contains(&format!("content-length: {LARGE}")),
            "{head}"
        );
    }
    assert_eq!(world.metric("scopegate_http2_connections_total"), 8);
    assert_eq!(world.metric("scopegate_http2_streams_total"), 8);
    assert_eq!(world.metric("scopegate_http2_streams_open"), 0);
    assert_eq!(world.metric("scopegate_memory_bytes{use=\"bodies\"}"), 0);
}

#[test]
fn a_hundred_streams_run_at_once() {
    let world = World::start(&[corner("all", ALL)]);
    let content = content(1 << 20);
    let connection = Connection::open(world.proxy.address("all"));
    let put = connection.request("PUT", "/tmp/inbox/a", &[], &content).unwrap();
    assert_eq!(put.status(), 200, "{}", put.text());
    for got in connection.get_many(100, "/tmp/inbox/a") {
        let got = got.unwrap();
        assert!(got.status() == 200 && got.body == content, "{}", got.status());
    }
    // More than may run at once wait for their turn in the client.
    assert!(connection.get_many(300, "/tmp/inbox/a").iter().all(|got| got.as_ref().unwrap().body == content));
}

/// The streams of a client are counted over all of its connections.
#[test]
fn a_client_has_as_many_streams_as_connections() {
    let world = World::start_with(&[corner("all", ALL)], "[limits]\nconnections_per_client = 5\n");
    let connections = [(); 2].map(|()| Connection::open(world.proxy.address("all")));
    let start = |number: usize| connections[number % 2].begin(&format!("/tmp/inbox/{number}"), 4);
    let are_open = |count| {
        let open = wait_for(|| (world.metric("scopegate_http2_streams_open") == count).then_some(()));
        assert!(open.is_some(), "{}", world.proxy.stderr());
    };
    let mut begun: Vec<_> = (0..5).map(start).collect();
    are_open(5);
    for connection in &connections {
        let refused = connection.request("GET", "/tmp/inbox/none", &[], b"").unwrap_err();
        assert_eq!(refused.reason(), Some(h2::Reason::REFUSED_STREAM), "it may be tried again");
    }
    assert_eq!(world.metric("scopegate_http2_resets_total{reason=\"refused\"}"), 2);
    assert_eq!(connections[0].finish(begun.swap_remove(0), b"body").unwrap().status(), 200);
    are_open(4);
    assert_eq!(connections[1].request("GET", "/tmp/inbox/0", &[], b"").unwrap().text(), "body");
}

/// A client that is refused while it uploads sees why.
#[test]
fn curl_shows_the_refusal_of_an_upload() {
    let world = World::start(&[corner("all", &[("tmp", "inbox/", "read,list")])]);
    let content = content(LARGE);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &content).unwrap();
    let url = format!("http://{}/tmp/inbox/a", world.proxy.address("all"));
    for (source, input) in [(file.path().to_str().unwrap(), &b""[..]), ("-", &content)] {
        let shown = curl(&["-T", source, "-w", " %{http_version} %{http_code}", &url], input);
        let shown = String::from_utf8_lossy(&shown);
        assert!(shown.contains("<Code>AccessDenied</Code>") && shown.ends_with(" 2 403"), "{shown}");
    }
}

#[test]
fn a_stream_of_unknown_length_is_stored() {
    let world = World::start(&[corner("all", ALL)]);
    let content = content(20 << 20);
    let url = format!("http://{}/tmp/inbox/piped", world.proxy.address("all"));
    // No length: curl sends what it reads.
    curl(&["-X", "PUT", "-T", "-", &url], &content);
    let stored = direct(&world.minio, &world.issuer, "GET", "/tmp/inbox/piped", &[], b"");
    assert!(stored.body == content);
}

/// Downloads that run when the server stops arrive whole, and the client learns that no more are served.
#[test]
fn downloads_finish_when_the_server_stops() {
    let world = World::start(&[corner("all", ALL)]);
    let content = content(LARGE);
    let put = direct(&world.minio, &world.issuer, "PUT", "/tmp/inbox/a", &[], &content);
    assert_eq!(put.status(), 200);
    let url = format!("http://{}/tmp/inbox/a", world.proxy.address("all"));
    let downloading = thread::spawn(move || curl(&["--limit-rate", "15M", &url], b""));
    let is_running = || (world.metric("scopegate_http2_streams_open") == 1).then_some(());
    assert!(wait_for(is_running).is_some(), "{}", world.proxy.stderr());
    let World { proxy, minio: _minio, .. } = world;
    let (code, log) = proxy.terminate();
    assert_eq!(code, Some(0), "{log}");
    assert!(downloading.join().unwrap() == content);
}

/// Returns an address of this machine that is not loopback, if it has one.
fn own_address() -> Option<SocketAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: this only chooses a route.
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().filter(|address| !address.ip().is_loopback())
}

/// Elsewhere on plain TCP nobody has negotiated HTTP/2, and it is refused.
#[test]
fn a_network_carries_no_http_2_without_tls() {
    let Some(own) = own_address() else { return };
    let folder = [corner("all", ALL)];
    let (minio, issuer) = Minio::start_seeded();
    let config = crate::support::world::config(minio.address, minio.address, &folder, "")
        .replacen("name = \"all\"\naddress = \"127.0.0.1:0\"", "name = \"all\"\naddress = \"0.0.0.0:0\"", 1)
        .replace("127.0.0.0/8", "0.0.0.0/0");
    let proxy = crate::support::world::start(&config, &issuer);
    let address = SocketAddr::new(own.ip(), proxy.address("all").port());
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 505 ") && answer.contains("HTTP/2 is served over TLS"), "{answer}");
}

/// A request to change to HTTP/2 on the way is passed over, as RFC 9113 asks for.
#[test]
fn upgrades_are_ignored() {
    let world = World::start(&[corner("all", ALL)]);
    let headers = [
        ("Connection", "Upgrade, HTTP2-Settings"),
        ("Upgrade", "h2c"),
        ("HTTP2-Settings", "AAMAAABkAAQAAP__"),
    ];
    let answer = world.ask("all", "GET", "/tmp/inbox/none", &headers, b"");
    assert_eq!(answer.status(), 404);
}
