//! Documents that would harm MinIO never reach it, and those of real clients work.

use super::{ALL, chunked, content, envelope, exists, sum};
use crate::streaming::SESSION;
use crate::support::http::{Connection, request_bytes};
use crate::support::keys::Keys;
use crate::support::record::Recorder;
use crate::support::world::{self, World, config, corner, outcome};
use scopegate::internals::Algorithm;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

const ENDLESS: (&str, &str) = ("Transfer-Encoding", "chunked");
const PART: usize = 5 << 20;
/// An id in MinIO's form.
const UPLOAD: &str = "MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAxLjAwMDAwMDAwLTAwMDAtMDAwMC0wMDAwLTAwMDAwMDAwMDAwMngxNzAwMDAwMDAwMDAwMDAwMDAw";

/// Begins an upload of two parts. Returns its id and the entity tags of both parts.
fn begun(world: &World, key: &str) -> (String, [String; 2]) {
    let created = world.ask("all", "POST", &format!("/tmp/{key}?uploads"), &[], b"");
    let upload = created.element("UploadId").unwrap();
    let etags = [(1, content(PART)), (2, content(5))].map(|(number, part)| {
        let target = format!("/tmp/{key}?partNumber={number}&uploadId={upload}");
        let put = world.ask("all", "PUT", &target, &[], &part);
        assert_eq!(put.status(), 200, "{}", put.text());
        put.header("etag").unwrap().trim_matches('"').to_owned()
    });
    (upload, etags)
}

fn whole(parts: &str) -> String {
    format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")
}

fn numbered(parts: impl IntoIterator<Item = (usize, String)>) -> String {
    let mut list = String::new();
    for (number, etag) in parts {
        let _ = write!(list, "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
    }
    whole(&list)
}

#[test]
fn harmful_completions_are_refused_before_the_store() {
    let world = World::start(&[corner("all", ALL)]);
    let (upload, [one, two]) = begun(&world, "inbox/a");
    let target = format!("/tmp/inbox/a?uploadId={upload}");
    let malformed = "400 MalformedXML malformed-document";
    let large = "400 EntityTooLarge too-large";
    assert!(world.minio.is_at_rest());
    let (time, memory) = (world.minio.processor_time(), world.minio.memory());
    for (document, expected) in [
        (whole(&"<Part/>".repeat(40_000)), malformed),
        (numbered((1..=200).map(|_| (1, one.clone()))), "400 InvalidPartOrder part-order"),
        (numbered([(2, two.clone()), (1, one.clone())]), "400 InvalidPartOrder part-order"),
        (numbered((1..=10_001).map(|number| (number, one.clone()))), malformed),
        (numbered([(1, "\"".to_owned())]), "400 InvalidPart invalid-part"),
        (numbered([(0, one.clone())]), malformed),
        (whole(""), malformed),
        ("<a/>".to_owned(), malformed),
        (whole(&" ".repeat(3 << 20)), large),
        (whole(&format!("<Part a=\"{}\"/>", "b".repeat(1 << 20))), malformed),
    ] {
        let shown = document.get(..100).unwrap_or(&document).to_owned();
        let answer = world.ask("all", "POST", &target, &[], document.as_bytes());
        assert_eq!(outcome(&answer), expected, "{shown}");
        let answer = world.ask("all", "POST", &target, &[ENDLESS], &chunked(document.as_bytes()));
        assert_eq!(outcome(&answer), expected, "chunked: {shown}");
    }
    // A document that is announced as too large is not even read.
    let mut connection = Connection::open(world.proxy.address("all")).unwrap();
    connection.send(&request_bytes("POST", &target, &[("Content-Length", "5368709120")], b"")).unwrap();
    assert_eq!(outcome(&connection.read_response("POST").unwrap()), large);
    let (spent, grown) =
        (world.minio.processor_time().saturating_sub(time), world.minio.memory().saturating_sub(memory));
    assert!(spent < Duration::from_secs(2), "MinIO was busy for {spent:?}");
    assert!(grown < 50 << 20, "MinIO took {grown} bytes");
    let done = world.ask("all", "POST", &target, &[], numbered([(1, one), (2, two)]).as_bytes());
    assert_eq!((done.status(), done.element("Code")), (200, None), "{}", done.text());
    assert_eq!(world.get("all", "/tmp/inbox/a").body.len(), PART + 5);
}

/// S3 allows ten thousand parts. They are written again, and MinIO takes about a second for them.
#[test]
fn the_largest_completion_works() {
    let world = World::start(&[corner("all", ALL)]);
    let (upload, [one, two]) = begun(&world, "inbox/a");
    let target = format!("/tmp/inbox/a?uploadId={upload}");
    let others = (3..=10_000).map(|number| (number, two.clone()));
    let document = numbered([(1, one), (2, two.clone())].into_iter().chain(others));
    let start = Instant::now();
    let answer = world.ask("all", "POST", &target, &[], document.as_bytes());
    assert_eq!(outcome(&answer), "400 InvalidPart", "MinIO looked for all of them: {}", answer.text());
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

/// As SDKs write them, in every form of a body and with every checksum.
#[test]
fn completions_of_real_clients_work() {
    let world = World::start(&[corner("all", ALL)]);
    let documents: [fn(&str, &str) -> String; 3] = [
        |one, two| {
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                 <Part><ETag>&quot;{one}&quot;</ETag><PartNumber>1</PartNumber></Part>\n\
                 <Part><ETag>&#34;{two}&#34;</ETag><PartNumber>2</PartNumber></Part></CompleteMultipartUpload>\n"
            )
        },
        |one, two| numbered([(1, format!("\"{one}\"")), (2, format!("\"{two}\""))]),
        |one, two| numbered([(1, one.to_owned()), (2, two.to_owned())]),
    ];
    for (number, write) in documents.into_iter().enumerate() {
        for form in 0..3 {
            let key = format!("inbox/{number}-{form}");
            let (upload, [one, two]) = begun(&world, &key);
            let document = write(&one, &two).into_bytes();
            let (crc, md5) = (sum(Algorithm::Crc32, &document), sum(Algorithm::Md5, &document));
            let trailing = envelope(&document, false, Some((Algorithm::Crc32, &crc)));
            let (headers, body): (&[(&str, &str)], Vec<u8>) = match form {
                0 => (&[("Content-MD5", &md5), ("Content-Type", "text/plain")], document),
                1 => (&[ENDLESS], chunked(&document)),
                _ => (&[ENDLESS, ("x-amz-trailer", "x-amz-checksum-crc32")], chunked(&trailing)),
            };
            let target = format!("/tmp/{key}?uploadId={upload}");
            let done = world.ask("all", "POST", &target, headers, &body);
            assert_eq!((done.status(), done.element("Code")), (200, None), "{headers:?}: {}", done.text());
            assert_eq!(world.get("all", &format!("/tmp/{key}")).body.len(), PART + 5);
        }
    }
}

#[test]
fn completions_with_wrong_checksums_are_refused() {
    let world = World::start(&[corner("all", ALL)]);
    let (upload, [one, two]) = begun(&world, "inbox/a");
    let target = format!("/tmp/inbox/a?uploadId={upload}");
    let document = numbered([(1, one), (2, two)]).into_bytes();
    let wrong = envelope(&document, false, Some((Algorithm::Crc32, "AAAAAA==")));
    let mismatch = "400 XAmzContentChecksumMismatch checksum-mismatch";
    let cases: [((&str, &str), &[u8], &str); 3] = [
        (("Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA=="), &document, "400 BadDigest bad-digest"),
        (("x-amz-content-sha256", &"0".repeat(64)), &document, mismatch),
        (("x-amz-trailer", "x-amz-checksum-crc32"), &wrong, mismatch),
    ];
    for (header, body, expected) in cases {
        let answer = world.ask("all", "POST", &target, &[header], body);
        assert_eq!(outcome(&answer), expected, "{header:?}");
    }
    assert!(!exists(&world, "inbox/a"));
}

/// The store judges a completion's condition and the checksum of the object.
#[test]
fn a_completion_keeps_headers_about_the_object() {
    let world = World::start(&[corner("all", ALL)]);
    world.minio.put("tmp/inbox/a", b"there");
    let (upload, [one, two]) = begun(&world, "inbox/a");
    let target = format!("/tmp/inbox/a?uploadId={upload}");
    let document = numbered([(1, one), (2, two)]).into_bytes();
    let unmet = world.ask("all", "POST", &target, &[("If-None-Match", "*")], &document);
    assert_eq!(outcome(&unmet), "412 PreconditionFailed");

    let declared = [("x-amz-checksum-algorithm", "CRC32"), ("x-amz-checksum-type", "FULL_OBJECT")];
    let created = world.ask("all", "POST", "/tmp/inbox/b?uploads", &declared, b"");
    let upload = created.element("UploadId").unwrap();
    let body = content(1000);
    let crc = sum(Algorithm::Crc32, &body);
    let part = format!("/tmp/inbox/b?partNumber=1&uploadId={upload}");
    let put = world.ask("all", "PUT", &part, &[("x-amz-checksum-crc32", &crc)], &body);
    let etag = put.header("etag").unwrap();
    let document = whole(&format!(
        "<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag><ChecksumCRC32>{crc}</ChecksumCRC32></Part>"
    ));
    let target = format!("/tmp/inbox/b?uploadId={upload}");
    for (said, expected) in [("AAAAAA==", "400 XAmzContentChecksumMismatch"), (&*crc, "200")] {
        let headers = [("x-amz-checksum-crc32", said), ("x-amz-checksum-type", "FULL_OBJECT")];
        let done = world.ask("all", "POST", &target, &headers, document.as_bytes());
        assert_eq!(outcome(&done), expected, "{}", done.text());
    }
}

#[test]
fn tags_are_parsed_strictly_and_rewritten() {
    let world = World::start(&[corner("all", ALL)]);
    world.minio.put("tmp/inbox/a", b"x");
    let tags = |tags: &str| format!("<Tagging><TagSet>{tags}</TagSet></Tagging>");
    let tag = |key: &str, value: &str| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>");
    let ask = |headers: &[(&str, &str)], document: &[u8]| {
        world.ask("all", "PUT", "/tmp/inbox/a?tagging", headers, document)
    };
    let eleven: String = (0..11).map(|number| tag(&number.to_string(), "v")).collect();
    let (malformed, invalid) = ("400 MalformedXML malformed-document", "400 InvalidTag invalid-tag");
    for (document, expected) in [
        ("<a/>".to_owned(), malformed),
        (String::new(), malformed),
        (tags("<Tag/>"), malformed),
        (tags(&eleven), invalid),
        (tags(&(tag("a", "1") + &tag("a", "2"))), invalid),
        (tags(&tag("a", "&lt;")), invalid),
        (tags(&tag(&"k".repeat(129), "")), invalid),
        (tags(&" ".repeat(65 << 10)), "400 EntityTooLarge too-large"),
    ] {
        assert_eq!(outcome(&ask(&[], document.as_bytes())), expected, "{document}");
    }
    let document = tags(&(tag("size of it", "1 + 2 = 3:/@_.-") + &tag("b", ""))).into_bytes();
    let wrong = ask(&[("x-amz-checksum-crc32", "AAAAAA==")], &document);
    assert_eq!(outcome(&wrong), "400 XAmzContentChecksumMismatch checksum-mismatch");
    let right = [("x-amz-checksum-crc32", &*sum(Algorithm::Crc32, &document))];
    for (headers, body) in [(&right[..], document.clone()), (&[ENDLESS][..], chunked(&document))] {
        let put = ask(headers, &body);
        assert_eq!(outcome(&put), "200", "{}", put.text());
        let got = world.get("all", "/tmp/inbox/a?tagging");
        assert!(
            got.text().contains(&tag("size of it", "1 + 2 = 3:/@_.-")) && got.text().contains(&tag("b", "")),
            "{}",
            got.text()
        );
        assert_eq!(world.ask("all", "DELETE", "/tmp/inbox/a?tagging", &[], b"").status(), 204);
    }
}

/// The store gets none of the client's own bytes.
#[test]
fn the_store_gets_documents_written_by_scopegate() {
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{SESSION}", SESSION.len());
    let sts = Recorder::start(answer.as_bytes());
    let store = Recorder::start(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let config = config(store.address(), sts.address(), &[corner("all", ALL)], "");
    let proxy = world::start(&config, &Keys::random("issuer"));
    let etag = "0123456789abcdef0123456789abcdef";
    let upload = format!("/tmp/inbox/a?uploadId={UPLOAD}");
    for (method, target, document, expected) in [
        (
            "POST",
            &*upload,
            format!("<CompleteMultipartUpload x:xmlns=\"\"><Part/>{etag}</CompleteMultipartUpload>"),
            None,
        ),
        (
            "POST",
            &*upload,
            format!("<CompleteMultipartUpload>\n<Part><ETag>{etag}</ETag><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>"),
            Some(format!(
                "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Part>\
                 <PartNumber>1</PartNumber><ETag>\"{etag}\"</ETag></Part></CompleteMultipartUpload>"
            )),
        ),
        (
            "PUT",
            "/tmp/inbox/a?tagging",
            "<Tagging> <TagSet><Tag><Value>v</Value><Key>k</Key></Tag></TagSet></Tagging>".to_owned(),
            Some(
                "<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><TagSet><Tag><Key>k</Key><Value>v</Value>\
                 </Tag></TagSet></Tagging>"
                    .to_owned(),
            ),
        ),
    ] {
        let mut connection = Connection::open(proxy.address("all")).unwrap();
        let answer = connection.request(method, target, &[("Content-Type", "text/html")], document.as_bytes()).unwrap();
        assert_eq!(answer.status(), if expected.is_some() { 200 } else { 400 }, "{document}");
        if let Some(expected) = expected {
            let mut received = store.received().into_iter().rev().map(|bytes| String::from_utf8(bytes).unwrap());
            let sent = received.find(|sent| sent.starts_with(&format!("{method} /tmp/"))).unwrap();
            let (head, body) = sent.split_once("\r\n\r\n").unwrap();
            assert_eq!(body, expected);
            let md5 = sum(Algorithm::Md5, expected.as_bytes());
            assert!(head.contains(&format!("content-md5: {md5}")) && head.contains("content-type: application/xml"), "{head}");
        }
    }
}
