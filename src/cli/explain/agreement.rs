//! Checks that `explain` and the proxy agree on every request. If `explain` says refused, the proxy refuses by the
//! same rule and the store receives nothing. If it says allowed, the proxy responds or the store receives a request.
//!
//! The whole proxy runs in front of an empty store. The requests come from the fuzz corpora and from random
//! combinations of their targets and headers with hosts, origins and methods.

use super::{Question, Who, explain};
use crate::config::tests::Fake;
use crate::config::{Caller, Config, Peer};
use crate::identify::client::Connection;
use crate::identify::client::tests::listener;
use crate::net::wall_clock::WallClock;
use crate::proxy::Proxy;
use crate::proxy::tests::{Mints, proxy_of};
use crate::refusal::{RULE_HEADER, Rule};
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method};
use http_body_util::{BodyExt, Empty};
use http1::{Fields, Request};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config as Cases, TestRunner};
use std::cell::Cell;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{LocalSet, spawn_local};

/// The scopes of the fuzz targets, with every setting that changes the meaning of a path.
const CONFIG: &str = r#"
issuer = { access_key = { env = "SCOPEGATE_ACCESS_KEY" }, secret_key = { file = "/run/secrets/scopegate" } }

[[listener]]
name    = "sidecar"
address = "127.0.0.1:8080"
domain  = "s3.example.test"

[upstream]
endpoints = ["http://STORE"]
region    = "us-east-1"

[[mapping]]
name   = "mixed"
client = { network = ["127.0.0.1/32"] }

[mapping.cors]
origins = ["https://app.example"]
methods = ["GET", "PUT"]

[[mapping.scope]]
bucket = "tmp"
prefix = "media/"
allow  = ["read", "list"]

[[mapping.scope]]
bucket          = "tmp"
prefix          = "inbox/"
allow           = ["write", "delete", "list"]
max_object_size = "1MiB"

[[mapping.scope]]
bucket = "tmp"
prefix = "media/old/"
allow  = ["read", "list", "versions"]

[[mapping.scope]]
bucket = "tmp-2"
prefix = ""
allow  = ["list", "write"]

[[mapping.scope]]
bucket     = "www"
prefix     = "site/"
allow      = ["read"]
index      = "index.html"
error_page = "404.html"
site       = true

[[mapping.scope]]
bucket = "hidden"
prefix = "pub/"
mount  = "/pub/"
index  = "index.html"
allow  = ["read", "list"]

[[mapping]]
name   = "mounted"
client = { network = ["127.0.0.2/32"] }

[[mapping.scope]]
bucket = "hidden"
prefix = "all/"
mount  = "/"
allow  = ["read", "list", "write", "delete"]
"#;

/// The rules that only a body can break.
const OF_THE_BODY: [Rule; 6] = [
    Rule::MalformedDocument,
    Rule::BadBody,
    Rule::BadEnvelope,
    Rule::BadDigest,
    Rule::ChecksumMismatch,
    Rule::LengthRequired,
];

const METHODS: [&str; 8] = ["GET", "GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH"];
const HOSTS: [&str; 8] = [
    "127.0.0.1:8080",
    "localhost:8080",
    "s3.example.test",
    "tmp.s3.example.test",
    "tmp-2.s3.example.test",
    "a_b.s3.example.test",
    "tmp.evil.test",
    "evil.test",
];
const TARGETS: [&str; 24] = [
    "/",
    "*",
    "/tmp",
    "/tmp/",
    "/tmp/media",
    "/tmp/media/",
    "/tmp/media/a",
    "/tmp/media/./a",
    "/tmp/other/",
    "/tmp/inbox/a",
    "/tmp/inbox/a/",
    "/tmp-2",
    "/tmp-2/a",
    "/www",
    "/www/site",
    "/www/site/",
    "/www/site/a",
    "/www/site/a/",
    "/pub",
    "/pub/",
    "/pub/a",
    "/media/a",
    "/favicon.ico",
    "/none/a",
];
const QUERIES: [&str; 10] = [
    "",
    "?format=json",
    "?format=none",
    "?after=b",
    "?delete",
    "?uploads",
    "?tagging",
    "?uploadId=x&partNumber=1",
    "?list-type=2&prefix=media/",
    "?X-Amz-Signature=0&x-amz-copy-source=/tmp/media/a",
];
const HEADERS: [&str; 24] = [
    "accept: text/html",
    "accept: application/json",
    "accept: */*",
    "user-agent: rclone/v1.60.1",
    "user-agent: aws-cli/2.15",
    "origin: https://app.example",
    "origin: http://evil.test",
    "origin: http://127.0.0.1:8080",
    "access-control-request-method: PUT",
    "access-control-request-method: DELETE",
    "sec-fetch-site: cross-site",
    "sec-fetch-site: same-origin",
    "sec-fetch-mode: navigate",
    "sec-fetch-dest: document",
    "referer: http://evil.test/",
    "service-worker: script",
    "if-match: \"a\", \"b\"",
    "if-none-match: *",
    "content-length: 5",
    "content-length: 5000000",
    "transfer-encoding: chunked",
    "x-amz-copy-source: /tmp/media/a",
    "x-minio-a: b",
    "x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER",
];

/// A request, and its client's address.
#[derive(Clone, Debug)]
struct Case {
    from: &'static str,
    method: Method,
    target: String,
    fields: Vec<(HeaderName, HeaderValue)>,
}

fn corpus(name: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned()).collect()
}

fn field(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    Some((name.parse().ok()?, HeaderValue::from_bytes(value.trim().as_bytes()).ok()?))
}

/// Returns the requests of the target corpus, unchanged.
fn written() -> Vec<Case> {
    let case = |text: &String| {
        let (line, fields) = text.split_once('\n').unwrap_or((text, ""));
        let (method, target) = line.split_once(' ')?;
        Some(Case {
            from: "127.0.0.1",
            method: method.parse().ok()?,
            target: target.to_owned(),
            fields: fields.lines().filter_map(field).collect(),
        })
    };
    corpus("target").iter().filter_map(case).collect()
}

fn mixed() -> impl Strategy<Value = Case> {
    let mut targets: Vec<String> = written().into_iter().map(|case| case.target).collect();
    targets.extend(TARGETS.iter().flat_map(|path| QUERIES.iter().map(move |query| format!("{path}{query}"))));
    let mut fields: Vec<_> =
        corpus("headers").iter().flat_map(|text| text.lines()).filter_map(field).collect();
    let common: Vec<_> = HEADERS.iter().filter_map(|line| field(line)).collect();
    // The common headers decide on most requests, so they are as likely as the rest of the corpus together.
    for _ in 0..(fields.len() / common.len()).max(1) {
        fields.extend(common.iter().cloned());
    }
    let host =
        (any::<Index>(), any::<bool>()).prop_map(|(at, plain)| if plain { HOSTS[0] } else { at.get(&HOSTS) });
    let headers = proptest::collection::vec(select(fields), 0..4);
    let from = select(vec!["127.0.0.1", "127.0.0.1", "127.0.0.2", "10.0.0.1"]);
    (from, select(METHODS.to_vec()), select(targets), host, headers).prop_map(
        |(from, method, target, host, mut fields)| {
            fields.retain(|(name, _)| name != "host");
            fields.push((http::header::HOST, HeaderValue::from_static(host)));
            Case { from, method: method.parse().unwrap(), target, fields }
        },
    )
}

/// Runs an empty store that counts the requests it receives.
async fn store(listener: TcpListener, asked: Rc<Cell<usize>>) {
    while let Ok((connection, _)) = listener.accept().await {
        let asked = Rc::clone(&asked);
        spawn_local(async move { answer(connection, &asked).await });
    }
}

async fn answer(mut connection: TcpStream, asked: &Cell<usize>) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.ok()?);
    }
    asked.set(asked.get() + 1);
    let nothing = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    connection.write_all(nothing).await.ok()
}

/// A proxy in front of a store that counts requests.
struct World {
    runtime: Runtime,
    tasks: LocalSet,
    config: Config,
    proxy: Rc<Proxy>,
    asked: Rc<Cell<usize>>,
}

impl World {
    fn new(config: &str) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (tasks, asked) = (LocalSet::new(), Rc::new(Cell::new(0)));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let text = config.replace("STORE", &listener.local_addr().unwrap().to_string());
        let parse = || Config::parse(&text, &Fake).unwrap();
        let proxy = tasks.block_on(&runtime, async { proxy_of(parse(), WallClock::SYSTEM, Mints) });
        tasks.spawn_local(store(listener, Rc::clone(&asked)));
        Self { config: parse(), runtime, tasks, proxy, asked }
    }

    /// Sends a request to the proxy, and returns the rule that refuses it.
    fn answer(&self, address: IpAddr, request: &Request) -> Option<String> {
        let listener = listener(&self.config.listeners[0].name);
        let connection = Connection::tcp(address, listener);
        self.tasks.block_on(&self.runtime, async {
            let answer = Rc::clone(&self.proxy).handle(&connection, request, Empty::<Bytes>::new()).await;
            let rule = answer.fields.get(RULE_HEADER).map(|rule| String::from_utf8_lossy(rule).into_owned());
            // The later pages of a list may fail, because the store is empty.
            let _read = answer.body.collect().await;
            rule
        })
    }

    /// Checks that both agree on a case. Skips cases that do not parse as a request.
    fn check(&self, case: &Case) -> Result<(), TestCaseError> {
        let Case { from, method, target, fields } = case;
        let fields: Fields = fields.iter().cloned().collect();
        let parsed = target.parse::<PathAndQuery>().ok().filter(|parsed| parsed.as_str() == target);
        let request = parsed.and_then(|target| Request::new(method.clone(), target, fields.clone()).ok());
        let Some(request) = request.filter(|request| request.host().is_some()) else { return Ok(()) };
        let address: IpAddr = from.parse().unwrap();
        let question = Question {
            who: Who::Client(Caller { peer: Peer::Address(address), certificate: None, identity: None }),
            refused: None,
            listener: None,
            request: Some((method, target, fields)),
        };
        let explanation = explain(&self.config, &question).unwrap();
        let before = self.asked.get();
        let rule = self.answer(address, &request);
        let is_asked = self.asked.get() > before;
        let told = explanation.text(false);
        if let Some((expected, _)) = explanation.refusal() {
            prop_assert_eq!(rule.as_deref(), Some(expected.name()), "{:?}\n{}", case, told);
            prop_assert!(!is_asked, "the store was asked: {:?}\n{}", case, told);
        } else {
            let is_of_body = OF_THE_BODY.iter().any(|of_body| rule.as_deref() == Some(of_body.name()));
            prop_assert!(is_asked || rule.is_none() || is_of_body, "{:?}: {:?}\n{}", rule, case, told);
        }
        Ok(())
    }
}

#[test]
fn explain_and_the_proxy_agree() {
    let world = World::new(CONFIG);
    for mut case in written() {
        case.fields.push((http::header::HOST, HeaderValue::from_static(HOSTS[0])));
        world.check(&case).unwrap();
    }
    let cases = Cases { cases: 3000, failure_persistence: None, ..Cases::default() };
    TestRunner::new(cases).run(&mixed(), |case| world.check(&case)).unwrap();
}

#[test]
fn explain_and_the_proxy_agree_about_pages_and_clients_without_credentials() {
    let person = "[[user]]\nname = \"alice\"\npassword = [\"$2y$04$XD1q0Xf9p4j7Dew4ErvSNu7TMblhdqGF3vSY8OD2SV.YQM1AV0fO6\"]\n[[mapping]]\nname";
    let config = CONFIG.replacen("[[mapping]]\nname", person, 1).replacen(
        "client = {",
        "client = { user = \"alice\",",
        1,
    );
    let world = World::new(&config);
    let cases = Cases { cases: 3000, failure_persistence: None, ..Cases::default() };
    let mixed = mixed().prop_filter("explain does not read credentials", |case| {
        case.fields.iter().all(|(name, _)| name != "authorization")
    });
    TestRunner::new(cases).run(&mixed, |case| world.check(&case)).unwrap();
}

#[test]
fn a_fallback_is_tried_once() {
    let world = World::new(CONFIG);
    let host = Fields::from_iter([(http::header::HOST, HeaderValue::from_static(HOSTS[0]))]);
    // Only a list of the folder can show whether the object exists, and the client may not read the object.
    let request = Request::new(Method::GET, PathAndQuery::from_static("/tmp/inbox/a"), host).unwrap();
    let rule = world.answer([127, 0, 0, 1].into(), &request);
    assert_eq!((rule.as_deref(), world.asked.get()), (Some(Rule::RightNotGranted.name()), 1));
}
