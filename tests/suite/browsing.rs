//! What people get, over the real MinIO: lists as pages, JSON and text, index pages, readable errors.

mod site;
mod streams;

use crate::support::http::{self, Connection, Response};
use crate::support::proxy::Proxy;
use crate::support::world::{World, corner, outcome};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::fs;
use std::process::Command;
use std::thread;
use tempfile::TempDir;

const ALL: &[(&str, &str, &str)] = &[("tmp", "media/", "read,list,write")];
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
/// What a name may do to a page, a reference, a terminal or a query. Names with control characters cannot be stored.
pub(crate) const AWKWARD: [&str; 15] = [
    "<script>alert(1)<|script>",
    "\"quoted\" & 'single'",
    "100% + more",
    "a?b#c",
    "%41%2e%2e",
    "&amp;&#60;",
    "..hidden",
    "javascript:alert(1)",
    "ünïcödé 日本語 🦀",
    "עברית",
    "right\u{202e}txt.exe",
    "  spaces  ",
    "semi;colon=x&y",
    "-dash",
    "plus+plus",
];

fn encoded(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}

fn put(world: &World, key: &str, content: &[u8]) {
    let target = format!("/tmp/media/{}", encoded(key).replace("%2F", "/"));
    let answer = world.ask("all", "PUT", &target, &[], content);
    assert_eq!(answer.status(), 200, "{key:?}: {}", answer.text());
}

fn accept(form: &str) -> [(&str, &str); 1] {
    [("Accept", form)]
}

fn json(answer: &Response) -> serde_json::Value {
    assert_eq!(
        (answer.status(), answer.header("content-type")),
        (200, Some("application/json")),
        "{}",
        answer.text()
    );
    let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(json["complete"], true);
    json
}

fn names(json: &serde_json::Value) -> Vec<String> {
    json["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["name"].as_str().unwrap().to_owned())
        .collect()
}

/// The references of a page, as a browser reads them.
fn references(page: &str) -> Vec<String> {
    let values = page.split("<a href=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    values.map(|value| value.replace("&#38;", "&")).collect()
}

#[test]
fn a_folder_is_listed_in_the_form_that_is_asked_for() {
    let world = World::start(&[corner("all", ALL)]);
    put(&world, "sub/a.txt", b"aaaa");
    let ask = |target: &str, form: &str| world.ask("all", "GET", target, &accept(form), b"");

    let page = ask("/tmp/media/", BROWSER);
    assert_eq!((page.status(), page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert_eq!(
        references(&page.text()),
        ["./sub/", "./hello.txt"],
        "no way out of the scope: {}",
        page.text()
    );
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "private, no-cache"),
        ("vary", "Accept"),
    ] {
        assert_eq!(page.header(name), Some(value));
    }
    assert!(
        page.header("content-security-policy").unwrap().starts_with("default-src 'none'; style-src 'sha256-")
    );
    assert_eq!(references(&ask("/tmp/media/sub/", BROWSER).text()), ["../", "../", "./a.txt"]);

    let listed = json(&ask("/tmp/media/", "application/json"));
    assert_eq!(listed["path"], "/tmp/media/");
    assert_eq!(listed["entries"][0]["size"], 13);
    let etag = format!("\"{}\"", listed["entries"][0]["etag"].as_str().unwrap());
    assert_eq!(world.get("all", "/tmp/media/hello.txt").header("etag"), Some(&*etag));
    assert_eq!(listed["entries"][1], serde_json::json!({"name": "sub/", "type": "folder"}));
    assert_eq!(json(&ask("/tmp/media/?format=json", "*/*"))["entries"], listed["entries"]);

    let text = ask("/tmp/media/", "text/plain").text();
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines.len() == 2
            && lines[0].ends_with("Z             13  hello.txt")
            && lines[1].ends_with("-  sub/"),
        "{text}"
    );
    assert_eq!(ask("/tmp/media/?format=text", BROWSER).text(), text);

    for form in [BROWSER, "application/json", "text/plain"] {
        let head = world.ask("all", "HEAD", "/tmp/media/", &accept(form), b"");
        let got = ask("/tmp/media/", form);
        assert_eq!((head.status(), head.body.len()), (200, 0), "{form}");
        assert_eq!(head.header("content-type"), got.header("content-type"));
    }
    let (_, log) = world.proxy.terminate();
    assert!(log.contains("operation=\"ListObjectsV2\"") || log.contains("operation=ListObjectsV2"), "{log}");
}

/// What S3 clients ask is answered as before, and what curl asks of a folder is a list where there is no such object.
#[test]
fn s3_clients_and_curl() {
    let whole = [("tmp", "", "read,list,write")];
    let world = World::start(&[
        corner("all", ALL),
        corner("whole", &whole),
        corner("writer", &[("tmp", "media/", "read,write")]),
    ]);
    let any = |corner: &str, target: &str, more: &[(&str, &str)]| {
        world.ask(corner, "GET", target, &[&[("Accept", "*/*")], more].concat(), b"")
    };
    for target in ["/tmp", "/tmp/", "/tmp?list-type=2&prefix=media/", "/tmp/?prefix=media/&delimiter=/"] {
        let listed = any("whole", target, &[]);
        assert!(
            listed.status() == 200 && listed.text().contains("<ListBucketResult"),
            "{target}: {}",
            listed.text()
        );
        let browsed = world.ask("whole", "GET", target, &accept(BROWSER), b"");
        let is_query = target.contains('?');
        assert_eq!(browsed.text().contains("<ListBucketResult"), is_query, "{target}: {}", browsed.text());
    }
    let text = any("all", "/tmp/media/", &[]);
    assert_eq!((text.status(), text.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    assert!(text.text().ends_with("  hello.txt\n"), "{}", text.text());
    let without = http::get(world.proxy.address("all"), "/tmp/media/").unwrap();
    assert_eq!(outcome(&without), "404 NoSuchKey", "who says nothing is no person's tool");
    assert_eq!(outcome(&any("all", "/tmp/media/none/", &[])), "404 NoSuchKey");
    for (name, value) in [
        ("x-amz-date", "20260101T000000Z"),
        ("Authorization", "AWS4-HMAC-SHA256 Credential=x"),
        ("amz-sdk-request", "attempt=1"),
    ] {
        assert_eq!(outcome(&any("all", "/tmp/media/", &[(name, value)])), "404 NoSuchKey", "{name}");
        let as_browser = [("Accept", BROWSER), (name, value)];
        assert_eq!(
            outcome(&world.ask("all", "GET", "/tmp/media/", &as_browser, b"")),
            "404 NoSuchKey",
            "{name}"
        );
    }
    assert_eq!(outcome(&any("writer", "/tmp/media/", &[])), "404 NoSuchKey", "not granted to list");
    // A key that ends in a slash is what S3 says it is.
    assert_eq!(world.ask("all", "PUT", "/tmp/media/marked/", &[], b"").status(), 200);
    let marked = any("all", "/tmp/media/marked/", &[]);
    assert_eq!((marked.status(), marked.body.len()), (200, 0));
    let page = world.ask("all", "GET", "/tmp/media/marked/", &accept(BROWSER), b"");
    assert!(page.status() == 200 && page.text().contains("This folder is empty."), "{}", page.text());
}

/// What is asked of the store for one request of a client is one request to the limits.
#[test]
fn a_list_is_one_request() {
    let world = World::start_with(&[corner("all", ALL)], "[limits]\nrequests_per_mapping = 1\n");
    for form in ["*/*", BROWSER, "application/json"] {
        let listed = world.ask("all", "GET", "/tmp/media/", &accept(form), b"");
        assert_eq!(listed.status(), 200, "{form}: {}", listed.text());
    }
}

#[test]
fn awkward_names_lead_to_their_objects() {
    let world = World::start(&[corner("all", ALL)]);
    for name in AWKWARD {
        put(&world, &format!("odd/{name}"), name.as_bytes());
    }
    put(&world, "odd/fol der?/x", b"in a folder");
    let listed = json(&world.get("all", "/tmp/media/odd/?format=json"));
    let mut expected: Vec<String> =
        AWKWARD.iter().map(|name| (*name).to_owned()).chain(["fol der?/".to_owned()]).collect();
    expected.sort_unstable();
    assert_eq!(names(&listed), expected);

    let page = world.ask("all", "GET", "/tmp/media/odd/", &accept(BROWSER), b"").text();
    assert!(!page.contains("<script") && page.contains("<bdi>right\u{202e}txt.exe</bdi>"), "{page}");
    let links: Vec<String> = references(&page).into_iter().filter(|link| link.starts_with("./")).collect();
    assert_eq!(links.len(), AWKWARD.len() + 1);
    for link in links {
        let name = percent_decode_str(&link[2..]).decode_utf8().unwrap();
        let target = format!("/tmp/media/odd/{}", &link[2..]);
        if name.ends_with('/') {
            assert!(world.get("all", &format!("{target}?format=text")).text().ends_with("  x\n"));
        } else {
            assert_eq!(world.get("all", &target).text(), name);
        }
    }
    let text = world.get("all", "/tmp/media/odd/?format=text").text();
    assert_eq!(text.lines().count(), AWKWARD.len() + 1, "{text}");
    assert!(!text.contains('\u{202e}'), "{text:?}");
}

#[test]
fn two_thousand_five_hundred_keys() {
    let world = World::start(&[corner("all", ALL)]);
    // Every fifth is a folder of one key, so that some lie at the ends of pages.
    let is_folder = |number: usize| number.is_multiple_of(5);
    let numbers: Vec<usize> = (0..2500).collect();
    thread::scope(|scope| {
        for some in numbers.chunks(250) {
            let mut connection = Connection::open(world.proxy.address("all")).unwrap();
            scope.spawn(move || {
                for number in some {
                    let below = if is_folder(*number) { "/x" } else { "" };
                    let target = format!("/tmp/media/many/{number:04}{below}");
                    assert_eq!(connection.request("PUT", &target, &[], b"").unwrap().status(), 200);
                }
            });
        }
    });
    let slash = |number: usize| if is_folder(number) { "/" } else { "" };
    let mut expected: Vec<String> =
        numbers.iter().map(|number| format!("{number:04}{}", slash(*number))).collect();
    expected.sort_unstable();
    assert_eq!(names(&json(&world.get("all", "/tmp/media/many/?format=json"))), expected);
    let text = world.get("all", "/tmp/media/many/?format=text").text();
    let listed: Vec<&str> = text.lines().map(|line| line.rsplit("  ").next().unwrap()).collect();
    assert_eq!(listed, expected);

    let (mut target, mut seen, mut pages) = ("/tmp/media/many/".to_owned(), Vec::new(), 0);
    loop {
        let page = world.ask("all", "GET", &target, &accept(BROWSER), b"").text();
        pages += 1;
        let rows: Vec<String> = references(&page)
            .into_iter()
            .filter(|link| link.starts_with("./") && !link.contains("./?"))
            .collect();
        seen.extend(rows.iter().filter(|link| **link != "./").map(|link| link[2..].to_owned()));
        match references(&page).into_iter().find(|link| link.contains("?after=")) {
            Some(next) => target = format!("/tmp/media/many/{}", &next[2..]),
            None => break,
        }
    }
    seen.sort_unstable();
    assert_eq!((seen, pages), (expected, 3));
}

/// One real curl; its exit code and what it printed.
fn curl(proxy: &Proxy, arguments: &[&str], path: &str) -> (Option<i32>, String) {
    let url = format!("http://{}{path}", proxy.address("all"));
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--noproxy", "*"])
        .args(arguments)
        .arg(url)
        .output();
    let output = output.unwrap_or_else(|error| panic!("curl is missing ({error}): apt-get install curl"));
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn curl_appends_the_name_of_the_file_to_a_folder() {
    let world = World::start(&[corner("all", ALL)]);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("a file.txt");
    fs::write(&file, "from curl\n").unwrap();
    let file = file.to_str().unwrap();
    for path in ["/tmp/media/", "/tmp/media/new/folder/"] {
        assert_eq!(curl(&world.proxy, &["--fail", "-T", file], path), (Some(0), String::new()), "{path}");
        let target = format!("{path}a%20file.txt");
        assert_eq!(curl(&world.proxy, &["--fail"], &target), (Some(0), "from curl\n".to_owned()));
    }
    let (code, list) = curl(&world.proxy, &["--fail"], "/tmp/media/new/folder/");
    assert!(code == Some(0) && list.ends_with("             10  a file.txt\n"), "{code:?} {list}");
    let (code, refused) = curl(&world.proxy, &["-T", file], "/tmp/other/");
    assert!(code == Some(0) && refused.contains("<Rule>outside-scope</Rule>"), "{refused}");
}
