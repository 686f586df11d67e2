//! What people and programs that follow links get over a real MinIO: lists in each form, folders, sites and errors.

mod folders;
mod site;
mod sorted;
mod streams;

use crate::support::http::{Connection, Response};
use crate::support::proxy::Proxy;
use crate::support::world::{World, corner, outcome};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::fs;
use std::process::Command;
use std::thread;
use tempfile::TempDir;

const ALL: &[(&str, &str, &str)] = &[("tmp", "media/", "read,list,write")];
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
/// Names that may break a page, a link, a terminal or a query. Names with control characters cannot be stored.
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

/// Returns the links of a page, as a browser reads them.
fn references(page: &str) -> Vec<String> {
    let values = page.split("<a href=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    values.map(|value| value.replace("&#38;", "&")).collect()
}

/// Returns the links of a page that lead below the folder.
fn references_below(page: &str) -> Vec<String> {
    references(page)
        .into_iter()
        .filter(|link| !link.starts_with(['.', '?']) || link.starts_with("..h"))
        .collect()
}

#[test]
fn a_folder_is_listed_in_the_requested_form() {
    let world = World::start(&[corner("all", ALL)]);
    put(&world, "sub/a.txt", b"aaaa");
    let ask = |target: &str, form: &str| world.ask("all", "GET", target, &accept(form), b"");

    let page = ask("/tmp/media/", BROWSER);
    assert_eq!((page.status(), page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    // All folders, the folder above, and the names.
    assert_eq!(references(&page.text()), ["../../", "../", "../", "sub/", "hello.txt"], "{}", page.text());
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
    assert_eq!(
        references(&ask("/tmp/media/sub/", BROWSER).text()),
        ["../../../", "../../", "../", "../", "a.txt"]
    );
    let kept = ask("/tmp/media/?format=html", BROWSER).text();
    assert_eq!(
        references(&kept),
        ["../../?format=html", "../?format=html", "../?format=html", "sub/?format=html", "hello.txt"],
        "links must keep the form that the query names"
    );

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

/// S3 clients get S3's responses. All others get links, as from any static host.
#[test]
fn s3_clients_get_xml_and_programs_get_links() {
    let whole = [("tmp", "", "read,list,write")];
    let world = World::start(&[
        corner("all", ALL),
        corner("whole", &whole),
        corner("writer", &[("tmp", "media/", "read,write")]),
    ]);
    let ask =
        |corner: &str, target: &str, headers: &[(&str, &str)]| world.ask(corner, "GET", target, headers, b"");
    let (any, nothing) = (accept("*/*"), [("X-Nothing", "")]);
    for accept in [&any[..], &nothing, &[("Accept", BROWSER)]] {
        for target in ["/tmp?list-type=2&prefix=media/", "/tmp/?prefix=media/&delimiter=/"] {
            let listed = ask("whole", target, accept);
            assert!(listed.text().contains("<ListBucketResult"), "{target}: {}", listed.text());
        }
    }
    for accept in [&any[..], &[("Accept", BROWSER)]] {
        let moved = ask("whole", "/tmp", accept);
        assert_eq!((moved.status(), moved.header("location")), (302, Some("tmp/")), "{accept:?}");
        assert!(ask("whole", "/", accept).text().contains("href=\"tmp/\""), "{accept:?}");
        assert!(ask("whole", "/tmp/", accept).text().contains("href=\"media/\""), "{accept:?}");
    }
    // Where S3 has a response of its own, clients that do not identify themselves get it.
    for target in ["/tmp", "/tmp/"] {
        assert!(ask("whole", target, &nothing).text().contains("<ListBucketResult"), "{target}");
        assert_eq!(world.ask("whole", "HEAD", target, &nothing, b"").status(), 200, "HeadBucket: {target}");
    }
    assert!(ask("whole", "/", &nothing).text().contains("<ListAllMyBucketsResult"));
    for accept in [&any[..], &nothing] {
        let index = ask("all", "/tmp/media/", accept);
        assert_eq!((index.status(), index.header("content-type")), (200, Some("text/html; charset=utf-8")));
        assert!(index.text().contains("<title>Index of /tmp/media/</title>"), "{}", index.text());
        assert_eq!(references(&index.text()), ["../", "hello.txt"]);
        assert_eq!(references(&ask("whole", "/tmp/media/", accept).text()), ["../", "hello.txt"]);
        assert_eq!(outcome(&ask("all", "/tmp/media/none/", accept)), "404 NoSuchKey");
    }
    let kept = ask("whole", "/tmp/?format=html", &any).text();
    assert_eq!(references(&kept), ["../?format=html", "media/?format=html", "other/?format=html"]);

    // By signature, header or name, and clients that ask for XML.
    for (name, value) in [
        ("x-amz-date", "20260101T000000Z"),
        ("Authorization", "AWS4-HMAC-SHA256 Credential=x"),
        ("amz-sdk-request", "attempt=1"),
        ("User-Agent", "MinIO (linux; amd64) minio-go/v7.0.88"),
        ("User-Agent", "aws-sdk-go/1.44.298 (go1.26.8; linux; amd64)"),
        ("User-Agent", "aws-cli/2.9.19 Python/3.11.2 command/s3.ls"),
    ] {
        for accept in ["*/*", BROWSER] {
            let headers = [("Accept", accept), (name, value)];
            assert_eq!(outcome(&ask("all", "/tmp/media/", &headers)), "404 NoSuchKey", "{name}: {value}");
            assert_eq!(outcome(&ask("all", "/tmp/media/sub", &headers)), "404 NoSuchKey", "{name}: {value}");
            assert!(ask("whole", "/tmp", &headers).text().contains("<ListBucketResult"), "{name}: {value}");
            assert!(ask("all", "/", &headers).text().contains("<ListAllMyBucketsResult"), "{name}: {value}");
        }
    }
    assert!(ask("whole", "/tmp/", &[("Accept", "application/xml")]).text().contains("<ListBucketResult"));
    assert_eq!(outcome(&ask("writer", "/tmp/media/", &any)), "404 NoSuchKey", "the client may not list");
    // A folder that a client created as an object is a folder.
    assert_eq!(world.ask("all", "PUT", "/tmp/media/marked/", &[], b"").status(), 200);
    assert_eq!(references(&ask("all", "/tmp/media/marked/", &any).text()), ["../"]);
    let page = ask("all", "/tmp/media/marked/", &accept(BROWSER));
    assert!(page.status() == 200 && page.text().contains("This folder is empty."), "{}", page.text());
    assert!(page.text().contains("curl -T FILE &#39;http://"), "no upload command: {}", page.text());
    let signed = ask("all", "/tmp/media/marked/", &[("x-amz-date", "20260101T000000Z")]);
    assert_eq!((signed.status(), signed.body.len()), (200, 0), "S3 has an object of this key");
}

/// A client's list counts as one request, however many requests to the store it takes.
#[test]
fn a_list_counts_as_one_request() {
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
    // The page's own script is the only one.
    assert_eq!(page.matches("<script").count(), 1, "{page}");
    assert!(page.contains("<bdi>right\u{202e}txt.exe</bdi>"), "{page}");
    let index = world.get("all", "/tmp/media/odd/").text();
    assert!(!index.contains("<script") && !index.contains('\u{202e}'), "{index}");
    let links = references_below(&page);
    assert_eq!(links.len(), AWKWARD.len() + 1);
    let mut sorted = links.clone();
    sorted.sort_unstable();
    let mut linked = references_below(&index);
    linked.sort_unstable();
    assert_eq!(linked, sorted);
    for link in links {
        let name = percent_decode_str(&link).decode_utf8().unwrap();
        let target = format!("/tmp/media/odd/{link}");
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
fn lists_2500_keys_completely() {
    let world = World::start(&[corner("all", ALL)]);
    // Every fifth name is a folder with one key, so that some folders are at the ends of pages.
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

    let index = world.get("all", "/tmp/media/many/");
    assert_eq!(references_below(&index.text()), expected, "programs get all names");
    assert!(index.header("link").is_none() && index.text().ends_with("</html>\n"));

    let (mut target, mut seen, mut pages) = ("/tmp/media/many/".to_owned(), Vec::new(), 0);
    loop {
        let page = world.ask("all", "GET", &target, &accept(BROWSER), b"");
        let head = world.ask("all", "HEAD", &target, &accept(BROWSER), b"");
        assert_eq!(page.header("link"), head.header("link"));
        pages += 1;
        seen.extend(references_below(&page.text()));
        let next = references(&page.text()).into_iter().find(|link| link.starts_with("?after="));
        let link = next.as_ref().map(|next| format!("<{next}>; rel=\"next\""));
        assert_eq!(page.header("link"), link.as_deref());
        assert_eq!(page.text().contains("There are more on the next page."), next.is_some());
        match next {
            Some(next) => target = format!("/tmp/media/many/{next}"),
            None => break,
        }
    }
    seen.sort_unstable();
    assert_eq!((seen, pages), (expected, 3));
}

/// Runs curl and returns its exit code and output.
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
    let (code, list) = curl(&world.proxy, &["--fail"], "/tmp/media/new/folder/?format=text");
    assert!(code == Some(0) && list.ends_with("             10  a file.txt\n"), "{code:?} {list}");
    let (code, refused) = curl(&world.proxy, &["-T", file], "/tmp/other/");
    assert!(code == Some(0) && refused.contains("<Rule>outside-scope</Rule>"), "{refused}");
}
