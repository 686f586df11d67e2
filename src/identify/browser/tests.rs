use super::*;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue};

type Given = &'static [(&'static str, &'static str)];

fn refused(allowed: &AllowedHosts, method: &Method, fields: &[(&str, &str)]) -> Option<Rule> {
    let fields = fields.iter().map(|(name, value)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
    });
    let request = Request::new(method.clone(), PathAndQuery::from_static("/"), fields.collect()).unwrap();
    check(allowed.over("http"), Pages::default(), &request).err().map(|refusal| refusal.rule)
}

/// Any other name may have been rebound to this machine, on any network.
#[test]
fn only_addresses_and_configured_names_are_served() {
    let none = AllowedHosts::default();
    let some = AllowedHosts::new(vec!["s3.test".into()], Some("b.test".into()));
    for (allowed, host, good) in [
        (&none, "127.0.0.1:8080", true),
        (&none, "localhost", true),
        (&none, "tmp.localhost:80", true),
        (&none, "[::1]:80", true),
        (&none, "LocalHost.:80", true),
        (&none, "10.0.0.1", true),
        (&none, "[fd00::1]:8080", true),
        (&none, "192.0.2.1:80", true),
        (&none, "0.0.0.0:8080", false),
        (&none, "[::]:8080", false),
        (&none, "[::ffff:0.0.0.0]", false),
        (&none, "evil.test", false),
        (&none, "10.0.0.1.", false),
        (&none, "10.1", false),
        (&none, "0x7f000001", false),
        (&none, "2130706433", false),
        (&none, "127.0.0.1.evil.test", false),
        (&none, "localhost.evil.test", false),
        (&some, "s3.test", true),
        (&some, "S3.TEST.:9", true),
        (&some, "b.test", true),
        (&some, "tmp.b.test:80", true),
        (&some, "10.0.0.1:80", true),
        (&some, "evilb.test", false),
        (&some, "s3.test.evil.test", false),
        (&some, "evil.test", false),
    ] {
        let rule = refused(allowed, &Method::GET, &[("host", host)]);
        assert_eq!(rule, (!good).then_some(Rule::ForeignHost), "{host}");
    }
    assert_eq!(refused(&none, &Method::GET, &[]), None, "no browser leaves it out");
}

const CROSS: (&str, &str) = ("sec-fetch-site", "cross-site");
const NAVIGATE: (&str, &str) = ("sec-fetch-mode", "navigate");
const DOCUMENT: (&str, &str) = ("sec-fetch-dest", "document");
const LINK: (&str, &str) = ("upgrade-insecure-requests", "1");
const EVIL: (&str, &str) = ("origin", "https://evil.test");
const EVIL_PAGE: (&str, &str) = ("referer", "http://evil.test/page?http://s3.test:8080/");

/// Checks reading and writing requests with these fields, sent to s3.test:8080.
fn check_both(cases: &[(Given, bool, bool)]) {
    let allowed = AllowedHosts::new(vec!["s3.test".into(), "other.test".into()], None);
    for (fields, get, post) in cases {
        let fields = [&[("host", "s3.test:8080")], *fields].concat();
        for (method, good) in
            [(Method::GET, get), (Method::HEAD, get), (Method::POST, post), (Method::PUT, post)]
        {
            let rule = refused(&allowed, &method, &fields);
            assert_eq!(rule, (!good).then_some(Rule::CrossSite), "{method} {fields:?}");
        }
    }
}

#[test]
fn fetch_metadata_tells_the_site() {
    check_both(&[
        (&[], true, true),
        (&[("sec-fetch-site", "same-origin")], true, true),
        (&[("sec-fetch-site", "none")], true, true),
        // A proxy in front may send another Host. The site that the browser names counts.
        (&[("sec-fetch-site", "same-origin"), ("origin", "https://public.test")], true, true),
        (&[("sec-fetch-site", "same-site")], true, false),
        (&[CROSS], false, false),
        (&[("sec-fetch-site", "Cross-Site")], false, false),
        (&[("sec-fetch-site", "invented")], false, false),
        (&[("sec-fetch-site", "same-origin"), CROSS], false, false),
        (&[CROSS, ("sec-fetch-site", "same-origin")], false, false),
        (&[CROSS, ("origin", "http://s3.test:8080")], false, false),
    ]);
}

#[test]
fn a_link_of_another_site_may_be_followed() {
    check_both(&[
        (&[CROSS, NAVIGATE, DOCUMENT], true, false),
        (&[CROSS, NAVIGATE, DOCUMENT, EVIL], true, false),
        (&[CROSS, NAVIGATE], false, false),
        (&[CROSS, DOCUMENT], false, false),
        (&[CROSS, NAVIGATE, ("sec-fetch-dest", "iframe")], false, false),
        (&[CROSS, NAVIGATE, ("sec-fetch-dest", "embed")], false, false),
        (&[CROSS, NAVIGATE, DOCUMENT, ("sec-fetch-dest", "iframe")], false, false),
        (&[CROSS, ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")], false, false),
        (&[CROSS, LINK], false, false),
        // Over plain HTTP there is no Fetch Metadata.
        (&[EVIL_PAGE, LINK], true, false),
        (&[EVIL, LINK], false, false),
        (&[EVIL_PAGE, ("upgrade-insecure-requests", "0")], false, false),
    ]);
}

#[test]
fn origin_and_referer_tell_the_site_where_fetch_metadata_does_not() {
    check_both(&[
        (&[EVIL], false, false),
        (&[("origin", "null")], false, false),
        (&[("origin", "")], false, false),
        (&[("origin", "file://")], false, false),
        (&[("origin", "http://s3.test:8080")], true, true),
        (&[("origin", "HTTP://S3.Test.:8080")], true, true),
        (&[("origin", "http://s3.test:8080"), EVIL], false, false),
        (&[EVIL, ("origin", "http://s3.test:8080")], false, false),
        // Another service of the machine, and another name of the listener.
        (&[("origin", "http://s3.test:3000")], true, false),
        (&[("origin", "http://s3.test")], true, false),
        (&[("origin", "http://other.test")], true, false),
        (&[("origin", "http://s3.test.evil.test:8080")], false, false),
        (&[("origin", "http://evil.test"), ("referer", "http://s3.test:8080/")], false, false),
        (&[EVIL_PAGE], false, false),
        (&[("referer", "http://s3.test:8080/tmp/?a#b")], true, true),
        (&[("referer", "http://s3.test:3000/")], true, false),
        (&[("referer", "http://s3.test:8080@evil.test/")], false, false),
        (&[("referer", "https://[::1")], false, false),
        (&[("referer", "http://s3.test:8080/"), EVIL_PAGE], false, false),
        // Requests of programs.
        (&[("referer", "about:blank")], true, true),
        (&[("referer", "backup-job-7")], true, true),
        (&[("referer", "")], true, true),
    ]);
}

#[test]
fn a_missing_port_is_the_default_of_the_scheme() {
    let allowed = AllowedHosts::new(vec!["s3.test".into()], None);
    for (host, origin, good) in [
        ("s3.test", "http://s3.test", true),
        ("s3.test", "https://s3.test", true),
        ("s3.test:80", "http://s3.test", true),
        ("s3.test:443", "https://s3.test", true),
        ("s3.test", "https://s3.test:8443", false),
        ("s3.test:8080", "https://s3.test", false),
        ("[::1]:8080", "http://[::1]:8080", true),
    ] {
        let rule = refused(&allowed, &Method::POST, &[("host", host), ("origin", origin)]);
        assert_eq!(rule, (!good).then_some(Rule::CrossSite), "{host} {origin}");
    }
    let without_host = refused(&allowed, &Method::POST, &[("origin", "http://s3.test")]);
    assert_eq!(without_host, Some(Rule::CrossSite), "nothing to compare it with");
}

#[test]
fn no_object_becomes_a_service_worker() {
    let none = AllowedHosts::default();
    for fields in [
        &[("service-worker", "script")][..],
        &[("service-worker", "")],
        &[("sec-fetch-dest", "serviceworker"), ("sec-fetch-site", "same-origin")],
        &[("service-worker", "script"), ("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "same-origin")],
    ] {
        assert_eq!(refused(&none, &Method::GET, fields), Some(Rule::ServiceWorker), "{fields:?}");
    }
    let worker = [("sec-fetch-dest", "worker"), ("sec-fetch-site", "same-origin")];
    assert_eq!(refused(&none, &Method::GET, &worker), None, "it ends with the page");
}

#[test]
fn refusals_quote_the_deciding_header() {
    let fields = [("host", "s3.test"), ("origin", "https://evil.test")];
    let said = |fields: &[(&str, &str)]| {
        let fields = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let host = Host::parse(b"s3.test").unwrap();
        let allowed = AllowedHosts::new(vec!["s3.test".into()], None);
        check_fields(&allowed, Some(host), &Method::GET, fields).unwrap_err().message
    };
    assert!(said(&fields).contains("Origin \"https://evil.test\""));
    assert!(
        said(&[EVIL_PAGE]).contains("Referer \"http://evil.test\""),
        "no more than the origin of the page"
    );
}

/// Below a domain, buckets of several owners are hosts of one site, and browsers send a remembered login to each.
#[test]
fn a_neighbour_below_the_domain_does_not_use_a_remembered_login() {
    let pages = Pages { with_remembered_login: true, ..Pages::default() };
    let rule = |pages, domain: Option<&str>, method: Method, fields: Given| {
        let allowed = AllowedHosts::new(vec!["s3.test".into()], domain.map(Into::into));
        let fields = [&[("host", "s3.test")], fields].concat();
        let fields = fields.iter().map(|(name, value)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        });
        let request = Request::new(method, PathAndQuery::from_static("/"), fields.collect()).unwrap();
        check(allowed.over("http"), pages, &request).err().map(|refusal| refusal.rule)
    };
    let (same, domain): (Given, _) = (&[("sec-fetch-site", "same-site")], Some("s3.test"));
    for neighbour in [same, &[("origin", "http://tenant.s3.test")], &[("referer", "http://tenant.s3.test/")]]
    {
        assert_eq!(rule(pages, domain, Method::GET, neighbour), Some(Rule::CrossSite), "{neighbour:?}");
        assert_eq!(rule(pages, domain, Method::PUT, neighbour), Some(Rule::CrossSite), "{neighbour:?}");
        assert_eq!(rule(Pages::default(), domain, Method::GET, neighbour), None, "{neighbour:?}");
    }
    assert_eq!(rule(pages, None, Method::GET, same), None, "without a domain there are no neighbours");
    let link: Given = &[("sec-fetch-site", "same-site"), NAVIGATE, DOCUMENT];
    assert_eq!(rule(pages, domain, Method::GET, link), None, "a person follows a link");
    assert_eq!(rule(pages, domain, Method::POST, link), Some(Rule::CrossSite));
    assert_eq!(rule(pages, domain, Method::PUT, &[("sec-fetch-site", "same-origin")]), None);
}

/// Anyone on the way can write a page that comes over plain HTTP, and let it send requests to the same name over TLS.
#[test]
fn a_page_over_plain_http_is_of_another_site_than_one_over_tls() {
    let allowed = AllowedHosts::new(vec!["s3.test".into()], None);
    let of_page = |scheme: &str, page: (&'static str, &'static str)| {
        let fields = [("host", "s3.test"), page]
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let target = PathAndQuery::from_static("/");
        let request = Request::new(Method::POST, target, fields.into_iter().collect()).unwrap();
        check(allowed.over(scheme), Pages::default(), &request).is_ok()
    };
    for (page, over_tls) in [
        (("origin", "https://s3.test"), true),
        (("origin", "http://s3.test"), false),
        (("referer", "https://s3.test/page"), true),
        (("referer", "http://s3.test/page"), false),
        (("sec-fetch-site", "same-origin"), true),
    ] {
        assert_eq!(of_page("https", page), over_tls, "{page:?}");
        assert!(of_page("http", page), "{page:?}: TLS may end in front of the proxy");
    }
}
