//! What an operator sees of requests to a real MinIO: the access log as JSON and text, and metrics.

use crate::support::http;
use crate::support::process::wait_for;
use crate::support::world::{World, corner};
use serde_json::Value;

const SCOPES: &[(&str, &str, &str)] = &[("tmp", "media/", "read,list")];
const OBJECT: &str = "/tmp/media/hello.txt";
const JSON: &str = "[log]\nformat = \"json\"\n";

/// Waits for the log line of the request with this id.
fn line(world: &World, id: &str) -> Value {
    let found = wait_for(|| {
        let log = world.proxy.stderr();
        let lines = log.lines().map(|line| serde_json::from_str(line).expect("every line is JSON"));
        lines.into_iter().find(|line: &Value| line["client_request_id"] == id)
    });
    found.unwrap_or_else(|| panic!("no line for {id} in {}", world.proxy.stderr()))
}

/// A mounted client's line has the bucket and the key that its path does not show, a version, and its place in a trace.
#[test]
fn the_access_log_names_the_object() {
    let scopes = &[("tmp", "media/", "read,versions@/files/")];
    let world = World::start_with(&[corner("client", scopes)], JSON);
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let long = format!("{parent}-00");
    let cases = [
        ("a", "/files/hello.txt?versionId=null", parent, Some(parent), Some("null")),
        ("b", "/files/hello.txt", "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", None, None),
        ("c", "/files/hello.txt", "x", None, None),
        ("d", "/files/hello.txt", &long, None, None),
    ];
    for (id, target, sent, logged, version) in cases {
        world.ask("client", "GET", target, &[("x-request-id", id), ("traceparent", sent)], b"");
        let line = line(&world, id);
        let said = |name: &str| line[name].as_str();
        assert_eq!((said("bucket"), said("key")), (Some("tmp"), Some("media/hello.txt")), "{line}");
        assert_eq!((said("traceparent"), said("version")), (logged, version), "{line}");
    }
}

/// With `access = "audit"`, only changes and refusals have a line, those of the store too.
#[test]
fn an_audit_log_has_changes_and_refusals_only() {
    let scopes = &[("tmp", "media/", "read,list,write,delete")];
    let audit = JSON.replace("[log]\n", "[log]\naccess = \"audit\"\n");
    let world = World::start_with(&[corner("client", scopes)], &audit);
    let requests = [
        ("GET", OBJECT, None),
        ("GET", "/tmp/media/missing", None),
        ("GET", "/tmp?list-type=2&prefix=media/", None),
        ("PUT", "/tmp/media/new", Some("PutObject")),
        ("GET", "/tmp/other/x", Some("GetObject")),
        ("GET", "/tmp?website", Some("-")),
        ("DELETE", "/tmp/media/new", Some("DeleteObject")),
    ];
    for (method, target, _) in requests {
        world.ask("client", method, target, &[], b"");
    }
    // The line of a response is written after its client has it, so the next request may be logged first.
    let mut expected: Vec<&str> = requests.iter().filter_map(|(_, _, operation)| *operation).collect();
    expected.sort_unstable();
    let all_are_there = || {
        let log = world.proxy.stderr();
        let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut operations: Vec<String> = lines
            .filter(|line| line["target"] == "access")
            .map(|line| line["operation"].as_str().unwrap().to_owned())
            .collect();
        operations.sort_unstable();
        (operations == expected).then_some(())
    };
    assert!(wait_for(all_are_there).is_some(), "{}", world.proxy.stderr());
}

#[test]
fn the_access_log_describes_each_request() {
    let world = World::start_with(&[corner("client", SCOPES)], JSON);
    let node = world.minio.address.to_string();
    // Method and target; then the expected operation, prefix, status, rule and store code.
    let cases = [
        ("GET", OBJECT, "GetObject", None, 200, None, None),
        ("HEAD", OBJECT, "HeadObject", None, 200, None, None),
        (
            "GET",
            "/tmp?list-type=2&prefix=media%2Fa+b%2F",
            "ListObjectsV2",
            Some("media/a b/"),
            200,
            None,
            None,
        ),
        ("GET", "/tmp/media/%22a%20b%22", "GetObject", None, 404, None, Some("NoSuchKey")),
        ("HEAD", "/tmp/media/missing", "HeadObject", None, 404, None, Some("NoSuchKey")),
        ("PUT", "/tmp/media/new", "PutObject", None, 403, Some("right-not-granted"), None),
        ("DELETE", "/tmp/other/x", "DeleteObject", None, 403, Some("outside-scope"), None),
        (
            "GET",
            "/tmp?list-type=2&prefix=other/",
            "ListObjectsV2",
            Some("other/"),
            403,
            Some("outside-scope"),
            None,
        ),
        ("GET", "/tmp?website", "-", None, 501, Some("unknown-operation"), None),
    ];
    for (number, (method, target, operation, prefix, status, rule, code)) in cases.into_iter().enumerate() {
        let id = format!("request-{number}");
        let answer = world.ask("client", method, target, &[("x-request-id", &id)], b"");
        let line = line(&world, &id);
        let said = |name: &str| line[name].as_str();
        let path = target.split('?').next();
        assert_eq!(
            (said("method"), said("path"), said("operation"), said("prefix")),
            (Some(method), path, Some(operation), prefix),
            "{line}"
        );
        let logged = line["status"].as_u64();
        assert_eq!((logged, said("rule"), said("store_code")), (Some(status), rule, code), "{line}");
        assert_eq!(answer.status(), u16::try_from(status).unwrap(), "{target}");
        assert_eq!((said("listener"), said("mapping")), (Some("client"), Some("client")), "{line}");
        assert_eq!(said("node"), rule.is_none().then_some(&*node), "{line}");
        assert!(line["total_us"].is_u64() && line["first_byte_us"].is_u64(), "{line}");
    }
    let first = line(&world, "request-0");
    assert_eq!((first["bucket"].as_str(), first["key"].as_str()), (Some("tmp"), Some("media/hello.txt")));
    let awkward = line(&world, "request-3");
    assert_eq!(awkward["key"], "media/\"a b\"", "the key is decoded");
    assert_eq!(
        (&line(&world, "request-2")["bucket"], &line(&world, "request-2")["key"]),
        (&"tmp".into(), &Value::Null)
    );
    assert_eq!(line(&world, "request-5")["bucket"], Value::Null, "nothing was sent");
    assert!(first["session_us"].as_u64() > Some(0), "the first request waits for the session: {first}");
    assert_eq!(line(&world, "request-1")["session_us"], Value::Null);
}

#[test]
fn the_log_begins_with_version_and_configuration() {
    let world = World::start_with(&[corner("client", SCOPES)], JSON);
    let log = world.proxy.stderr();
    let line: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!(line["message"], "scopegate starts");
    assert_eq!(line["version"], env!("CARGO_PKG_VERSION"));
    assert!(line["config"].as_str().unwrap().contains("proxy.toml"), "{line}");
    assert_eq!(line["upstream"], format!("http://{}", world.minio.address));
    assert_eq!((line["mappings"].as_u64(), line["listeners"].as_u64()), (Some(1), Some(1)));
}

#[test]
fn text_lines_quote_text_from_peers() {
    let mut world = World::start(&[corner("client", SCOPES)]);
    let id = "a b=\"c\"";
    world.ask("client", "GET", "/tmp/media/x", &[("x-request-id", id)], b"");
    world.minio.stop();
    world.get("client", OBJECT);
    let log = wait_for(|| Some(world.proxy.stderr()).filter(|log| log.contains("status=502")));
    let log = log.unwrap_or_else(|| panic!("{}", world.proxy.stderr()));
    assert!(log.contains(" client_request_id=\"a b=\\\"c\\\"\" "), "{log}");
    assert!(log.contains(" error=\""), "{log}");
}

/// Prometheus must notice it even if no client and no probe of `/readyz` asks.
#[test]
fn a_single_node_that_is_down_is_shown_without_requests() {
    let mut world = World::start(&[corner("client", SCOPES)]);
    let series = format!("scopegate_node_up{{node=\"{}\"}}", world.minio.address);
    assert_eq!(world.metric(&series), 1);
    world.minio.stop();
    wait_for(|| (world.metric(&series) == 0).then_some(())).expect("the node is shown as down");
    world.minio.restart();
    wait_for(|| (world.metric(&series) == 1).then_some(())).expect("the node is shown as up");
}

#[test]
fn metrics_are_served_in_the_requested_format() {
    let world = World::start(&[corner("client", SCOPES)]);
    assert_eq!(world.get("client", OBJECT).status(), 200);
    // A request is counted when its response is over, which the client may see a moment earlier.
    wait_for(|| (world.metric("scopegate_requests_in_flight") == 0).then_some(()));
    let ask = |accept: &[(&str, &str)]| {
        http::request(world.proxy.address("admin"), "GET", "/metrics", accept, b"").unwrap()
    };
    let text = ask(&[]);
    assert_eq!(text.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let open = ask(&[("accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.3")]);
    assert_eq!(
        open.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(open.text().ends_with("# EOF\n") && open.text().contains("# TYPE scopegate_requests counter\n"));
    let text = text.text();
    assert!(!text.contains("# EOF"), "{text}");
    for expected in [
        "# TYPE scopegate_requests_total counter\n",
        "scopegate_request_duration_seconds_count{mapping=\"client\"} 1\n",
        "scopegate_first_byte_seconds_count{mapping=\"client\"} 1\n",
        "scopegate_requests_queued{mapping=\"client\"} 0\n",
        "scopegate_build_info{version=",
        "process_resident_memory_bytes ",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
}

#[test]
fn the_reference_names_every_metric_with_its_type_and_labels() {
    let world = World::start(&[corner("client", SCOPES)]);
    assert_eq!(world.get("client", OBJECT).status(), 200);
    assert_eq!(world.get("client", "/tmp/other").status(), 403);
    wait_for(|| (world.metric("scopegate_requests_in_flight") == 0).then_some(()));
    let text = http::get(world.proxy.address("admin"), "/metrics").unwrap().text();
    let page = include_str!("../../docs/reference/metrics.md");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let mut documented: Vec<String> = Vec::new();
    for row in &rows {
        documented.extend(quoted(row.split('|').nth(1).unwrap()));
    }
    let mut families = Vec::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let help = text.lines().find_map(|line| line.strip_prefix(&format!("# HELP {name} ")));
        assert!(help.is_some_and(|help| help.len() > 8), "{name} has no help");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
        let row = rows.iter().find(|row| row.contains(&format!("`{name}`")));
        let row = row.unwrap_or_else(|| panic!("docs/reference/metrics.md lacks {name}"));
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert_eq!(cells[2], kind, "{name}");
        if let Some(labels) = labels(&text, name) {
            assert_eq!(quoted(cells[3]), labels, "{name}");
        }
        families.push(name.to_owned());
    }
    documented.retain(|name| !families.contains(name));
    assert!(documented.is_empty(), "no such metrics: {documented:?}");
}

/// Returns the words in backquotes.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Returns the labels of a metric's first sample, without those of every histogram.
fn labels(text: &str, name: &str) -> Option<Vec<String>> {
    let mut rests = text.lines().filter_map(|line| line.strip_prefix(name));
    let labels = rests.find_map(|rest| rest.strip_prefix('{').or_else(|| rest.strip_prefix("_bucket{")))?;
    let (labels, _) = labels.rsplit_once('}')?;
    let names =
        labels.split("\",").filter_map(|label| label.split_once('=')).map(|(name, _)| name.to_owned());
    Some(names.filter(|name| name != "le").collect())
}
