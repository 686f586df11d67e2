//! Every operation of the table once, with a check of its effect.

use super::{checksum, elements};
use crate::support::http::Response;
use crate::support::world::{World, corner, outcome};
use scopegate::internals::{Algorithm, TABLE};
use std::collections::BTreeSet;

const ALL: &[(&str, &str, &str)] =
    &[("tmp", "inbox/", "read,list,write,delete,versions"), ("tmp", "media/", "read")];

/// Returns the operations named in the access log.
fn operations_in(log: &str) -> BTreeSet<String> {
    log.lines()
        .filter_map(|line| line.split_once(" operation=").map(|(_, rest)| rest))
        .filter_map(|rest| rest.split(' ').next())
        .map(|name| name.trim_matches('"').to_owned())
        .collect()
}

#[test]
fn every_operation_has_its_effect() {
    let world = World::start(&[corner("all", ALL)]);
    world.minio.mc(&["version", "enable", "local/tmp"]);
    let ask = |method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]| {
        world.ask("all", method, target, headers, body)
    };
    let ok = |answer: Response| {
        assert!(answer.status() < 300, "{}: {}", outcome(&answer), answer.text());
        answer
    };
    objects(&ask, &ok);
    checksums(&ask, &ok);
    versions(&ask, &ok);
    multipart(&ask, &ok);
    buckets(&ask, &ok);
    let deleted = ask("POST", "/tmp?delete", &[], b"<Delete><Object><Key>inbox/a</Key></Object></Delete>");
    assert_eq!(elements(&ok(deleted), "Deleted").len(), 1);
    let (_, log) = world.proxy.terminate();
    let done = operations_in(&log);
    for row in &TABLE {
        assert!(done.contains(row.operation.name()), "{} was not tried: {done:?}", row.operation.name());
    }
}

type Ask<'a> = &'a dyn Fn(&str, &str, &[(&str, &str)], &[u8]) -> Response;
type Good<'a> = &'a dyn Fn(Response) -> Response;

fn objects(ask: Ask<'_>, ok: Good<'_>) {
    let headers = [
        ("Content-Type", "text/plain"),
        ("Content-Language", "de"),
        ("Content-Disposition", "attachment"),
        ("Cache-Control", "no-store"),
        ("Expires", "Thu, 01 Dec 2033 16:00:00 GMT"),
        ("x-amz-meta-colour", "blue"),
        ("x-amz-tagging", "a=b"),
        ("x-amz-storage-class", "STANDARD"),
        ("x-amz-acl", "private"),
        ("If-None-Match", "*"),
    ];
    let etag = ok(ask("PUT", "/tmp/inbox/a", &headers, b"content")).header("etag").unwrap().to_owned();
    let got = ok(ask("GET", "/tmp/inbox/a?x-id=GetObject", &[], b""));
    assert_eq!(got.text(), "content");
    for (name, value) in &headers[..6] {
        assert_eq!(got.header(name), Some(*value), "{name}");
    }
    assert_eq!(got.header("x-amz-tagging-count"), Some("1"));
    assert_eq!(
        outcome(&ask("PUT", "/tmp/inbox/a", &[("If-None-Match", "*")], b"x")),
        "412 PreconditionFailed"
    );
    assert_eq!(
        outcome(&ask("PUT", "/tmp/inbox/a", &[("If-Match", "\"x\"")], b"x")),
        "412 PreconditionFailed"
    );
    ok(ask("PUT", "/tmp/inbox/a", &[("If-Match", &etag), ("Content-Type", "text/plain")], b"content"));
    for (name, value) in [
        ("response-cache-control", "no-cache"),
        ("response-content-disposition", "inline"),
        ("response-content-encoding", "identity"),
        ("response-content-language", "fr"),
        ("response-content-type", "text/css"),
        ("response-expires", "Fri, 02 Dec 2033 16:00:00 GMT"),
    ] {
        let encoded = value.replace(' ', "%20");
        let got = ok(ask("GET", &format!("/tmp/inbox/a?{name}={encoded}"), &[], b""));
        assert_eq!(got.header(name.trim_start_matches("response-")), Some(value), "{name}");
    }
    let head = ok(ask("HEAD", "/tmp/inbox/a?partNumber=1", &[], b""));
    assert_eq!((head.header("content-length"), head.header("etag")), (Some("7"), Some(&*etag)));
    let attributes = [("x-amz-object-attributes", "ETag,ObjectSize,StorageClass")];
    let told = ok(ask("GET", "/tmp/inbox/a?attributes", &attributes, b""));
    assert_eq!(
        (told.element("ObjectSize").as_deref(), told.element("ETag").as_deref()),
        (Some("7"), Some(etag.trim_matches('"')))
    );

    let tags = b"<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>";
    ok(ask("PUT", "/tmp/inbox/a?tagging", &[], tags));
    assert_eq!(ok(ask("GET", "/tmp/inbox/a?tagging", &[], b"")).element("Value").as_deref(), Some("v"));
    ok(ask("DELETE", "/tmp/inbox/a?tagging", &[], b""));
    assert_eq!(ask("GET", "/tmp/inbox/a?tagging", &[], b"").element("Value"), None);

    let source = ("x-amz-copy-source", "/tmp/inbox/a");
    ok(ask("PUT", "/tmp/inbox/copy", &[source, ("x-amz-copy-source-if-match", &etag)], b""));
    assert_eq!(ask("GET", "/tmp/inbox/copy", &[], b"").text(), "content");
    let replaced = [source, ("x-amz-metadata-directive", "REPLACE"), ("x-amz-meta-new", "1")];
    ok(ask("PUT", "/tmp/inbox/copy", &replaced, b""));
    assert_eq!(ask("HEAD", "/tmp/inbox/copy", &[], b"").header("x-amz-meta-new"), Some("1"));
    for (name, value) in [
        ("x-amz-copy-source-if-match", "\"x\""),
        ("x-amz-copy-source-if-none-match", &*etag),
        ("x-amz-copy-source-if-modified-since", "Fri, 02 Dec 2033 16:00:00 GMT"),
        ("x-amz-copy-source-if-unmodified-since", "Fri, 02 Dec 2003 16:00:00 GMT"),
    ] {
        let refused = ask("PUT", "/tmp/inbox/copy", &[source, (name, value)], b"");
        assert_eq!(outcome(&refused), "412 PreconditionFailed", "{name}");
    }
    ok(ask("DELETE", "/tmp/inbox/copy", &[], b""));
    assert_eq!(
        outcome(&ask("DELETE", "/tmp/inbox/a", &[("If-Match", &etag)], b"")),
        "501 NotImplemented condition"
    );
}

fn checksums(ask: Ask<'_>, ok: Good<'_>) {
    for algorithm in Algorithm::ALL {
        let (right, wrong) = (checksum(algorithm, b"sum").base64(), checksum(algorithm, b"other").base64());
        let key = format!("/tmp/inbox/{}", algorithm.name());
        let refused = ask("PUT", &key, &[(algorithm.header(), &wrong)], b"sum");
        assert_eq!(refused.status(), 400, "{algorithm:?}: {}", outcome(&refused));
        assert_eq!(ask("HEAD", &key, &[], b"").status(), 404, "{algorithm:?}: nothing wrong was committed");
        ok(ask("PUT", &key, &[(algorithm.header(), &right)], b"sum"));
        if algorithm != Algorithm::Md5 {
            let head = ok(ask("HEAD", &key, &[("x-amz-checksum-mode", "ENABLED")], b""));
            assert_eq!(head.header(algorithm.header()), Some(&*right), "{algorithm:?}");
        }
    }
}

fn versions(ask: Ask<'_>, ok: Good<'_>) {
    for content in ["one", "two"] {
        ok(ask("PUT", "/tmp/inbox/v", &[], content.as_bytes()));
    }
    let listed = ok(ask("GET", "/tmp/?versions&prefix=inbox/v", &[], b""));
    let ids = elements(&listed, "VersionId");
    let old = &ids[1];
    assert_eq!(ok(ask("GET", &format!("/tmp/inbox/v?versionId={old}"), &[], b"")).text(), "one");
    let copied = [("x-amz-copy-source", &*format!("/tmp/inbox/v?versionId={old}"))];
    ok(ask("PUT", "/tmp/inbox/v-copy", &copied, b""));
    assert_eq!(ask("GET", "/tmp/inbox/v-copy", &[], b"").text(), "one");
    ok(ask("GET", &format!("/tmp/inbox/v?tagging&versionId={old}"), &[], b""));
    ok(ask("DELETE", &format!("/tmp/inbox/v?versionId={old}"), &[], b""));
    assert_eq!(elements(&ask("GET", "/tmp?versions&prefix=inbox/v", &[], b""), "VersionId").len(), 2);
    // The right belongs to the scope, not to the mapping.
    let foreign = ask("GET", "/tmp/media/hello.txt?versionId=null", &[], b"");
    assert_eq!(outcome(&foreign), "403 AccessDenied right-not-granted");
}

fn multipart(ask: Ask<'_>, ok: Good<'_>) {
    let part = vec![7; 5 << 20];
    let created = ok(ask("POST", "/tmp/inbox/large?uploads", &[("x-amz-meta-a", "b")], b""));
    let upload = created.element("UploadId").unwrap();
    let target = |number: u8| format!("/tmp/inbox/large?partNumber={number}&uploadId={upload}");
    let first = ok(ask("PUT", &target(1), &[], &part));
    let range = [("x-amz-copy-source", "/tmp/media/hello.txt"), ("x-amz-copy-source-range", "bytes=0-4")];
    let second = ok(ask("PUT", &target(2), &range, b""));
    let listed = ok(ask("GET", &format!("/tmp/inbox/large?uploadId={upload}&max-parts=1"), &[], b""));
    assert_eq!(elements(&listed, "PartNumber"), ["1"]);
    let body = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{}</ETag></Part>\
         <Part><PartNumber>2</PartNumber><ETag>{}</ETag></Part></CompleteMultipartUpload>",
        first.header("etag").unwrap(),
        second.element("ETag").unwrap()
    );
    let done = ok(ask("POST", &format!("/tmp/inbox/large?uploadId={upload}"), &[], body.as_bytes()));
    // Not the store's address.
    assert_eq!(done.element("Location").as_deref(), Some("http://localhost/tmp/inbox/large"));
    let got = ok(ask("GET", "/tmp/inbox/large", &[], b""));
    assert_eq!(got.body, [part, b"hello".to_vec()].concat());
    assert_eq!(got.header("x-amz-meta-a"), Some("b"));
    assert_eq!(ok(ask("GET", "/tmp/inbox/large?partNumber=2", &[], b"")).status(), 206);
    multipart_with_checksums(ask, ok);
    let other = ok(ask("POST", "/tmp/inbox/aborted?uploads", &[], b"")).element("UploadId").unwrap();
    assert_eq!(elements(&ok(ask("GET", "/tmp?uploads", &[], b"")), "UploadId"), [&*other]);
    ok(ask("DELETE", &format!("/tmp/inbox/aborted?uploadId={other}"), &[], b""));
    assert_eq!(
        outcome(&ask("GET", &format!("/tmp/inbox/aborted?uploadId={other}"), &[], b"")),
        "404 NoSuchUpload"
    );
}

fn multipart_with_checksums(ask: Ask<'_>, ok: Good<'_>) {
    let declared = [("x-amz-checksum-algorithm", "CRC32"), ("x-amz-checksum-type", "FULL_OBJECT")];
    let created = ok(ask("POST", "/tmp/inbox/summed?uploads", &declared, b""));
    let upload = created.element("UploadId").unwrap();
    let sum = checksum(Algorithm::Crc32, b"part").base64();
    let wrong = checksum(Algorithm::Crc32, b"other").base64();
    let target = format!("/tmp/inbox/summed?partNumber=1&uploadId={upload}");
    assert_eq!(ask("PUT", &target, &[("x-amz-checksum-crc32", &wrong)], b"part").status(), 400);
    let part = ok(ask("PUT", &target, &[("x-amz-checksum-crc32", &sum)], b"part"));
    let body = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{}</ETag><ChecksumCRC32>{sum}</ChecksumCRC32>\
         </Part></CompleteMultipartUpload>",
        part.header("etag").unwrap()
    );
    let whole = [
        ("x-amz-checksum-crc32", &*sum),
        ("x-amz-checksum-type", "FULL_OBJECT"),
        ("x-amz-mp-object-size", "4"),
    ];
    ok(ask("POST", &format!("/tmp/inbox/summed?uploadId={upload}"), &whole, body.as_bytes()));
    assert_eq!(ask("GET", "/tmp/inbox/summed", &[], b"").text(), "part");
}

fn buckets(ask: Ask<'_>, ok: Good<'_>) {
    ok(ask("HEAD", "/tmp", &[], b""));
    for target in ["/tmp?location", "/tmp/?location="] {
        assert!(ok(ask("GET", target, &[], b"")).text().contains("LocationConstraint"));
    }
    for target in
        ["/tmp?prefix=inbox/", "/tmp/?prefix=inbox/", "/tmp/?list-type=2&prefix=inbox/&fetch-owner=true"]
    {
        let listed = ok(ask("GET", target, &[("x-amz-optional-object-attributes", "RestoreStatus")], b""));
        assert!(elements(&listed, "Key").iter().any(|key| key == "inbox/a"), "{target}");
    }
    let buckets = ok(ask("GET", "/?x-id=ListBuckets", &[], b""));
    assert_eq!(elements(&buckets, "Name"), ["tmp"]);
    for (method, target, expected) in [
        ("HEAD", "/", "200"),
        ("PUT", "/", "405 MethodNotAllowed method-not-allowed"),
        ("PUT", "/tmp", "403 AccessDenied not-offered"),
        ("DELETE", "/tmp", "403 AccessDenied not-offered"),
        ("POST", "/", "403 AccessDenied not-offered"),
        ("GET", "/tmp?acl", "501 NotImplemented unknown-operation"),
        ("GET", "/tmp/?policy", "501 NotImplemented unknown-operation"),
        ("GET", "/tmp/inbox/a?acl", "501 NotImplemented unknown-operation"),
        ("PUT", "/tmp/?cors", "403 AccessDenied not-offered"),
        ("GET", "/tmp/inbox/a?metrics", "501 NotImplemented unknown-operation"),
        ("PUT", "/tmp/inbox/a?acl", "403 AccessDenied not-offered"),
        ("GET", "/tmp?wat&prefix=inbox/", "400 InvalidArgument unknown-query"),
        ("GET", "/tmp?list-type=3&prefix=inbox/", "400 InvalidArgument unknown-query"),
    ] {
        assert_eq!(outcome(&ask(method, target, &[], b"")), expected, "{method} {target}");
    }
}
