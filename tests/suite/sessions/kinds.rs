//! Sessions of each kind on a real MinIO: which one signs a request, and what a reload does to them.

use super::{DENIALS, KINDS, Load, MINTED, OBJECT, SCOPES};
use crate::support::http;
use crate::support::process::wait_for;
use crate::support::world::{Corner, World, config, outcome};

type Headers<'a> = &'a [(&'a str, &'a str)];

/// Returns the kinds of the mapping's sessions that were minted, in alphabetical order.
fn minted_kinds(world: &World) -> Vec<String> {
    let metrics = http::get(world.proxy.address("admin"), "/metrics").unwrap().text();
    let series = "scopegate_session_expiry_timestamp_seconds{mapping=\"client\",session=\"";
    let kinds = metrics.lines().filter_map(|line| line.strip_prefix(series)?.split('"').next());
    let mut kinds: Vec<String> = kinds.map(str::to_owned).collect();
    kinds.sort();
    kinds
}

/// Each request is the first that needs its session, and opens no other. MinIO accepts it, so this session signed it.
#[test]
fn each_request_is_signed_with_the_session_of_its_operation() {
    const ALL: &[(&str, &str, &str)] = &[("tmp", "media/", "read,list,write,delete,versions")];
    const TAGS: &[u8] = b"<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>";
    const DELETE: &[u8] = b"<Delete><Object><Key>media/copy</Key></Object></Delete>";
    let copy = [("x-amz-copy-source", OBJECT)];
    let requests: [(&str, &str, Headers, &[u8], &str); 18] = [
        ("GET", OBJECT, &[], b"", "get"),
        ("HEAD", OBJECT, &[], b"", "get"),
        ("GET", OBJECT, &[("If-None-Match", "\"a\", \"b\"")], b"", "get"),
        ("GET", "/tmp?list-type=2&prefix=media/", &[], b"", "list"),
        ("GET", "/tmp/media/", &[("Accept", "text/html")], b"", "list"),
        ("HEAD", "/tmp", &[], b"", "bucket"),
        ("GET", "/tmp?location", &[], b"", "bucket"),
        ("GET", "/tmp/media/hello.txt?versionId=null", &[], b"", "versions"),
        ("HEAD", "/tmp/media/hello.txt?versionId=null", &[], b"", "versions"),
        ("GET", "/tmp?versions&prefix=media/", &[], b"", "versions"),
        ("PUT", "/tmp/media/new", &[], b"new", "put"),
        ("POST", "/tmp/media/large?uploads", &[], b"", "put"),
        ("DELETE", "/tmp/media/new", &[], b"", "delete"),
        ("PUT", "/tmp/media/copy", &copy, b"", "copy"),
        ("POST", "/tmp?delete", &[], DELETE, "delete"),
        ("PUT", "/tmp/media/hello.txt?tagging", &[], TAGS, "other"),
        ("GET", "/tmp/media/hello.txt?attributes", &[("x-amz-object-attributes", "ETag")], b"", "other"),
        ("GET", "/tmp?uploads", &[], b"", "uploads"),
    ];
    for plan in ["split", "one"] {
        let more = format!("sessions = \"{plan}\"");
        let world = World::start(&[Corner { name: "client", scopes: ALL, more: &more }]);
        let mut expected = Vec::new();
        for (method, target, headers, body, kind) in requests {
            let answer = world.ask("client", method, target, headers, body);
            assert_eq!(answer.status() / 100, 2, "{method} {target}: {}", outcome(&answer));
            let kind = if plan == "split" || kind == "uploads" { kind } else { "all" };
            expected.push(kind);
            expected.sort_unstable();
            expected.dedup();
            assert_eq!(minted_kinds(&world), expected, "{method} {target}");
        }
        assert_eq!(world.metric(MINTED), expected.len() as u64);
        assert_eq!(world.metric(DENIALS), 0);
    }
}

#[test]
fn a_reload_to_one_session_and_back_fails_no_request() {
    const SPLIT: &str = "sessions = \"split\"";
    const ONE: &str = "sessions = \"one\"";
    let of = |more| [Corner { name: "client", scopes: SCOPES, more }];
    let world = World::start(&of(ONE));
    let load = Load::start(world.proxy.address("client"), 4);
    for (done, plan) in [(1, SPLIT), (2, ONE), (3, SPLIT)] {
        load.pass(100, &world.proxy);
        world.proxy.reload(&config(world.minio.address, world.minio.address, &of(plan), ""));
        let reloaded = || world.metric("scopegate_config_reloads_total{result=\"ok\"}") == done;
        assert!(wait_for(|| reloaded().then_some(())).is_some(), "{}", world.proxy.stderr());
        load.pass(100, &world.proxy);
        let kinds: &[&str] = if plan == ONE { &["all"] } else { &["get", "list", "put"] };
        assert_eq!(minted_kinds(&world), kinds, "{plan}");
    }
    let failures = load.finish();
    assert!(failures.is_empty(), "{failures:?}");
    assert_eq!(world.metric(MINTED), 1 + KINDS + 1 + KINDS);
}
