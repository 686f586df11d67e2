//! Lists of multipart uploads: what each client sees of a bucket that many clients use.

use super::elements;
use crate::support::http::{Connection, Response};
use crate::support::keys::Keys;
use crate::support::minio::ALLOW_ALL;
use crate::support::process::wait_for;
use crate::support::scopegate::scopegate;
use crate::support::sigv4::direct;
use crate::support::world::{World, config, corner, outcome, start};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

const MEDIA: &[(&str, &str, &str)] = &[("tmp", "media/", "list,write")];
const MEDIA2: &[(&str, &str, &str)] = &[("tmp", "media2/", "list,write"), ("tmp", "zoo/", "list,write")];
const MOUNTED: &[(&str, &str, &str)] = &[("tmp", "deep/er/", "list,write@/files/")];
const LIST: &[(&str, &str, &str)] = &[("tmp", "media/", "read,list")];
const WRITE: &[(&str, &str, &str)] = &[("tmp", "media/", "read,write")];

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Creates an upload as root and returns its id.
fn begin(world: &World, key: &str) -> String {
    let target = format!("/tmp/{}?uploads=", encoded(key).replace("%2F", "/").replace("%2D", "-"));
    let answer = direct(&world.minio, &world.minio.root, "POST", &target, &[], b"");
    answer.element("UploadId").unwrap_or_else(|| panic!("{key}: {}", answer.text()))
}

fn keys(answer: &Response) -> Vec<String> {
    assert_eq!(answer.status(), 200, "{}", answer.text());
    elements(answer, "Key")
}

/// Returns the uploads and common prefixes on all pages of a list.
fn paged(world: &World, client: &str, list: &str) -> (Vec<String>, Vec<String>) {
    let (mut uploads, mut groups, mut next) = (Vec::new(), Vec::new(), String::new());
    loop {
        let page = world.get(client, &format!("{list}{next}"));
        let (found, ids) = (keys(&page), elements(&page, "UploadId"));
        uploads.extend(found.iter().zip(ids).map(|(key, id)| format!("{key} {id}")));
        let prefixes = elements(&page, "Prefix");
        groups.extend(prefixes.into_iter().skip(1));
        if page.element("IsTruncated").as_deref() != Some("true") {
            return (uploads, groups);
        }
        let marker = |name: &str| encoded(&page.element(name).unwrap());
        next = format!(
            "&key-marker={}&upload-id-marker={}",
            marker("NextKeyMarker"),
            marker("NextUploadIdMarker")
        );
    }
}

#[test]
fn each_client_sees_only_uploads_of_its_own_scopes() {
    let corners = [corner("media", MEDIA), corner("media2", MEDIA2), corner("files", MOUNTED)];
    let world = World::start(&corners);
    for key in [
        "media/a",
        "media/ü b+c%&<d>",
        "media/f/1",
        "media/f/2",
        "media2/a",
        "media-private/a",
        "other/a",
        "deep/er/x",
        "deep/y",
        "zoo/z",
        "top",
    ] {
        begin(&world, key);
    }
    let seen = |client: &str, target: &str| keys(&world.get(client, target));
    let media = ["media/a", "media/f/1", "media/f/2", "media/ü b+c%&amp;&lt;d&gt;"];
    for target in ["/tmp?uploads", "/tmp/?uploads=&prefix=media/", "/tmp?uploads&prefix=m"] {
        assert_eq!(seen("media", target), media, "{target}");
    }
    assert_eq!(seen("media", "/tmp?uploads&prefix=media/f/1"), ["media/f/1"], "the store is asked twice");
    assert_eq!(seen("media", "/tmp?uploads&encoding-type=url")[3], "media/%C3%BC%20b%2Bc%25%26%3Cd%3E");
    assert_eq!(seen("media2", "/tmp?uploads"), ["media2/a", "zoo/z"]);
    assert_eq!(seen("files", "/files?uploads"), ["x"]);
    let grouped = world.get("media", "/tmp?uploads&delimiter=/&prefix=media/&max-uploads=2");
    assert_eq!(
        (keys(&grouped), elements(&grouped, "Prefix")),
        (vec!["media/a".into()], vec!["media/".into(), "media/f/".into()])
    );
    for (client, target) in [
        ("media", "/tmp?uploads&prefix=media2/"),
        ("media", "/tmp?uploads&prefix=other/"),
        ("media", "/tmp?uploads&prefix=mediaX"),
        ("media2", "/tmp?uploads&prefix=media/"),
        ("files", "/tmp?uploads"),
        ("media", "/zoo?uploads"),
    ] {
        assert_eq!(
            outcome(&world.get(client, target)),
            "403 AccessDenied outside-scope",
            "{client} {target}"
        );
    }
    let mounted = world.get("files", "/files?uploads&prefix=x").text();
    assert!(!mounted.contains("deep") && !mounted.contains("tmp"), "{mounted}");
}

#[test]
fn pages_of_uploads_match_s3() {
    let world = World::start(&[corner("media", MEDIA)]);
    let mut expected = Vec::new();
    for key in ["media/c", "other/x", "media/a", "media/b/2", "media/a", "media/b/1"] {
        expected.push(format!("{key} {}", begin(&world, key)));
    }
    expected.retain(|upload| upload.starts_with("media/"));
    // Uploads of one key keep the order in which they were created.
    expected.sort_by(|one, other| one.split(' ').next().cmp(&other.split(' ').next()));
    for most in [1, 2, 3, 1000] {
        let (uploads, _) = paged(&world, "media", &format!("/tmp?uploads&prefix=media/&max-uploads={most}"));
        assert_eq!(uploads, expected, "{most}");
        let (uploads, groups) =
            paged(&world, "media", &format!("/tmp?uploads&prefix=media/&delimiter=/&max-uploads={most}"));
        assert_eq!((uploads.len(), groups), (3, vec!["media/b/".to_owned()]), "{most}");
    }
    let none = world.get("media", "/tmp?uploads&max-uploads=0");
    assert_eq!((keys(&none).len(), none.element("IsTruncated").as_deref()), (0, Some("false")));
    for (query, expected) in [
        ("max-uploads=x", "400 InvalidArgument bad-argument"),
        ("key-marker=a&upload-id-marker=eC4", "400 InvalidArgument bad-argument"),
        ("key-marker=..%2Fa", "400 InvalidURI bad-target"),
        ("encoding-type=xml", "400 InvalidArgument bad-argument"),
        ("max-keys=1", "400 InvalidArgument unknown-query"),
    ] {
        assert_eq!(outcome(&world.get("media", &format!("/tmp?uploads&{query}"))), expected, "{query}");
    }
}

#[test]
fn a_listed_upload_can_be_resumed_and_aborted() {
    let world = World::start(&[corner("media", MEDIA), corner("files", MOUNTED)]);
    for (client, path, bucket) in [("media", "/tmp/media/large", "/tmp"), ("files", "/files/large", "/files")]
    {
        let ask = |method: &str, target: &str, body: &[u8]| world.ask(client, method, target, &[], body);
        let id = ask("POST", &format!("{path}?uploads"), b"").element("UploadId").unwrap();
        let found = ask("GET", &format!("{bucket}?uploads"), b"").element("UploadId").unwrap();
        assert_eq!(found, id);
        assert_eq!(ask("PUT", &format!("{path}?partNumber=1&uploadId={found}"), b"part").status(), 200);
        assert_eq!(keys(&ask("GET", &format!("{bucket}?uploads"), b"")).len(), 1, "the upload still exists");
        assert_eq!(ask("DELETE", &format!("{path}?uploadId={found}"), b"").status(), 204);
        assert!(keys(&ask("GET", &format!("{bucket}?uploads"), b"")).is_empty());
    }
}

/// A node of MinIO remembers uploads until it restarts. The drives know those of a whole key.
#[test]
fn uploads_of_a_whole_key_are_found_after_a_restart() {
    let mut world = World::start(&[corner("media", MEDIA)]);
    let (first, second) = (begin(&world, "media/registry/data"), begin(&world, "media/registry/data"));
    world.minio.restart();
    let found = world.get("media", "/tmp?uploads&prefix=media/registry/data");
    assert_eq!(elements(&found, "UploadId"), [first.clone(), second.clone()]);
    let rest = format!(
        "/tmp?uploads&prefix=media/registry/data&key-marker=media/registry/data&upload-id-marker={first}"
    );
    assert_eq!(elements(&world.get("media", &rest), "UploadId"), [second]);
    assert!(keys(&world.get("media", "/tmp?uploads")).is_empty(), "MinIO has forgotten them");
}

#[test]
fn a_list_of_uploads_needs_both_rights_and_a_separate_session() {
    let corners = [corner("media", MEDIA), corner("list", LIST), corner("write", WRITE)];
    let world = World::start(&corners);
    for client in ["list", "write"] {
        let refused = world.get(client, "/tmp?uploads&prefix=media/");
        assert_eq!(outcome(&refused), "403 AccessDenied right-not-granted");
    }
    assert_eq!(world.minio.sessions(), 0, "a refusal costs no session");
    assert_eq!(world.get("media", "/tmp?list-type=2&prefix=media/").status(), 200);
    assert_eq!(world.minio.sessions(), 1, "the session for lists of uploads must not exist yet");
    for _ in 0..3 {
        assert_eq!(world.get("media", "/tmp?uploads").status(), 200);
    }
    assert_eq!(world.minio.sessions(), 2);
    // Both sessions end, and both are replaced.
    world.minio.revoke_sessions(&world.issuer.access_key);
    assert_eq!(world.get("media", "/tmp?uploads").status(), 200);
    assert_eq!(world.get("media", "/tmp?list-type=2&prefix=media/").status(), 200);
    let missing = world.minio.mc(&["rb", "--force", "local/tmp"]);
    let gone = world.get("media", "/tmp?uploads");
    assert_eq!(outcome(&gone), "404 NoSuchBucket", "{missing}");
}

/// If the issuer itself may not list uploads, only these lists fail.
#[test]
fn an_issuer_that_cannot_list_uploads_fails_only_these_lists() {
    let world = World::start(&[corner("media", MEDIA)]);
    let may_not = ALLOW_ALL.replace(
        "{\"Effect\":\"Allow\"",
        "{\"Effect\":\"Deny\",\"Action\":[\"s3:ListBucketMultipartUploads\"],\"Resource\":[\"arn:aws:s3:::*\"]},{\"Effect\":\"Allow\"",
    );
    let issuer = world.minio.add_user("nolists", &may_not);
    let text = config(world.minio.address, world.minio.address, &[corner("media", MEDIA)], "");
    let proxy = start(&text, &issuer);
    let get = |target: &str| crate::support::http::get(proxy.address("media"), target).unwrap();
    assert_eq!(outcome(&get("/tmp?uploads")), "403 AccessDenied");
    assert_eq!(get("/tmp?list-type=2&prefix=media/").status(), 200);
    let ready = crate::support::http::get(proxy.address("admin"), "/readyz").unwrap();
    assert_eq!((ready.status(), ready.text()), (200, "ok\n".to_owned()));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &text).unwrap();
    let check = |issuer: &Keys| {
        let env = [("ISSUER_KEY", &*issuer.access_key), ("ISSUER_SECRET", &*issuer.secret_key)];
        let checked = scopegate(&["check", "--live", "--config", file.path().to_str().unwrap()], &env, b"");
        (checked.status.success(), String::from_utf8_lossy(&checked.stdout).into_owned())
    };
    let (good, bad) = (check(&world.issuer), check(&issuer));
    assert!(good.0 && good.1.contains("ok tmp/media/ lists of multipart uploads"), "{}", good.1);
    let told = bad.1.contains("WRONG tmp/media/ lists of multipart uploads")
        && bad.1.contains("s3:ListBucketMultipartUploads");
    assert!(!bad.0 && told, "{}", bad.1);
}

/// Uploads of others cost neither lasting memory nor much time.
#[test]
fn many_uploads_of_others_are_skipped() {
    const OTHERS: usize = 800;
    let world = World::start(&[corner("media", MEDIA)]);
    begin(&world, "media/mine");
    std::thread::scope(|threads| {
        for thread in 0..4 {
            let world = &world;
            threads.spawn(move || {
                let long = "x".repeat(200);
                (0..OTHERS / 4)
                    .for_each(|number| _ = begin(world, &format!("other/{long}/{thread}-{number}")));
            });
        }
    });
    let before = std::time::Instant::now();
    for _ in 0..10 {
        assert_eq!(keys(&world.get("media", "/tmp?uploads")), ["media/mine"]);
    }
    assert!(before.elapsed().as_secs() < 20, "{:?}", before.elapsed());
    let held = || world.metric("scopegate_memory_bytes{use=\"pages\"}");
    assert!(wait_for(|| (held() == 0).then_some(())).is_some(), "{} bytes are held", held());
}

/// A list needs no body. One that breaks off or is malformed must not be answered as if it had been read.
#[test]
fn lists_read_their_body_first() {
    let world = World::start(&[corner("media", MEDIA)]);
    for (body, status) in [
        ("Content-Length: 5\r\n\r\nhello", 200),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 200),
        ("Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        ("Content-Length: 65537\r\n\r\n", 400),
    ] {
        let mut connection = Connection::open(world.proxy.address("media")).unwrap();
        let head = "GET /tmp?uploads&prefix=media/ HTTP/1.1\r\nHost: localhost\r\n";
        connection.send(format!("{head}{body}").as_bytes()).unwrap();
        assert_eq!(connection.read_response("GET").unwrap().status(), status, "{body:?}");
    }
}
