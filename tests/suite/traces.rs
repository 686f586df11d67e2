//! Traces over OTLP: what a collector receives of requests to a real MinIO, and that no collector delays a request.

mod collector;

use crate::support::minio::Minio;
use crate::support::process::wait_for;
use crate::support::world::{World, config, corner};
use collector::{Answer, Collector};
use scopegate::internals::otlp::{CLIENT, SERVER, Span};
use serde_json::Value;
use std::time::{Duration, Instant};

const SCOPES: &[(&str, &str, &str)] = &[("tmp", "media/", "read,list,write")];
const OBJECT: &str = "/tmp/media/hello.txt";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// Returns a section that sends traces to a collector.
fn traces(collector: &Collector, more: &str) -> String {
    format!("[log]\nformat = \"json\"\n[traces]\nendpoint = \"{}\"\n{more}", collector.url())
}

/// Target and headers of a request; then the expected operation, status, error, and the statuses of the store.
type Case<'c> = (&'c str, &'c [(&'c str, &'c str)], &'c str, &'c str, Option<&'c str>, &'c [&'c str]);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

fn parent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

fn dropped(world: &World, reason: &str) -> u64 {
    world.metric(&format!("scopegate_trace_spans_dropped_total{{reason=\"{reason}\"}}"))
}

fn exported(world: &World) -> u64 {
    world.metric("scopegate_trace_spans_exported_total")
}

/// Waits until a condition holds.
fn eventually(what: &str, world: &World, mut holds: impl FnMut() -> bool) {
    assert!(wait_for(|| holds().then_some(())).is_some(), "{what}\n{}", world.proxy.stderr());
}

#[test]
fn a_collector_receives_the_spans_of_requests() {
    let collector = Collector::start(Answer::Ok);
    let more = "sample = 1\nauthorization = { env = \"OTLP_SECRET\" }\nauthorization_header = \"x-api-key\"\nservice_name = \"s3-edge\"\n";
    let (minio, issuer) = Minio::start_seeded();
    let text = config(minio.address, minio.address, &[corner("client", SCOPES)], &traces(&collector, more));
    let env = [
        ("ISSUER_KEY", &*issuer.access_key),
        ("ISSUER_SECRET", &*issuer.secret_key),
        ("OTLP_SECRET", "hush-hush"),
    ];
    let proxy = crate::support::proxy::Proxy::start(&text, &env);
    let world = World { minio, issuer, proxy };
    let sampled = parent("01");
    let parented = [("traceparent", &*sampled), ("tracestate", "vendor=1")];
    let cases: [Case; 3] = [
        (OBJECT, &parented, "GetObject", "200", None, &["200"]),
        // A missing object may be a folder, which a list shows.
        ("/tmp/media/missing", &[], "GetObject", "404", Some("NoSuchKey"), &["404", "200"]),
        // A refused request reaches no store.
        ("/tmp/other/x", &[], "GetObject", "403", Some("outside-scope"), &[]),
    ];
    for (target, headers, name, status, error, of_store) in cases {
        let answer = world.ask("client", "GET", target, headers, b"");
        assert_eq!(answer.status().to_string(), status);
        let path = Some(target.to_owned());
        let of_request = |span: &Span| span.kind == SERVER && span.attribute("url.path") == path;
        let found = wait_for(|| collector.spans().into_iter().find(of_request));
        let span = found.unwrap_or_else(|| panic!("no span of {target}: {}", world.proxy.stderr()));
        assert_eq!((&*span.name, span.attribute("error.type").as_deref()), (name, error), "{span:?}");
        assert_eq!(span.attribute("http.response.status_code").as_deref(), Some(status));
        assert_eq!(span.attribute("client.address").as_deref(), Some("127.0.0.1"));
        assert_eq!(span.attribute("scopegate.mapping").as_deref(), Some("client"));
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano && span.status.is_none(), "{span:?}");
        if headers.is_empty() {
            assert!(span.parent_span_id.is_empty() && hex(&span.trace_id) != TRACE);
        } else {
            assert_eq!((&*hex(&span.trace_id), &*hex(&span.parent_span_id)), (TRACE, PARENT));
            assert_eq!(span.trace_state, "vendor=1");
            assert_eq!(span.attribute("aws.s3.key").as_deref(), Some("media/hello.txt"));
        }
        let steps = collector.spans().into_iter().filter(|step| step.parent_span_id == span.span_id);
        let sent: Vec<Span> = steps.filter(|step| step.kind == CLIENT).collect();
        let statuses: Vec<_> =
            sent.iter().filter_map(|span| span.attribute("http.response.status_code")).collect();
        assert_eq!(statuses, of_store, "{sent:?}");
        let node = world.minio.address.to_string();
        assert!(sent.iter().all(|sent| sent.attribute("server.address").as_ref() == Some(&node)), "{sent:?}");
        let id = answer.header("x-amz-request-id").filter(|_| !of_store.is_empty());
        assert_eq!(span.attribute("aws.request_id").as_deref(), id);
        // The log leads to the trace.
        let line = wait_for(|| {
            let log = world.proxy.stderr();
            let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.find(|line| line["span_id"] == hex(&span.span_id))
        });
        assert_eq!(line.unwrap()["trace_id"], hex(&span.trace_id));
    }
    let head = collector.heads().remove(0);
    assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
    for header in ["content-type: application/x-protobuf", "x-api-key: hush-hush"] {
        assert!(head.contains(&format!("\r\n{header}\r\n")), "{head}");
    }
    assert_eq!(collector.services(), ["s3-edge"]);
    let received = collector.spans().len() as u64;
    eventually("all are counted", &world, || exported(&world) == received);
    assert!(
        ["queue_full", "export_failed", "rejected", "shutdown"].iter().all(|why| dropped(&world, why) == 0)
    );
}

/// The client's trace decides within a limit, and the store learns of traces only if it may.
#[test]
fn clients_choose_within_a_limit_and_the_store_learns_only_what_it_may() {
    let collector = Collector::start(Answer::Ok);
    let world =
        World::start_with(&[corner("client", SCOPES)], &traces(&collector, "sample = 0\nparent_limit = 3\n"));
    let (yes, no) = (parent("01"), parent("00"));
    for _ in 0..5 {
        world.ask("client", "GET", OBJECT, &[("traceparent", &no)], b"");
        world.get("client", OBJECT);
    }
    let begin = Instant::now();
    for _ in 0..50 {
        world.ask("client", "GET", OBJECT, &[("traceparent", &yes)], b"");
    }
    let seconds = begin.elapsed().as_secs() + 2;
    let over = world.metric("scopegate_trace_parents_over_limit_total");
    assert!(over >= 50 - 3 * seconds && over < 50, "{over} in {seconds} s");
    let requests = || collector.spans().iter().filter(|span| span.kind == SERVER).count() as u64;
    eventually("the others are sent", &world, || requests() == 50 - over);
    assert!(collector.spans().iter().all(|span| hex(&span.trace_id) == TRACE));
}

#[test]
fn the_store_learns_of_traces_only_if_it_may() {
    for (propagate, is_told) in [("", false), ("propagate = true\n", true)] {
        let collector = Collector::start(Answer::Ok);
        let (minio, issuer) = Minio::start_seeded();
        let relay = collector::Relay::start(minio.address);
        let more = traces(&collector, &format!("sample = 0\n{propagate}"));
        let text = config(relay.address, minio.address, &[corner("client", SCOPES)], &more);
        let proxy = crate::support::world::start(&text, &issuer);
        let world = World { minio, issuer, proxy };
        let given = parent("01");
        let headers = [("traceparent", &*given), ("tracestate", "vendor=secret")];
        // MinIO accepts the signature with the header, which is not a part of it.
        assert_eq!(world.ask("client", "GET", OBJECT, &headers, b"").status(), 200);
        let put = world.ask("client", "PUT", "/tmp/media/new", &headers, b"hello");
        assert_eq!(put.status(), 200, "{}", put.text());
        let seen = relay.seen();
        assert!(!seen.contains("vendor=secret") && !seen.contains(PARENT), "{seen}");
        assert_eq!(seen.contains(&format!("\r\ntraceparent: 00-{TRACE}-")), is_told, "{seen}");
        if is_told {
            let sent = || collector.spans().into_iter().filter(|span| span.kind == CLIENT);
            eventually("both are sent", &world, || sent().count() == 2);
            for span in sent() {
                assert!(seen.contains(&format!("-{}-01\r\n", hex(&span.span_id))), "{seen}");
            }
        }
    }
}

/// Whatever the collector does, requests are as fast as ever, and each span is counted.
#[test]
fn no_collector_delays_a_request_and_no_span_is_lost_silently() {
    for (answer, reason) in [
        (Answer::Silence, "export_failed"),
        (Answer::Gone, "export_failed"),
        (Answer::Status(500), "export_failed"),
        (Answer::Status(429), "export_failed"),
        (Answer::Reject(1), "rejected"),
        (Answer::Garbage, "export_failed"),
    ] {
        let collector = Collector::start(answer);
        let more = traces(&collector, "sample = 1\nqueue = 20\ntimeout = \"300ms\"\n");
        let world = World::start_with(&[corner("client", SCOPES)], &more);
        // The first request waits for its session.
        world.get("client", OBJECT);
        let begin = Instant::now();
        let most = (0..200).map(|_| {
            let begin = Instant::now();
            assert_eq!(world.get("client", OBJECT).status(), 200, "{answer:?}");
            begin.elapsed()
        });
        let most = most.max().unwrap();
        assert!(
            begin.elapsed() < Duration::from_secs(20) && most < Duration::from_secs(2),
            "{answer:?}: {most:?}"
        );
        // Each request has a span of its own and one for the store. The first may have waited for its session.
        let all = || {
            let dropped: u64 =
                ["queue_full", "export_failed", "rejected"].map(|why| dropped(&world, why)).iter().sum();
            exported(&world) + dropped
        };
        eventually(&format!("{answer:?}: all are counted"), &world, || (402..=404).contains(&all()));
        assert!(dropped(&world, reason) > 0, "{answer:?}");
        if reason == "export_failed" {
            assert_eq!(exported(&world), 0, "{answer:?}");
            assert!(world.metric("scopegate_trace_export_failures_total") > 0, "{answer:?}");
        }
        assert_eq!(world.metric("scopegate_panics_total"), 0);
        let (log, told) = (world.proxy.stderr(), "\"traces cannot be sent\"");
        assert_eq!(log.matches(told).count(), 1, "{answer:?}: {log}");
        let begin = Instant::now();
        let (code, log) = world.proxy.terminate();
        assert!(code == Some(0) && begin.elapsed() < Duration::from_secs(10), "{answer:?}: {log}");
    }
}

/// The spans of the last requests are sent before the process ends, and a reload changes the collector.
#[test]
fn spans_are_flushed_at_the_end_and_a_reload_takes_effect() {
    let (first, second) = (Collector::start(Answer::Ok), Collector::start(Answer::Ok));
    let (minio, issuer) = Minio::start_seeded();
    let text = |collector: &Collector, more: &str| {
        config(minio.address, minio.address, &[corner("client", SCOPES)], &traces(collector, more))
    };
    let proxy = crate::support::world::start(&text(&first, "sample = 1\n"), &issuer);
    let get = || {
        let address = proxy.address("client");
        crate::support::http::get(address, OBJECT).unwrap().status()
    };
    assert_eq!(get(), 200);
    proxy.reload(&text(&second, "sample = 1\n"));
    assert!(wait_for(|| proxy.stderr().contains("configuration reloaded").then_some(())).is_some());
    assert_eq!(get(), 200);
    let requests =
        |collector: &Collector| collector.spans().iter().filter(|span| span.kind == SERVER).count();
    let (code, log) = proxy.terminate();
    assert_eq!(code, Some(0), "{log}");
    assert_eq!((requests(&first), requests(&second)), (1, 1), "{log}");
}
