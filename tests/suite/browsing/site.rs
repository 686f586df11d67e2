//! Index pages and error pages.

use super::{ALL, BROWSER, accept, references};
use crate::support::http;
use crate::support::minio::Minio;
use crate::support::world::{Corner, World, config, corner, outcome, start};

#[test]
fn a_site_is_served_from_its_index() {
    let (minio, issuer) = Minio::start_seeded();
    let scopes = [("tmp", "site/", "read,list,write"), ("tmp", "bare/", "read,write")];
    let text = config(minio.address, minio.address, &[Corner { name: "all", scopes: &scopes, more: "" }], "")
        .replace("prefix = \"site/\"", "prefix = \"site/\"\nindex = \"index.html\"")
        .replace("prefix = \"bare/\"", "prefix = \"bare/\"\nindex = \"index.html\"");
    let proxy = start(&text, &issuer);
    let ask = |method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]| {
        http::request(proxy.address("all"), method, target, headers, body).unwrap()
    };
    let html = [("Content-Type", "text/html")];
    for key in ["site/index.html", "site/docs/index.html", "bare/index.html"] {
        assert_eq!(ask("PUT", &format!("/tmp/{key}"), &html, key.as_bytes()).status(), 200);
    }
    for key in ["site/plain/a.txt", "bare/plain/a.txt"] {
        assert_eq!(ask("PUT", &format!("/tmp/{key}"), &[], b"a").status(), 200);
    }
    for form in [BROWSER, "*/*", "application/json"] {
        let page = ask("GET", "/tmp/site/docs/", &accept(form), b"");
        assert_eq!(
            (page.status(), page.text().as_str(), page.header("content-type")),
            (200, "site/docs/index.html", Some("text/html")),
            "{form}"
        );
    }
    let page = ask("GET", "/tmp/site/", &[], b"");
    assert_eq!(page.header("content-security-policy"), None, "scripts of a site must run");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    let etag = page.header("etag").unwrap();
    assert_eq!(ask("GET", "/tmp/site/", &[("If-None-Match", etag)], b"").status(), 304);
    assert_eq!(ask("GET", "/tmp/site/", &[("Range", "bytes=0-3")], b"").text(), "site");
    let head = ask("HEAD", "/tmp/site/docs/", &[], b"");
    assert_eq!((head.status(), head.header("content-length")), (200, Some("20")));

    assert_eq!(
        references(&ask("GET", "/tmp/site/plain/", &accept(BROWSER), b"").text()),
        ["../../../", "../../", "../", "../", "a.txt"]
    );
    assert!(
        ask("GET", "/tmp/site/?format=text", &[], b"").text().contains("  docs/\n"),
        "a requested list is sent"
    );
    for form in [BROWSER, "*/*"] {
        let none = ask("GET", "/tmp/bare/plain/", &accept(form), b"");
        assert_eq!(none.status(), 404, "no index and the client may not list: {}", none.text());
        assert!(none.text().contains("NoSuchKey"), "{}", none.text());
    }
    // As static hosts do, a folder's path without a slash redirects if the folder has an index.
    let moved = ask("GET", "/tmp/site/docs", &accept(BROWSER), b"");
    assert_eq!((moved.status(), moved.header("location")), (302, Some("docs/")));
    assert_eq!(ask("HEAD", "/tmp/site/docs", &[], b"").header("location"), Some("docs/"));
    assert_eq!(ask("GET", "/tmp/site/plain?v=1", &[], b"").header("location"), Some("plain/?v=1"));
    for target in ["/tmp/bare/plain", "/tmp/site/none", "/tmp/site/docs?versionId=1"] {
        assert_eq!(ask("GET", target, &[], b"").header("location"), None, "{target}");
    }
    assert_eq!(outcome(&ask("GET", "/tmp/bare/plain", &[], b"")), "404 NoSuchKey", "the client may not list");
    assert_eq!(ask("GET", "/tmp/site/plain/a.txt", &[], b"").text(), "a");
    assert_eq!(ask("PUT", "/tmp/bare/docs", &[], b"an object").status(), 200);
    assert_eq!(ask("GET", "/tmp/bare/docs", &[], b"").text(), "an object");
}

/// As on other static hosts, a browser gets the site's own page for a missing object, with the right status.
#[test]
fn a_site_can_have_its_own_error_page() {
    let (minio, issuer) = Minio::start_seeded();
    let named = [("tmp", "named/", "read,list,write")];
    let usual = [("tmp", "usual/", "read,list,write")];
    let mounted = [("tmp", "usual/", "read,list@/pub/")];
    let corners = [corner("named", &named), corner("usual", &usual), corner("mounted", &mounted)];
    let text = config(minio.address, minio.address, &corners, "")
        .replace("prefix = \"named/\"", "prefix = \"named/\"\nerror_page = \"errors/none.html\"")
        .replace("prefix = \"usual/\"", "prefix = \"usual/\"\nindex = \"index.html\"");
    let proxy = start(&text, &issuer);
    let ask = |who: &str, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]| {
        http::request(proxy.address(who), method, target, headers, body).unwrap()
    };
    let get = |who: &str, target: &str, form: &str| ask(who, "GET", target, &accept(form), b"");
    let own = |who: &str, target: &str, body: &str| {
        let page = get(who, target, BROWSER);
        assert_eq!((page.status(), page.text().as_str()), (404, body), "{who} {target}");
        assert_eq!(page.header("content-type"), Some("text/html"), "{target}");
        for name in ["etag", "last-modified", "accept-ranges"] {
            assert_eq!(page.header(name), None, "{name} would be that of the page: {target}");
        }
        assert_eq!(page.header("vary"), Some("Accept"), "programs get XML: {target}");
        assert_eq!(
            page.header("cache-control"),
            Some("private, no-cache"),
            "the object may appear soon: {target}"
        );
        page
    };
    let missing = get("usual", "/tmp/usual/none", BROWSER);
    assert!(
        missing.text().contains("<dt>Code</dt><dd>NoSuchKey</dd>"),
        "without an error page: {}",
        missing.text()
    );

    let html = [("Content-Type", "text/html")];
    for (who, target) in [("named", "/tmp/named/errors/none.html"), ("usual", "/tmp/usual/404.html")] {
        assert_eq!(ask(who, "PUT", target, &html, b"nothing here").status(), 200);
    }
    for target in ["/tmp/named/none", "/tmp/named/a/b/none.html", "/tmp/named/none/"] {
        assert_eq!(own("named", target, "nothing here").header("content-security-policy"), Some("sandbox"));
    }
    for target in ["/tmp/usual/none", "/tmp/usual/none/", "/tmp/usual/a/b?v=1"] {
        assert_eq!(
            own("usual", target, "nothing here").header("content-security-policy"),
            None,
            "a site's own page runs scripts"
        );
    }
    own("mounted", "/pub/none/x", "nothing here");
    let range = [("Accept", BROWSER), ("Range", "bytes=0-2"), ("If-None-Match", "*")];
    assert_eq!(ask("named", "GET", "/tmp/named/none", &range, b"").text(), "nothing here");

    // Programs, S3 clients and HEAD get their usual responses, and other errors are unchanged.
    for (method, target) in [("GET", "/tmp/usual/none"), ("HEAD", "/tmp/usual/none"), ("GET", "/tmp/other/x")]
    {
        let xml = ask("usual", method, target, &accept("*/*"), b"");
        assert_eq!(xml.header("vary"), Some("Accept"), "browsers get a page: {method} {target}");
    }
    assert_eq!(outcome(&get("usual", "/tmp/usual/none", "*/*")), "404 NoSuchKey");
    let signed = [("Accept", BROWSER), ("x-amz-date", "20260101T000000Z")];
    assert_eq!(outcome(&ask("usual", "GET", "/tmp/usual/none", &signed, b"")), "404 NoSuchKey");
    assert_eq!(ask("usual", "HEAD", "/tmp/usual/none", &accept(BROWSER), b"").body.len(), 0);
    assert!(get("usual", "/tmp/other/none", BROWSER).text().contains("outside-scope"));
    assert_eq!(get("usual", "/tmp/usual/404.html", BROWSER).status(), 200);
}

#[test]
fn error_pages_link_back_and_hide_advice_for_operators() {
    let world = World::start(&[corner("all", ALL)]);
    let back = |target: &str| {
        let page = world.ask("all", "GET", target, &accept(BROWSER), b"").text();
        assert!(!page.contains("[[mapping") && !page.contains("&#34;allow&#34;"), "{target}: {page}");
        assert!(page.contains("<dt>Request</dt><dd>"), "{page}");
        references(&page)
    };
    for (target, expected) in [
        ("/tmp/media/none", "./"),
        ("/tmp/media/none/", "../"),
        ("/tmp/media/none/x/y", "./"),
        ("/tmp/other/secret.txt", "../"),
        ("/tmp/other/", "../"),
        ("/other/x", "../"),
        ("/other", "./"),
        ("/tmp//x", "../"),
        ("/tmp/%zz", "./"),
        ("/a%2Fb/c", "../"),
    ] {
        assert_eq!(back(target), [expected], "{target}");
    }
    assert_eq!(back(&format!("/tmp/{}", "a/".repeat(400))), ["../".repeat(401)]);
}

#[test]
fn errors_have_the_requested_form() {
    let world = World::start(&[corner("all", ALL), corner("reader", &[("tmp", "media/", "read")])]);
    let ask = |corner: &str, method: &str, target: &str, form: &str| {
        world.ask(corner, method, target, &accept(form), b"")
    };
    let page = ask("all", "GET", "/tmp/%3Cscript%3E/", BROWSER);
    assert_eq!((page.status(), page.header("content-type")), (403, Some("text/html; charset=utf-8")));
    assert!(
        page.header("content-security-policy").is_some() && !page.text().contains("<script"),
        "{}",
        page.text()
    );
    assert!(
        page.text().contains("mapping &#34;all&#34;") || page.text().contains("Mapping &#34;all&#34;"),
        "{}",
        page.text()
    );
    assert!(page.text().contains("outside-scope"));
    let text = ask("reader", "GET", "/tmp/media/", "text/plain");
    assert_eq!((text.status(), text.header("x-scopegate-rule")), (403, Some("right-not-granted")));
    assert!(
        text.text().starts_with(
            "403 Forbidden: Mapping \"reader\" does not grant ListObjectsV2, which needs: list."
        ),
        "{}",
        text.text()
    );
    let refused: serde_json::Value =
        serde_json::from_slice(&ask("reader", "PUT", "/tmp/media/a", "application/json").body).unwrap();
    assert_eq!(
        (refused["code"].as_str(), refused["rule"].as_str(), refused["mapping"].as_str()),
        (Some("AccessDenied"), Some("right-not-granted"), Some("reader"))
    );
    let by_query: serde_json::Value =
        serde_json::from_slice(&ask("reader", "GET", "/tmp/media/?format=json", "*/*").body).unwrap();
    assert_eq!(by_query["status"], 403);

    // curl gets XML with the complete message.
    let xml = ask("all", "GET", "/tmp/other/secret.txt", "*/*");
    assert_eq!(xml.header("content-type"), Some("application/xml"));
    assert_eq!(
        xml.element("Message").as_deref(),
        Some("mapping &quot;all&quot; does not cover this key. Ask the operator of this service for access.")
    );
    assert_eq!(
        (xml.element("Rule").as_deref(), xml.element("Mapping").as_deref()),
        (Some("outside-scope"), Some("all"))
    );

    // The store's own errors, too.
    for (form, part) in [
        (BROWSER, "<dt>Code</dt><dd>NoSuchKey</dd>"),
        ("text/plain", "code: NoSuchKey\n"),
        ("application/json", "\"code\":\"NoSuchKey\""),
        ("*/*", "<Code>NoSuchKey</Code>"),
    ] {
        let none = ask("all", "GET", "/tmp/media/none", form);
        assert!(none.status() == 404 && none.text().contains(part), "{form}: {}", none.text());
        let none = ask("all", "GET", "/tmp/media/none/", form);
        assert!(none.status() == 404 && none.text().contains(part), "{form}: {}", none.text());
        let head = ask("all", "HEAD", "/tmp/media/none", form);
        assert_eq!((head.status(), head.body.len()), (404, 0), "{form}");
    }
    assert_eq!(ask("all", "GET", "/tmp/media/?format=xml", BROWSER).status(), 400);
}

/// Client, method, target and headers; the expected status and policy.
type Case<'a> = (&'a str, &'a str, &'a str, &'a [(&'a str, &'a str)], u16, Option<&'a str>);

/// Every client gets these headers: over plain HTTP, nothing reliably tells a browser from a program.
#[test]
fn every_response_restricts_browsers() {
    let world = World::start(&[corner("all", ALL), corner("mounted", &[("tmp", "media/", "read,list@/")])]);
    for (key, kind) in [("page", "text/html"), ("sound", "audio/mpeg"), ("paper", "application/pdf")] {
        let target = format!("/tmp/media/{key}");
        assert_eq!(world.ask("all", "PUT", &target, &[("Content-Type", kind)], b"x").status(), 200);
    }
    let etag = world.get("all", "/tmp/media/page").header("etag").unwrap().to_owned();
    let confined = Some("sandbox");
    let viewed = Some("script-src 'none'");
    let cases: [Case<'_>; 14] = [
        ("all", "GET", "/tmp/media/page", &[], 200, confined),
        ("all", "GET", "/tmp/media/page", &accept(BROWSER), 200, confined),
        ("all", "GET", "/tmp/media/page", &[("x-amz-date", "20260101T000000Z")], 200, confined),
        ("all", "HEAD", "/tmp/media/page", &[], 200, confined),
        ("all", "GET", "/tmp/media/page", &[("Range", "bytes=0-0")], 206, confined),
        ("all", "GET", "/tmp/media/page", &[("If-None-Match", &etag)], 304, confined),
        ("mounted", "GET", "/page", &[], 200, confined),
        ("all", "GET", "/tmp/media/sound", &[], 200, viewed),
        ("all", "GET", "/tmp/media/paper", &[], 200, viewed),
        ("all", "GET", "/tmp?prefix=media/", &[], 200, confined),
        ("mounted", "GET", "/?list-type=2", &[], 200, confined),
        ("all", "GET", "/tmp/media/none", &[], 404, confined),
        ("all", "GET", "/tmp/other", &[], 403, confined),
        ("all", "GET", "/tmp/media/?format=json", &[], 200, confined),
    ];
    for (who, method, target, headers, status, policy) in cases {
        let answer = world.ask(who, method, target, headers, b"");
        assert_eq!((answer.status(), answer.header("content-security-policy")), (status, policy), "{target}");
        for (name, value) in
            [("x-content-type-options", "nosniff"), ("cross-origin-resource-policy", "same-site")]
        {
            assert_eq!(answer.head.all(name).collect::<Vec<_>>(), [value], "{method} {target} {headers:?}");
        }
        assert!(answer.head.all("content-security-policy").count() == 1, "{target}");
    }
    let page = world.ask("all", "GET", "/tmp/media/", &accept(BROWSER), b"");
    let policies: Vec<&str> = page.head.all("content-security-policy").collect();
    assert!(policies.len() == 1 && policies[0].starts_with("default-src 'none'"), "{policies:?}");
    assert_eq!(page.head.all("x-content-type-options").count(), 1);
}
