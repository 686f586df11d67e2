//! Conditions and ranges of every operation, as in HTTP and S3: honoured or refused, and never dropped.

use super::elements;
use crate::support::http::Response;
use crate::support::world::{World, corner, outcome};

const ALL: &[(&str, &str, &str)] = &[("tmp", "inbox/", "read,list,write,delete,versions")];
const PAST: &str = "Sat, 01 Jan 2000 00:00:00 GMT";
const FUTURE: &str = "Fri, 02 Dec 2033 16:00:00 GMT";
const ATTRIBUTES: (&str, &str) = ("x-amz-object-attributes", "ETag");

type Headers<'a> = &'a [(&'a str, &'a str)];

fn put(world: &World, target: &str, content: &[u8]) -> String {
    let stored = world.ask("all", "PUT", target, &[], content);
    assert_eq!(stored.status(), 200, "{}", stored.text());
    stored.header("etag").unwrap().to_owned()
}

#[test]
fn read_conditions_follow_http() {
    let world = World::start(&[corner("all", ALL)]);
    let old = put(&world, "/tmp/inbox/a", b"old content");
    let new = put(&world, "/tmp/inbox/a", b"new content");
    let list = |tags: [&str; 3]| tags.join(", ");
    let (with, without) = (list([&old, &new, "\"x\""]), list([&old, "\"x\"", "\"y:z\""]));
    let (weak, weak_with) = (format!("W/{new}"), format!("\"x\",W/{new}"));
    let bare = new.trim_matches('"').to_owned();
    let crowded = list([&old, &weak, "\"x\""]);
    let cases: &[(Headers<'_>, u16)] = &[
        // If-Match compares strongly, and one match in a list is enough.
        (&[("If-Match", "*")], 200),
        (&[("If-Match", &bare)], 200),
        (&[("If-Match", &old)], 412),
        (&[("If-Match", &with)], 200),
        (&[("If-Match", &without)], 412),
        (&[("If-Match", &weak)], 412),
        (&[("If-Match", &weak_with)], 412),
        (&[("If-Match", "\"not:hexadecimal\"")], 412),
        (&[("If-Match", "\"a\" \"b\"")], 400),
        (&[("If-Match", "\"a")], 400),
        // If-None-Match compares weakly.
        (&[("If-None-Match", "*")], 304),
        (&[("If-None-Match", &bare)], 304),
        (&[("If-None-Match", &weak)], 304),
        (&[("If-None-Match", &with)], 304),
        (&[("If-None-Match", &weak_with)], 304),
        (&[("If-None-Match", &crowded)], 304),
        (&[("If-None-Match", &without)], 200),
        (&[("If-None-Match", &old)], 200),
        (&[("If-None-Match", "\"not:hexadecimal\"")], 200),
        // Times.
        (&[("If-Modified-Since", PAST)], 200),
        (&[("If-Modified-Since", FUTURE)], 304),
        (&[("If-Modified-Since", "Friday, 02-Dec-33 16:00:00 GMT")], 304),
        (&[("If-Modified-Since", "yesterday")], 200),
        (&[("If-Unmodified-Since", PAST)], 412),
        (&[("If-Unmodified-Since", FUTURE)], 200),
        // A time next to a tag is ignored.
        (&[("If-None-Match", &old), ("If-Modified-Since", FUTURE)], 200),
        (&[("If-None-Match", &new), ("If-Modified-Since", PAST)], 304),
        (&[("If-None-Match", &without), ("If-Modified-Since", FUTURE)], 200),
        (&[("If-None-Match", "\"not:hexadecimal\""), ("If-Modified-Since", FUTURE)], 200),
        (&[("If-Match", &new), ("If-Unmodified-Since", PAST)], 200),
        (&[("If-Match", &with), ("If-Unmodified-Since", PAST)], 200),
        (&[("If-Match", &old), ("If-Unmodified-Since", FUTURE)], 412),
        // A failed precondition (412) comes before 304.
        (&[("If-Match", &old), ("If-None-Match", &new)], 412),
        (&[("If-Match", &new), ("If-None-Match", &new)], 304),
        (&[("If-Match", &new), ("If-None-Match", &old)], 200),
        (&[("If-Match", &with), ("If-None-Match", &without)], 200),
        (&[("If-Match", "*"), ("If-None-Match", "*")], 304),
        (&[("If-Match", &old), ("If-Modified-Since", FUTURE)], 412),
        (&[("If-Unmodified-Since", PAST), ("If-None-Match", &new)], 412),
        (&[("If-Unmodified-Since", PAST), ("If-Modified-Since", FUTURE)], 412),
        (&[("If-Unmodified-Since", FUTURE), ("If-Modified-Since", FUTURE)], 304),
    ];
    for (headers, status) in cases {
        for method in ["GET", "HEAD"] {
            let answer = world.ask("all", method, "/tmp/inbox/a", headers, b"");
            assert_eq!(answer.status(), *status, "{method} {headers:?}: {}", answer.text());
            let is_whole = answer.text() == "new content" || method == "HEAD";
            assert!(*status != 200 || is_whole, "{headers:?}: {}", answer.text());
            assert!(*status != 304 || answer.header("etag") == Some(&new), "{headers:?}");
        }
        let with_attributes = [*headers, &[ATTRIBUTES]].concat();
        let told = world.ask("all", "GET", "/tmp/inbox/a?attributes", &with_attributes, b"");
        assert_eq!(told.status(), *status, "attributes, {headers:?}: {}", told.text());
        let absent = world.ask("all", "GET", "/tmp/inbox/absent", headers, b"");
        assert_eq!(absent.status(), if *status == 400 { 400 } else { 404 }, "{headers:?}: {}", absent.text());
    }
}

#[test]
fn a_list_of_tags_applies_to_the_requested_version() {
    let world = World::start(&[corner("all", ALL)]);
    world.minio.mc(&["version", "enable", "local/tmp"]);
    let old = put(&world, "/tmp/inbox/a", b"old");
    let new = put(&world, "/tmp/inbox/a", b"new");
    let versions = elements(&world.get("all", "/tmp?versions&prefix=inbox/a"), "VersionId");
    let get = |version: &str, name: &str, value: &str| {
        let target = format!("/tmp/inbox/a?versionId={version}&response-content-type=text/css");
        world.ask("all", "GET", &target, &[(name, value)], b"").status()
    };
    let (first, second) = (format!("{old}, \"x\""), format!("\"x\",{new}"));
    assert_eq!((get(&versions[1], "If-Match", &first), get(&versions[1], "If-Match", &second)), (200, 412));
    assert_eq!(
        (get(&versions[0], "If-None-Match", &first), get(&versions[0], "If-None-Match", &second)),
        (200, 304)
    );
}

#[test]
fn ranges_follow_http() {
    let world = World::start(&[corner("all", ALL)]);
    let old = put(&world, "/tmp/inbox/a", b"old content");
    let new = put(&world, "/tmp/inbox/a", b"new content");
    put(&world, "/tmp/inbox/empty", b"");
    let get =
        |key: &str, headers: Headers<'_>| world.ask("all", "GET", &format!("/tmp/inbox/{key}"), headers, b"");
    let said = |answer: &Response| {
        let range = answer.header("content-range").unwrap_or("-").to_owned();
        let content = if answer.status() < 300 { answer.text() } else { String::new() };
        (answer.status(), range, content)
    };
    for (range, status, content_range, content) in [
        ("bytes=0-2", 206, "bytes 0-2/11", "new"),
        ("bytes=4-", 206, "bytes 4-10/11", "content"),
        ("bytes=-7", 206, "bytes 4-10/11", "content"),
        ("bytes=-99", 206, "bytes 0-10/11", "new content"),
        ("bytes=4-99", 206, "bytes 4-10/11", "content"),
        ("Bytes=0-2", 206, "bytes 0-2/11", "new"),
        ("bytes=11-", 416, "-", ""),
        ("bytes=99-100", 416, "-", ""),
        ("bytes=-0", 416, "-", ""),
        // For an invalid range, several ranges or another unit, the response is the whole object.
        ("bytes=5-2", 416, "-", ""),
        ("bytes=0-0,5-6", 200, "-", "new content"),
        ("bytes=a-b", 200, "-", "new content"),
        ("bytes=", 200, "-", "new content"),
        ("lines=0-1", 200, "-", "new content"),
    ] {
        let expected = (status, content_range.to_owned(), content.to_owned());
        assert_eq!(said(&get("a", &[("Range", range)])), expected, "{range}");
        let head = world.ask("all", "HEAD", "/tmp/inbox/a", &[("Range", range)], b"");
        assert_eq!(head.status(), status, "HEAD {range}");
    }
    for (range, status) in [("bytes=-5", 200), ("bytes=0-", 416), ("bytes=0-0", 416)] {
        let answer = get("empty", &[("Range", range)]);
        assert_eq!((answer.status(), answer.header("content-range")), (status, None), "{range}");
    }
    let (matching, other) = (format!("{old}, {new}"), format!("{old}, \"x\""));
    let range = ("Range", "bytes=0-2");
    let cases: &[(Headers<'_>, u16, &str)] = &[
        (&[range, ("If-Match", &matching)], 206, "new"),
        (&[range, ("If-Match", &other)], 412, ""),
        (&[range, ("If-None-Match", &matching)], 304, ""),
        (&[range, ("If-None-Match", &other)], 206, "new"),
        (&[range, ("If-None-Match", &other), ("If-Range", &new)], 206, "new"),
        (&[range, ("If-None-Match", &other), ("If-Range", &old)], 200, "new content"),
        (&[range, ("If-None-Match", &matching), ("If-Range", &old)], 304, ""),
        (&[range, ("If-None-Match", &new), ("If-Range", &old)], 304, ""),
        (&[range, ("If-Match", &matching), ("If-Range", &new)], 200, "new content"),
    ];
    for (headers, status, content) in cases {
        let answer = get("a", headers);
        let text = if answer.status() < 300 { answer.text() } else { String::new() };
        assert_eq!((answer.status(), &*text), (*status, *content), "{headers:?}");
    }
    assert_eq!(get("a", &[range, range]).status(), 400);
}

#[test]
fn write_conditions_are_honoured_or_refused() {
    let world = World::start(&[corner("all", ALL)]);
    let etag = put(&world, "/tmp/inbox/a", b"content");
    let (list, weak) = (format!("{etag}, \"x\""), format!("W/{etag}"));
    let source = ("x-amz-copy-source", "/tmp/inbox/a");
    let ask = |method: &str, target: &str, headers: Headers<'_>| {
        outcome(&world.ask("all", method, target, headers, if method == "PUT" { b"new" } else { b"" }))
    };
    let not_honoured = "501 NotImplemented condition";
    let bad = "400 InvalidArgument bad-argument";
    for (headers, expected) in [
        (("If-Match", &*etag), "200"),
        (("If-Match", "\"x\""), "412 PreconditionFailed"),
        (("If-Match", &*list), bad),
        (("If-Match", &*weak), bad),
        (("If-None-Match", "*"), "412 PreconditionFailed"),
        (("If-None-Match", &*list), bad),
        (("If-None-Match", &*weak), bad),
        (("If-Modified-Since", PAST), not_honoured),
        (("If-Unmodified-Since", FUTURE), not_honoured),
    ] {
        assert_eq!(ask("PUT", "/tmp/inbox/a", &[headers]), expected, "{headers:?}");
        put(&world, "/tmp/inbox/a", b"content");
    }
    assert_eq!(ask("PUT", "/tmp/inbox/none", &[("If-Match", "*")]), "404 NoSuchKey");
    assert_eq!(ask("PUT", "/tmp/inbox/none", &[("If-Match", &etag)]), "404 NoSuchKey");
    let copy = |headers: Headers<'_>| {
        outcome(&world.ask("all", "PUT", "/tmp/inbox/copy", &[&[source], headers].concat(), b""))
    };
    for (headers, expected) in [
        (&[("If-None-Match", "*")][..], not_honoured),
        (&[("If-Match", &*etag)], not_honoured),
        (&[("x-amz-copy-source-if-match", &*etag)], "200"),
        (&[("x-amz-copy-source-if-match", &*list)], bad),
        (&[("x-amz-copy-source-if-none-match", &*list)], bad),
        (&[("x-amz-copy-source-if-none-match", &*etag)], "412 PreconditionFailed"),
        (&[("x-amz-copy-source-if-match", &*etag), ("x-amz-copy-source-if-unmodified-since", PAST)], "200"),
        (
            &[("x-amz-copy-source-if-none-match", "\"x\""), ("x-amz-copy-source-if-modified-since", FUTURE)],
            "200",
        ),
        (
            &[("x-amz-copy-source-if-none-match", &*etag), ("x-amz-copy-source-if-modified-since", PAST)],
            "412 PreconditionFailed",
        ),
    ] {
        assert_eq!(copy(headers), expected, "{headers:?}");
    }
    let id = world.ask("all", "POST", "/tmp/inbox/a?uploads", &[], b"").element("UploadId").unwrap();
    let part = format!("/tmp/inbox/a?partNumber=1&uploadId={id}");
    let uploaded = world.ask("all", "PUT", &part, &[], b"part").header("etag").unwrap().to_owned();
    for (method, target) in [
        ("PUT", &*part),
        ("PUT", "/tmp/inbox/a?tagging"),
        ("DELETE", "/tmp/inbox/a?tagging"),
        ("DELETE", "/tmp/inbox/a"),
        ("DELETE", &format!("/tmp/inbox/a?uploadId={id}")),
        ("POST", "/tmp?delete"),
    ] {
        for condition in ["If-Match", "If-None-Match"] {
            assert_eq!(ask(method, target, &[(condition, &etag)]), not_honoured, "{method} {target}");
        }
    }
    for target in ["/tmp?list-type=2&prefix=inbox/", "/tmp/inbox/a?tagging", "/tmp?location"] {
        assert_eq!(ask("GET", target, &[("If-Match", &etag)]), not_honoured, "{target}");
        assert_eq!(ask("GET", target, &[("If-None-Match", &etag)]), "200", "{target}: it is no such object");
    }
    let body = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{uploaded}</ETag></Part></CompleteMultipartUpload>"
    );
    let complete = |headers: Headers<'_>| {
        outcome(&world.ask("all", "POST", &format!("/tmp/inbox/a?uploadId={id}"), headers, body.as_bytes()))
    };
    assert_eq!(complete(&[("If-Match", &list)]), bad);
    assert_eq!(complete(&[("If-None-Match", "*")]), "412 PreconditionFailed");
    assert_eq!(world.get("all", "/tmp/inbox/a").text(), "content", "nothing was written");
    assert_eq!(complete(&[("If-Match", &etag)]), "200");
}

/// Only conditions that the store cannot evaluate cost a further request.
#[test]
fn a_condition_with_one_tag_costs_one_request() {
    let world = World::start(&[corner("all", ALL)]);
    let etag = put(&world, "/tmp/inbox/a", b"content");
    let list = format!("{etag}, \"x\"");
    let node = format!("scopegate_node_requests_total{{node=\"{}\"}}", world.minio.address);
    let cost = |headers: Headers<'_>| {
        let before = world.metric(&node);
        world.ask("all", "GET", "/tmp/inbox/a", headers, b"");
        world.metric(&node) - before
    };
    for one in [
        &[][..],
        &[("If-Match", &*etag)],
        &[("If-None-Match", &*etag)],
        &[("If-None-Match", &*etag), ("If-Modified-Since", PAST)],
        &[("Range", "bytes=0-1"), ("If-Range", &*etag)],
    ] {
        assert_eq!(cost(one), 1, "{one:?}");
    }
    assert_eq!((cost(&[("If-Match", &list)]), cost(&[("If-None-Match", &list)])), (2, 2));
}
