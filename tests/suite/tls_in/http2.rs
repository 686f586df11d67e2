//! HTTP/2 over TLS, as handshakes choose it.

use super::revoked::{self, revoke};
use super::{HELLO, ONE, Secure, run};
use crate::support::http2::Connection;
use crate::support::process::wait_for;
use std::fs;

fn open(secure: &Secure) -> Connection {
    Connection::open_over_tls(secure.address(), &secure.authority.trusting(None))
}

#[test]
fn curl_reads_writes_and_lists_over_http2() {
    let secure = Secure::start(ONE);
    let (authority, url) = (secure.path("ca.pem"), format!("https://localhost:{}", secure.address().port()));
    let curl = |arguments: &[&str]| {
        let shown = ["-sS", "--http2", "--cacert", &authority, "-w", " %{http_version} %{http_code}"];
        let (code, out, err) = run("curl", &[&shown, arguments].concat());
        assert_eq!((code, &*err), (Some(0), ""), "{arguments:?}: {}", secure.proxy.stderr());
        out
    };
    let (large, back) = (secure.path("large"), secure.path("back"));
    let bytes: Vec<u8> = (0..16_u32 << 20).flat_map(u32::to_le_bytes).collect();
    fs::write(&large, &bytes).unwrap();
    let target = format!("{url}/tmp/inbox/large");
    assert_eq!(curl(&["-T", &large, &target]), " 2 200");
    assert_eq!(curl(&["-o", &back, &target]), " 2 200");
    assert!(fs::read(&back).unwrap() == bytes, "the object is not what was sent");
    let listed = curl(&[&format!("{url}/tmp?list-type=2&prefix=inbox/")]);
    assert!(listed.contains("<Key>inbox/large</Key>") && listed.ends_with(" 2 200"), "{listed}");
    for refused in [
        curl(&[&format!("{url}/tmp/other/secret.txt")]),
        curl(&["-T", &large, &format!("{url}/tmp/media/large")]),
    ] {
        assert!(refused.contains("<Code>AccessDenied</Code>") && refused.ends_with(" 2 403"), "{refused}");
    }
    assert_eq!(secure.metric("scopegate_http2_connections_total"), 5);
    secure.becomes("scopegate_memory_bytes{use=\"bodies\"}", 0);
}

#[test]
fn a_hundred_streams_run_at_once() {
    let secure = Secure::start(ONE);
    let connection = open(&secure);
    let content: Vec<u8> = (0..1_u32 << 18).flat_map(u32::to_le_bytes).collect();
    assert_eq!(connection.request("PUT", "/tmp/inbox/a", &[], &content).unwrap().status(), 200);
    for got in connection.get_many(100, "/tmp/inbox/a") {
        let got = got.unwrap();
        assert!(got.status() == 200 && got.body == content, "{}", got.status());
    }
    assert_eq!(secure.metric("scopegate_http2_connections_total"), 1);
}

/// An idle connection and one with an upload learn that the server stops, and the upload is stored.
#[test]
fn running_streams_finish_when_the_server_stops() {
    let secure = Secure::start(ONE);
    let (idle, busy) = (open(&secure), open(&secure));
    assert_eq!(idle.request("GET", HELLO, &[], b"").unwrap().status(), 200);
    secure.becomes("scopegate_http2_streams_open", 0);
    let upload = busy.begin("/tmp/inbox/slow", 4);
    secure.becomes("scopegate_http2_streams_open", 1);
    secure.proxy.signal("TERM");
    idle.wait_for_end().unwrap();
    assert_eq!(busy.finish(upload, b"body").unwrap().status(), 200);
    busy.wait_for_end().unwrap();
    secure.said("cut_short=false");
}

/// The streams of a revoked certificate finish, and no more begin.
#[test]
fn a_revoked_certificate_ends_its_connections() {
    let (secure, clients) = revoked::start();
    let [alice, bob] = [("alice", 7), ("bob", 8)]
        .map(|(name, serial)| secure.authority.trusting(Some(&clients.client(name, serial))));
    let [idle, busy, other] =
        [&alice, &alice, &bob].map(|client| Connection::open_over_tls(secure.address(), client));
    for connection in [&idle, &busy, &other] {
        assert_eq!(connection.request("GET", HELLO, &[], b"").unwrap().status(), 200);
    }
    secure.becomes("scopegate_http2_streams_open", 0);
    let upload = busy.begin("/tmp/inbox/running", 4);
    secure.becomes("scopegate_http2_streams_open", 1);
    revoke(&secure, &clients.revocations(&[7], 2999));
    idle.wait_for_end().unwrap();
    secure.counts("scopegate_http2_goaways_total{reason=\"stopping\"}", 2);
    // A stream that the client opened before it knew is still served.
    let refused = wait_for(|| busy.request("GET", HELLO, &[], b"").err());
    assert!(refused.is_some(), "streams go on to begin");
    assert_eq!(busy.finish(upload, b"body").unwrap().status(), 200, "a running stream finishes");
    busy.wait_for_end().unwrap();
    assert_eq!(other.request("GET", HELLO, &[], b"").unwrap().status(), 200, "other clients go on");
}
