//! Requests that fail because of the client: they eject no node and do not affect other clients.

use super::nodes::{Several, unavailable};
use super::{ASKS, Ask, answers, ask, good, send};
use crate::support::faults::Step;
use crate::support::http::{self, Connection};
use crate::support::minio::Minio;
use crate::support::process::wait_for;
use crate::support::proxy::Proxy;
use crate::support::world::{self, config, corner};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The request of the hostile client, and that of the other client.
const HOSTILE: Ask = ask("hostile", "GET", "/tmp/inbox/hostile", 0);
const HONEST: Ask = ASKS[0];

/// A node that fails only the hostile request.
fn fails_at_hostile(then: Vec<Step>) -> Vec<Step> {
    let mut script = vec![Step::Head, Step::When("/hostile", then)];
    script.extend(good().into_iter().skip(1));
    script
}

/// Ways in which a client can make its request fail at every node.
fn failures() -> Vec<(&'static str, Vec<Step>)> {
    let malformed = answers(b"HTTP/1.1 200 OK\r\nContent-Type: \x01\r\nContent-Length: 0\r\n\r\n");
    let skip_head = |script: Vec<Step>| script.into_iter().skip(1).collect();
    vec![
        ("a malformed answer", skip_head(malformed)),
        ("a handler that panics", vec![Step::Reset]),
        ("a key that is locked", vec![Step::Stall]),
        ("a key that cannot be read", skip_head(unavailable("SlowDownRead"))),
        ("a lock that is not had in time", skip_head(unavailable("RequestTimeout"))),
    ]
}

#[test]
fn requests_that_fail_everywhere_eject_no_node() {
    for (name, failure) in failures() {
        let script = fails_at_hostile(failure);
        let nodes = Several::start(&[script.clone(), script]);
        for _ in 0..12 {
            assert_ne!(nodes.see(HOSTILE), "200", "{name}");
        }
        assert_eq!((nodes.ejections(0), nodes.ejections(1)), (0, 0), "{name}");
        let before = nodes.requests();
        for _ in 0..10 {
            assert_eq!(nodes.see(HONEST), "200", "{name}");
        }
        let after = nodes.requests();
        assert!(
            before.iter().zip(&after).all(|(before, after)| after - before == 5),
            "{name}: {before:?} {after:?}"
        );
    }
}

/// An invalid response is no reason to try other nodes, which would fail alike.
#[test]
fn invalid_responses_are_not_retried() {
    let (_, malformed) = failures().swap_remove(0);
    let nodes = Several::start(&vec![fails_at_hostile(malformed); 3]);
    assert_eq!(nodes.see(HOSTILE), "502 InternalError upstream");
    assert_eq!((nodes.requests().iter().sum::<usize>(), nodes.metric("scopegate_retries_total")), (1, 0));
}

/// One node hangs, and one client sends what makes the other node fail.
#[test]
fn a_hostile_client_does_not_drive_others_to_a_hanging_node() {
    const FOR: Duration = Duration::from_secs(6);
    for (name, failure) in failures() {
        let nodes = Several::start(&[vec![Step::Stall], fails_at_hostile(failure)]);
        let up = format!("scopegate_node_up{{node=\"{}\"}}", nodes.nodes[0].address());
        assert!(
            wait_for(|| (nodes.metric(&up) == 0).then_some(())).is_some(),
            "the hanging node is not ejected"
        );
        let over = AtomicBool::new(false);
        let start = Instant::now();
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !over.load(Ordering::SeqCst) {
                        nodes.see(HOSTILE);
                    }
                });
            }
            let mut seen = Vec::new();
            while start.elapsed() < FOR {
                seen.push(nodes.see(HONEST));
            }
            over.store(true, Ordering::SeqCst);
            let bad = seen.iter().filter(|seen| *seen != "200").count();
            assert_eq!(bad, 0, "{name}: of {}", seen.len());
        });
        assert_eq!(nodes.ejections(1), 0, "{name}");
    }
}

/// A node that fails every request, including health checks, is ejected.
#[test]
fn a_node_that_fails_every_request_is_ejected() {
    let garbage = answers(b"220 smtp.example\r\n\r\n");
    for script in [vec![Step::Reset], [vec![Step::Any], garbage[1..].to_vec()].concat()] {
        let nodes = Several::start(&[script, good()]);
        let out = wait_for(|| {
            nodes.see(HONEST);
            (nodes.ejections(0) > 0).then_some(())
        });
        assert!(out.is_some(), "{}", nodes.proxy.stderr());
        for _ in 0..10 {
            assert_eq!(nodes.see(HONEST), "200");
        }
    }
}

/// A real MinIO under two names.
struct Twofold {
    minio: Minio,
    proxy: Proxy,
}

impl Twofold {
    fn start(limits: &str) -> Self {
        let (minio, issuer) = Minio::start_seeded();
        let scopes: &[(&str, &str, &str)] = &[("tmp", "media/", "read,write")];
        let text = config(minio.address, minio.address, &[corner("all", scopes)], limits);
        let port = minio.address.port();
        let both = format!("[\"http://127.0.0.1:{port}\", \"http://localhost:{port}\"]");
        let proxy = world::start(&text.replace(&format!("[\"http://127.0.0.1:{port}\"]"), &both), &issuer);
        Self { minio, proxy }
    }

    fn ejections(&self) -> u64 {
        let text = http::get(self.proxy.address("admin"), "/metrics").unwrap().text();
        let lines = text.lines().filter(|line| line.starts_with("scopegate_node_ejections_total{"));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }
}

/// `response_timeout` is shorter than the client's pause.
#[test]
fn a_paused_upload_ejects_no_node() {
    let both = Twofold::start("[limits]\nstall_timeout = \"20s\"\nresponse_timeout = \"2s\"\nworkers = 1\n");
    let mut client = Connection::open(both.proxy.address("all")).unwrap();
    client.send(b"PUT /tmp/media/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf-").unwrap();
    // The pause itself is under test here, so the client only waits.
    client.set_read_timeout(Duration::from_secs(5)).unwrap();
    assert!(client.read_head().is_err(), "a response to half a request");
    client.set_read_timeout(Duration::from_secs(30)).unwrap();
    client.send(b"whole").unwrap();
    assert_eq!(client.read_response("PUT").unwrap().status(), 200, "{}", both.proxy.stderr());
    assert_eq!(both.ejections(), 0);
    assert_eq!(http::get(both.proxy.address("all"), "/tmp/media/a").unwrap().text(), "half-whole");
}

/// MinIO blocks a writer for as long as somebody reads the key.
#[test]
fn a_locked_key_ejects_no_node() {
    let both = Twofold::start("[limits]\nresponse_timeout = \"1s\"\nworkers = 1\n");
    both.minio.put("tmp/media/large", &vec![b'x'; 64 << 20]);
    let address = both.proxy.address("all");
    let mut reader = Connection::open(address).unwrap();
    reader.send(&http::request_bytes("GET", "/tmp/media/large", &[], b"")).unwrap();
    assert_eq!(reader.read_head().unwrap().status, 200);
    for _ in 0..4 {
        let (seen, _) = send(address, ask("put", "PUT", "/tmp/media/large", 4));
        assert_eq!(seen, "504 InternalError upstream-timeout");
    }
    assert_eq!(both.ejections(), 0);
    assert_eq!(http::get(address, "/tmp/media/hello.txt").unwrap().status(), 200);
}
