use super::*;
use crate::authorize::rights::Right;
use crate::authorize::scope::Scope;
use crate::identify::browser::AllowedHosts;
use crate::s3::names::{BucketName, IndexName, Prefix};
use crate::s3::operation::Operation;
use http::{HeaderName, HeaderValue};
use http1::Fields;

fn mapping() -> Mapping {
    let scope = |prefix, rights: &[Right]| {
        let (bucket, prefix) = (BucketName::parse("tmp").unwrap(), Prefix::parse(prefix).unwrap());
        Scope::new(bucket, prefix, rights.iter().copied().collect())
    };
    let read = scope("media/", &[Right::Read, Right::List]);
    let write = scope("inbox/", &[Right::Write, Right::Delete, Right::List]);
    Mapping::of_scopes("all", vec![read, write])
}

type Headers<'h> = &'h [(&'static str, &'static str)];

/// Describes the decision on a request of a client that calls the listener by its address.
fn decided(method: &str, target: &str, headers: Headers<'_>) -> String {
    let fields: Fields = [("host", "127.0.0.1:8080")]
        .iter()
        .chain(headers)
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let request = Request::new(method, target.parse().unwrap(), fields).unwrap();
    match decide(&mapping(), AllowedHosts::none().over("http"), &request) {
        Ok(Decision { action, .. }) => match action {
            Action::Route(route) => match route.kind {
                RouteKind::Forward(Forward { first: Some(_), .. }) => "look first".to_owned(),
                RouteKind::Forward(Forward { outgoing, .. }) => {
                    format!("forward {} {}", outgoing.method(), outgoing.path())
                }
                RouteKind::ListBuckets(_) => "list buckets".to_owned(),
                RouteKind::ListUploads(_) => "list uploads".to_owned(),
                RouteKind::Document(request) => format!("read {:?}", request.kind()),
            },
            Action::Options(options) => options.operation.name().to_owned(),
            Action::Browse(browse) => browse.ways.iter().map(Way::name).collect::<Vec<_>>().join(", "),
            Action::Fallback(refused) => format!("{:?} or a fallback", refused.0.rule),
        },
        Err(refusal) => format!("{:?} {}", refusal.rule, refusal.operation.map_or("-", Operation::name)),
    }
}

#[test]
fn each_stage_decides() {
    let html = ("accept", "text/html");
    let cases: [(&str, &str, Headers<'_>, &str); 22] = [
        ("GET", "/tmp/media/a", &[], "forward GET /tmp/media/a"),
        ("GET", "/tmp/media/a", &[("sec-fetch-site", "cross-site")], "CrossSite -"),
        ("POST", "/tmp?delete", &[("origin", "http://evil.test")], "CrossSite -"),
        ("GET", "/tmp/media/a", &[("service-worker", "script")], "ServiceWorker -"),
        ("GET", "/tmp/media/a", &[("x-minio-a", "b")], "ForbiddenHeader GetObject"),
        ("GET", "/tmp/media/a", &[("if-match", "\"a\", \"b\"")], "look first"),
        ("GET", "/tmp/media/a?acl", &[], "UnknownOperation -"),
        ("PUT", "/tmp/media/a", &[], "RightNotGranted PutObject"),
        ("PUT", "/tmp/inbox/a", &[("transfer-encoding", "chunked")], "forward PUT /tmp/inbox/a"),
        ("PUT", "/tmp/inbox/a", &[("content-length", "x")], "BadHeader PutObject"),
        ("GET", "/", &[("user-agent", "aws-cli/2")], "list buckets"),
        ("GET", "/", &[("user-agent", "aws-cli/2"), ("x-minio-a", "b")], "ForbiddenHeader ListBuckets"),
        ("GET", "/?max-buckets=0", &[], "BadArgument ListBuckets"),
        ("GET", "/tmp?uploads", &[], "list uploads"),
        ("GET", "/tmp?uploads", &[("x-minio-a", "b")], "ForbiddenHeader ListMultipartUploads"),
        ("POST", "/tmp?delete", &[], "read Delete"),
        ("POST", "/tmp?delete", &[("x-minio-a", "b")], "ForbiddenHeader DeleteObjects"),
        ("POST", "/tmp?delete", &[("content-length", "3000000")], "TooLarge DeleteObjects"),
        ("OPTIONS", "/tmp/media/a", &[], "Options"),
        ("GET", "/tmp/media/", &[html], "with a list of the folder"),
        ("GET", "/tmp/media", &[html], "OutsideScope or a fallback"),
        ("GET", "/tmp/other", &[html], "OutsideScope GetObject"),
    ];
    for (method, target, headers, expected) in cases {
        assert_eq!(decided(method, target, headers), expected, "{method} {target} {headers:?}");
    }
}

/// An error page says that there is no object, so it must not answer a request that was refused for another reason.
#[test]
fn only_missing_objects_have_an_error_page() {
    let rights = [Right::Read].into_iter().collect();
    let mut site = Scope::new(BucketName::parse("tmp").unwrap(), Prefix::parse("site/").unwrap(), rights);
    site.index = Some(IndexName::parse("index.html").unwrap());
    let mapping = Mapping::of_scopes("site", vec![site]);
    let fields = [("host", "127.0.0.1:8080"), ("accept", "text/html")]
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    let target = "/tmp/site/a.html".parse().unwrap();
    let request = Request::new(Method::GET, target, Fields::from_iter(fields)).unwrap();
    let incoming = Incoming::admit(&mapping, AllowedHosts::none().over("http"), &request).unwrap();
    for found_nothing in [true, false] {
        let fallback = Fallback::of(&mapping, &incoming, found_nothing);
        assert_eq!(fallback.is_some_and(|fallback| fallback.page.is_some()), found_nothing);
    }
}
