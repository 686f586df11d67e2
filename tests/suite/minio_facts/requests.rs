//! Effects of a request that its method and path do not show.

use crate::support::{
    http::{self, Connection, request_bytes},
    keys::Keys,
    minio::Minio,
    sigv4::{Request, borrowed, direct, signed},
    sts::scoped,
};

use super::{allowing, outcome};

fn session(minio: &Minio, issuer: &Keys, actions: &[&str]) -> Keys {
    scoped(minio, issuer, &allowing(actions, &["tmp/media/*"]))
}

#[test]
fn headers_and_parameters_with_side_effects() {
    let (minio, issuer) = Minio::start_seeded();
    for number in 0..3 {
        minio.put(&format!("tmp/media/many/{number}"), b"x");
    }
    let reader = session(&minio, &issuer, &["s3:GetObject"]);
    let get = |target: &str| direct(&minio, &reader, "GET", target, &[], b"");

    // For a subresource that MinIO does not support on objects, it returns the object.
    for unknown in ["policy", "cors"] {
        assert_eq!(get(&format!("/tmp/media/hello.txt?{unknown}=")).text(), "hello, media\n", "{unknown}");
    }

    // A query parameter becomes metadata.
    let writer = session(&minio, &issuer, &["s3:PutObject"]);
    let target = "/tmp/media/meta?x-amz-meta-foo=bar";
    assert_eq!(outcome(&direct(&minio, &writer, "PUT", target, &[], b"x")), "200");
    assert_eq!(get("/tmp/media/meta").header("x-amz-meta-foo"), Some("bar"));

    // One DELETE removes everything below a prefix, with DeleteObject alone.
    let deleter = session(&minio, &issuer, &["s3:DeleteObject"]);
    let force = [("x-minio-force-delete", "true")];
    assert_eq!(outcome(&direct(&minio, &deleter, "DELETE", "/tmp/media/many/", &force, b"")), "204");
    let listed = direct(&minio, &minio.root, "GET", "/tmp?prefix=media%2Fmany", &[], b"");
    assert!(!listed.text().contains("<Key>"), "{}", listed.text());

    // Anyone gets an answer to a CORS preflight.
    let origin = [("Origin", "http://elsewhere.test"), ("Access-Control-Request-Method", "PUT")];
    let preflight = http::request(minio.address, "OPTIONS", "/tmp/other/secret.txt", &origin, b"").unwrap();
    assert_eq!(outcome(&preflight), "204");
    assert_eq!(preflight.header("access-control-allow-methods"), Some("PUT"));
    let plain = http::request(minio.address, "OPTIONS", "/tmp/other/secret.txt", &[], b"").unwrap();
    assert_eq!(outcome(&plain), "200");
    let answer = http::request(minio.address, "GET", "/tmp/other/secret.txt", &origin, b"").unwrap();
    assert_eq!(outcome(&answer), "403 AccessDenied");
    assert_eq!(answer.header("access-control-allow-origin"), Some("http://elsewhere.test"));
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
}

/// `mc alias set` asks for a bucket with HEAD, and accepts every secret where the response does not say what is wrong.
#[test]
fn a_refused_head_names_its_error() {
    let minio = Minio::start();
    let wrong = Keys { secret_key: "another".to_owned(), ..minio.root.clone() };
    let ask = |method| direct(&minio, &wrong, method, "/tmp", &[], b"");
    let (head, get) = (ask("HEAD"), ask("GET"));
    assert_eq!((head.status(), head.header("x-minio-error-code")), (403, Some("SignatureDoesNotMatch")));
    let message = get.element("Message").unwrap();
    assert_eq!(head.header("x-minio-error-desc"), Some(&*format!("\"{message}\"")));
    assert_eq!(get.header("x-minio-error-code"), None);
}

/// MinIO uses an upload id as a path. Neither IAM nor a session policy checks it.
#[test]
fn an_upload_id_leads_to_any_object() {
    let (minio, issuer) = Minio::start_seeded();
    minio.put("tmp/other/secret.txt", b"secret");
    let rights = ["s3:PutObject", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload"];
    let writer = session(&minio, &issuer, &rights);
    // The base64 of `x.../../../tmp/other/secret.txt`, and of the same with a missing name.
    let elsewhere = "eC4uLi8uLi8uLi90bXAvb3RoZXIvc2VjcmV0LnR4dA";
    let nothing = "eC4uLi8uLi8uLi90bXAvb3RoZXIvbm90aGluZw";
    let list = |id: &str| direct(&minio, &writer, "GET", &format!("/tmp/media/a?uploadId={id}"), &[], b"");
    assert_eq!(outcome(&list(elsewhere)), "200");
    assert_eq!(outcome(&list(nothing)), "404 NoSuchUpload");
}

#[test]
fn a_refusal_comes_before_the_body() {
    let (minio, issuer) = Minio::start_seeded();
    let writer = session(&minio, &issuer, &["s3:PutObject"]);
    let body = vec![b'x'; 1 << 20];
    let host = minio.address.to_string();
    let announce = |target: &str| {
        let signed =
            signed(&writer, "s3", &Request { method: "PUT", host: &host, target, headers: &[], body: &body });
        let length = body.len().to_string();
        let mut headers = borrowed(&signed);
        headers.extend([("Content-Length", length.as_str()), ("Expect", "100-continue")]);
        let mut connection = Connection::open(minio.address).unwrap();
        connection.send(&request_bytes("PUT", target, &headers, b"")).unwrap();
        connection
    };

    let mut refused = announce("/tmp/other/new");
    assert_eq!(refused.read_head().unwrap().status, 403);

    let mut allowed = announce("/tmp/media/new");
    assert_eq!(allowed.read_head().unwrap().status, 100);
    allowed.send(&body).unwrap();
    assert_eq!(allowed.read_response("PUT").unwrap().status(), 200);

    // MinIO accepts no upload without a length.
    let unsized_put = signed(
        &writer,
        "s3",
        &Request { method: "PUT", host: &host, target: "/tmp/media/new", headers: &[], body: b"" },
    );
    let mut headers = borrowed(&unsized_put);
    headers.push(("Transfer-Encoding", "chunked"));
    let answer = http::request(minio.address, "PUT", "/tmp/media/new", &headers, b"0\r\n\r\n").unwrap();
    assert_eq!(outcome(&answer), "411 MissingContentLength");
}
