//! Both lines of defence, each alone: the session policy without the proxy, and the proxy with a session that may do
//! anything.

mod hostile;
mod sessions;

use self::hostile::HOSTILE;
use crate::support::http::{self, Connection};
use crate::support::keys::Keys;
use crate::support::minio::Minio;
use crate::support::record::Recorder;
use crate::support::sigv4::direct;
use crate::support::sts;
use crate::support::world::{self, config, corner, outcome};
use scopegate::internals::{BucketName, Prefix, Right, Scope, SessionPolicy};

fn scope(bucket: &str, prefix: &str, rights: &[Right]) -> Scope {
    let rights = rights.iter().copied().collect();
    Scope::new(BucketName::parse(bucket).unwrap(), Prefix::parse(prefix).unwrap(), rights)
}

/// Method, target, headers, body, and the right that the request needs; `None` if no single right allows it.
type Asked = (&'static str, String, Vec<(&'static str, String)>, Vec<u8>, Option<Right>);

/// Returns requests of every kind, on an object and on a prefix, with the rights they need.
fn operations(key: &str, prefix: &str) -> Vec<Asked> {
    let tags = b"<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>".to_vec();
    let copy_of = |key: &str| vec![("x-amz-copy-source", format!("/tmp/{key}"))];
    vec![
        ("GET", format!("/tmp/{key}"), vec![], vec![], Some(Right::Read)),
        ("HEAD", format!("/tmp/{key}"), vec![], vec![], Some(Right::Read)),
        ("GET", format!("/tmp/{key}?tagging="), vec![], vec![], Some(Right::Read)),
        (
            "GET",
            format!("/tmp/{key}?attributes="),
            vec![("x-amz-object-attributes", "ETag".into())],
            vec![],
            Some(Right::Read),
        ),
        ("PUT", format!("/tmp/{key}-new"), vec![], b"x".to_vec(), Some(Right::Write)),
        ("PUT", format!("/tmp/{key}?tagging="), vec![], tags, Some(Right::Write)),
        ("POST", format!("/tmp/{key}?uploads="), vec![], vec![], Some(Right::Write)),
        ("DELETE", format!("/tmp/{key}?tagging="), vec![], vec![], Some(Right::Write)),
        ("GET", format!("/tmp/{key}?uploadId=x"), vec![], vec![], Some(Right::Write)),
        ("DELETE", format!("/tmp/{key}?uploadId=x"), vec![], vec![], Some(Right::Write)),
        ("PUT", format!("/tmp/{key}-copy"), copy_of(key), vec![], None),
        ("DELETE", format!("/tmp/{key}-new"), vec![], vec![], Some(Right::Delete)),
        (
            "DELETE",
            format!("/tmp/{key}?versionId=00000000-0000-0000-0000-000000000000"),
            vec![],
            vec![],
            None,
        ),
        ("GET", format!("/tmp/?list-type=2&prefix={prefix}"), vec![], vec![], Some(Right::List)),
        ("GET", format!("/tmp/?prefix={prefix}"), vec![], vec![], Some(Right::List)),
        ("GET", "/tmp/?uploads=".to_owned(), vec![], vec![], None),
        ("GET", "/tmp/?policy=".to_owned(), vec![], vec![], None),
        ("GET", "/tmp/?versioning=".to_owned(), vec![], vec![], None),
        ("GET", "/tmp/?lifecycle=".to_owned(), vec![], vec![], None),
        (
            "PUT",
            format!("/tmp/{key}?legal-hold="),
            vec![],
            b"<LegalHold><Status>ON</Status></LegalHold>".to_vec(),
            None,
        ),
        ("PUT", "/newbucket".to_owned(), vec![], vec![], None),
        ("DELETE", "/tmp".to_owned(), vec![], vec![], None),
    ]
}

fn ask(
    minio: &Minio,
    session: &Keys,
    method: &str,
    target: &str,
    headers: &[(&str, String)],
    body: &[u8],
) -> http::Response {
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    direct(minio, session, method, target, &headers, body)
}

#[test]
fn the_sessions_policy_alone_refuses_everything_outside_the_scope() {
    let (minio, issuer) = Minio::start_seeded();
    minio.put("tmp/media/a", b"a");
    minio.put("tmp/other/a", b"a");
    minio.put("tmp/media-private/a", b"a");
    let rights = [Right::Read, Right::List, Right::Write, Right::Delete];
    let policy = SessionPolicy::compile(&[scope("tmp", "media/", &rights)]);
    let session = sts::scoped(&minio, &issuer, policy.json());
    for (key, prefix) in
        [("other/a", "other/"), ("media-private/a", "media-private/"), ("other/a", ""), ("other/a", "media")]
    {
        for (method, target, headers, body, _) in operations(key, prefix) {
            let answer = ask(&minio, &session, method, &target, &headers, &body);
            assert_eq!(answer.status(), 403, "{method} {target}: {}", outcome(&answer));
        }
    }
    for target in ["/", "/tmp/?list-type=2", "/tmp/?versions="] {
        let answer = ask(&minio, &session, "GET", target, &[], b"");
        assert!(answer.status() == 403 || !answer.text().contains("other"), "{target}: {}", answer.text());
    }
    // A session cannot mint another session.
    assert!(sts::assume_role(&minio, &session, None).is_err());
}

#[test]
fn the_sessions_policy_of_each_right_alone_allows_its_operations_and_no_other() {
    let (minio, issuer) = Minio::start_seeded();
    for right in [Right::Read, Right::List, Right::Write, Right::Delete] {
        minio.put("tmp/media/a", b"a");
        let policy = SessionPolicy::compile(&[scope("tmp", "media/", &[right])]);
        let session = sts::scoped(&minio, &issuer, policy.json());
        for (method, target, headers, body, needs) in operations("media/a", "media/") {
            let answer = ask(&minio, &session, method, &target, &headers, &body);
            let refused = answer.status() == 403;
            assert_eq!(refused, needs != Some(right), "{right:?}: {method} {target}: {}", outcome(&answer));
        }
    }
}

/// Returns a prefix of these characters, in segments short enough for file names.
fn segments(characters: &str) -> String {
    let characters: Vec<char> = characters.chars().collect();
    characters.chunks(100).flat_map(|segment| segment.iter().copied().chain(['/'])).collect()
}

#[test]
fn the_policy_limit_is_the_servers() {
    let (minio, issuer) = Minio::start_seeded();
    // Prefixes that fill the policy up to the limit, also with characters that the server writes as several bytes.
    for filler in ["x", "a&b<c>", "ü"] {
        let fitting = |length: usize| {
            let prefix = segments(&filler.repeat(length / filler.len() + 1));
            SessionPolicy::compile(&[scope("tmp", &prefix, &[Right::Read])])
        };
        let largest = (1..1000).map(fitting).take_while(|policy| policy.size() <= 2048).last().unwrap();
        assert!(
            sts::assume_role(&minio, &issuer, Some(largest.json())).is_ok(),
            "{filler}: {}",
            largest.size()
        );
    }
    let pad = |length: usize| {
        let scopes = [
            scope("tmp", &segments(&"x".repeat(900)), &[Right::Read]),
            scope("tmp", &segments(&"y".repeat(length)), &[Right::Read]),
        ];
        SessionPolicy::compile(&scopes)
    };
    let exact = (1..1000).map(pad).find(|policy| policy.size() == 2048).unwrap();
    let over = (1..1000).map(pad).find(|policy| policy.size() == 2049).unwrap();
    assert!(sts::assume_role(&minio, &issuer, Some(exact.json())).is_ok());
    assert!(sts::assume_role(&minio, &issuer, Some(over.json())).is_err());
}

/// The answer of an STS whose sessions may do anything, so that only the proxy can refuse.
const ANYTHING_GOES: &str = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
    <Credentials><AccessKeyId>ANYTHING</AccessKeyId><SecretAccessKey>goes</SecretAccessKey>\
    <SessionToken>token</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration></Credentials>\
    </AssumeRoleResult></AssumeRoleResponse>";

struct Wall {
    store: Recorder,
    sts: Recorder,
    proxy: crate::support::proxy::Proxy,
}

fn wall() -> Wall {
    let store = Recorder::start(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n{ANYTHING_GOES}",
        ANYTHING_GOES.len()
    );
    let sts = Recorder::start(answer.as_bytes());
    let scopes = [("tmp", "media/", "read,list,write,delete")];
    let config = config(store.address(), sts.address(), &[corner("client", &scopes)], "");
    let proxy = world::start(&config, &Keys::random("issuer"));
    Wall { store, sts, proxy }
}

#[test]
fn the_proxy_alone_refuses_without_a_request_or_a_mint() {
    let Wall { store, sts, proxy } = wall();
    for (method, target, headers, body) in HOSTILE.iter().copied() {
        let answer = http::request(proxy.address("client"), method, target, headers, body).unwrap();
        assert!((400..502).contains(&answer.status()), "{method} {target} {headers:?}: {}", outcome(&answer));
        let by_rule = answer.header("x-scopegate-rule").is_some();
        // The HTTP layer answers invalid URIs without a rule.
        assert!(by_rule || answer.status() == 400, "{method} {target} {headers:?}: {}", outcome(&answer));
        let reached = (store.connections(), sts.mints());
        assert_eq!(reached, (0, 0), "{method} {target} {headers:?} got through: {:?}", store.received());
    }
    for (method, target) in [("HEAD", "/"), ("OPTIONS", "/"), ("OPTIONS", "/tmp/media/a"), ("OPTIONS", "*")] {
        let answer = http::request(proxy.address("client"), method, target, &[], b"").unwrap();
        let reached = (store.connections(), sts.mints());
        assert_eq!((answer.status() / 100, reached), (2, (0, 0)), "{method} {target} is answered here");
    }
    let inside = http::get(proxy.address("client"), "/tmp/media/a").unwrap();
    assert_eq!(
        (inside.status(), store.connections(), sts.mints()),
        (200, 1, 1),
        "requests in scope must pass"
    );
}

#[test]
fn only_listed_headers_and_parameters_are_forwarded() {
    let Wall { store, sts: _sts, proxy } = wall();
    let headers = [
        ("Prefix", "other/"),
        ("Cookie", "a=b"),
        ("X-Forwarded-For", "10.0.0.1"),
        ("X-Real-IP", "10.0.0.1"),
        ("Forwarded", "for=10.0.0.1"),
        ("User-Agent", "Mozilla/5.0"),
        ("Origin", "http://localhost"),
        ("Referer", "http://localhost/evil"),
        ("Accept-Encoding", "gzip"),
        ("Authorization", "AWS4-HMAC-SHA256 Credential=client-key"),
        ("x-amz-security-token", "client-token"),
        ("x-amz-date", "20000101T000000Z"),
        ("x-amz-acl", "public-read"),
        ("Connection", "x-amz-date, keep-alive"),
        ("TE", "trailers"),
        ("Upgrade", "h2c"),
        ("Range", "bytes=0-1"),
    ];
    let answer =
        http::request(proxy.address("client"), "GET", "/tmp/media/a%2Fb?partNumber=1", &headers, b"")
            .unwrap();
    assert_eq!(answer.status(), 200);
    let sent = String::from_utf8(store.received().swap_remove(0)).unwrap();
    let mut lines = sent.trim_end().split("\r\n");
    assert_eq!(lines.next(), Some("GET /tmp/media/a/b?partNumber=1 HTTP/1.1"));
    let mut names: Vec<String> = lines.map(|line| line.split(':').next().unwrap().to_lowercase()).collect();
    names.sort();
    let listed =
        ["authorization", "host", "range", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"];
    assert_eq!(names, listed);
    for leaked in ["client-key", "client-token", "20000101", "evil"] {
        assert!(!sent.contains(leaked), "{leaked} in {sent}");
    }
    assert!(
        sent.contains(&format!("host: {}\r\n", store.address()))
            || sent.contains(&format!("Host: {}\r\n", store.address()))
    );
}

#[test]
fn a_client_without_a_mapping_is_refused() {
    let Wall { store, sts, proxy } = wall();
    // The mapping is for 127.0.0.0/8 at this listener. A missing Host is refused too.
    let mut connection = Connection::open(proxy.address("client")).unwrap();
    connection.send(b"GET /tmp/media/a HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(outcome(&connection.read_response("GET").unwrap()), "400 InvalidRequest bad-host");
    drop(proxy);
    let config =
        config(store.address(), sts.address(), &[corner("client", &[("tmp", "media/", "read")])], "")
            .replace("127.0.0.0/8", "10.0.0.0/8");
    let proxy = world::start(&config, &Keys::random("issuer"));
    let answer = http::get(proxy.address("client"), "/tmp/media/a").unwrap();
    assert_eq!(outcome(&answer), "403 AccessDenied no-mapping");
    assert!(answer.header("x-amz-request-id").is_some() && answer.element("RequestId").is_some());
    assert_eq!((store.connections(), sts.mints()), (0, 0));
}

#[test]
fn request_heads_are_limited() {
    let Wall { store, sts: _sts, proxy } = wall();
    let long = "a".repeat(40_000);
    let many: Vec<(String, &str)> = (0..101).map(|number| (format!("X-{number}"), "a")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    for (target, headers) in [
        ("/tmp/media/a", &[("X-Long", long.as_str())][..]),
        (&*format!("/tmp/media/{long}"), &[]),
        ("/tmp/media/a", &many),
    ] {
        let mut connection = Connection::open(proxy.address("client")).unwrap();
        let answer = connection.request("GET", target, headers, b"").unwrap();
        assert!(matches!(answer.status(), 400 | 414 | 431), "{}", outcome(&answer));
    }
    assert_eq!(store.connections(), 0);
}
