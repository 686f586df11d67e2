//! Responses that continue after the store broke off: over a real MinIO that ends them or is restarted, or over a
//! network that drops connections.

use crate::streaming::SESSION;
use crate::support::faults::{Cut, Relay, Scripted, Step, Way};
use crate::support::keys::Keys;
use crate::support::minio::Minio;
use crate::support::process::wait_for;
use crate::support::proxy::Proxy;
use crate::support::reader::Reader;
use crate::support::record::Recorder;
use crate::support::sigv4::direct;
use crate::support::world::{World, config, corner, start};
use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

const SCOPES: &[(&str, &str, &str)] = &[("tmp", "media/", "read,versions,write")];
const MOUNTED: &[(&str, &str, &str)] = &[("tmp", "media/", "read@/m/")];
/// Listener, target and headers of a read; status and body of the expected response.
type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], u16, &'a [u8]);

const TARGET: &str = "/tmp/media/large";

/// Returns bytes without repetition.
fn content(length: usize, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..length).map(|_| random.u8(..)).collect()
}

/// A MinIO behind a network that drops connections.
struct Network {
    relay: Relay,
    world: World,
}

impl Network {
    fn start(more: &str) -> Self {
        let (minio, issuer) = Minio::start_seeded();
        let relay = Relay::start(minio.address);
        let corners = [corner("all", SCOPES), corner("mounted", MOUNTED)];
        let proxy = start(&config(relay.address(), minio.address, &corners, more), &issuer);
        Self { relay, world: World { minio, issuer, proxy } }
    }

    fn reader(&self, target: &str, headers: &[(&str, &str)]) -> Reader {
        Reader::get(self.world.proxy.address("all"), target, headers)
    }
}

/// Stores an object as a multipart upload with parts of this size.
fn put_in_parts(world: &World, target: &str, content: &[u8], size: usize) {
    let ask = |method, query: String, body: &[u8]| {
        let answer = world.ask("all", method, &format!("{target}?{query}"), &[], body);
        assert_eq!(answer.status(), 200, "{}", answer.text());
        answer
    };
    let upload = ask("POST", "uploads".to_owned(), b"").element("UploadId").unwrap();
    let mut list = String::new();
    for (number, part) in (1..).zip(content.chunks(size)) {
        let put = ask("PUT", format!("partNumber={number}&uploadId={upload}"), part);
        let etag = put.header("etag").unwrap();
        let _ = write!(list, "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
    }
    let document = format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>");
    ask("POST", format!("uploadId={upload}"), document.as_bytes());
}

fn continuations(world: &World, outcome: &str) -> u64 {
    world.metric(&format!("scopegate_continuations_total{{outcome=\"{outcome}\"}}"))
}

/// MinIO ends a response after `MINIO_IDLE_TIMEOUT` without progress: 30 seconds by default, one second here.
#[test]
fn a_reader_that_pauses_or_is_slow_gets_the_whole_object() {
    const LENGTH: usize = 24_000_000;
    let minio = Minio::start_impatient();
    let issuer = minio.seed_issuer();
    let proxy = start(
        &config(minio.address, minio.address, &[corner("all", SCOPES)], "[log]\naccess = true\n"),
        &issuer,
    );
    let world = World { minio, issuer, proxy };
    let content = content(LENGTH, 1);
    world.minio.put("tmp/media/large", &content);
    let address = world.proxy.address("all");

    let mut pausing = Reader::get(address, TARGET, &[]);
    pausing.take(1_000_000).unwrap();
    thread::sleep(Duration::from_secs(4));
    pausing.finish().unwrap();
    assert!(pausing.body == content, "the received object differs from the stored one");
    let of_a_pause = continuations(&world, "continued");
    assert!(of_a_pause >= 1, "MinIO did not end the answer");

    let mut slow = Reader::get(address, TARGET, &[("Range", "bytes=7-")]);
    slow.finish_slowly(64 * 1024, Duration::from_millis(40)).unwrap();
    assert!(slow.body == content[7..], "the received object differs from the stored one");
    assert!(continuations(&world, "continued") > of_a_pause, "MinIO did not end the answer");
    let is_logged = || world.proxy.stderr().contains(" continuations=").then_some(());
    assert!(wait_for(is_logged).is_some(), "{}", world.proxy.stderr());
}

#[test]
fn every_kind_of_read_is_continued() {
    let network = Network::start("");
    let world = &network.world;
    world.minio.mc(&["version", "enable", "local/tmp"]);
    let (old, new) = (content(3_000_000, 2), content(2_500_000, 3));
    world.minio.put("tmp/media/large", &old);
    let head = || direct(&world.minio, &world.issuer, "HEAD", TARGET, &[], b"").head;
    let version = head().header("x-amz-version-id").unwrap().to_owned();
    world.minio.put("tmp/media/large", &new);
    let etag = head().header("etag").unwrap().to_owned();
    // Two parts; the first has 5 MiB.
    let parts = content(7_000_000, 4);
    put_in_parts(world, "/tmp/media/parts", &parts, 5 << 20);

    let versioned = format!("{TARGET}?versionId={version}");
    let part = |number| format!("/tmp/media/parts?partNumber={number}");
    let first_part = 5 << 20;
    let cases: &[Case<'_>] = &[
        ("all", TARGET, &[], 200, &new),
        ("mounted", "/m/large", &[], 200, &new),
        ("all", &versioned, &[], 200, &old),
        ("all", TARGET, &[("Range", "bytes=5-")], 206, &new[5..]),
        ("all", TARGET, &[("Range", "bytes=-1000000")], 206, &new[1_500_000..]),
        ("all", TARGET, &[("Range", "bytes=100000-2000000")], 206, &new[100_000..=2_000_000]),
        ("all", TARGET, &[("If-None-Match", "\"0123\"")], 200, &new),
        ("all", TARGET, &[("If-Match", &etag)], 200, &new),
        ("all", TARGET, &[("If-Range", &etag), ("Range", "bytes=9-")], 206, &new[9..]),
        ("all", TARGET, &[("If-Range", "\"0123\""), ("Range", "bytes=9-")], 200, &new),
        ("all", "/tmp/media/parts", &[], 200, &parts),
        ("all", &part(1), &[], 206, &parts[..first_part]),
        ("all", &part(2), &[], 206, &parts[first_part..]),
    ];
    for how in [Cut::Reset, Cut::HalfClose] {
        for (listener, target, headers, status, expected) in cases {
            let before = continuations(world, "continued");
            network.relay.cut(Some((Way::Down, 300_000, how)));
            let mut reader = Reader::get(world.proxy.address(listener), target, headers);
            let read = reader.finish();
            network.relay.cut(None);
            assert!(read.is_ok() && reader.body == *expected, "{how:?} {target} {headers:?} {}", reader.head);
            assert!(reader.head.starts_with(&format!("HTTP/1.1 {status} ")), "{target} {}", reader.head);
            let pieces = expected.len() as u64 / 300_000;
            let continued = continuations(world, "continued") - before;
            // A reset discards the bytes in flight.
            assert!((pieces - 1..=4 * pieces).contains(&continued), "{how:?} {target} {continued}");
        }
    }
    assert_eq!(continuations(world, "failed") + continuations(world, "changed"), 0);
}

/// A response is not continued with the bytes of another object that has replaced the first.
#[test]
fn never_continues_with_another_object() {
    let network = Network::start("");
    let world = &network.world;
    let old = content(8_000_000, 5);
    let replaced = || world.minio.put("tmp/media/large", &content(8_000_000, 6));
    let deleted = || _ = world.minio.mc(&["rm", "local/tmp/media/large"]);
    let changes: [&dyn Fn(); 2] = [&replaced, &deleted];
    for (number, change) in (1..).zip(changes) {
        world.minio.put("tmp/media/large", &old);
        network.relay.cut(Some((Way::Down, 4_000_000, Cut::HalfClose)));
        let mut reader = network.reader(TARGET, &[]);
        reader.take(100_000).unwrap();
        change();
        reader.finish().unwrap_err();
        assert!(old.starts_with(&reader.body) && reader.body.len() > 3_000_000, "{}", reader.body.len());
        assert_eq!(continuations(world, "changed"), number, "{}", world.proxy.stderr());
        network.relay.cut(None);
    }
    let log = world.proxy.stderr();
    assert!(log.contains("could not be continued: the object has been replaced or deleted since"), "{log}");
}

/// The session that began the response is gone when it is continued.
#[test]
fn a_response_is_continued_with_the_current_session() {
    let network = Network::start("");
    let content = content(8_000_000, 7);
    network.world.minio.put("tmp/media/large", &content);
    network.relay.cut(Some((Way::Down, 4_000_000, Cut::Reset)));
    let mut reader = network.reader(TARGET, &[]);
    reader.take(100_000).unwrap();
    network.world.minio.revoke_sessions("stsadmin");
    reader.finish().unwrap();
    assert!(reader.body == content);
    assert_eq!(network.world.metric("scopegate_mints_total{mapping=\"all\",result=\"minted\"}"), 2);
}

#[test]
fn a_download_survives_a_restart_of_its_only_node() {
    let mut world = World::start(&[corner("all", SCOPES)]);
    let content = content(40_000_000, 8);
    world.minio.put("tmp/media/large", &content);
    let mut reader = Reader::get(world.proxy.address("all"), TARGET, &[]);
    reader.take(100_000).unwrap();
    world.minio.stop();
    let reading = thread::spawn(move || reader.finish().map(|()| reader.body));
    world.minio.restart();
    let body = reading.join().unwrap().unwrap_or_else(|error| panic!("{error}\n{}", world.proxy.stderr()));
    assert!(body == content);
    assert!(continuations(&world, "continued") >= 1);
}

/// A continued response keeps its admission until its end.
#[test]
fn a_continued_response_keeps_its_admission() {
    let network = Network::start("[limits]\nrequests_per_mapping = 1\nqueue_per_mapping = 0\n");
    let content = content(8_000_000, 9);
    network.world.minio.put("tmp/media/large", &content);
    network.relay.cut(Some((Way::Down, 2_000_000, Cut::Reset)));
    let mut reader = network.reader(TARGET, &[]);
    for _ in 0..7 {
        reader.take(1_000_000).unwrap();
        assert_eq!(network.world.get("all", TARGET).status(), 503);
    }
    reader.finish().unwrap();
    assert!(reader.body == content);
    let is_free = || (network.world.metric("scopegate_requests_in_flight") == 0).then_some(());
    assert!(wait_for(is_free).is_some());
}

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\nETag: \"0123\"\r\n\r\n";

/// Bytes that arrive before the response breaks off.
const FIRST: usize = 300_000;

fn is_first(body: &[u8]) -> bool {
    body.len() == FIRST && body.iter().all(|byte| *byte == b'x')
}

/// Starts a store that answers a GET with a part of an object, and the request for the rest with `rest`.
fn breaking(head: &str, rest: Vec<Step>, more: &str) -> (Scripted, Proxy, Recorder) {
    let first = [head.as_bytes(), &vec![b'x'; FIRST]].concat();
    let script = vec![Step::Head, Step::When("\r\nrange: bytes=300000-", rest), Step::Send(first)];
    let store = Scripted::start(script);
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{SESSION}", SESSION.len());
    let sts = Recorder::start(answer.as_bytes());
    let corners = [corner("all", SCOPES)];
    let proxy = start(&config(store.address(), sts.address(), &corners, more), &Keys::random("issuer"));
    (store, proxy, sts)
}

/// Only the rest of the same object reaches the client.
#[test]
fn rejects_responses_that_are_not_the_rest() {
    let rest = |status: &str, range: &str, etag: &str, length: usize| {
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nContent-Range: {range}\r\nETag: {etag}\r\n\r\n"
        );
        vec![Step::Send([head.as_bytes(), &vec![b'y'; length]].concat())]
    };
    let good = "bytes 300000-999999/1000000";
    let partial = "206 Partial Content";
    for (steps, outcome) in [
        (rest(partial, good, "\"4567\"", 700_000), "changed"),
        (rest("412 Precondition Failed", "", "", 0), "changed"),
        (rest("404 Not Found", "", "", 0), "changed"),
        (rest(partial, "bytes 200000-999999/1000000", "\"0123\"", 800_000), "refused"),
        (rest(partial, "bytes 300000-999999/1000001", "\"0123\"", 700_000), "refused"),
        (rest("200 OK", "", "\"0123\"", 1_000_000), "refused"),
        (rest("416 Range Not Satisfiable", "", "", 0), "refused"),
    ] {
        let (store, proxy, _sts) = breaking(HEAD, steps, "");
        let mut reader = Reader::get(proxy.address("all"), TARGET, &[]);
        reader.finish().unwrap_err();
        assert!(is_first(&reader.body), "{outcome} {}", reader.body.len());
        let counted =
            crate::limits::metric(&proxy, &format!("scopegate_continuations_total{{outcome=\"{outcome}\"}}"));
        assert_eq!((counted, store.requests()), (1, 2), "{outcome}");
    }
    // The same store with the right answer, to show that the test would notice.
    let (_store, proxy, _sts) = breaking(HEAD, rest(partial, good, "\"0123\"", 700_000), "");
    let mut reader = Reader::get(proxy.address("all"), TARGET, &[]);
    reader.finish().unwrap();
    assert!(is_first(&reader.body[..FIRST]) && reader.body[FIRST..].iter().all(|byte| *byte == b'y'));
}

/// Without a strong entity tag, another object could not be told apart.
#[test]
fn a_response_without_a_strong_entity_tag_is_not_continued() {
    for head in [
        "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\nETag: W/\"0123\"\r\n\r\n",
        "HTTP/1.1 206 Partial Content\r\nContent-Length: 1000000\r\nETag: \"0123\"\r\n\r\n",
    ] {
        let (store, proxy, _sts) = breaking(head, vec![], "");
        let mut reader = Reader::get(proxy.address("all"), TARGET, &[]);
        reader.finish().unwrap_err();
        assert_eq!(store.requests(), 1, "{head}");
    }
}

#[test]
fn gives_up_on_a_store_that_keeps_breaking_off() {
    // The store closes without a response, or breaks off after a few bytes.
    let few = b"HTTP/1.1 206 Partial Content\r\nContent-Length: 700000\r\nETag: \"0123\"\r\n\
        Content-Range: bytes 300000-999999/1000000\r\n\r\n";
    for rest in [vec![], vec![Step::Send(few.to_vec())], vec![Step::Reset]] {
        let (store, proxy, _sts) = breaking(HEAD, rest.clone(), "");
        let mut reader = Reader::get(proxy.address("all"), TARGET, &[]);
        reader.finish().unwrap_err();
        assert!(is_first(&reader.body));
        assert!((2..=7).contains(&store.requests()), "{rest:?} {}", store.requests());
    }
}

/// The store may pause for `stall_timeout` in a body, and equally before the rest.
#[test]
fn a_stalled_rest_times_out_like_a_stalled_body() {
    let (store, proxy, _sts) = breaking(HEAD, vec![Step::Stall], "[limits]\nstall_timeout = \"1s\"\n");
    let mut reader = Reader::get(proxy.address("all"), TARGET, &[]);
    let begin = Instant::now();
    reader.finish().unwrap_err();
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    assert!(store.requests() <= 3, "{}", store.requests());
}
