mod for_browsers;

use super::html::FolderPage;
use super::index::Index;
use super::name::{grouped, href, human_size};
use super::page::{Entry, InvalidList, Object};
use super::place::Crumb;
use super::rows::Rows;
use super::*;
use crate::authorize::mapping::Mapping;
use crate::authorize::rights::Right;
use crate::authorize::scope::Scope;
use crate::s3::names::{BucketName, IndexName, Prefix, check_key};
use crate::s3::target::{Query, Resource};
use http::header::ACCEPT;
use http::{HeaderValue, Method};
use http_body_util::BodyExt;
use http1::Request;
use proptest::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;

fn scope(prefix: &str, rights: &[Right]) -> Scope {
    let (bucket, prefix) = (BucketName::parse("tmp").unwrap(), Prefix::parse(prefix).unwrap());
    Scope::new(bucket, prefix, rights.iter().copied().collect())
}

fn mapping() -> Mapping {
    let mut site = scope("site/", &[Right::Read, Right::List]);
    site.index = Some(IndexName::parse("index.html").unwrap());
    Mapping::of_scopes("people", vec![scope("media/", &[Right::Read, Right::List]), site])
}

fn file(name: &str) -> Entry {
    let modified = "2026-01-02T03:04:05Z".parse().ok();
    Entry { name: name.to_owned(), object: Some(Object { size: 1234, modified, etag: "e".to_owned() }) }
}

fn folder(name: &str) -> Entry {
    Entry { name: name.to_owned(), object: None }
}

fn page(entries: Vec<Entry>, token: Option<&str>) -> Page {
    Page { entries, token: token.map(str::to_owned), has_marker: false }
}

fn request(method: &Method, target: &str, accept: &str) -> Request {
    let accept = (!accept.is_empty()).then(|| (ACCEPT, HeaderValue::from_str(accept).unwrap()));
    Request::new(method.clone(), target.parse().unwrap(), accept.into_iter().collect()).unwrap()
}

fn steps(method: &Method, target: &str, accept: &str) -> Option<Vec<Step>> {
    let request = request(method, target, accept);
    Plan::of(&mapping(), &request, request.target.path()).unwrap().map(|plan| plan.steps)
}

fn place(path: &str) -> Place {
    Place::of(&mapping(), path).unwrap()
}

fn names_in(path: &str, form: Form) -> Step {
    Step::List(place(path), form)
}

fn scopes_below(path: &str, form: Form) -> Step {
    Step::Scopes(Above::of(&mapping(), path).unwrap(), form)
}

fn redirect(to: &str) -> Step {
    Step::Redirect { to: to.to_owned(), needs: Vec::new() }
}

const BROWSER: &str = "text/html,application/xml;q=0.9,*/*;q=0.8";
const PIP: &str =
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01";

#[test]
fn plans_for_each_kind_of_client() {
    use Form::{Json, Page, Text};
    let index = Step::Index("/tmp/site/a/index.html".to_owned());
    let all = |path: &str| vec![names_in(path, Form::Index), Step::AsAsked];
    let cases = [
        ("/tmp/media/", BROWSER, Some(vec![names_in("/tmp/media/", Page)])),
        ("/tmp/media/", "application/json", Some(vec![names_in("/tmp/media/", Json)])),
        ("/tmp/media/", "text/plain", Some(vec![names_in("/tmp/media/", Text)])),
        ("/tmp/media/", "*/*", Some(all("/tmp/media/"))),
        ("/tmp/media/", "", Some(all("/tmp/media/"))),
        ("/tmp/media/", "image/png", Some(all("/tmp/media/"))),
        ("/tmp/media/", PIP, Some(all("/tmp/media/"))),
        ("/tmp/media/", "application/xml", None),
        ("/tmp/site/a/", "application/xml", Some(vec![index.clone(), Step::AsAsked])),
        ("/tmp/media/?format=json", "", Some(vec![names_in("/tmp/media/", Json)])),
        ("/tmp/media/?format=html", BROWSER, Some(vec![names_in("/tmp/media/", Page)])),
        ("/tmp/media/?format=html", "*/*", Some(all("/tmp/media/"))),
        ("/tmp/media/?format=text&after=x", BROWSER, Some(vec![names_in("/tmp/media/", Text)])),
        // Above the scopes.
        ("/", BROWSER, Some(vec![scopes_below("/", Page)])),
        ("/", "*/*", Some(vec![scopes_below("/", Form::Index)])),
        ("/", "", None),
        ("/?format=json", "", Some(vec![scopes_below("/", Json)])),
        ("/", "application/xml", None),
        ("/tmp/", BROWSER, Some(vec![scopes_below("/tmp/", Page)])),
        ("/tmp/", "*/*", Some(vec![scopes_below("/tmp/", Form::Index)])),
        ("/tmp", "*/*", Some(vec![redirect("tmp/")])),
        ("/tmp", BROWSER, Some(vec![redirect("tmp/")])),
        ("/tmp?format=html&after=a", "*/*", Some(vec![redirect("tmp/?format=html&after=a")])),
        ("/tmp", "application/json", Some(vec![scopes_below("/tmp/", Json)])),
        ("/tmp", "application/xml", None),
        ("/tmp", "", None),
        ("/tmp/", "", Some(vec![scopes_below("/tmp/", Form::Index)])),
        ("/tmp/?format=html", "", Some(vec![scopes_below("/tmp/", Form::Index)])),
        ("/other", BROWSER, None),
        ("/other/", BROWSER, Some(vec![names_in("/other/", Page)])),
        // Requests of S3 clients get S3's response, whatever they accept.
        ("/tmp/?list-type=2&prefix=media/", BROWSER, None),
        ("/tmp?prefix=media/&format=json", BROWSER, None),
        ("/tmp?location", BROWSER, None),
        ("/tmp/media/?tagging", BROWSER, None),
        ("/tmp/media/?X-Amz-Signature=1", BROWSER, None),
        ("/tmp/media/hello.txt", BROWSER, None),
        ("/tmp/media/hello.txt?format=json", BROWSER, None),
        ("/?prefix=a", BROWSER, None),
        ("/TMP/", BROWSER, None),
        ("/tmp/../", BROWSER, None),
        ("/tmp%2Fmedia/", BROWSER, None),
        // With an index.
        ("/tmp/site/a/", BROWSER, Some(vec![index.clone(), names_in("/tmp/site/a/", Page)])),
        ("/tmp/site/a/", "*/*", Some([vec![index.clone()], all("/tmp/site/a/")].concat())),
        ("/tmp/site/a/?format=json", BROWSER, Some(vec![names_in("/tmp/site/a/", Json)])),
        ("/tmp/site/a/?utm_source=x", BROWSER, Some(vec![index, names_in("/tmp/site/a/", Page)])),
        ("/tmp/media/?utm_source=x", BROWSER, Some(vec![names_in("/tmp/media/", Page)])),
        ("/tmp/media/?ACL", BROWSER, None),
        ("/tmp/site/a?versionId=1", BROWSER, None),
        ("/tmp/media/a", "*/*", None),
    ];
    for (target, accept, expected) in cases {
        assert_eq!(steps(&Method::GET, target, accept), expected, "{target} {accept}");
        assert_eq!(steps(&Method::HEAD, target, accept), expected, "HEAD {target} {accept}");
        assert_eq!(steps(&Method::PUT, target, accept), None, "PUT {target}");
    }
}

/// Without `list`, programs get S3's response first.
#[test]
fn plans_without_the_list_right() {
    let mapping = Mapping::of_scopes("blind", vec![scope("media/", &[Right::Read, Right::Write])]);
    let place = || Place::of(&mapping, "/tmp/media/").unwrap();
    for (accept, expected) in [
        (BROWSER, vec![Step::List(place(), Form::Page)]),
        ("*/*", vec![Step::AsAsked, Step::List(place(), Form::Index)]),
    ] {
        let request = request(&Method::GET, "/tmp/media/", accept);
        let plan = Plan::of(&mapping, &request, request.target.path()).unwrap().unwrap();
        assert_eq!(plan.steps, expected, "{accept}");
    }
}

fn with_agent(target: &str, agent: &'static str) -> Request {
    let agent = (http::header::USER_AGENT, HeaderValue::from_static(agent));
    Request::new(Method::GET, target.parse().unwrap(), [agent].into_iter().collect()).unwrap()
}

#[test]
fn rclone_and_s3_clients_are_recognised_by_user_agent() {
    let planned = |target: &str, agent| {
        let request = with_agent(target, agent);
        Plan::of(&mapping(), &request, request.target.path()).unwrap().is_some()
    };
    for (target, rclone) in [("/", false), ("/tmp", false), ("/tmp/", true), ("/tmp/media/", true)] {
        assert!(!planned(target, "MinIO (linux; amd64) minio-go/v7"), "{target}");
        assert_eq!(planned(target, "rclone/v1.60.1"), rclone, "{target}");
        assert_eq!(planned(target, "Python-urllib/3.11"), target.len() > 4, "{target}");
    }
    let missing = |target: &str, agent| {
        let request = with_agent(target, agent);
        Plan::of_missing(&mapping(), &request, request.target.path()).map(|plan| plan.steps)
    };
    for agent in ["MinIO (linux; amd64) minio-go/v7", "rclone/v1.60.1"] {
        assert_eq!(missing("/tmp/media", agent), None, "{agent}");
    }
    assert_eq!(missing("/tmp/media/./a:b", "rclone/v1.60.1"), Some(vec![redirect("a%3Ab")]));
    assert_eq!(missing("/tmp/media/./a:b", "MinIO (linux; amd64) minio-go/v7"), None);
}

#[test]
fn redirects_folders_without_a_slash_that_clients_may_know() {
    let name = |path: &str| vec![Needs::Name(place(path))];
    let index = |path: &str| Needs::Index(format!("{path}index.html"));
    let to = |to: &str, needs| Some(vec![Step::Redirect { to: to.to_owned(), needs }]);
    let cases = [
        ("/tmp/media", to("media/", vec![])),
        ("/tmp/media?format=json&v=1", to("media/?format=json&v=1", vec![])),
        ("/tmp/site", to("site/", vec![])),
        ("/tmp/media/a", to("a/", name("/tmp/media/a/"))),
        ("/tmp/media/a%3Ab%20", to("a%3Ab%20/", name("/tmp/media/a:b%20/"))),
        ("/tmp/site/a", to("a/", [vec![index("/tmp/site/a/")], name("/tmp/site/a/")].concat())),
        ("/tmp/media/./x/../y", None),
        ("/tmp/media/./x", to("x", vec![])),
        ("/tmp/other", None),
        ("/tmp/mediax", None),
        ("/other", None),
        ("/tmp%2Fmedia", None),
        ("/tmp/media/a?uploads", None),
        ("/tmp/media/a?versionId=1", None),
        ("/tmp/media/", None),
        ("/", None),
    ];
    for (target, expected) in cases {
        for method in [Method::GET, Method::HEAD] {
            let request = request(&method, target, "");
            let plan = Plan::of_missing(&mapping(), &request, request.target.path());
            assert_eq!(plan.map(|plan| plan.steps), expected, "{method} {target}");
        }
        let put = request(&Method::PUT, target, "");
        assert_eq!(Plan::of_missing(&mapping(), &put, put.target.path()), None, "PUT {target}");
    }
}

#[test]
fn refuses_unknown_forms_and_positions() {
    let refusal = |target: &str, accept: &str| {
        let request = request(&Method::GET, target, accept);
        Plan::of(&mapping(), &request, request.target.path()).err().map(|refusal| {
            assert_eq!(refusal.rule.name(), "bad-target", "{target}");
            refusal.message
        })
    };
    for (target, message) in [
        ("/tmp/media/?format=xml", "format is \"xml\": use html, json or text"),
        ("/tmp/media/?after=../x", "after: "),
        ("/tmp/media/?after=a//b", "after: "),
        ("/tmp/media/?sort=date", "sort is \"date\": use name, size or time"),
        ("/tmp/media/?sort=", "sort is \"\": use name, size or time"),
        ("/tmp/media/?order=down", "order is \"down\": use asc or desc"),
        ("/tmp/media/?sort=size&offset=-1", "offset is \"-1\": use a number from 0 to 9999"),
    ] {
        for accept in [BROWSER, "application/json", "*/*"] {
            let said = refusal(target, accept).unwrap_or_else(|| panic!("{target} is not refused"));
            assert!(said.starts_with(message), "{target}: {said}");
        }
    }
    // The index page of a site may have parameters of these names, and S3 clients get what S3 has.
    assert_eq!(refusal("/tmp/site/a/?sort=price&order=best&offset=last", BROWSER), None);
    assert_eq!(refusal("/tmp/media/?sort=price", "application/xml"), None);
    assert_eq!(refusal("/?sort=price", BROWSER), None);
    assert!(refusal("/tmp/site/a/?sort=price&format=html", BROWSER).is_some());
}

#[test]
fn the_trail_links_to_every_visible_folder() {
    let mapping = Mapping::of_scopes("deep", vec![scope("a/media/", &[Right::Read, Right::List])]);
    let trail = |path: &str| Place::of(&mapping, path).unwrap().trail(&mapping);
    let crumb =
        |(name, up): (&str, Option<&str>)| Crumb::Folder { name: name.to_owned(), up: up.map(str::to_owned) };
    let expected = [
        ("", Some("../../../../")),
        ("tmp", Some("../../../")),
        ("a", Some("../../")),
        ("media", Some("../")),
        ("a b", None),
    ];
    assert_eq!(trail("/tmp/a/media/a%20b/"), expected.map(crumb));
    let other = [("", Some("../../")), ("tmp", Some("../")), ("x", None)];
    assert_eq!(trail("/tmp/x/"), other.map(crumb));
    let beside = [("", Some("../../../")), ("tmp", Some("../../")), ("x", None), ("y", None)];
    assert_eq!(trail("/tmp/x/y/"), beside.map(crumb), "a folder that may not be seen is no link");
    let of_host = Place::of(&mapping, "/tmp/a/").unwrap().of_host();
    assert_eq!(of_host.trail(&mapping), [("", Some("../")), ("a", None)].map(crumb));
    assert_eq!(of_host.shown(), "/a/");
    for (path, has_parent) in [("/tmp/a/media/x/", true), ("/tmp/a/media/", true), ("/tmp/", true)] {
        assert_eq!(Place::of(&mapping, path).unwrap().has_parent(&mapping), has_parent, "{path}");
    }
    assert!(!Place::of(&mapping, "/tmp/").unwrap().of_host().has_parent(&mapping));
    let deep = trail("/tmp/a/media/2/3/4/5/6/7/8/9/");
    assert_eq!((&deep[1], deep.len()), (&Crumb::Omitted(2), 11));
}

#[test]
fn the_mapping_grants_list_requests() {
    let place = Place::of(&mapping(), "/tmp/media/a%26b/").unwrap();
    for (position, query) in [
        (Position::Start, ""),
        (Position::After("c d".to_owned()), "&start-after=media%2Fa%26b%2Fc%20d"),
        (Position::Token("t=/+".to_owned()), "&continuation-token=t%3D%2F%2B"),
    ] {
        let expected = format!(
            "list-type=2&delimiter=%2F&encoding-type=url&max-keys=1000&prefix=media%2Fa%26b%2F{query}"
        );
        assert_eq!(place.request(&position), ("/tmp/".to_owned(), expected));
    }
    assert_eq!(place.object("ü"), "/tmp/media/a%26b/%C3%BC");
    assert!(
        place.is_listed(&mapping()) && !Place::of(&mapping(), "/tmp/other/").unwrap().is_listed(&mapping())
    );
}

const XML: &str = "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>tmp</Name>\
    <Prefix>media/</Prefix><KeyCount>4</KeyCount><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>\
    <Contents><Key>media/</Key><LastModified>2026-01-02T03:04:05.678Z</LastModified><Size>0</Size></Contents>\
    <Contents><Key>media/b+c%2B%0A</Key><LastModified>2026-01-02T03:04:05.678Z</LastModified><ETag>&#34;e&#34;</ETag><Size>7</Size></Contents>\
    <Contents><Key>media/d</Key><LastModified>never</LastModified><Size>8</Size></Contents>\
    <CommonPrefixes><Prefix>media/c/</Prefix></CommonPrefixes></ListBucketResult>";

#[test]
fn parses_pages_in_order() {
    let page = Page::parse(XML.as_bytes(), "media/", &Position::Start).unwrap();
    let names: Vec<&str> = page.entries.iter().map(|entry| &*entry.name).collect();
    assert_eq!((names, page.has_marker, page.token.as_deref()), (vec!["b c+\n", "c/", "d"], true, Some("t")));
    let modified = "2026-01-02T03:04:05Z".parse().ok();
    assert_eq!(page.entries[0].object, Some(Object { size: 7, modified, etag: "e".to_owned() }));
    assert_eq!(page.entries[2].object, Some(Object { size: 8, modified: None, etag: String::new() }));
    // Some stores repeat the folder of the position.
    let rest = Page::parse(XML.as_bytes(), "media/", &Position::After("c/".to_owned())).unwrap();
    assert_eq!(rest.entries.len(), 1);
}

#[test]
fn rejects_lists_of_other_folders() {
    let again = Position::Token("t".to_owned());
    assert_eq!(Page::parse(XML.as_bytes(), "media/", &again).unwrap_err(), InvalidList, "the token repeats");
    assert_eq!(Page::parse(XML.as_bytes(), "other/", &Position::Start).unwrap_err(), InvalidList);
    let without_token = XML.replace("<NextContinuationToken>t</NextContinuationToken>", "");
    for bad in ["", "<Error/>", "<ListBucketResult/>", "{}", &without_token, &XML.replace("%0A", "%FF")] {
        assert!(Page::parse(bad.as_bytes(), "media/", &Position::Start).is_err(), "{bad}");
    }
}

#[test]
fn formats_sizes_and_counts() {
    for (bytes, shown) in [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1_048_524, "1023.9 KiB"),
        (1_048_550, "1.0 MiB"),
        (5 << 40, "5.0 TiB"),
        (u64::MAX, "16.0 EiB"),
    ] {
        assert_eq!(human_size(bytes), shown, "{bytes}");
    }
    for (number, shown) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
        assert_eq!(grouped(number), shown);
    }
}

/// Returns a list of three pages, or one whose second page fails.
fn streamed(rows: Rows, is_whole: bool) -> (Pages, Rc<RefCell<Vec<Position>>>) {
    let asked = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&asked);
    let ask = move |position: Position| -> pages::PendingPage {
        log.borrow_mut().push(position.clone());
        Box::pin(async move {
            match (position, is_whole) {
                (Position::Token(token), true) if token == "1" => Ok(page(vec![], Some("2"))),
                (Position::Token(token), true) if token == "2" => Ok(page(vec![folder("c/")], None)),
                _ => Err("broken".into()),
            }
        })
    };
    (Pages::new(rows, "/tmp/\"/", page(vec![file("a"), file("b\"\n\u{202e}")], Some("1")), Some(ask)), asked)
}

#[tokio::test]
async fn json_lists_every_page() {
    let (body, asked) = streamed(Rows::Json, true);
    let bytes = body.collect().await.unwrap().to_bytes();
    let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(json["path"], "/tmp/\"/");
    assert_eq!(json["complete"], true);
    let first = serde_json::json!({"name": "a", "type": "file", "size": 1234, "modified": "2026-01-02T03:04:05Z", "etag": "e"});
    let last = serde_json::json!({"name": "c/", "type": "folder"});
    assert_eq!((&json["entries"][0], &json["entries"][2]), (&first, &last));
    assert_eq!(json["entries"][1]["name"], "b\"\n\u{202e}");
    assert_eq!(asked.borrow().len(), 2);
}

#[tokio::test]
async fn text_has_one_line_per_name() {
    let (body, _) = streamed(Rows::Text, true);
    let bytes = body.collect().await.unwrap().to_bytes();
    let expected = "2026-01-02T03:04:05Z           1234  a\n2026-01-02T03:04:05Z           1234  b\"␊\\u{202e}\n                   -              -  c/\n";
    assert_eq!(std::str::from_utf8(&bytes).unwrap(), expected);
}

#[tokio::test]
async fn requests_pages_on_demand_and_reports_failures() {
    let (mut body, asked) = streamed(Rows::Json, false);
    assert!(asked.borrow().is_empty(), "no page may be requested before the first is taken");
    assert!(body.frame().await.unwrap().is_ok());
    assert_eq!(asked.borrow().len(), 1);
    assert!(body.frame().await.unwrap().is_err());
    assert!(body.frame().await.is_none() && asked.borrow().len() == 1);
}

#[tokio::test]
async fn an_empty_list_is_valid() {
    let no_more = None::<fn(Position) -> pages::PendingPage>;
    let empty = |rows| Pages::new(rows, "/tmp/", page(vec![], None), no_more);
    assert_eq!(empty(Rows::Text).collect().await.unwrap().to_bytes(), "");
    let json = empty(Rows::Json).collect().await.unwrap().to_bytes();
    assert_eq!(json, "{\"path\":\"/tmp/\",\"entries\":[\n],\"complete\":true}\n");
}

fn index(kept: &'static str) -> Rows {
    Rows::Index(Index { below: "media/".to_owned(), has_parent: true, kept })
}

#[tokio::test]
async fn an_index_links_every_name_in_nginx_format() {
    let (body, _) = streamed(index(""), true);
    let bytes = body.collect().await.unwrap().to_bytes();
    let html = std::str::from_utf8(&bytes).unwrap();
    assert!(html.contains("<title>Index of /tmp/&quot;/</title>"), "{html}");
    let rows = html.split_once("<pre>").unwrap().1;
    let expected = format!(
        "<a href=\"../\">../</a>\n\
         <a href=\"a\">a</a>{:49} 02-Jan-2026 03:04                1234\n\
         b&quot;␊\\u{{202e}}{:39} 02-Jan-2026 03:04                1234\n\
         <a href=\"c/\">c/</a>{:48} -                                   -\n\
         </pre>\n<hr>\n</body>\n</html>\n",
        "", "", ""
    );
    assert_eq!(rows, expected);
    let (body, _) = streamed(index("?format=html"), true);
    let bytes = body.collect().await.unwrap().to_bytes();
    let kept = std::str::from_utf8(&bytes).unwrap();
    assert!(kept.contains("href=\"../?format=html\"") && kept.contains("href=\"c/?format=html\""), "{kept}");
    assert!(kept.contains("href=\"a\""), "links to objects keep no form: {kept}");
}

#[tokio::test]
async fn an_incomplete_index_has_no_tail() {
    let (mut body, _) = streamed(index(""), false);
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(!String::from_utf8_lossy(&first).contains("</pre>"));
    assert!(body.frame().await.unwrap().is_err());
}

fn listed(place: &Place, position: &Position, page: &Page, is_format_named: bool) -> String {
    let request = request(&Method::GET, "/tmp/media/", BROWSER);
    let selection = &Selection { position: position.clone(), ..Selection::ALL };
    let listed = FolderPage { place, selection, page, sorted: None, is_format_named };
    listed.write(&mapping(), &request, "http")
}

fn written(entries: Vec<Entry>, position: &Position, token: Option<&str>) -> String {
    listed(&place("/tmp/media/"), position, &page(entries, token), false)
}

/// Returns the first attribute `href` of a row, as a browser reads it.
fn first_href(html: &str) -> Option<String> {
    let row = html.split_once("<tr class=\"f\">").or_else(|| html.split_once("<tr class=\"d\">"))?.1;
    let value = row.split_once("</tr>")?.0.split_once("<a href=\"")?.1.split_once('"')?.0;
    Some(value.replace("&#38;", "&"))
}

/// Resolves a relative reference in `/tmp/media/` as a browser does: the path ends at `?` or `#`, and dots are
/// resolved.
fn resolved(reference: &str) -> String {
    let path = reference.split(['?', '#']).next().unwrap();
    let mut segments = vec!["tmp", "media"];
    for segment in path.split('/') {
        match &*segment.to_ascii_lowercase().replace("%2e", ".") {
            "." => {}
            ".." => _ = segments.pop(),
            _ => segments.push(segment),
        }
    }
    format!("/{}", segments.join("/"))
}

#[test]
fn names_that_would_lead_elsewhere_have_no_link() {
    for name in ["../", "./", "..", "a\\..\\b", "/", " .. /"] {
        assert_eq!(href("media/", name), None, "{name:?}");
        assert_eq!(first_href(&written(vec![file(name)], &Position::Start, None)), None, "{name:?}");
    }
}

/// Generates awkward names: markup, references, spaces, controls, other scripts, and arbitrary text.
fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        "[<>&\"'`=/a-c !#%?:;+.\\\\{}|^~-]{1,20}",
        "javascript:[a-z]{1,5}|//[a-z]{1,5}|%[0-9a-f]{2}|&#[0-9]{2};|<script>[a-z]{3}</script>",
        "[\u{1}-\u{1f}\u{7f}-\u{9f}\u{202a}-\u{202e}\u{2066}-\u{2069}אب🦀e\u{301}]{1,10}",
        "\\PC{1,40}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn a_link_leads_to_exactly_its_key(name in names()) {
        let key = format!("media/{name}");
        let page = written(vec![file(&name)], &Position::Start, None);
        let Some(reference) = first_href(&page) else {
            prop_assert!(check_key(&key).is_err(), "{name:?} has no link");
            return Ok(());
        };
        let path = resolved(&reference);
        let resource = Resource::parse(&path);
        prop_assert_eq!(resource.as_ref().map(Resource::key), Ok(Some(&*key)), "{}", path);
    }

    #[test]
    fn nothing_of_a_name_becomes_markup(name in names()) {
        let plain = written(vec![file("x"), folder("y/")], &Position::Start, Some("t"));
        let page = written(vec![file(&name), folder(&format!("{name}/"))], &Position::Start, Some("t"));
        // A name that cannot be requested has no link; its row uses another element.
        prop_assume!(check_key(&format!("media/{name}/")).is_ok());
        for c in ['<', '>', '"', '\''] {
            prop_assert_eq!(page.matches(c).count(), plain.matches(c).count(), "{} in {}", c, page);
        }
        prop_assert!(!page.chars().any(|c| c.is_control() && c != '\n'));
    }

    #[test]
    fn names_never_become_markup_in_an_index(name in names()) {
        let written = |name: &str| {
            let mut out = String::new();
            index("").row(&file(name), true, &mut out);
            out
        };
        let (plain, row) = (written("x"), written(&name));
        prop_assume!(check_key(&format!("media/{name}")).is_ok());
        for c in ['<', '>', '"', '\''] {
            prop_assert_eq!(row.matches(c).count(), plain.matches(c).count(), "{} in {}", c, row);
        }
        prop_assert!(row.lines().count() == 1 && !row.trim_end_matches('\n').chars().any(char::is_control));
        let path = resolved(row.split('"').nth(1).unwrap());
        let (resource, key) = (Resource::parse(&path), format!("media/{name}"));
        prop_assert_eq!(resource.as_ref().map(Resource::key), Ok(Some(&*key)));
    }

    #[test]
    fn the_next_page_begins_after_the_last_name(name in names()) {
        prop_assume!(check_key(&format!("media/{name}")).is_ok());
        let page = written(vec![file(&name)], &Position::Start, Some("t"));
        let reference = page.split_once("?after=").unwrap().1.split_once('"').unwrap().0;
        let query = format!("after={reference}");
        let query = Query::parse(Some(&query)).unwrap();
        prop_assert_eq!(query.get("after"), Some(&*name));
    }

    #[test]
    fn a_text_row_is_one_line(name in names()) {
        let mut out = String::new();
        Rows::Text.row(&file(&name), true, &mut out);
        prop_assert_eq!(out.lines().count(), 1);
        prop_assert!(out.ends_with('\n') && !out.trim_end_matches('\n').chars().any(char::is_control));
    }
}
