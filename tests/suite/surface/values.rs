//! Values to which MinIO gives a meaning that S3 does not, and how they are forwarded.

use super::elements;
use crate::support::world::{World, corner, outcome};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

const ALL: &[(&str, &str, &str)] = &[("tmp", "inbox/", "read,list,write,delete")];
const MOUNTED: &[(&str, &str, &str)] = &[("tmp", "inbox/", "read,list,write,delete@/files/")];

type Headers<'a> = &'a [(&'a str, &'a str)];

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// MinIO builds and keeps a list of the whole prefix for each position that has its note.
#[test]
fn paging_keeps_no_list_in_the_store() {
    let world = World::start(&[corner("all", ALL), corner("files", MOUNTED)]);
    for number in 0..7 {
        assert_eq!(world.ask("all", "PUT", &format!("/tmp/inbox/k{number}"), &[], b"x").status(), 200);
    }
    let before = world.minio.kept_lists("tmp");
    let lists = [
        ("all", "/tmp?list-type=2&prefix=inbox/", "NextContinuationToken", "continuation-token", "inbox/"),
        ("all", "/tmp?prefix=inbox/&delimiter=/", "NextMarker", "marker", "inbox/"),
        ("files", "/files?list-type=2", "NextContinuationToken", "continuation-token", ""),
        ("files", "/files?delimiter=/&encoding-type=URL", "NextMarker", "marker", ""),
    ];
    for (client, list, next_element, next_name, prefix) in lists {
        let (mut keys, mut next) = (Vec::new(), String::new());
        loop {
            let page = world.get(client, &format!("{list}&max-keys=2{next}"));
            assert_eq!(page.status(), 200, "{list}{next}: {}", page.text());
            keys.extend(elements(&page, "Key"));
            let Some(token) = page.element(next_element) else { break };
            next = format!("&{next_name}={}", encoded(&token.replace("%2F", "/")));
        }
        let all: Vec<String> = (0..7).map(|number| format!("{prefix}k{number}")).collect();
        assert_eq!(keys, all, "{list}");
    }
    // As MinIO itself writes positions.
    for note in
        ["[minio_cache:v2,return:]", "[minio_cache:v2,id:0fb6db5c-2e1f-4a0b-9a40-2f9c1d0e6b7a,p:0,s:0]"]
    {
        let page =
            world.get("all", &format!("/tmp?prefix=inbox/&marker={}", encoded(&format!("inbox/k4{note}"))));
        assert_eq!(elements(&page, "Key"), ["inbox/k5", "inbox/k6"]);
    }
    assert_eq!(world.minio.kept_lists("tmp"), before, "a list was kept in the store");
}

#[test]
fn aborting_one_upload_keeps_the_others() {
    let world = World::start(&[corner("all", ALL)]);
    let create = || world.ask("all", "POST", "/tmp/inbox/up?uploads", &[], b"").element("UploadId").unwrap();
    let (first, second) = (create(), create());
    // The base64url of `x.`, `x..` and `x./`.
    for id in ["eC4", "eC4u", "eC4v"] {
        let answer = world.ask("all", "DELETE", &format!("/tmp/inbox/up?uploadId={id}"), &[], b"");
        assert_eq!(outcome(&answer), "404 NoSuchUpload no-such-upload", "{id}");
    }
    assert_eq!(
        world.ask("all", "DELETE", &format!("/tmp/inbox/up?uploadId={first}"), &[], b"").status(),
        204
    );
    assert_eq!(world.get("all", &format!("/tmp/inbox/up?uploadId={second}")).status(), 200);
}

#[test]
fn conditions_and_ranges_reach_the_store_as_http_defines() {
    let world = World::start(&[corner("all", ALL)]);
    let old = world.ask("all", "PUT", "/tmp/inbox/a", &[], b"old content").header("etag").unwrap().to_owned();
    let new = world.ask("all", "PUT", "/tmp/inbox/a", &[], b"new content").header("etag").unwrap().to_owned();
    let modified = world.get("all", "/tmp/inbox/a").header("last-modified").unwrap().to_owned();
    let (weak, past) = (format!("W/{new}"), "Sat, 01 Jan 2000 00:00:00 GMT");
    let range = ("Range", "bytes=4-");
    let cases: [(Headers<'_>, u16, &str); 15] = [
        (&[range, ("If-Range", &new)], 206, "content"),
        (&[range, ("If-Range", &old)], 200, "new content"),
        (&[range, ("If-Range", &weak)], 200, "new content"),
        (&[range, ("If-Range", &modified)], 206, "content"),
        (&[range, ("If-Range", past)], 200, "new content"),
        (&[range, ("If-Range", "yesterday")], 200, "new content"),
        (&[range, ("If-Range", &new), ("If-Match", &old)], 412, ""),
        (&[("If-Range", &old)], 200, "new content"),
        (&[("Range", "bytes=0-1,4-5")], 200, "new content"),
        (&[("Range", "lines=0-1")], 200, "new content"),
        (&[("Range", "bytes=4-18446744073709551615")], 206, "content"),
        (&[("If-None-Match", &weak)], 304, ""),
        (&[("If-None-Match", "\"an:other\"")], 200, "new content"),
        (&[("If-Modified-Since", "not a date")], 200, "new content"),
        (&[("If-Match", &new)], 200, "new content"),
    ];
    for (headers, status, content) in cases {
        let answer = world.ask("all", "GET", "/tmp/inbox/a", headers, b"");
        assert_eq!(answer.status(), status, "{headers:?}: {}", answer.text());
        assert!(status >= 300 || answer.text() == content, "{headers:?}: {}", answer.text());
    }
    let put = |header| outcome(&world.ask("all", "PUT", "/tmp/inbox/a", &[header], b"part"));
    assert_eq!(put(("Content-Range", "bytes 4-7/8")), "400 InvalidArgument bad-argument");
    assert_eq!(put(("If-Unmodified-Since", past)), "501 NotImplemented condition");
    assert_eq!(world.get("all", "/tmp/inbox/a").text(), "new content", "nothing was written");
}

/// SDKs, CDNs and pages add headers and parameters that mean nothing to S3.
#[test]
fn unknown_headers_and_parameters_are_left_out() {
    let world = World::start(&[corner("all", ALL)]);
    let ask = |method: &str, target: &str, headers: Headers<'_>, body: &[u8]| {
        world.ask("all", method, target, headers, body)
    };
    let of_sdks = [("x-amz-te", "append-md5"), ("x-amz-cf-id", "x"), ("x-amzn-trace-id", "Root=1")];
    assert_eq!(ask("PUT", "/tmp/inbox/a", &of_sdks, b"content").status(), 200);
    assert_eq!(ask("GET", "/tmp/inbox/a", &of_sdks, b"").text(), "content");
    for query in ["v=80d5e7a1", "utm_source=x&utm_medium=y", "service=git-upload-pack", "wat"] {
        assert_eq!(ask("GET", &format!("/tmp/inbox/a?{query}"), &[], b"").text(), "content", "{query}");
    }
    // As SDKs presign: headers are in the query, and the checksum is that of an empty body.
    let signed = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a&X-Amz-Date=20200101T000000Z&X-Amz-Expires=9\
                  &X-Amz-SignedHeaders=host&X-Amz-Signature=00";
    let put = "x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32&x-id=PutObject&x-amz-meta-a=b\
               &x-amz-tagging=c%3Dd&X-Amz-Acl=private";
    assert_eq!(ask("PUT", &format!("/tmp/inbox/b?{signed}&{put}"), &[], b"presigned").status(), 200);
    let got = ask("GET", &format!("/tmp/inbox/b?{signed}&x-amz-checksum-mode=ENABLED"), &[], b"");
    assert_eq!((got.text(), got.header("x-amz-meta-a")), ("presigned".to_owned(), Some("b")));
    assert_eq!(elements(&ask("GET", "/tmp/inbox/b?tagging", &[], b""), "Key"), ["c"]);
    // The older JavaScript SDK puts these into the query, too.
    let older = "AWSAccessKeyId=any&Signature=any&Expires=1";
    let put = "Content-Type=text%2Fcsv&Cache-Control=no-store&Content-MD5=hBotaJrYa9FhFEdFPCLG%2FA%3D%3D";
    for signed in [signed, older] {
        assert_eq!(ask("PUT", &format!("/tmp/inbox/c?{signed}&{put}"), &[], b"body").status(), 200);
        assert_eq!(
            outcome(&ask("PUT", &format!("/tmp/inbox/c?{signed}&{put}"), &[], b"other")),
            "400 BadDigest"
        );
        let got = ask("GET", &format!("/tmp/inbox/c?{signed}&Range=bytes%3D1-2"), &[], b"");
        assert_eq!((got.status(), got.text()), (206, "od".to_owned()));
        assert_eq!(
            (got.header("content-type"), got.header("cache-control")),
            (Some("text/csv"), Some("no-store"))
        );
        let changed = ask("GET", &format!("/tmp/inbox/c?{signed}&If-Match=%22x%22"), &[], b"");
        assert_eq!(outcome(&changed), "412 PreconditionFailed");
    }
    for (query, expected) in [
        ("x-amz-server-side-encryption=AES256", "400 InvalidRequest unknown-header"),
        ("x-amz-object-lock-mode=GOVERNANCE", "400 InvalidRequest unknown-header"),
        ("x-amz-meta-snowball-auto-extract=true", "403 AccessDenied forbidden-header"),
        ("x-amz-copy-source=%2Ftmp%2Fother%2Fsecret.txt", "403 AccessDenied copy-source"),
        ("x-minio-extract=true", "400 InvalidArgument unknown-query"),
    ] {
        let answer = ask("PUT", &format!("/tmp/inbox/b?{signed}&{query}"), &[], b"");
        assert_eq!(outcome(&answer), expected, "{query}");
    }
}

#[test]
fn tags_of_a_copy_come_from_its_source_or_are_checked() {
    let world = World::start(&[corner("all", ALL)]);
    let put = |target: &str, headers: &[(&str, &str)]| world.ask("all", "PUT", target, headers, b"");
    assert_eq!(put("/tmp/inbox/src", &[("x-amz-tagging", "a=b")]).status(), 200);
    let many = (0..60).map(|number| format!("k{number}=v")).collect::<Vec<_>>().join("&");
    let copy = |headers: &[(&'static str, &str)]| {
        let mut all = vec![("x-amz-copy-source", "/tmp/inbox/src"), ("x-amz-metadata-directive", "REPLACE")];
        all.extend(headers);
        put("/tmp/inbox/dst", &all)
    };
    let tags = || elements(&world.get("all", "/tmp/inbox/dst?tagging"), "Key").join(",");
    assert_eq!(outcome(&copy(&[("x-amz-tagging", &many)])), "400 InvalidTag invalid-tag");
    assert_eq!(copy(&[("x-amz-tagging", "c=d")]).status(), 200);
    assert_eq!(tags(), "a", "without a directive the tags are the source's");
    assert_eq!(copy(&[("x-amz-tagging", "c=d+e"), ("x-amz-tagging-directive", "REPLACE")]).status(), 200);
    assert_eq!(tags(), "c");
}

/// MinIO keeps no versions of keys that end with a slash, so content there could be lost for good.
#[test]
fn a_key_that_ends_in_a_slash_is_an_empty_folder() {
    let versions: &[(&str, &str, &str)] = &[("tmp", "inbox/", "read,write,versions")];
    let world = World::start(&[corner("all", ALL), corner("versions", versions)]);
    let put = |client: &str, headers: &[(&str, &str)], body: &[u8]| {
        outcome(&world.ask(client, "PUT", "/tmp/inbox/folder/", headers, body))
    };
    assert_eq!(put("all", &[], b""), "200");
    assert_eq!(put("all", &[], b"content"), "400 InvalidArgument bad-argument");
    let copied = [("x-amz-copy-source", "/tmp/inbox/folder/")];
    assert_eq!(world.ask("all", "PUT", "/tmp/inbox/renamed/", &copied, b"").status(), 200);
    assert_eq!(world.ask("all", "PUT", "/tmp/inbox/a", &[], b"content").status(), 200);
    assert_eq!(put("all", &[("x-amz-copy-source", "/tmp/inbox/a")], b""), "400 InvalidArgument bad-argument");
    assert_eq!(put("versions", &[], b"content"), "200");
}
