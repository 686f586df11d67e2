//! Folders above the scopes, and folders whose path lacks the trailing slash.

use super::{BROWSER, accept, json, references};
use crate::support::http;
use crate::support::minio::Minio;
use crate::support::process::wait_for;
use crate::support::proxy::Proxy;
use crate::support::sigv4::direct;
use crate::support::world::{Corner, World, config, corner, outcome, start};

const SCOPES: &[(&str, &str, &str)] =
    &[("tmp", "media/", "read,list"), ("tmp", "a/b/", "read,list,write"), ("tmp", "inbox/", "write")];

#[test]
fn folders_above_a_scope_show_only_the_way_to_it() {
    let world = World::start(&[
        corner("all", SCOPES),
        corner("deep", &[("tmp", "media/", "read,list@/pub/x/")]),
        corner("root", &[("tmp", "media/", "read,list@/")]),
    ]);
    let ask = |who: &str, target: &str| world.ask(who, "GET", target, &accept(BROWSER), b"");
    let page = ask("all", "/");
    assert_eq!((page.status(), page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert_eq!(references(&page.text()), ["tmp/", "tmp/a/b/", "tmp/", "tmp/", "tmp/media/"]);
    for rights in ["<td class=\"r\">read, list</td>", "<td class=\"r\">read, list, write</td>"] {
        assert!(page.text().contains(rights), "{}", page.text());
    }
    assert!(!page.text().contains("other"), "nothing of the store: {}", page.text());
    assert_eq!(references(&ask("all", "/tmp/").text()), ["../", "a/", "a/b/", "media/"]);
    assert_eq!(references(&ask("all", "/tmp/a/").text()), ["../../", "../", "b/"]);
    let kept = ask("all", "/tmp/a/?format=html").text();
    assert_eq!(references(&kept), ["../../?format=html", "../?format=html", "b/?format=html"]);
    // Programs follow links one level at a time and report a refusal as a failure.
    let links =
        |who: &str, target: &str| references(&world.ask(who, "GET", target, &accept("*/*"), b"").text());
    assert_eq!(links("all", "/"), ["tmp/"]);
    assert_eq!(links("all", "/tmp/"), ["../", "a/", "media/"]);
    assert_eq!(links("all", "/tmp/a/"), ["../", "b/"]);
    assert_eq!(links("deep", "/"), ["pub/"]);
    assert_eq!(links("deep", "/pub/"), ["../", "x/"]);
    assert_eq!(links("deep", "/pub/x/"), ["../", "hello.txt"]);
    assert_eq!(links("root", "/"), ["hello.txt"], "a scope at the root is what is there");

    let listed = json(&world.get("all", "/?format=json"));
    let first =
        serde_json::json!({"name": "tmp/a/b/", "type": "folder", "rights": ["read", "list", "write"]});
    assert_eq!((listed["path"].as_str(), &listed["entries"][0]), (Some("/"), &first));
    assert_eq!(json(&world.get("all", "/tmp?format=json"))["entries"][0]["name"], "a/b/");
    let text = world.get("all", "/tmp/?format=text").text();
    assert_eq!(text.lines().last().unwrap().trim(), "read,list  media/");
    for target in ["/", "/tmp/"] {
        let head = world.ask("all", "HEAD", target, &accept(BROWSER), b"");
        assert_eq!((head.status(), head.body.len()), (200, 0), "{target}");
        assert_eq!(head.header("content-type"), Some("text/html; charset=utf-8"));
    }
    for target in ["/tmp/other/", "/other/", "/tmp/a/c/", "/tmp/inbox/"] {
        assert_eq!(ask("all", target).status(), 403, "{target}");
        assert_eq!(world.get("all", target).status(), 403, "{target}");
    }
    assert_eq!(outcome(&world.get("deep", "/tmp/media/")), "403 AccessDenied outside-scope");
}

#[test]
fn a_folder_without_a_slash_redirects_to_it() {
    let world = World::start(&[
        corner("all", SCOPES),
        corner("deep", &[("tmp", "media/", "read,list@/pub/x/")]),
        corner("reader", &[("tmp", "media/", "read")]),
    ]);
    for key in ["tmp/media/sub/a.txt", "tmp/media/a b/c", "tmp/media/both", "tmp/other/sub/x"] {
        world.minio.put(key, b"x");
    }
    let cases = [
        ("all", "/tmp", Some("tmp/")),
        ("all", "/tmp/media", Some("media/")),
        ("all", "/tmp/a", Some("a/")),
        ("all", "/tmp/a/b", Some("b/")),
        ("all", "/tmp/media/sub", Some("sub/")),
        ("all", "/tmp/media/sub?format=json&v=1", Some("sub/?format=json&v=1")),
        ("all", "/tmp/media/a%20b", Some("a%20b/")),
        ("deep", "/pub", Some("pub/")),
        ("deep", "/pub/x", Some("x/")),
        ("deep", "/pub/x/sub", Some("sub/")),
        ("all", "/tmp/media/./hello.txt", Some("hello.txt")),
        ("all", "/tmp/media/hello.txt", None),
        ("all", "/tmp/media/su", None),
        ("all", "/tmp/media/none", None),
        ("all", "/tmp/other", None),
        ("all", "/tmp/other/sub", None),
        ("all", "/tmp/oth", None),
        ("all", "/other", None),
        ("reader", "/tmp/media/sub", None),
    ];
    for (who, target, location) in cases {
        for method in ["GET", "HEAD"] {
            for headers in [&accept("*/*")[..], &accept(BROWSER), &[]] {
                // Clients that do not identify themselves get S3's response for a bucket.
                let of_s3 = headers.is_empty() && ["/pub", "/pub/x", "/tmp"].contains(&target);
                let location = location.filter(|_| !of_s3);
                let answer = world.ask(who, method, target, headers, b"");
                assert_eq!(answer.header("location"), location, "{method} {target} {headers:?}");
                assert_eq!(answer.status() == 302, location.is_some(), "{method} {target}");
            }
            let signed = [("x-amz-date", "20260101T000000Z")];
            let as_s3 = world.ask(who, method, target, &signed, b"");
            assert_eq!(as_s3.header("location"), None, "{method} {target}");
            assert_ne!(as_s3.status(), 302, "{method} {target}");
        }
    }
    // Refusals do not reveal whether the object exists.
    let refused = |target: &str| outcome(&world.get("all", target));
    assert_eq!(refused("/tmp/other/sub"), refused("/tmp/other/none"));
    assert_eq!(refused("/tmp/other"), refused("/tmp/none"));
    assert_eq!(world.ask("all", "PUT", "/tmp/a/b/x", &[], b"x").header("location"), None);
}

#[test]
fn a_bucket_in_the_host_is_not_a_folder_of_the_path() {
    let (minio, issuer) = Minio::start_seeded();
    let text = config(minio.address, minio.address, &[corner("all", SCOPES)], "")
        .replace("[[listener]]\n", "[[listener]]\ndomain = \"s3.test\"\n");
    let proxy = start(&text, &issuer);
    minio.put("tmp/media/sub/x", b"x");
    let ask = |target: &str, form: &str| {
        let headers = [("Host", "tmp.s3.test"), ("Accept", form)];
        http::request(proxy.address("all"), "GET", target, &headers, b"").unwrap()
    };
    assert_eq!(references(&ask("/", BROWSER).text()), ["a/", "a/b/", "media/"]);
    assert_eq!(references(&ask("/media/", BROWSER).text()), ["../", "../", "sub/", "hello.txt"]);
    assert!(ask("/media/", "*/*").text().contains("<title>Index of /media/</title>"));
    assert_eq!(references(&ask("/", "*/*").text()), ["a/", "media/"]);
    assert_eq!(references(&ask("/a/", "*/*").text()), ["../", "b/"]);
    assert_eq!(json(&ask("/?format=json", "*/*"))["path"], "/");
    assert_eq!(json(&ask("/media/sub/?format=json", "*/*"))["path"], "/media/sub/");
    assert_eq!(ask("/media", "*/*").header("location"), Some("media/"));
    assert_eq!(ask("/media/sub", "*/*").header("location"), Some("sub/"));
    let missing = ask("/media/sub/none", BROWSER);
    assert_eq!((missing.status(), references(&missing.text())), (404, vec!["./".to_owned()]));
    assert_eq!(references(&ask("/other/x", BROWSER).text()), ["../"]);
}

/// The log and the metrics describe the client's request, not the requests to the store that it caused.
#[test]
fn a_missing_object_is_accounted_as_the_clients_request() {
    let (minio, issuer) = Minio::start_seeded();
    let corner = Corner { name: "all", scopes: &[("tmp", "media/", "read,list")], more: "" };
    let text = config(minio.address, minio.address, &[corner], "")
        .replace("prefix = \"media/\"", "prefix = \"media/\"\nindex = \"index.html\"");
    let proxy: Proxy = start(&text, &issuer);
    minio.put("tmp/media/sub/x", b"x");
    let ask = |method: &str, target: &str| {
        http::request(proxy.address("all"), method, target, &accept(BROWSER), b"").unwrap().status()
    };
    assert_eq!((ask("GET", "/tmp/media/none"), ask("GET", "/tmp/media/sub")), (404, 302));
    assert_eq!((ask("GET", "/tmp/media/none/"), ask("HEAD", "/tmp/media/none")), (404, 404));
    for target in ["/favicon.ico", "/apple-touch-icon.png", "/robots.txt"] {
        assert_eq!((ask("GET", target), ask("HEAD", target)), (404, 404), "{target}");
    }
    let refused = http::get(proxy.address("all"), "/other/favicon.ico").unwrap();
    assert_eq!(refused.status(), 403, "only at the path that browsers request");
    // A request is accounted for when its response is over.
    let refused = || {
        let metrics = http::get(proxy.address("admin"), "/metrics").unwrap().text();
        let lines = metrics.lines().filter(|line| line.starts_with("scopegate_refusals_total{"));
        let refused: Vec<String> = lines.filter(|line| !line.ends_with(" 0")).map(str::to_owned).collect();
        (!refused.is_empty()).then_some(refused)
    };
    let of_folder = "scopegate_refusals_total{mapping=\"all\",rule=\"outside-scope\"} 1";
    assert_eq!(wait_for(refused), Some(vec![of_folder.to_owned()]), "requests for the icon must not count");
    let (_, log) = proxy.terminate();
    let operation = |target: &str, method: &str| {
        let path = format!("path=\"{target}\" ");
        let line =
            log.lines().find(|line| line.contains(&path) && line.contains(&format!("method={method}")));
        let line = line.unwrap_or_else(|| panic!("no line for {target}: {log}"));
        line.split_once("operation=").unwrap().1.split(' ').next().unwrap().trim_matches('"').to_owned()
    };
    for (target, method, expected) in [
        ("/tmp/media/none", "GET", "GetObject"),
        ("/tmp/media/sub", "GET", "GetObject"),
        ("/tmp/media/none/", "GET", "GetObject"),
        ("/tmp/media/none", "HEAD", "HeadObject"),
    ] {
        assert_eq!(operation(target, method), expected, "{method} {target}: {log}");
    }
    assert!(log.contains("help=\"add a [[mapping.scope]]"), "no advice for the operator: {log}");
}

/// Programs with their own credentials can store keys in MinIO that no path can express here. Such a key at the end
/// of a page used to hide the names after it.
#[test]
fn a_list_continues_after_a_name_that_no_path_can_express() {
    let world =
        World::start(&[corner("all", SCOPES), corner("mounted", &[("tmp", "a/b/", "read,list@/pub/")])]);
    for key in ["a", "b%01%0Ab", "c"] {
        let target = format!("/tmp/a/b/{key}");
        let put = direct(&world.minio, &world.minio.root, "PUT", &target, &[], b"x");
        assert_eq!(put.status(), 200, "{}", put.text());
    }
    for (who, bucket, folder) in [("all", "tmp", "a/b/"), ("mounted", "pub", "")] {
        let list = format!("/{bucket}?list-type=2&encoding-type=url&max-keys=1&prefix={folder}");
        let (mut names, mut token) = (Vec::new(), String::new());
        for _ in 0..3 {
            let page = world.get(who, &format!("{list}{token}"));
            assert_eq!(outcome(&page), "200", "{who}: {}", page.text());
            names.extend(page.element("Key"));
            let next = page.element("NextContinuationToken").unwrap_or_default();
            token = format!("&continuation-token={}", next.replace('+', "%2B").replace('=', "%3D"));
        }
        let expected = ["a", "b%01%0Ab", "c"].map(|name| format!("{}{name}", folder.replace('/', "%2F")));
        let spelled: Vec<String> = names.iter().map(|name| name.replace('/', "%2F")).collect();
        assert_eq!(spelled, expected, "{who}");
    }
    let named = world.get("all", "/tmp/a/b/b%01%0Ab");
    assert_eq!(outcome(&named), "400 InvalidURI bad-target", "no path can express it");
}
