//! Policy actions that operations on objects need.

use crate::support::{http::Response, keys::Keys, minio::Minio, sigv4::direct, sts::scoped};

use super::{allowing, outcome};

const HELLO: &str = "/tmp/media/hello.txt";

struct Case<'a> {
    actions: &'a [&'a str],
    method: &'a str,
    target: &'a str,
    headers: &'a [(&'a str, &'a str)],
    body: &'a [u8],
    expected: &'a str,
}

fn case<'a>(actions: &'a [&'a str], method: &'a str, target: &'a str, expected: &'a str) -> Case<'a> {
    Case { actions, method, target, headers: &[], body: b"", expected }
}

/// Sends each request with its own session and compares the outcome.
fn check(minio: &Minio, issuer: &Keys, cases: &[Case<'_>]) {
    let differences: Vec<String> = cases
        .iter()
        .filter_map(|Case { actions, method, target, headers, body, expected }| {
            let keys = scoped(minio, issuer, &allowing(actions, &["tmp/media/*"]));
            let answer = direct(minio, &keys, method, target, headers, body);
            let got = outcome(&answer);
            (got != *expected).then(|| format!("{actions:?} {method} {target}: {got}, not {expected}"))
        })
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

const DENIED: &str = "403 AccessDenied";

#[test]
fn objects_tags_copies_and_attributes() {
    let (minio, issuer) = Minio::start_seeded();
    let tagging = &format!("{HELLO}?tagging");
    let attributes = &format!("{HELLO}?attributes");
    let asked: &[(&str, &str)] = &[("x-amz-object-attributes", "ETag,ObjectSize")];
    let copy_in: &[(&str, &str)] = &[("x-amz-copy-source", "tmp/media/hello.txt")];
    let copy_out: &[(&str, &str)] = &[("x-amz-copy-source", "tmp/other/secret.txt")];
    let tags = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
    let put =
        |headers| Case { headers, body: b"new", ..case(&["s3:PutObject"], "PUT", "/tmp/media/new", "200") };
    check(
        &minio,
        &issuer,
        &[
            case(&["s3:GetObject"], "GET", HELLO, "200"),
            case(&["s3:GetObject"], "HEAD", HELLO, "200"),
            case(&["s3:GetObject"], "GET", "/tmp/other/secret.txt", DENIED),
            // AWS hides whether a key exists from clients that may not list. MinIO does not.
            case(&["s3:GetObject"], "GET", "/tmp/media/none", "404 NoSuchKey"),
            Case { headers: asked, ..case(&["s3:GetObject"], "GET", attributes, DENIED) },
            Case { headers: asked, ..case(&["s3:GetObjectAttributes"], "GET", attributes, DENIED) },
            Case {
                headers: asked,
                ..case(&["s3:GetObject", "s3:GetObjectAttributes"], "GET", attributes, "200")
            },
            case(&["s3:GetObject"], "GET", tagging, DENIED),
            case(&["s3:GetObjectTagging"], "GET", tagging, "200"),
            Case { body: tags, ..case(&["s3:PutObject"], "PUT", tagging, DENIED) },
            Case { body: tags, ..case(&["s3:PutObjectTagging"], "PUT", tagging, "200") },
            case(&["s3:DeleteObject"], "DELETE", tagging, DENIED),
            case(&["s3:DeleteObjectTagging"], "DELETE", tagging, "204"),
            put(&[]),
            put(&[("x-amz-tagging", "set=with-PutObject-alone")]),
            Case { headers: copy_in, ..case(&["s3:PutObject"], "PUT", "/tmp/media/copy", DENIED) },
            Case {
                headers: copy_in,
                ..case(&["s3:GetObject", "s3:PutObject"], "PUT", "/tmp/media/copy", "200")
            },
            Case {
                headers: copy_out,
                ..case(&["s3:GetObject", "s3:PutObject"], "PUT", "/tmp/media/copy", DENIED)
            },
            case(&["s3:PutObject"], "DELETE", HELLO, DENIED),
            case(&["s3:DeleteObject"], "DELETE", HELLO, "204"),
        ],
    );
}

#[test]
fn multipart_uploads() {
    let (minio, issuer) = Minio::start_seeded();
    let upload =
        |keys: &Keys| -> Response { direct(&minio, keys, "POST", "/tmp/media/large?uploads=", &[], b"") };
    let writer = scoped(&minio, &issuer, &allowing(&["s3:PutObject"], &["tmp/media/*"]));
    let id = upload(&writer).element("UploadId").expect("an upload with PutObject alone");
    let of_id = &format!("/tmp/media/large?uploadId={id}");
    let part = &format!("/tmp/media/large?partNumber=1&uploadId={id}");
    check(
        &minio,
        &issuer,
        &[
            Case { body: b"part", ..case(&["s3:GetObject"], "PUT", part, DENIED) },
            Case { body: b"part", ..case(&["s3:PutObject"], "PUT", part, "200") },
            case(&["s3:PutObject"], "GET", of_id, DENIED),
            case(&["s3:ListMultipartUploadParts"], "GET", of_id, "200"),
            case(&["s3:PutObject", "s3:DeleteObject"], "DELETE", of_id, DENIED),
            case(&["s3:AbortMultipartUpload"], "DELETE", of_id, "204"),
        ],
    );
}
