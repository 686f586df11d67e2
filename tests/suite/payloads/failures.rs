//! Failures of uploads in parts: the client gets an error, and nothing is left behind.

use super::{ALL, chunked, content, envelope, exists, sum, unfinished};
use crate::streaming::SESSION;
use crate::support::http::{Connection, request_bytes};
use crate::support::keys::Keys;
use crate::support::minio::Minio;
use crate::support::process::wait_for;
use crate::support::proxy::Proxy;
use crate::support::record::Recorder;
use crate::support::world::{self, World, config, corner, outcome};
use scopegate::internals::Algorithm;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Statuses and bodies.
type Answers<'a> = &'a [(u16, &'a str)];

const PART: usize = 8 * 1024 * 1024;
/// An id in MinIO's form.
const UPLOAD: &str = "MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAxLjAwMDAwMDAwLTAwMDAtMDAwMC0wMDAwLTAwMDAwMDAwMDAwMngxNzAwMDAwMDAwMDAwMDAwMDAw";
const ETAG: &str = "0123456789abcdef0123456789abcdef";
const ENDLESS: (&str, &str) = ("Transfer-Encoding", "chunked");

/// Returns a client that has sent more than one part, once the store has created the upload.
fn begun(world: &World, wire: &[u8]) -> Connection {
    let mut connection = Connection::open(world.proxy.address("all")).unwrap();
    let request = request_bytes("PUT", "/tmp/inbox/a", &[ENDLESS], &wire[..PART + PART / 2]);
    connection.send(&request).unwrap();
    assert!(wait_for(|| (unfinished(&world.minio) == 1).then_some(())).is_some());
    connection
}

#[test]
fn a_session_that_dies_in_the_middle_is_replaced() {
    let world = World::start(&[corner("all", ALL)]);
    let content = content(2 * PART + 5);
    let wire = chunked(&content);
    let mut connection = begun(&world, &wire);
    world.minio.revoke_sessions("stsadmin");
    connection.send(&wire[PART + PART / 2..]).unwrap();
    let answer = connection.read_response("PUT").unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert!(world.get("all", "/tmp/inbox/a").body == content);
    // One to write, one to abort, another one to write, and one to read.
    assert_eq!(world.metric("scopegate_mints_total{mapping=\"all\",result=\"minted\"}"), 4);
}

#[test]
fn a_shutdown_that_cannot_wait_aborts() {
    let world = World::start_with(&[corner("all", ALL)], "[limits]\ndrain_timeout = \"300ms\"\n");
    let _connection = begun(&world, &chunked(&content(2 * PART)));
    let World { minio, proxy, .. } = world;
    let (code, log) = proxy.terminate();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("stopped cut_short=true") && !log.contains("panicked"), "{log}");
    assert_eq!(unfinished(&minio), 0, "{log}");
}

/// On a read-only file system, parts are only as large as memory allows, and larger uploads are refused.
#[test]
fn works_without_temporary_files() {
    let (minio, issuer) = Minio::start_seeded();
    let config = config(minio.address, minio.address, &[corner("all", ALL)], "");
    let env = [
        ("ISSUER_KEY", &*issuer.access_key),
        ("ISSUER_SECRET", &*issuer.secret_key),
        ("TMPDIR", "/nonexistent/folder"),
    ];
    let proxy = Proxy::start(&config, &env);
    let world = World { minio, issuer, proxy };
    let content = content(2 * PART + 1);
    assert_eq!(world.ask("all", "PUT", "/tmp/inbox/a", &[ENDLESS], &chunked(&content)).status(), 200);
    assert!(world.get("all", "/tmp/inbox/a").body == content);
    let created = world.ask("all", "POST", "/tmp/inbox/b?uploads", &[], b"");
    let part = format!("/tmp/inbox/b?partNumber=1&uploadId={}", created.element("UploadId").unwrap());
    let refused = world.ask("all", "PUT", &part, &[ENDLESS], &chunked(&content));
    assert_eq!(outcome(&refused), "411 MissingContentLength length-required");
    let sum = sum(Algorithm::Crc32, &content);
    let body = envelope(&content, false, Some((Algorithm::Crc32, &sum)));
    let length = content.len().to_string();
    let trailing = [("x-amz-decoded-content-length", &*length), ("x-amz-trailer", "x-amz-checksum-crc32")];
    let refused = world.ask("all", "PUT", &part, &trailing, &body);
    assert_eq!(outcome(&refused), "503 SlowDown no-room");
    assert_eq!(world.ask("all", "PUT", &part, &[("x-amz-checksum-crc32", &sum)], &content).status(), 200);
    assert!(!exists(&world, "inbox/b"));
}

/// A scope's limit applies to bodies of unknown length.
#[test]
fn a_body_that_turns_out_too_large_is_refused() {
    let (minio, issuer) = Minio::start_seeded();
    let bounded = "prefix = \"inbox/\"\nmax_object_size = \"9MiB\"\n";
    let config = config(minio.address, minio.address, &[corner("all", ALL)], "")
        .replace("prefix = \"inbox/\"\n", bounded);
    let proxy = world::start(&config, &issuer);
    let world = World { minio, issuer, proxy };
    let content = content(10 << 20);
    let answer = world.ask("all", "PUT", "/tmp/inbox/a", &[ENDLESS], &chunked(&content));
    assert_eq!(outcome(&answer), "400 EntityTooLarge too-large");
    assert!(!exists(&world, "inbox/a") && unfinished(&world.minio) == 0);
    let answer = world.ask("all", "PUT", "/tmp/inbox/a", &[ENDLESS], &chunked(&content[..9 << 20]));
    assert_eq!(answer.status(), 200, "{}", answer.text());
}

/// An upstream that gives predefined answers in turn and records the requests.
struct Scripted {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    /// Holding this lock delays the next answer.
    answers: Arc<Mutex<std::vec::IntoIter<(u16, String)>>>,
}

impl Scripted {
    fn start(answers: Answers<'_>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answers: Vec<(u16, String)> =
            answers.iter().map(|(status, body)| (*status, (*body).to_owned())).collect();
        let answers = Arc::new(Mutex::new(answers.into_iter()));
        let (noted, held) = (Arc::clone(&asked), Arc::clone(&answers));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (answers, noted) = (Arc::clone(&answers), Arc::clone(&noted));
                thread::spawn(move || serve(stream.unwrap(), &answers, &noted));
            }
        });
        Self { address, asked, answers: held }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(stream: TcpStream, answers: &Mutex<std::vec::IntoIter<(u16, String)>>, noted: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let (mut head, mut length) = (Vec::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            head.push(line);
        }
        noted.lock().unwrap().push(head[0].trim_end().trim_end_matches(" HTTP/1.1").to_owned());
        if length > 0 {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
        }
        std::io::copy(&mut (&mut reader).take(length), &mut std::io::sink()).unwrap();
        let (status, body) = answers.lock().unwrap().next().unwrap();
        let length = body.len();
        let answer = format!("HTTP/1.1 {status} X\r\nETag: \"e\"\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(answer.as_bytes()).unwrap();
    }
}

#[test]
fn an_upload_is_aborted_after_any_failure() {
    const CREATED: (u16, &str) =
        (200, "<InitiateMultipartUploadResult><UploadId>i/d</UploadId></InitiateMultipartUploadResult>");
    const DONE: (u16, &str) = (204, "");
    let error = "<Error><Code>InternalError</Code></Error>";
    let unmet = "<Error><Code>PreconditionFailed</Code></Error>";
    let (create, part, other) = (
        "POST /tmp/inbox/a?uploads=",
        "PUT /tmp/inbox/a?partNumber=1&uploadId=i%2Fd",
        "PUT /tmp/inbox/a?partNumber=2&uploadId=i%2Fd",
    );
    let (complete, abort) = ("POST /tmp/inbox/a?uploadId=i%2Fd", "DELETE /tmp/inbox/a?uploadId=i%2Fd");
    let cases: [(Answers<'_>, &[&str], &str); 7] = [
        (&[(503, error)], &[create], "503 InternalError"),
        (&[(200, "<html>")], &[create], "502 InternalError upstream"),
        (&[CREATED, (500, error), DONE], &[create, part, abort], "500 InternalError"),
        (&[CREATED, (200, ""), (507, error), DONE], &[create, part, other, abort], "507 InternalError"),
        (
            &[CREATED, (200, ""), (200, ""), (200, error), DONE],
            &[create, part, other, complete, abort],
            "500 InternalError",
        ),
        (
            &[CREATED, (200, ""), (200, ""), (200, unmet), DONE],
            &[create, part, other, complete, abort],
            "412 PreconditionFailed",
        ),
        // The abort fails at first, too.
        (&[CREATED, (500, error), (503, error), DONE], &[create, part, abort, abort], "500 InternalError"),
    ];
    let wire = chunked(&content(PART + 1));
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{SESSION}", SESSION.len());
    let sts = Recorder::start(answer.as_bytes());
    for (answers, asked, expected) in cases {
        let store = Scripted::start(answers);
        let config = config(store.address, sts.address(), &[corner("all", ALL)], "");
        let proxy = world::start(&config, &Keys::random("issuer"));
        let mut connection = Connection::open(proxy.address("all")).unwrap();
        let answer = connection.request("PUT", "/tmp/inbox/a", &[ENDLESS], &wire).unwrap();
        assert_eq!(outcome(&answer), expected, "{answers:?}");
        assert_eq!(store.asked(), asked, "{answers:?}");
    }
}

/// MinIO continues a completion after the client has left. So its turn lasts until the store responds.
#[test]
fn a_completion_lasts_until_the_store_answers() {
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{SESSION}", SESSION.len());
    let sts = Recorder::start(answer.as_bytes());
    let done = "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>";
    let store = Scripted::start(&[(200, done), (200, done), (200, done)]);
    let config =
        config(store.address, sts.address(), &[corner("all", ALL)], "[limits]\nqueue_timeout = \"1s\"\n");
    let world = world::start(&config, &Keys::random("issuer"));
    let part = |number| format!("<Part><PartNumber>{number}</PartNumber><ETag>{ETAG}</ETag></Part>");
    let document = |parts: u32| {
        let parts: String = (1..=parts).map(part).collect();
        format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>").into_bytes()
    };
    let ask = |key: &str, parts: u32| {
        request_bytes("POST", &format!("/tmp/inbox/{key}?uploadId={UPLOAD}"), &[], &document(parts))
    };
    let held = store.answers.lock().unwrap();
    for key in ["a", "b"] {
        let mut connection = Connection::open(world.address("all")).unwrap();
        connection.send(&ask(key, 10_000)).unwrap();
        let is_asked = || store.asked().iter().any(|asked| asked.contains(&format!("/{key}?"))).then_some(());
        assert!(wait_for(is_asked).is_some());
        // The client leaves.
    }
    let complete = |key: &str| {
        let mut connection = Connection::open(world.address("all")).unwrap();
        connection.send(&ask(key, 1)).unwrap();
        outcome(&connection.read_response("POST").unwrap())
    };
    assert_eq!(complete("c"), "503 SlowDown queue-timeout");
    drop(held);
    assert!(wait_for(|| (complete("c") == "200").then_some(())).is_some());
}

/// The client disconnects while the store creates the upload, which then must be aborted.
#[test]
fn an_upload_created_for_a_departed_client_is_aborted() {
    let created = "<InitiateMultipartUploadResult><UploadId>i/d</UploadId></InitiateMultipartUploadResult>";
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{SESSION}", SESSION.len());
    let sts = Recorder::start(answer.as_bytes());
    let store = Scripted::start(&[(200, created), (204, "")]);
    let limits = "[limits]\nrequest_timeout = \"1s\"\n";
    let config = config(store.address, sts.address(), &[corner("all", ALL)], limits);
    let proxy = world::start(&config, &Keys::random("issuer"));
    let mut connection = Connection::open(proxy.address("all")).unwrap();
    let held = store.answers.lock().unwrap();
    let wire = chunked(&content(PART + 1));
    connection.send(&request_bytes("PUT", "/tmp/inbox/a", &[ENDLESS], &wire)).unwrap();
    let asked = ["POST /tmp/inbox/a?uploads=", "DELETE /tmp/inbox/a?uploadId=i%2Fd"];
    assert!(wait_for(|| (store.asked() == asked[..1]).then_some(())).is_some());
    // The proxy ends requests that take too long.
    let _ended = connection.read_to_end();
    drop(held);
    assert!(wait_for(|| (store.asked() == asked).then_some(())).is_some(), "{:?}", store.asked());
}
