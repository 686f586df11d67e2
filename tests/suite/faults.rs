//! Stores and networks that fail: what the client sees, that no resource leaks, and that no failure is reported as a
//! success.

mod answers;
mod blame;
mod logged;
mod nodes;
mod relayed;
mod strict;
mod sts;
mod uploads;

use crate::support::faults::{Scripted, Step};
use crate::support::http;
use crate::support::http::{Connection, Response, request_bytes};
use crate::support::keys::Keys;
use crate::support::process::wait_for;
use crate::support::proxy::Proxy;
use crate::support::record::Recorder;
use crate::support::world::{self, config, corner, outcome};
use std::net::SocketAddr;
use std::thread;

const ALL: &[(&str, &str, &str)] = &[("tmp", "inbox/", "read,list,write,delete")];

/// Short time-outs, so that the test sees stalled connections end.
const LIMITS: &str =
    "[limits]\nstall_timeout = \"500ms\"\nresponse_timeout = \"1s\"\nsession_wait = \"500ms\"\nworkers = 1\n";

const SESSION: &str = "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>K</AccessKeyId>\
    <SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration>\
    </Credentials></AssumeRoleResult></AssumeRoleResponse>";

/// A request of a client.
#[derive(Clone, Copy, Debug)]
struct Ask {
    name: &'static str,
    method: &'static str,
    target: &'static str,
    body: usize,
}

const fn ask(name: &'static str, method: &'static str, target: &'static str, body: usize) -> Ask {
    Ask { name, method, target, body }
}

/// The path of a part, with an upload id in MinIO's form.
const UPLOAD: &str = "/tmp/inbox/a?uploadId=MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwLjAwMDAwMDAwLTAwMDAtMDAwMC0wMDAwLTAwMDAwMDAwMDAwMHgw";
const PART: &str = "/tmp/inbox/a?partNumber=1&uploadId=MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwLjAwMDAwMDAwLTAwMDAtMDAwMC0wMDAwLTAwMDAwMDAwMDAwMHgw";

/// A document that completes an upload.
const COMPLETION: &[u8] = b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>\
    <ETag>0123456789abcdef0123456789abcdef</ETag></Part></CompleteMultipartUpload>";

/// One request of every kind whose response has a body.
const ASKS: [Ask; 7] = [
    ask("get", "GET", "/tmp/inbox/a", 0),
    ask("list", "GET", "/tmp?list-type=2&prefix=inbox/", 0),
    ask("create", "POST", "/tmp/inbox/a?uploads", 0),
    ask("put", "PUT", "/tmp/inbox/a", 4),
    ask("put large", "PUT", "/tmp/inbox/a", 3 << 20),
    ask("part", "PUT", PART, 3 << 20),
    ask("complete", "POST", UPLOAD, 200),
];

/// Sends a request as a client that expects a response even if its body is not read to the end. Returns the outcome,
/// or `broken` if the response is visibly incomplete.
fn send(address: SocketAddr, ask: Ask) -> (String, Option<Response>) {
    let mut connection = Connection::open(address).unwrap();
    let body = if ask.target == UPLOAD { COMPLETION.to_vec() } else { vec![b'x'; ask.body] };
    let _not_taken = connection.send(&request_bytes(ask.method, ask.target, &[], &body));
    match connection.read_response(ask.method) {
        Ok(answer) => (outcome(&answer), Some(answer)),
        Err(_) => ("broken".to_owned(), None),
    }
}

/// A proxy in front of a scripted store.
struct Fixture {
    proxy: Proxy,
    store: Scripted,
    _sts: Recorder,
    files: usize,
}

impl Fixture {
    fn start() -> Self {
        let store = Scripted::start(good());
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{SESSION}", SESSION.len());
        let sts = Recorder::start(answer.as_bytes());
        let proxy = world::start(
            &config(store.address(), sts.address(), &[corner("all", ALL)], LIMITS),
            &Keys::random("issuer"),
        );
        // After this request the session is minted and every long-lived file is open.
        assert_eq!(send(proxy.address("all"), ASKS[0]).0, "200");
        let files = settled(&proxy);
        Self { proxy, store, _sts: sts, files }
    }

    /// Returns what a client sees when the store plays this script.
    fn see(&self, ask: Ask, script: &[Step]) -> (String, Option<Response>) {
        self.store.play(script.to_vec());
        send(self.proxy.address("all"), ask)
    }

    /// [`Self::see`] for several requests at once.
    fn see_all(&self, asks: &[Ask], script: &[Step]) -> Vec<(Ask, String, Option<Response>)> {
        self.store.play(script.to_vec());
        let address = self.proxy.address("all");
        thread::scope(|scope| {
            let asking: Vec<_> =
                asks.iter().map(|ask| (*ask, scope.spawn(move || send(address, *ask)))).collect();
            let seen = asking.into_iter().map(|(ask, seen)| (ask, seen.join().unwrap()));
            seen.map(|(ask, (seen, answer))| (ask, seen, answer)).collect()
        })
    }

    /// Checks that nothing leaked and that a healthy store is served from as before.
    fn finish(self) {
        self.store.play(good());
        assert_eq!(send(self.proxy.address("all"), ASKS[0]).0, "200", "{}", self.proxy.stderr());
        let back = wait_for(|| (settled(&self.proxy) <= self.files).then_some(()));
        assert!(back.is_some(), "{} files open, {} before", open_files(&self.proxy), self.files);
        let log = self.proxy.stderr();
        assert!(!log.contains("panicked"), "{log}");
    }
}

/// Returns the number of open files once no request runs and no client is connected.
fn settled(proxy: &Proxy) -> usize {
    let idle = wait_for(|| {
        let text = http::get(proxy.address("admin"), "/metrics").unwrap().text();
        ["scopegate_requests_in_flight 0\n", "scopegate_connections 0\n"]
            .iter()
            .all(|line| text.contains(line))
            .then_some(())
    });
    assert!(idle.is_some(), "something is still under way: {}", proxy.stderr());
    open_files(proxy)
}

/// Returns the number of open files. Pipes do not count: each worker keeps some for large bodies.
fn open_files(proxy: &Proxy) -> usize {
    let files = std::fs::read_dir(format!("/proc/{}/fd", proxy.id())).unwrap();
    let targets = files.filter_map(|file| std::fs::read_link(file.unwrap().path()).ok());
    targets.filter(|target| !target.to_string_lossy().starts_with("pipe:")).count()
}

/// Returns resident memory in KiB.
fn resident(proxy: &Proxy) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", proxy.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Returns the script of a healthy store.
fn good() -> Vec<Step> {
    vec![
        Step::Head,
        Step::Body,
        Step::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\n<a/>".to_vec()),
    ]
}

/// Returns the script of a store that reads the whole request and sends these bytes.
fn answers(bytes: &[u8]) -> Vec<Step> {
    vec![Step::Head, Step::Body, Step::Send(bytes.to_vec())]
}

/// Returns whether the outcome is one of `a or b`.
fn is_one_of(seen: &str, expected: &str) -> bool {
    expected.split(" or ").any(|one| one == seen)
}
