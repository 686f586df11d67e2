//! Which pages may send credentials, when a browser asks for a password, and what caches may keep.

use super::*;
use crate::authorize::mapping::Mapping;
use crate::identify::certificate::tests::certificate;
use crate::identify::client::tests::with_certificate;
use crate::identify::client::{Connection, PeerUser};
use crate::identify::identity::Names;
use crate::identify::matcher::{CertificateCondition, Condition, Matcher};
use crate::refusal::RULE_HEADER;
use http::HeaderName;
use http1::Response;

const APP: &str = "https://app.example";
/// A user and a password, in base64.
const LOGIN: (&str, &str) = ("authorization", "Basic YWxpY2U6d3Jvbmc=");
const EVIL: (&str, &str) = ("origin", "https://evil.test");
const CROSS: (&str, &str) = ("sec-fetch-site", "cross-site");
const SAME: (&str, &str) = ("sec-fetch-site", "same-site");

const BASIC: &str = "Basic realm=\"scopegate\", charset=\"UTF-8\"";

/// Returns a proxy with the listener `sidecar`, a domain, and a mapping with these clients for pages of [`APP`].
fn proxy_for(clients: Condition, change: impl FnOnce(&mut Mapping)) -> Rc<Proxy> {
    let cors = format!("[mapping.cors]\norigins = [\"{APP}\"]\n");
    let listener = "[[listener]]\nhosts = [\"s3.test\"]\ndomain = \"b.test\"\n";
    let source = EXAMPLE.replacen("[[listener]]\n", listener, 1) + &cors;
    let mut config = Config::parse(&source, &Fake).unwrap();
    config.mappings[0].client = Arc::new(Matcher::new(vec![clients]));
    change(&mut config.mappings[0]);
    proxy_of(config, WallClock::SYSTEM, Unasked)
}

fn users() -> Rc<Proxy> {
    proxy_for(Condition::User(Names::Any), |_| {})
}

/// Returns a proxy like [`proxy_for`] for clients with a certificate for `a.test`, whose listener asks for certificates.
fn certified(change: impl FnOnce(&mut Mapping)) -> Rc<Proxy> {
    let cors = format!("[mapping.cors]\norigins = [\"{APP}\"]\nmethods = [\"GET\"]\n");
    let listener = "[[listener]]\nhosts = [\"s3.test\"]\ndomain = \"b.test\"\ntls = { certificates = [{ chain = \"a.crt\", \
                    key = \"a.key\" }], client_ca = [\"ca.pem\"], client_certificate = \"optional\" }\n";
    let source = EXAMPLE.replacen("[[listener]]\n", listener, 1) + &cors;
    let mut config = Config::parse(&source, &Fake).unwrap();
    let condition = CertificateCondition { dns: vec!["a.test".into()], ..CertificateCondition::default() };
    config.mappings[0].client = Arc::new(Matcher::new(vec![Condition::Certificate(condition)]));
    change(&mut config.mappings[0]);
    proxy_of(config, WallClock::SYSTEM, Unasked)
}

/// Returns a TLS connection with a certificate for this name.
fn bearing(name: Option<&str>) -> Connection {
    with_certificate(tcp(), name.map(|name| certificate(&[], &[name], None)))
}

fn tcp() -> Connection {
    connection(Some("127.0.0.1"), listener("sidecar"))
}

async fn send(
    proxy: &Rc<Proxy>,
    from: &Connection,
    method: Method,
    target: &'static str,
    fields: &[(&str, &str)],
) -> Response<ClientResponseBody> {
    let host = fields.iter().all(|(name, _)| *name != "host").then_some(("host", "localhost"));
    let fields = fields.iter().copied().chain(host).map(|(name, value)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
    });
    let request = Request::new(method, PathAndQuery::from_static(target), fields.collect()).unwrap();
    Rc::clone(proxy).handle(from, &request, Empty::new()).await
}

fn text<'r>(response: &'r Response<ClientResponseBody>, name: &str) -> Option<&'r str> {
    response.fields.get(name).map(|value| str::from_utf8(value).unwrap())
}

/// Returns status, rule and challenge of the response to a GET.
async fn outcome(proxy: &Rc<Proxy>, fields: &[(&str, &str)]) -> (u16, String, Option<String>) {
    let response = send(proxy, &tcp(), Method::GET, "/tmp/media/a", fields).await;
    let rule = text(&response, RULE_HEADER).unwrap_or_default().to_owned();
    (response.status.as_u16(), rule, text(&response, "www-authenticate").map(str::to_owned))
}

#[tokio::test]
async fn a_browser_asks_for_a_password_only_for_its_own_page() {
    let proxy = users();
    let basic = Some(BASIC.to_owned());
    for own in [
        &[][..],
        &[("sec-fetch-site", "none")],
        &[("sec-fetch-site", "same-origin")],
        &[("origin", "http://localhost")],
        // A person follows a link of another site.
        &[CROSS, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")],
        &[SAME, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")],
    ] {
        assert_eq!(
            outcome(&proxy, own).await,
            (401, "credentials-required".into(), basic.clone()),
            "{own:?}"
        );
        let with_login = [own, &[LOGIN]].concat();
        assert_eq!(outcome(&proxy, &with_login).await, (401, "bad-credentials".into(), basic.clone()));
    }
    for named in [&[("origin", APP)][..], &[("referer", "https://app.example/x")], &[SAME]] {
        for (fields, rule) in
            [(named.to_vec(), "credentials-required"), ([named, &[LOGIN]].concat(), "bad-credentials")]
        {
            let (status, found, challenge) = outcome(&proxy, &fields).await;
            assert_eq!((status, &*found), (401, rule), "{fields:?}");
            assert_eq!(challenge.as_deref(), Some("X-Basic realm=\"scopegate\""), "{fields:?}");
        }
    }
}

#[tokio::test]
async fn pages_of_other_sites_cannot_try_passwords() {
    let proxy = users();
    for (fields, rule) in [
        (&[CROSS][..], "cross-site"),
        (&[EVIL], "cross-site"),
        (&[("referer", "http://evil.test/")], "cross-site"),
        (&[CROSS, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")], "cross-site"),
        (&[("host", "evil.test")], "foreign-host"),
        (&[("service-worker", "script")], "service-worker"),
    ] {
        for fields in [fields.to_vec(), [fields, &[LOGIN]].concat()] {
            assert_eq!(outcome(&proxy, &fields).await, (403, rule.into(), None), "{fields:?}");
        }
    }
    assert_eq!(proxy.shared.metrics.authentications.all().count(), 0, "no password was looked at");
    outcome(&proxy, &[LOGIN]).await;
    assert_eq!(proxy.shared.metrics.authentications.all().count(), 1);
}

#[tokio::test]
async fn preflights_are_answered_without_credentials() {
    let proxy = users();
    let ask = async |origin, method| {
        let fields = [
            ("origin", origin),
            ("access-control-request-method", method),
            ("access-control-request-headers", "authorization"),
        ];
        let response = send(&proxy, &tcp(), Method::OPTIONS, "/tmp/media/a", &fields).await;
        let allowed = text(&response, "access-control-allow-origin").map(str::to_owned);
        (response.status.as_u16(), allowed, text(&response, "www-authenticate").map(str::to_owned))
    };
    assert_eq!(ask(APP, "GET").await, (204, Some(APP.to_owned()), None));
    assert_eq!(ask(APP, "DELETE").await, (403, Some(APP.to_owned()), None));
    assert_eq!(ask("https://evil.test", "GET").await, (403, None, None));
    let foreign = [EVIL, ("access-control-request-method", "GET")];
    let refused = send(&proxy, &tcp(), Method::OPTIONS, "/tmp/media/a", &foreign).await;
    let policy = refused.fields.trailing_lines();
    assert!(policy.contains("Policy: same-origin\r\n"), "below a domain, neighbours embed nothing: {policy}");
    let body = refused.body.collect().await.unwrap().to_bytes();
    let body = String::from_utf8_lossy(&body);
    assert!(body.contains("<Rule>cross-site</Rule>") && !body.contains("media-reader"), "{body}");
    let named = send(&proxy, &tcp(), Method::GET, "/tmp/media/a", &[("origin", APP)]).await;
    assert_eq!(text(&named, "access-control-allow-origin"), Some(APP), "a script reads that it must log in");
    assert_eq!(text(&named, "access-control-allow-credentials"), None);
    let other = send(&proxy, &tcp(), Method::GET, "/tmp/media/a", &[EVIL]).await;
    assert_eq!(text(&other, "access-control-allow-origin"), None);
}

fn unix(uid: u32) -> Connection {
    Connection::unix(Some(PeerUser { uid, gid: 1 }), listener("sidecar"))
}

/// Returns `Cache-Control` and `Vary` of a list of buckets.
async fn caching(proxy: &Rc<Proxy>, from: &Connection) -> (u16, Option<String>, Option<String>) {
    let response = send(proxy, from, Method::GET, "/", &[]).await;
    let owned = |name| text(&response, name).map(str::to_owned);
    (response.status.as_u16(), owned("cache-control"), owned("vary"))
}

#[tokio::test]
async fn only_responses_to_known_clients_are_private() {
    let private = || Some("private".to_owned());
    let vary = |names: &str| Some(names.to_owned());
    let of_users = proxy_for(Condition::Uid(vec![1000]), |mapping| mapping.cors = None);
    let (status, control, _) = caching(&of_users, &unix(1000)).await;
    assert_eq!((status, control), (200, private()));
    assert_eq!(caching(&of_users, &unix(1001)).await.1, None, "a stranger's refusal is nobody's");

    let shared = |mapping: &mut Mapping| (mapping.cors, mapping.shared_cache) = (None, true);
    let public = proxy_for(Condition::Uid(vec![1000]), shared);
    assert_eq!(caching(&public, &unix(1000)).await.1, None);

    let networks = Condition::Network(vec!["127.0.0.0/8".parse().unwrap()]);
    let of_network = proxy_for(networks, |mapping| mapping.cors = None);
    let plain = caching(&of_network, &tcp()).await;
    assert_eq!((plain.0, &plain.1), (200, &None), "as before");
    assert!(plain.2.is_none_or(|vary| !vary.contains("Authorization")));

    let (status, control, varies) = caching(&users(), &tcp()).await;
    assert_eq!((status, control, varies), (401, private(), vary("Accept, Authorization")));
}

/// Returns the rule of the response to a request on a connection.
async fn rule(
    proxy: &Rc<Proxy>,
    from: &Connection,
    method: Method,
    fields: &[(&str, &str)],
) -> Option<String> {
    let response = send(proxy, from, method, "/tmp/none/a", fields).await;
    text(&response, RULE_HEADER).map(str::to_owned)
}

#[tokio::test]
async fn a_certificate_identifies_its_client_and_its_lack_is_told() {
    let proxy = certified(|_| {});
    for (from, expected) in [
        (bearing(Some("a.test")), "outside-scope"),
        (bearing(Some("b.test")), "no-mapping"),
        (bearing(None), "certificate-required"),
    ] {
        assert_eq!(rule(&proxy, &from, Method::GET, &[]).await.as_deref(), Some(expected), "{from:?}");
    }
    let response = send(&proxy, &bearing(None), Method::GET, "/tmp/media/a", &[]).await;
    assert_eq!((response.status.as_u16(), text(&response, "www-authenticate")), (403, None));
    let body = response.body.collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("connect with a client certificate"), "{body:?}");
}

/// Browsers show the certificate whatever page sends the request, as they send a remembered login.
#[tokio::test]
async fn pages_of_other_sites_cannot_use_the_certificate_of_their_visitors() {
    let proxy = certified(|_| {});
    let bears = bearing(Some("a.test"));
    let neighbour = ("origin", "https://other.b.test");
    for (method, fields) in [
        (Method::PUT, &[EVIL][..]),
        (Method::DELETE, &[EVIL]),
        (Method::GET, &[CROSS]),
        (Method::GET, &[("referer", "http://evil.test/")]),
        (Method::GET, &[SAME, ("host", "tmp.b.test")]),
        (Method::GET, &[neighbour, ("host", "tmp.b.test")]),
        (Method::PUT, &[SAME]),
    ] {
        let found = rule(&proxy, &bears, method.clone(), fields).await;
        assert_eq!(found.as_deref(), Some("cross-site"), "{method} {fields:?}");
    }
    for fields in [&[][..], &[("sec-fetch-site", "same-origin")], &[("origin", APP)]] {
        let found = rule(&proxy, &bears, Method::GET, fields).await;
        assert_eq!(found.as_deref(), Some("outside-scope"), "{fields:?}");
    }
}

#[tokio::test]
async fn preflights_are_answered_without_a_certificate() {
    let proxy = certified(|_| {});
    let ask = async |from: &Connection, origin| {
        let fields = [("origin", origin), ("access-control-request-method", "GET")];
        let response = send(&proxy, from, Method::OPTIONS, "/tmp/media/a", &fields).await;
        (response.status.as_u16(), text(&response, "access-control-allow-origin").map(str::to_owned))
    };
    assert_eq!(ask(&bearing(None), APP).await, (204, Some(APP.to_owned())));
    assert_eq!(ask(&bearing(Some("a.test")), APP).await, (204, Some(APP.to_owned())));
    assert_eq!(ask(&bearing(None), "https://evil.test").await, (403, None));
    let refused = send(&proxy, &bearing(None), Method::GET, "/tmp/media/a", &[("origin", APP)]).await;
    assert_eq!(text(&refused, "access-control-allow-origin"), Some(APP), "a script reads why");
}

#[tokio::test]
async fn responses_to_clients_with_a_certificate_are_private() {
    let private = || Some("private".to_owned());
    let bears = bearing(Some("a.test"));
    let proxy = certified(|mapping| mapping.cors = None);
    let (status, control, vary) = caching(&proxy, &bears).await;
    assert_eq!((status, control), (200, private()));
    assert!(vary.is_none_or(|vary| !vary.contains("Authorization")));
    assert_eq!(caching(&proxy, &bearing(None)).await.1, private(), "with a certificate it would differ");
    let shared = certified(|mapping| (mapping.cors, mapping.shared_cache) = (None, true));
    assert_eq!(caching(&shared, &bears).await.1, None);
}
