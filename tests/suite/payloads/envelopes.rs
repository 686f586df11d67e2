//! Bodies in aws-chunked form.

use super::{ALL, attributes, chunked, content, envelope, exists, sum, unfinished};
use crate::support::http::{Connection, request_bytes};
use crate::support::world::{World, corner, outcome};
use scopegate::internals::Algorithm;
use std::fmt::Write;

type Headers<'a> = &'a [(&'a str, &'a str)];

const SIGNED: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const SIGNED_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
const ECDSA: &str = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD";
const ECDSA_TRAILER: &str = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER";
const UNSIGNED_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
const TRAILERS: [Algorithm; 5] =
    [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme, Algorithm::Sha1, Algorithm::Sha256];

/// Every signing mode, in chunked transfer coding and with a length, with and without `x-amz-decoded-content-length`.
#[test]
fn stores_the_content_of_the_envelope() {
    let world = World::start(&[corner("all", ALL)]);
    let content = content(200_001);
    let modes =
        [Some(SIGNED), Some(ECDSA), Some(SIGNED_TRAILER), Some(ECDSA_TRAILER), Some(UNSIGNED_TRAILER), None];
    let mut number = 0;
    for mode in modes {
        let signed = mode.is_some_and(|mode| mode.contains("AWS4"));
        for trailer in [None, Some(TRAILERS[number % 5])] {
            for (endless, known) in [(false, true), (true, true), (true, false), (false, false)] {
                number += 1;
                let length = content.len().to_string();
                let key = format!("inbox/{number}");
                let said = trailer.map(|algorithm| (algorithm, sum(algorithm, &content)));
                let body =
                    envelope(&content, signed, said.as_ref().map(|(algorithm, sum)| (*algorithm, &**sum)));
                let mut headers = vec![(
                    "Content-Encoding",
                    if number % 2 == 0 { "aws-chunked" } else { "gzip,aws-chunked" },
                )];
                headers.extend(mode.map(|mode| ("x-amz-content-sha256", mode)));
                headers.extend(known.then_some(("x-amz-decoded-content-length", &*length)));
                headers.extend(trailer.map(|algorithm| ("x-amz-trailer", algorithm.header())));
                let body = if endless { chunked(&body) } else { body };
                headers.extend(endless.then_some(("Transfer-Encoding", "chunked")));
                let answer = world.ask("all", "PUT", &format!("/tmp/{key}"), &headers, &body);
                assert_eq!(outcome(&answer), "200", "{headers:?}: {}", answer.text());
                let got = world.get("all", &format!("/tmp/{key}"));
                assert!(got.body == content, "{headers:?}");
                assert_eq!(
                    got.header("content-encoding"),
                    (number % 2 == 1).then_some("gzip"),
                    "{headers:?}"
                );
                let kept = attributes(&world.minio, &key);
                for algorithm in TRAILERS {
                    let said =
                        said.as_ref().filter(|(said, _)| *said == algorithm).map(|(_, sum)| sum.clone());
                    assert_eq!(kept.element(&element(algorithm)), said, "{headers:?}: {}", kept.text());
                }
            }
        }
    }
}

fn element(algorithm: Algorithm) -> String {
    format!("Checksum{}", algorithm.name())
}

/// mc announces the form only in x-amz-content-sha256, pyarrow only in the other headers.
#[test]
fn understands_each_clients_announcement() {
    let world = World::start(&[corner("all", ALL)]);
    let content = content(100_000);
    let crc = sum(Algorithm::Crc64Nvme, &content);
    let trailed = envelope(&content, false, Some((Algorithm::Crc64Nvme, &crc)));
    let crc32c = sum(Algorithm::Crc32c, &content);
    let cases: [(Headers<'_>, &[u8]); 4] = [
        (
            &[
                ("x-amz-content-sha256", SIGNED),
                ("x-amz-decoded-content-length", "100000"),
                ("x-amz-checksum-crc32c", &crc32c),
            ],
            &envelope(&content, true, None),
        ),
        (
            &[
                ("Content-Encoding", "aws-chunked"),
                ("x-amz-decoded-content-length", "100000"),
                ("x-amz-trailer", "x-amz-checksum-crc64nvme"),
            ],
            &trailed,
        ),
        (
            &[("x-amz-decoded-content-length", "100000"), ("x-amz-trailer", "x-amz-checksum-crc64nvme")],
            &trailed,
        ),
        (&[("x-amz-trailer", "x-amz-checksum-crc64nvme")], &trailed),
    ];
    for (headers, body) in cases {
        assert_eq!(outcome(&world.ask("all", "PUT", "/tmp/inbox/a", headers, body)), "200", "{headers:?}");
        let got = world.get("all", "/tmp/inbox/a");
        assert!(got.body == content, "{headers:?}");
        assert_eq!(got.header("content-encoding"), None);
        world.ask("all", "DELETE", "/tmp/inbox/a", &[], b"");
    }
}

#[test]
fn an_empty_envelope_is_an_empty_object() {
    let world = World::start(&[corner("all", ALL)]);
    let crc = sum(Algorithm::Crc32, b"");
    let decoded = ("x-amz-decoded-content-length", "0");
    let unsigned = ("x-amz-content-sha256", UNSIGNED_TRAILER);
    let cases: [(Headers<'_>, Vec<u8>, &str); 4] = [
        (&[decoded, ("x-amz-content-sha256", SIGNED)], envelope(b"", true, None), "200"),
        (
            &[decoded, unsigned, ("x-amz-trailer", "x-amz-checksum-crc32")],
            envelope(b"", false, Some((Algorithm::Crc32, &crc))),
            "200",
        ),
        (
            &[decoded, unsigned, ("x-amz-trailer", "x-amz-checksum-crc32")],
            envelope(b"", false, None),
            "400 InvalidRequest bad-envelope",
        ),
        (
            &[decoded, ("x-amz-content-sha256", SIGNED)],
            envelope(b"x", true, None),
            "400 InvalidRequest bad-envelope",
        ),
    ];
    for (headers, body, expected) in cases {
        assert_eq!(
            outcome(&world.ask("all", "PUT", "/tmp/inbox/a", headers, &body)),
            expected,
            "{headers:?}"
        );
        assert_eq!(exists(&world, "inbox/a"), expected == "200");
        world.ask("all", "DELETE", "/tmp/inbox/a", &[], b"");
    }
}

/// Every mistake in a body is found before the store has all of it.
#[test]
fn an_invalid_body_stores_nothing() {
    let world = World::start(&[corner("all", ALL)]);
    let content = content(150_000);
    let (crc, md5) = (sum(Algorithm::Crc32, &content), sum(Algorithm::Md5, &content));
    let sha = sum(Algorithm::Sha256, b"another");
    let good = envelope(&content, false, None);
    let trailed = |sum: &str| envelope(&content, false, Some((Algorithm::Crc32, sum)));
    let decoded = ("x-amz-decoded-content-length", "150000");
    let (crc32, endless) = (("x-amz-trailer", "x-amz-checksum-crc32"), ("Transfer-Encoding", "chunked"));
    let mismatch = "400 XAmzContentChecksumMismatch checksum-mismatch";
    let malformed = "400 InvalidRequest bad-envelope";
    let cases: [(Headers<'_>, Vec<u8>, &str); 14] = [
        (&[decoded, crc32], trailed("AAAAAA=="), mismatch),
        (&[decoded, crc32, endless], chunked(&trailed("AAAAAA==")), mismatch),
        (&[crc32], trailed("AAAAAA=="), mismatch),
        (&[decoded, crc32], trailed("AAAA"), malformed),
        (&[decoded, crc32], good.clone(), malformed),
        (&[decoded], trailed(&crc), malformed),
        (&[decoded], good[..good.len() - 2].to_vec(), malformed),
        (&[decoded], [&good[..], b"x"].concat(), malformed),
        (&[("x-amz-decoded-content-length", "149999")], good.clone(), malformed),
        (&[("x-amz-decoded-content-length", "150001")], good.clone(), malformed),
        (&[decoded], content.clone(), malformed),
        // The store checks what headers say.
        (&[decoded, ("x-amz-checksum-sha256", &sha)], good.clone(), "400 XAmzContentChecksumMismatch"),
        (&[decoded, ("Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA==")], good.clone(), "400 BadDigest"),
        (&[("x-amz-checksum-sha256", &sha)], content.clone(), "400 XAmzContentChecksumMismatch"),
    ];
    for (number, (headers, body, expected)) in cases.iter().enumerate() {
        let key = format!("inbox/{number}");
        let answer = world.ask("all", "PUT", &format!("/tmp/{key}"), headers, body);
        assert_eq!(outcome(&answer), *expected, "{headers:?}: {}", answer.text());
        assert!(!exists(&world, &key), "{headers:?}");
    }
    let headers = [decoded, crc32, ("Content-MD5", &md5)];
    assert_eq!(outcome(&world.ask("all", "PUT", "/tmp/inbox/good", &headers, &trailed(&crc))), "200");
}

/// As boto3 does it: the algorithm in the creation of the upload, checksums after each part and in the completion.
#[test]
fn parts_keep_their_trailing_checksums() {
    let world = World::start(&[corner("all", ALL)]);
    let parts = [content(5 * 1024 * 1024 + 1), content(77)];
    for algorithm in TRAILERS {
        let declared = [("x-amz-checksum-algorithm", algorithm.name())];
        let created = world.ask("all", "POST", "/tmp/inbox/parts?uploads", &declared, b"");
        let upload = created.element("UploadId").unwrap();
        let mut list = String::new();
        for (index, part) in parts.iter().enumerate() {
            let length = part.len().to_string();
            let headers = [
                ("x-amz-content-sha256", UNSIGNED_TRAILER),
                ("Content-Encoding", "aws-chunked"),
                ("x-amz-decoded-content-length", &*length),
                ("x-amz-trailer", algorithm.header()),
                ("Transfer-Encoding", "chunked"),
            ];
            let target = format!("/tmp/inbox/parts?partNumber={}&uploadId={upload}", index + 1);
            let wrong = chunked(&envelope(part, false, Some((algorithm, &sum(algorithm, b"another")))));
            assert_eq!(
                outcome(&world.ask("all", "PUT", &target, &headers, &wrong)),
                "400 XAmzContentChecksumMismatch checksum-mismatch"
            );
            let sum = sum(algorithm, part);
            let body = chunked(&envelope(part, false, Some((algorithm, &sum))));
            let answer = world.ask("all", "PUT", &target, &headers, &body);
            assert_eq!(answer.status(), 200, "{}", answer.text());
            assert_eq!(answer.header(algorithm.header()), Some(&*sum));
            let (etag, name) = (answer.header("etag").unwrap(), element(algorithm));
            let _ = write!(
                list,
                "<Part><PartNumber>{}</PartNumber><ETag>{etag}</ETag><{name}>{sum}</{name}></Part>",
                index + 1
            );
        }
        let list = format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>");
        let done =
            world.ask("all", "POST", &format!("/tmp/inbox/parts?uploadId={upload}"), &[], list.as_bytes());
        assert_eq!((done.status(), done.element("Code")), (200, None), "{algorithm:?}: {}", done.text());
        assert!(world.get("all", "/tmp/inbox/parts").body == parts.concat());
    }
    assert_eq!(unfinished(&world.minio), 0);
}

/// A client that sends `Expect` is refused before it sends anything, in every form. Only conditions are judged later:
/// the store locks the key while it judges one, so it is asked when the body is complete.
#[test]
fn refusals_come_before_the_body() {
    let world = World::start(&[corner("all", ALL)]);
    world.minio.put("tmp/inbox/there", b"there");
    let forms: [&[(&str, &str)]; 4] = [
        &[("Content-Length", "5")],
        &[("x-amz-decoded-content-length", "5"), ("x-amz-content-sha256", SIGNED), ("Content-Length", "300")],
        &[
            ("x-amz-decoded-content-length", "5"),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
            ("Transfer-Encoding", "chunked"),
        ],
        &[("Transfer-Encoding", "chunked")],
    ];
    for form in forms {
        for (target, status) in [("/tmp/other/a", 403), ("/tmp/inbox/there", 100), ("/tmp/inbox/new", 100)] {
            let mut headers = vec![("Expect", "100-continue"), ("If-None-Match", "*")];
            headers.extend_from_slice(form);
            let mut connection = Connection::open(world.proxy.address("all")).unwrap();
            connection.send(&request_bytes("PUT", target, &headers, b"")).unwrap();
            let head = connection.read_head().unwrap();
            assert_eq!(head.status, status, "{target} {headers:?}");
        }
    }
}
