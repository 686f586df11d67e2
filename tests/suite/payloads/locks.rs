//! MinIO locks keys during transfers: no client locks more keys than necessary, and none by sending slowly.

use super::{ALL, content};
use crate::support::http::{Connection, request_bytes};
use crate::support::minio::Minio;
use crate::support::sigv4::{self, borrowed};
use crate::support::world::{World, corner, outcome};
use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

/// Requests that wait for nobody take far less than this, and blocked ones take longer.
const SOON: Duration = Duration::from_secs(5);

fn timed<T>(ask: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let answer = ask();
    (answer, start.elapsed())
}

/// MinIO reads the body of a conditional PUT while it holds the key's lock, so readers would wait for all of it.
#[test]
fn a_slow_conditional_upload_does_not_block_readers() {
    let world = World::start(&[corner("all", ALL)]);
    world.minio.put("tmp/inbox/a", b"old");
    let etag = world.get("all", "/tmp/inbox/a").header("etag").unwrap().to_owned();
    for condition in [("If-Match", &*etag), ("If-None-Match", "\"0123\"")] {
        for length in [1000, 9 << 20] {
            let content = content(length);
            let request = request_bytes("PUT", "/tmp/inbox/a", &[condition], &content);
            let (first, rest) = request.split_at(request.len() - 500);
            let mut slow = Connection::open(world.proxy.address("all")).unwrap();
            slow.send(first).unwrap();
            let begun = || (world.metric("scopegate_requests_in_flight") == 1).then_some(());
            assert!(crate::support::process::wait_for(begun).is_some());
            let (got, time) = timed(|| world.get("all", "/tmp/inbox/a"));
            assert!(
                got.status() == 200 && time < SOON,
                "{condition:?} {length}: {} after {time:?}",
                got.status()
            );
            slow.send(rest).unwrap();
            let put = slow.read_response("PUT").unwrap();
            assert_eq!(put.status(), 200, "{condition:?} {length}: {}", put.text());
            assert!(world.get("all", "/tmp/inbox/a").body == content, "{condition:?} {length}");
            // The condition also holds at the end.
            let changed = world.ask("all", "PUT", "/tmp/inbox/a", &[("If-None-Match", "*")], &content);
            assert_eq!(outcome(&changed), "412 PreconditionFailed", "{length}");
            world.minio.put("tmp/inbox/a", b"old");
        }
    }
    assert_eq!(super::unfinished(&world.minio), 0);
}

/// Returns a client of MinIO itself that reads an object slowly, which locks its key.
fn slow_reader(minio: &Minio, key: &str) -> Connection {
    let host = minio.address.to_string();
    let target = format!("/tmp/{key}");
    let asked = sigv4::Request { method: "GET", host: &host, target: &target, headers: &[], body: b"" };
    let headers = sigv4::signed(&minio.root, "s3", &asked);
    let mut reader = Connection::open(minio.address).unwrap();
    reader.send(&request_bytes("GET", &target, &borrowed(&headers), b"")).unwrap();
    assert_eq!(reader.read_head().unwrap().status, 200);
    reader
}

/// Only the group of a locked key fails, and requests for keys of other groups do not wait. The result names the keys
/// that failed. MinIO may still delete them when the reader has finished.
#[test]
fn a_slow_reader_blocks_few_keys_of_a_multi_delete() {
    let limits = "[limits]\nresponse_timeout = \"12s\"\n";
    let world = World::start_with(&[corner("all", ALL)], limits);
    world.minio.put("tmp/inbox/read", &vec![7; 64 << 20]);
    let mut keys: Vec<String> = (0..120).map(|number| format!("{number:03}")).collect();
    for key in &keys {
        assert_eq!(world.ask("all", "PUT", &format!("/tmp/inbox/{key}"), &[], b"x").status(), 200);
    }
    keys.insert(60, "read".to_owned());
    let reader = slow_reader(&world.minio, "inbox/read");
    let mut document = "<Delete>".to_owned();
    for key in &keys {
        let _ = write!(document, "<Object><Key>inbox/{key}</Key></Object>");
    }
    document.push_str("</Delete>");
    let deleted = thread::scope(|scope| {
        let deleting = scope.spawn(|| world.ask("all", "POST", "/tmp?delete", &[], document.as_bytes()));
        let first_is_gone = || (world.get("all", "/tmp/inbox/000").status() == 404).then_some(());
        assert!(crate::support::process::wait_for(first_is_gone).is_some());
        for key in ["049", "119"] {
            let (_, time) = timed(|| world.get("all", &format!("/tmp/inbox/{key}")));
            assert!(time < Duration::from_secs(2), "{key}: {time:?}");
        }
        deleting.join().unwrap()
    });
    drop(reader);
    assert_eq!(deleted.status(), 200, "{}", deleted.text());
    let text = deleted.text();
    let named = |key: &str| text.matches(&format!("<Key>inbox/{key}</Key>")).count();
    assert!(keys.iter().all(|key| named(key) == 1), "{text}");
    let (done, failed) = (text.matches("<Deleted>").count(), text.matches("<Error>").count());
    assert_eq!((done, failed), (96, 25), "{text}");
    for (key, status) in [("000", 404), ("049", 404), ("074", 404), ("119", 404)] {
        assert_eq!(world.get("all", &format!("/tmp/inbox/{key}")).status(), status, "{key}");
    }
}
