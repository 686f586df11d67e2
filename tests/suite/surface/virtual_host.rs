//! Buckets as host names below a listener's domain.

use super::elements;
use crate::support::http;
use crate::support::minio::Minio;
use crate::support::world::{self, config, corner, outcome};

#[test]
fn a_bucket_in_host_is_checked_like_one_in_the_path() {
    let (minio, issuer) = Minio::start_seeded();
    let scopes = [("tmp", "media/", "read,list,write,delete"), ("other-bucket", "deep/", "read,list@/pub/")];
    let config = config(minio.address, minio.address, &[corner("client", &scopes)], "")
        .replace("name = \"client\"\naddress", "name = \"client\"\ndomain = \"s3.example.test\"\naddress");
    minio.mc(&["mb", "local/other-bucket"]);
    minio.put("other-bucket/deep/a", b"mounted");
    let proxy = world::start(&config, &issuer);
    let ask = |host: &str, method: &str, target: &str, body: &[u8]| {
        http::request(proxy.address("client"), method, target, &[("Host", host)], body).unwrap()
    };
    let host = "tmp.s3.example.test";
    assert_eq!(ask(host, "GET", "/media/hello.txt", b"").text(), "hello, media\n");
    assert_eq!(ask("TMP.S3.Example.Test:8080", "GET", "/media/hello.txt", b"").text(), "hello, media\n");
    assert_eq!(ask("s3.example.test", "GET", "/tmp/media/hello.txt", b"").text(), "hello, media\n");
    assert_eq!(ask(host, "PUT", "/media/new", b"new").status(), 200);
    let listed = ask(host, "GET", "/?list-type=2&prefix=media/", b"");
    assert_eq!(elements(&listed, "Key"), ["media/hello.txt", "media/new"]);
    let delete = b"<Delete><Object><Key>media/new</Key></Object></Delete>";
    assert_eq!(elements(&ask(host, "POST", "/?delete", delete), "Deleted").len(), 1);
    assert_eq!(ask(host, "HEAD", "/", b"").status(), 200);
    // A mount of one segment works like a bucket. The bucket behind it does not exist for the client.
    assert_eq!(ask("pub.s3.example.test", "GET", "/a", b"").text(), "mounted");
    for (host, target, expected) in [
        (host, "/other/secret.txt", "403 AccessDenied outside-scope"),
        (host, "/media/../other/secret.txt", "400 InvalidURI bad-target"),
        (host, "/?prefix=other/", "403 AccessDenied outside-scope"),
        ("elsewhere.s3.example.test", "/media/hello.txt", "403 AccessDenied outside-scope"),
        ("other-bucket.s3.example.test", "/deep/a", "403 AccessDenied outside-scope"),
        ("minio.s3.example.test", "/health/live", "403 AccessDenied outside-scope"),
        ("x.s3.example.test", "/a", "400 InvalidRequest bad-host"),
    ] {
        assert_eq!(outcome(&ask(host, "GET", target, b"")), expected, "{host} {target}");
    }
    let buckets = ask("s3.example.test", "GET", "/", b"");
    assert_eq!(elements(&buckets, "Name"), ["pub", "tmp"]);
}
