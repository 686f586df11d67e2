//! The session of each kind alone: it can do the operations that it signs in its scopes, and nothing else.

use crate::support::keys::Keys;
use crate::support::minio::Minio;
use crate::support::sigv4::direct;
use crate::support::sts;
use crate::support::world::outcome;
use aws_smithy_types::base64;
use scopegate::internals::{BucketName, Prefix, Right, Scope, SessionKind, SessionPolicy, TABLE};
use sha2::{Digest, Sha256};

const TAGS: &[u8] = b"<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>";
const PARTS: &[u8] = b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\"a\"</ETag></Part>\
    </CompleteMultipartUpload>";

/// An operation with its method, its target, a header and its body. `KEY` is a key, and `PREFIX` its prefix.
type Asked = (&'static str, &'static str, &'static str, Option<(&'static str, &'static str)>, &'static [u8]);

const COPY: Option<(&str, &str)> = Some(("x-amz-copy-source", "/tmp/KEY"));

/// A request for each operation that reaches the store.
const OPERATIONS: [Asked; 23] = [
    ("GetObject", "GET", "/tmp/KEY", None, b""),
    ("HeadObject", "HEAD", "/tmp/KEY", None, b""),
    ("ListObjects", "GET", "/tmp/?prefix=PREFIX", None, b""),
    ("ListObjectsV2", "GET", "/tmp/?list-type=2&prefix=PREFIX", None, b""),
    ("ListObjectVersions", "GET", "/tmp/?prefix=PREFIX&versions=", None, b""),
    ("HeadBucket", "HEAD", "/BUCKET", None, b""),
    ("GetBucketLocation", "GET", "/BUCKET/?location=", None, b""),
    ("PutObject", "PUT", "/tmp/KEY", None, b"new"),
    ("CreateMultipartUpload", "POST", "/tmp/KEY?uploads=", None, b""),
    ("UploadPart", "PUT", "/tmp/KEY?partNumber=1&uploadId=x", None, b"part"),
    ("CompleteMultipartUpload", "POST", "/tmp/KEY?uploadId=x", None, PARTS),
    // A session for writes is tried with this.
    ("CompleteMultipartUpload", "POST", "/tmp/KEY?uploadId=x", None, b""),
    ("CopyObject", "PUT", "/tmp/KEY-copy", COPY, b""),
    ("UploadPartCopy", "PUT", "/tmp/KEY?partNumber=1&uploadId=x", COPY, b""),
    ("GetObjectAttributes", "GET", "/tmp/KEY?attributes=", Some(("x-amz-object-attributes", "ETag")), b""),
    ("PutObjectTagging", "PUT", "/tmp/KEY?tagging=", None, TAGS),
    ("GetObjectTagging", "GET", "/tmp/KEY?tagging=", None, b""),
    ("DeleteObjectTagging", "DELETE", "/tmp/KEY?tagging=", None, b""),
    ("ListParts", "GET", "/tmp/KEY?uploadId=x", None, b""),
    ("AbortMultipartUpload", "DELETE", "/tmp/KEY?uploadId=x", None, b""),
    ("ListMultipartUploads", "GET", "/BUCKET/?uploads=", None, b""),
    ("DeleteObjects", "POST", "/tmp/?delete=", None, b"<Delete><Object><Key>KEY</Key></Object></Delete>"),
    ("DeleteObject", "DELETE", "/tmp/KEY", None, b""),
];

/// A place: a bucket, a key there, and the prefix of the key.
type Place = (&'static str, &'static str, &'static str);

fn scope() -> Scope {
    let rights = Right::ALL.into_iter().collect();
    Scope::new(BucketName::parse("tmp").unwrap(), Prefix::parse("media/").unwrap(), rights)
}

fn session(minio: &Minio, issuer: &Keys, kind: SessionKind) -> Keys {
    let policy = SessionPolicy::of(kind, &[scope()]).unwrap();
    sts::scoped(minio, issuer, policy.json())
}

/// Sends a request with a session's keys. Returns whether the store denies it, and its response.
fn ask(
    minio: &Minio,
    session: &Keys,
    (_, method, target, header, body): Asked,
    place: Place,
) -> (bool, String) {
    let (bucket, key, prefix) = place;
    let put = |text: &str| text.replace("BUCKET", bucket).replace("KEY", key).replace("PREFIX", prefix);
    let header = header.map(|(name, value)| (name, put(value)));
    let mut headers: Vec<(&str, &str)> = header.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let body = put(std::str::from_utf8(body).unwrap());
    let digest = base64::encode(Sha256::digest(&body));
    if target.contains("delete=") {
        headers.push(("x-amz-checksum-sha256", &digest));
    }
    let answer = direct(minio, session, method, &put(target), &headers, body.as_bytes());
    // A multi-object delete reports a denial of each key in its result.
    (answer.status() == 403 || answer.text().contains("<Code>AccessDenied</Code>"), outcome(&answer))
}

/// Returns the kind of session that signs an operation.
fn kind_of(operation: &str) -> SessionKind {
    TABLE.iter().find(|row| row.operation.name() == operation).unwrap().session
}

/// Returns whether a session of this kind can do an operation that another kind signs, because its own operations need
/// the same rights: a copy is a read and a write, and MinIO wants the right to read an object for its attributes.
fn can_also(kind: SessionKind, of_row: SessionKind) -> bool {
    use SessionKind as K;
    match kind {
        K::All => of_row != K::Uploads,
        K::Copy => matches!(of_row, K::Get | K::Put),
        K::Other | K::Versions => of_row == K::Get,
        // To MinIO, the right to list includes the right to list versions.
        K::List => of_row == K::Versions,
        _ => false,
    }
}

fn can(kind: SessionKind, operation: &str) -> bool {
    let of_row = kind_of(operation);
    kind == of_row || can_also(kind, of_row)
}

#[test]
fn the_session_of_each_kind_alone_can_do_its_operations_and_no_other() {
    let (minio, issuer) = &Minio::start_seeded();
    for operation in TABLE.iter().map(|row| row.operation.name()).filter(|name| *name != "ListBuckets") {
        assert!(OPERATIONS.iter().any(|(asked, ..)| *asked == operation), "{operation} is not asked for");
    }
    for kind in SessionKind::ALL {
        let session = session(minio, issuer, kind);
        for asked in OPERATIONS {
            minio.put("tmp/media/a", b"a");
            let (is_denied, outcome) = ask(minio, &session, asked, ("tmp", "media/a", "media%2F"));
            assert_eq!(is_denied, !can(kind, asked.0), "{kind}: {}: {outcome}", asked.0);
        }
    }
}

#[test]
fn the_session_of_each_kind_alone_can_do_nothing_outside_the_scope() {
    let (minio, issuer) = &Minio::start_seeded();
    minio.mc(&["mb", "local/zoo"]);
    for key in ["tmp/media/a", "tmp/other/a", "tmp/media-private/a", "zoo/media/a"] {
        minio.put(key, b"a");
    }
    for kind in SessionKind::ALL {
        let session = session(minio, issuer, kind);
        for place in [
            ("zoo", "other/a", "other%2F"),
            ("zoo", "media-private/a", "media-private%2F"),
            ("zoo", "other/a", ""),
        ] {
            for asked in OPERATIONS {
                let (is_denied, outcome) = ask(minio, &session, asked, place);
                assert!(is_denied, "{kind}: {} of {place:?}: {outcome}", asked.0);
            }
        }
        // The scope holds one side of the copy only.
        for (source, target) in [("/tmp/other/a", "/tmp/media/b"), ("/tmp/media/a", "/tmp/other/b")] {
            let headers = [("x-amz-copy-source", source)];
            let answer = direct(minio, &session, "PUT", target, &headers, b"");
            assert_eq!(answer.status(), 403, "{kind}: {source} to {target}: {}", outcome(&answer));
        }
        // A session cannot mint another session.
        assert!(sts::assume_role(minio, &session, None).is_err(), "{kind}");
    }
}
