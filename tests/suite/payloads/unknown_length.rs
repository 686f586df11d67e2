//! Bodies of unknown length.

use super::{ALL, attributes, chunked, content, envelope, exists, sum, unfinished};
use crate::support::faults::{Cut, Relay, Way};
use crate::support::http::{Connection, request_bytes};
use crate::support::minio::Minio;
use crate::support::process::wait_for;
use crate::support::world::{self, World, config, corner, outcome};
use scopegate::internals::Algorithm;
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

const PART: usize = 8 * 1024 * 1024;
const ENDLESS: (&str, &str) = ("Transfer-Encoding", "chunked");

/// Returns the number of parts of an object, from its entity tag.
fn parts(etag: &str) -> Option<&str> {
    etag.trim_matches('"').split_once('-').map(|(_, parts)| parts)
}

#[test]
fn small_bodies_are_put_and_large_ones_uploaded_in_parts() {
    let world = World::start(&[corner("all", ALL)]);
    for (length, expected) in
        [(0, None), (5, None), (PART - 1, None), (PART, None), (PART + 1, Some("2")), (20_000_000, Some("3"))]
    {
        let content = content(length);
        let headers = [
            ENDLESS,
            ("Content-Type", "text/x-test"),
            ("Cache-Control", "no-store"),
            ("x-amz-meta-colour", "blue green"),
            ("x-amz-tagging", "a=b"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ];
        let put = world.ask("all", "PUT", "/tmp/inbox/a", &headers, &chunked(&content));
        assert_eq!((put.status(), put.body.len()), (200, 0), "{length}: {}", put.text());
        let got = world.get("all", "/tmp/inbox/a");
        assert!(got.body == content, "{length}");
        assert_eq!((got.header("etag"), parts(put.header("etag").unwrap())), (put.header("etag"), expected));
        let described = ["content-type", "cache-control", "x-amz-meta-colour", "x-amz-storage-class"]
            .map(|name| got.header(name).map(str::to_owned).unwrap_or_default());
        assert_eq!(described, ["text/x-test", "no-store", "blue green", "REDUCED_REDUNDANCY"], "{length}");
        assert_eq!(world.get("all", "/tmp/inbox/a?tagging").element("Value").as_deref(), Some("b"));
    }
    assert_eq!(unfinished(&world.minio), 0);
}

#[test]
fn checksums_are_verified_and_kept() {
    let world = World::start(&[corner("all", ALL)]);
    let algorithms = Algorithm::ALL.into_iter().filter(|algorithm| *algorithm != Algorithm::Md5);
    for (algorithm, length) in algorithms.flat_map(|algorithm| [(algorithm, 1000), (algorithm, PART + 1000)])
    {
        let content = content(length);
        let sum = sum(algorithm, &content);
        let in_header = [ENDLESS, (algorithm.header(), &*sum)];
        let behind = [ENDLESS, ("x-amz-trailer", algorithm.header())];
        let enveloped = chunked(&envelope(&content, false, Some((algorithm, &sum))));
        for (headers, body) in [(in_header, chunked(&content)), (behind, enveloped)] {
            let put = world.ask("all", "PUT", "/tmp/inbox/a", &headers, &body);
            assert_eq!(put.status(), 200, "{headers:?}: {}", put.text());
            let kept = attributes(&world.minio, "inbox/a");
            let kept = kept.element(&format!("Checksum{}", algorithm.name()));
            // With several parts, some algorithms only allow a hash of hashes.
            if length < PART || algorithm.is_of_whole_objects() {
                assert_eq!(kept.as_deref(), Some(&*sum), "{headers:?}");
                assert_eq!(put.header(algorithm.header()), Some(&*sum), "{headers:?}");
            } else {
                assert!(kept.is_some_and(|kept| kept != sum), "{headers:?}");
            }
            assert!(world.get("all", "/tmp/inbox/a").body == content);
        }
    }
    assert_eq!(unfinished(&world.minio), 0);
}

#[test]
fn a_wrong_checksum_stores_nothing_and_leaves_nothing_behind() {
    let world = World::start(&[corner("all", ALL)]);
    let other = sum(Algorithm::Sha256, b"another");
    for length in [1000, PART + 1000] {
        let content = content(length);
        let small = length < PART;
        let mismatch = "400 XAmzContentChecksumMismatch checksum-mismatch";
        let cases: [((&str, &str), &str); 4] = [
            (("Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA=="), "400 BadDigest bad-digest"),
            (("x-amz-checksum-sha256", &other), mismatch),
            (("x-amz-checksum-crc32", "AAAAAA=="), mismatch),
            (("x-amz-content-sha256", &"0".repeat(64)), mismatch),
        ];
        for (header, expected) in cases {
            let answer = world.ask("all", "PUT", "/tmp/inbox/a", &[ENDLESS, header], &chunked(&content));
            assert_eq!(outcome(&answer), expected, "{header:?} {small}");
        }
        let trailer = [ENDLESS, ("x-amz-trailer", "x-amz-checksum-crc32")];
        let wrong = chunked(&envelope(&content, false, Some((Algorithm::Crc32, "AAAAAA=="))));
        assert_eq!(outcome(&world.ask("all", "PUT", "/tmp/inbox/a", &trailer, &wrong)), mismatch);
        let unended = &envelope(&content, false, None)[..length];
        let coded = [ENDLESS, ("Content-Encoding", "aws-chunked")];
        let answer = world.ask("all", "PUT", "/tmp/inbox/a", &coded, &chunked(unended));
        assert_eq!(outcome(&answer), "400 InvalidRequest bad-envelope");
        assert!(!exists(&world, "inbox/a") && unfinished(&world.minio) == 0, "{length}");
    }
}

#[test]
fn conditions_hold_for_large_bodies() {
    let world = World::start(&[corner("all", ALL)]);
    let content = content(PART + 1);
    let if_none = [ENDLESS, ("If-None-Match", "*")];
    for body in [&content[..5], &content] {
        assert_eq!(world.ask("all", "PUT", "/tmp/inbox/a", &if_none, &chunked(body)).status(), 200);
        let again = world.ask("all", "PUT", "/tmp/inbox/a", &if_none, &chunked(body));
        assert_eq!(outcome(&again), "412 PreconditionFailed");
        let etag = world.get("all", "/tmp/inbox/a").header("etag").unwrap().to_owned();
        let if_match = [ENDLESS, ("If-Match", &*etag)];
        assert_eq!(world.ask("all", "PUT", "/tmp/inbox/a", &if_match, &chunked(body)).status(), 200);
        let other = [ENDLESS, ("If-Match", "\"0123456789abcdef0123456789abcdef\"")];
        assert_eq!(world.ask("all", "PUT", "/tmp/inbox/a", &other, &chunked(body)).status(), 412);
        assert_eq!(world.ask("all", "DELETE", "/tmp/inbox/a", &[], b"").status(), 204);
    }
    assert_eq!(unfinished(&world.minio), 0);
}

#[test]
fn a_client_that_disconnects_leaves_nothing_behind() {
    let world = World::start(&[corner("all", ALL)]);
    let wire = chunked(&content(3 * PART));
    for sent in [1000, PART / 2, PART + PART / 2, 2 * PART + 500_000] {
        let mut connection = Connection::open(world.proxy.address("all")).unwrap();
        let request = request_bytes("PUT", "/tmp/inbox/a", &[ENDLESS], &wire);
        connection.send(&request[..sent]).unwrap();
        if sent > PART + 500_000 {
            // The upload exists in the store.
            assert!(wait_for(|| (unfinished(&world.minio) == 1).then_some(())).is_some(), "{sent}");
        }
        drop(connection);
        let over = || (world.metric("scopegate_requests_in_flight") == 0).then_some(());
        assert!(wait_for(over).is_some(), "{}", world.proxy.stderr());
        assert!(wait_for(|| (unfinished(&world.minio) == 0).then_some(())).is_some(), "{sent}");
        assert!(!exists(&world, "inbox/a"));
    }
}

#[test]
fn parts_and_documents_of_unknown_length_are_spooled() {
    let world = World::start(&[corner("all", ALL)]);
    let created = world.ask("all", "POST", "/tmp/inbox/a?uploads", &[], b"");
    let upload = created.element("UploadId").unwrap();
    let part = format!("/tmp/inbox/a?partNumber=1&uploadId={upload}");
    let large = chunked(&content(64 * 1024 * 1024 + 1));
    let refused = world.ask("all", "PUT", &part, &[ENDLESS], &large);
    assert_eq!(outcome(&refused), "411 MissingContentLength length-required");
    // More than fits into memory at once.
    let content = content(2 * PART + 1);
    let put = world.ask("all", "PUT", &part, &[ENDLESS], &chunked(&content));
    assert_eq!(put.status(), 200, "{}", put.text());
    let list = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{}</ETag></Part></CompleteMultipartUpload>",
        put.header("etag").unwrap()
    );
    let target = format!("/tmp/inbox/a?uploadId={upload}");
    let done = world.ask("all", "POST", &target, &[ENDLESS], &chunked(list.as_bytes()));
    assert_eq!(done.status(), 200, "{}", done.text());
    assert!(world.get("all", "/tmp/inbox/a").body == content);
    let tags = b"<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>";
    assert_eq!(world.ask("all", "PUT", "/tmp/inbox/a?tagging", &[ENDLESS], &chunked(tags)).status(), 200);
    assert_eq!(world.get("all", "/tmp/inbox/a?tagging").element("Value").as_deref(), Some("v"));
}

/// Returns a process's peak memory in bytes.
fn peak_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

/// Many more uploads than fit at once: each waits for its turn, all finish, and memory does not grow with their
/// number.
#[test]
fn many_concurrent_uploads_share_a_small_budget() {
    let world = World::start_with(&[corner("all", ALL)], "[limits]\nupload_buffer = \"32MiB\"\n");
    let (small, large) = (chunked(&content(300_000)), chunked(&content(PART + 300_000)));
    let address = world.proxy.address("all");
    thread::scope(|scope| {
        for number in 0..200 {
            let wire = if number % 10 == 0 { &large } else { &small };
            scope.spawn(move || {
                let mut connection = Connection::open(address).unwrap();
                let target = format!("/tmp/inbox/{number}");
                connection.set_read_timeout(std::time::Duration::from_mins(5)).unwrap();
                let answer = connection.request("PUT", &target, &[ENDLESS], wire).unwrap();
                assert_eq!(answer.status(), 200, "{number}: {}", answer.text());
            });
        }
    });
    let peak = peak_memory(world.proxy.id());
    // The budget, and what the process and 200 connections need besides.
    assert!(peak < 160 << 20, "{peak} bytes");
    assert_eq!(unfinished(&world.minio), 0);
    assert!(world.get("all", "/tmp/inbox/190").body == content(PART + 300_000));
}

/// Clients that send hardly anything use up their own mapping's buffers and no other's.
#[test]
fn slow_uploads_of_one_mapping_leave_room_for_another() {
    let corners = [corner("slow", ALL), corner("all", ALL)];
    let world = World::start_with(&corners, "[limits]\nupload_buffer = \"16MiB\"\n");
    let begun = request_bytes("PUT", "/tmp/inbox/slow", &[ENDLESS], b"1\r\nx\r\n");
    let slow: Vec<Connection> = (0..4)
        .map(|_| {
            let mut connection = Connection::open(world.proxy.address("slow")).unwrap();
            connection.send(&begun).unwrap();
            connection
        })
        .collect();
    let all_here = || (world.metric("scopegate_requests_in_flight") == 4).then_some(());
    assert!(wait_for(all_here).is_some(), "{}", world.proxy.stderr());
    let put = world.ask("all", "PUT", "/tmp/inbox/a", &[ENDLESS], &chunked(b"content"));
    assert_eq!(put.status(), 200, "{}", put.text());
    drop(slow);
}

/// `producer | curl -T - URL`.
#[test]
fn curl_uploads_from_a_pipe() {
    let world = World::start(&[corner("all", ALL)]);
    for length in [12, 100 << 20] {
        let content = content(length);
        let mut curl = Command::new("curl")
            .args(["--silent", "--show-error", "--fail-with-body", "-T", "-"])
            .arg(format!("http://{}/tmp/inbox/pipe", world.proxy.address("all")))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        curl.stdin.take().unwrap().write_all(&content).unwrap();
        assert!(curl.wait().unwrap().success());
        assert!(world.get("all", "/tmp/inbox/pipe").body == content, "{length}");
    }
    assert!(peak_memory(world.proxy.id()) < 100 << 20, "{} bytes", peak_memory(world.proxy.id()));
}

/// STS fails between the mint of the session for writes and that of the session which aborts uploads.
#[test]
fn no_upload_is_created_that_no_session_could_abort() {
    let (minio, issuer) = Minio::start_seeded();
    let sts = Relay::start(minio.address);
    let limits = "[limits]\nsession_wait = \"500ms\"\n";
    let text = config(minio.address, sts.address(), &[corner("all", ALL)], limits);
    let proxy = world::start(&text, &issuer);
    let world = World { minio, issuer, proxy };
    let large = chunked(&content(PART + 1));
    let put = |body: &[u8]| outcome(&world.ask("all", "PUT", "/tmp/inbox/a", &[ENDLESS], body));
    assert_eq!(put(&chunked(b"small")), "200");
    sts.cut(Some((Way::Up, 0, Cut::Reset)));
    assert_eq!(put(&large), "503 ServiceUnavailable no-session");
    assert_eq!(unfinished(&world.minio), 0);
    assert_eq!(put(&chunked(b"small")), "200", "the session for writes is still there");
    sts.cut(None);
    assert!(wait_for(|| (put(&large) == "200").then_some(())).is_some(), "{}", world.proxy.stderr());
}
