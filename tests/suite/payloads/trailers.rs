//! The store never gets a trailer. If a connection breaks inside one, MinIO appends zeros to it until it runs out of
//! memory (see `minio_facts`).

use super::{ALL, content, envelope, exists, sum};
use crate::support::faults::{Cut, Relay, Way};
use crate::support::http;
use crate::support::minio::Minio;
use crate::support::world::{self, World, config, corner, outcome};
use scopegate::internals::Algorithm;

const LIMITS: &str = "[limits]\nstall_timeout = \"2s\"\nresponse_timeout = \"2s\"\nworkers = 1\n";
/// More bytes than the last chunk, the trailer and its signature.
const END: u64 = 300;

/// Breaks the connection to the store at every byte of the end of an upload with a trailing checksum.
#[test]
fn a_connection_that_breaks_anywhere_does_not_harm_the_store() {
    let (minio, issuer) = Minio::start_seeded();
    let relay = Relay::start(minio.address);
    let config = config(relay.address(), minio.address, &[corner("all", ALL)], LIMITS);
    let world = World { proxy: world::start(&config, &issuer), minio, issuer };
    let content = content(1000);
    let crc = sum(Algorithm::Crc32, &content);
    for signed in [false, true] {
        let mode = if signed {
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
        } else {
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
        };
        let body = envelope(&content, signed, Some((Algorithm::Crc32, &crc)));
        let headers = [
            ("x-amz-content-sha256", mode),
            ("x-amz-decoded-content-length", "1000"),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
        ];
        let put = |key: &str| {
            http::request(world.proxy.address("all"), "PUT", &format!("/tmp/inbox/{key}"), &headers, &body)
                .unwrap()
        };
        assert_eq!(outcome(&put("0000")), "200", "opens the first connection and mints the session");
        let before = relay.up();
        assert_eq!(outcome(&put("0000")), "200");
        let length = relay.up() - before;
        assert!(length > 1000 + END, "{length}");
        let memory = world.minio.memory();
        for at in length - END..length {
            let key = format!("{at:04}");
            relay.cut(Some((Way::Up, at, Cut::Reset)));
            let cut = put(&key);
            relay.cut(None);
            assert_ne!(cut.status(), 200, "{at} of {length}");
            assert!(!exists(&world, &format!("inbox/{key}")), "{at} of {length}");
            let grown = world.minio.memory().saturating_sub(memory);
            assert!(grown < 200 << 20, "broken at {at} of {length}, MinIO took {grown} bytes");
        }
        assert!(world.minio.is_at_rest(), "MinIO is still at it");
        let grown = world.minio.memory().saturating_sub(memory);
        assert!(grown < 200 << 20, "MinIO took {grown} bytes");
    }
}

/// Parts with trailing checksums that do not fit into memory are spooled. Objects are cut into parts if their
/// checksum can be computed from the parts' checksums.
#[test]
fn large_bodies_keep_their_trailing_checksums() {
    let world = World::start(&[corner("all", ALL)]);
    let content = content(20_000_000);
    for algorithm in [Algorithm::Crc64Nvme, Algorithm::Sha256] {
        let sum = sum(algorithm, &content);
        let body = envelope(&content, false, Some((algorithm, &sum)));
        let headers = [("x-amz-decoded-content-length", "20000000"), ("x-amz-trailer", algorithm.header())];
        let put = world.ask("all", "PUT", "/tmp/inbox/a", &headers, &body);
        assert_eq!(outcome(&put), "200", "{}", put.text());
        assert_eq!(put.header(algorithm.header()), Some(&*sum));
        let got = world.ask("all", "GET", "/tmp/inbox/a", &[("x-amz-checksum-mode", "ENABLED")], b"");
        assert!(got.body == content && got.header(algorithm.header()) == Some(&*sum), "{:?}", got.head);

        let declared = [("x-amz-checksum-algorithm", algorithm.name())];
        let created = world.ask("all", "POST", "/tmp/inbox/b?uploads", &declared, b"");
        let upload = created.element("UploadId").unwrap();
        let target = format!("/tmp/inbox/b?partNumber=1&uploadId={upload}");
        let part = world.ask("all", "PUT", &target, &headers, &body);
        assert_eq!(outcome(&part), "200", "{}", part.text());
        let (etag, name) = (part.header("etag").unwrap(), format!("Checksum{}", algorithm.name()));
        let list = format!(
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag><{name}>{sum}</{name}></Part>\
             </CompleteMultipartUpload>"
        );
        let done = world.ask("all", "POST", &format!("/tmp/inbox/b?uploadId={upload}"), &[], list.as_bytes());
        assert_eq!((done.status(), done.element("Code")), (200, None), "{}", done.text());
        assert!(world.get("all", "/tmp/inbox/b").body == content);
    }
    assert_eq!(super::unfinished(&world.minio), 0);
}
