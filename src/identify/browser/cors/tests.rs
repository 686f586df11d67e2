use super::*;
use crate::identify::browser::confine;
use http::HeaderName;
use http::uri::PathAndQuery;

const APP: &str = "https://app.example";

fn named(origin: &str) -> Origins {
    Origins::Named(vec![Origin::parse(origin).unwrap()])
}

fn rules(methods: &[Verb]) -> Cors {
    let methods = methods.iter().copied().collect();
    Cors::new(named(APP), methods, RequestHeaders::Any, Duration::from_mins(10))
}

fn reading() -> Cors {
    rules(&[Verb::Get, Verb::Head])
}

fn request(method: Method, fields: &[(&str, &str)]) -> Request {
    let fields = fields.iter().map(|(name, value)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
    });
    let mut all: HeaderMap = HeaderMap::new();
    for (name, value) in fields {
        all.append(name, value);
    }
    Request::new(method, PathAndQuery::from_static("/tmp/a"), all.into()).unwrap()
}

/// Returns the headers of a response to a request with these fields.
fn marked(cors: &Cors, method: Method, fields: &[(&str, &str)]) -> Fields {
    let mut answer = Fields::default();
    confine(&mut answer);
    cors.mark(&request(method, fields), &mut answer);
    answer
}

fn text<'f>(fields: &'f Fields, name: &str) -> Option<&'f str> {
    fields.get(name).map(|value| str::from_utf8(value).unwrap())
}

fn ask(cors: &Cors, fields: &[(&str, &str)]) -> Result<HeaderMap, (Rule, String)> {
    let request = request(Method::OPTIONS, fields);
    assert!(is_preflight(&request));
    preflight(Some(cors), &request)
        .map(|(status, headers)| {
            assert_eq!(status, StatusCode::NO_CONTENT);
            headers
        })
        .map_err(|refusal| (refusal.rule, refusal.help().unwrap_or_default().to_owned()))
}

#[test]
fn only_pages_of_named_origins_may_read_responses() {
    let cors = reading();
    for (fields, origin, elsewhere) in [
        (&[("origin", APP)][..], Some(APP), true),
        (&[("origin", "https://app.example.evil")], None, false),
        (&[("origin", "http://app.example")], None, false),
        (&[("origin", "null")], None, false),
        (&[("origin", APP), ("origin", APP)], None, false),
        (&[("origin", "https://evil.test"), ("origin", APP)], None, false),
        (&[("origin", "https://evil.test"), ("referer", "https://app.example/")], None, false),
        (&[("referer", "https://app.example/viewer?x#y")], None, true),
        (&[("referer", "https://app.example")], None, true),
        (&[("referer", "https://app.example@evil.test/")], None, false),
        (&[("referer", "https://evil.test/?https://app.example/")], None, false),
        (&[("referer", "https://app.example/"), ("referer", "https://app.example/")], None, false),
        (&[], None, false),
    ] {
        let answer = marked(&cors, Method::GET, fields);
        assert_eq!(text(&answer, "access-control-allow-origin"), origin, "{fields:?}");
        assert_eq!(text(&answer, "access-control-expose-headers").is_some(), origin.is_some(), "{fields:?}");
        assert_eq!(text(&answer, "access-control-allow-credentials"), None);
        assert!(text(&answer, "vary").unwrap().starts_with("Origin"), "{fields:?}");
        let policy = if elsewhere { "Policy: cross-origin\r\n" } else { "Policy: same-site\r\n" };
        assert!(answer.trailing_lines().contains(policy), "{fields:?}: {}", answer.trailing_lines());
        assert!(answer.trailing_lines().contains("sandbox"), "{fields:?}");
    }
}

#[test]
fn a_response_keeps_its_own_vary() {
    let mut answer = Fields::default();
    answer.insert(header::VARY, HeaderValue::from_static("Accept"));
    reading().mark(&request(Method::GET, &[("origin", APP)]), &mut answer);
    assert_eq!(text(&answer, "vary"), Some("Accept, Origin"));
    let shown = marked(&reading(), Method::GET, &[("referer", "https://app.example/")]);
    assert_eq!(text(&shown, "vary"), Some("Origin, Referer"), "another page's request has another answer");
}

#[test]
fn public_responses_are_for_every_origin() {
    let methods = [Verb::Get].into_iter().collect();
    let cors = Cors::new(Origins::Any, methods, RequestHeaders::Any, Duration::ZERO);
    for fields in [&[("origin", "https://any.test")][..], &[("origin", "null")], &[]] {
        let answer = marked(&cors, Method::GET, fields);
        assert_eq!(text(&answer, "access-control-allow-origin"), Some("*"), "{fields:?}");
        assert!(answer.trailing_lines().contains("cross-origin"), "{fields:?}");
    }
    let asked = [
        ("origin", "https://any.test"),
        ("access-control-request-method", "GET"),
        ("access-control-request-private-network", "true"),
    ];
    let headers = ask(&cors, &asked).unwrap();
    assert!(!headers.contains_key(&ALLOW_PRIVATE_NETWORK), "no page was named that may reach into a network");
}

#[test]
fn credentials_are_allowed_only_where_configured() {
    let answer = marked(&reading().with_credentials(), Method::GET, &[("origin", APP)]);
    assert_eq!(text(&answer, "access-control-allow-credentials"), Some("true"));
    let exposed = text(&answer, "access-control-expose-headers").unwrap();
    assert!(!exposed.contains('*') && exposed.contains("ETag"), "{exposed}: a * would be a name");
    let elsewhere = marked(&reading().with_credentials(), Method::GET, &[("origin", "https://evil.test")]);
    assert_eq!(text(&elsewhere, "access-control-allow-credentials"), None);
}

#[test]
fn a_preflight_is_answered_by_the_rules() {
    let cors = rules(&[Verb::Get, Verb::Put]);
    let headers = ask(
        &cors,
        &[
            ("origin", APP),
            ("access-control-request-method", "PUT"),
            ("access-control-request-headers", "authorization,amz-sdk-request,,x-amz-date , X-Amz-Meta-A"),
            ("access-control-request-private-network", "true"),
        ],
    )
    .unwrap();
    let value = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(value("access-control-allow-methods"), Some("GET, PUT"));
    assert_eq!(
        value("access-control-allow-headers"),
        Some("authorization, amz-sdk-request, x-amz-date, x-amz-meta-a")
    );
    assert_eq!(value("access-control-max-age"), Some("600"));
    assert_eq!(value("access-control-allow-private-network"), Some("true"));
    let answer = marked(&cors, Method::OPTIONS, &[("origin", APP), ("access-control-request-method", "PUT")]);
    assert_eq!(text(&answer, "access-control-allow-origin"), Some(APP));
    assert_eq!(text(&answer, "access-control-expose-headers"), None, "there is nothing to read");
    let vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
    assert_eq!(text(&answer, "vary"), Some(vary));
}

#[test]
fn a_refused_preflight_comes_with_help() {
    let narrow = Cors {
        headers: RequestHeaders::Named(vec!["range".into(), "x-amz-*".into()]),
        ..rules(&[Verb::Get])
    };
    let many = vec!["a"; MAX_HEADERS + 1].join(",");
    for (cors, origin, method, headers, help) in [
        (&reading(), "https://evil.test", "GET", "", "add \"https://evil.test\" to origins"),
        (&reading(), "null", "GET", "", "is sandboxed or a file"),
        (&reading(), APP, "PUT", "", "add \"PUT\" to methods"),
        (&reading(), APP, "get", "", "add \"get\" to methods"),
        (&reading(), APP, "PATCH", "", "add \"PATCH\" to methods"),
        (&narrow, APP, "GET", "range, authorization", "add \"authorization\" to headers"),
        (&reading(), APP, "GET", "a b", ""),
        (&reading(), APP, "GET", &*many, ""),
    ] {
        let asked = [
            ("origin", origin),
            ("access-control-request-method", method),
            ("access-control-request-headers", headers),
        ];
        let (rule, said) = ask(cors, &asked).unwrap_err();
        assert!(rule == Rule::CrossSite && said.contains(help), "{origin} {method} {headers}: {said}");
    }
    let good = [
        ("origin", APP),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "range, x-amz-date"),
    ];
    assert!(ask(&narrow, &good).is_ok());
    let asked = request(Method::OPTIONS, &[("origin", APP), ("access-control-request-method", "GET")]);
    let refusal = preflight(None, &asked).unwrap_err();
    assert_eq!(refusal.rule, Rule::CrossSite);
    assert!(refusal.help().unwrap().contains("[mapping.cors] with origins = [\"https://app.example\"]"));
    let twice = [("origin", APP), ("origin", APP), ("access-control-request-method", "GET")];
    assert!(ask(&reading(), &twice).is_err());
}

#[test]
fn a_request_is_admitted_by_origin_and_method() {
    let cors = rules(&[Verb::Get, Verb::Put]);
    let admits = |method: Method, fields: &[(&str, &str)]| {
        let request = request(method.clone(), fields);
        let signs = Signs::read(request.fields().iter());
        cors.admits(&signs, &method)
    };
    let origin = [("origin", APP), ("sec-fetch-site", "cross-site")];
    let page = [("referer", "https://app.example/a"), ("sec-fetch-site", "cross-site")];
    for (method, by_script, by_page) in [
        (Method::GET, true, true),
        (Method::PUT, true, false),
        (Method::HEAD, false, false),
        (Method::DELETE, false, false),
        (Method::PATCH, false, false),
    ] {
        assert_eq!(admits(method.clone(), &origin), by_script, "{method}");
        assert_eq!(admits(method.clone(), &page), by_page, "{method}");
        assert!(!admits(method, &[("origin", "https://evil.test"), ("referer", "https://app.example/")]));
    }
}
