//! Clients with signed tokens, and the issuers' keys: `scopegate serve` in front of MinIO, beside a local issuer.

use crate::support::http::{self, Response, request};
use crate::support::keys::Keys;
use crate::support::minio::Minio;
use crate::support::process::wait_for;
use crate::support::proxy::Proxy;
use crate::support::tls::terminate_tls;
use crate::support::world::{outcome, start};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::SystemTime;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const OBJECT: &str = "/tmp/media/hello.txt";

/// A key pair of an issuer.
pub(super) struct Key {
    kid: &'static str,
    pair: EcdsaKeyPair,
}

impl Key {
    pub(super) fn new(kid: &'static str) -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self { kid, pair: EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref()).unwrap() }
    }

    fn jwk(&self) -> Value {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        json!({ "kty": "EC", "crv": "P-256", "kid": self.kid, "use": "sig", "x": encoded(x), "y": encoded(y) })
    }

    /// Returns a token with these claims.
    pub(super) fn token(&self, claims: &Value) -> String {
        let header = json!({ "alg": "ES256", "kid": self.kid, "typ": "JWT" });
        let message =
            format!("{}.{}", encoded(header.to_string().as_bytes()), encoded(claims.to_string().as_bytes()));
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", encoded(signature.as_ref()))
    }
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn set(keys: &[&Key]) -> String {
    json!({ "keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>() }).to_string()
}

fn seconds(offset: i64) -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap() + offset
}

/// Returns valid claims of `issuer`, with further members.
pub(super) fn claims(issuer: &str, more: &Value) -> Value {
    let mut claims = json!({
        "iss": issuer, "sub": "alice", "aud": ["scopegate"], "iat": seconds(-5), "nbf": seconds(-5), "exp": seconds(300),
    });
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

/// An issuer on a loopback address. It serves a document for each path, and closes connections for others.
#[derive(Clone)]
pub(super) struct Idp {
    address: SocketAddr,
    documents: Arc<Mutex<Vec<(String, String)>>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Idp {
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let idp = Self { address, documents: Arc::default(), requests: Arc::default() };
        let served = idp.clone();
        thread::spawn(move || listener.incoming().flatten().for_each(|stream| served.answer(stream)));
        idp
    }

    fn answer(&self, mut stream: TcpStream) {
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let head: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
        let path = head.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
        self.requests.lock().unwrap().push(head.join("\n"));
        let documents = self.documents.lock().unwrap();
        if let Some((_, body)) = documents.iter().find(|(served, _)| *served == path) {
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all((head + body).as_bytes());
        }
    }

    pub(super) fn serve(&self, documents: &[(&str, String)]) {
        let documents = documents.iter().map(|(path, body)| ((*path).to_owned(), body.clone()));
        *self.documents.lock().unwrap() = documents.collect();
    }

    fn fetches(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

/// Returns a configuration of these issuers, with a mapping of `tmp/media/` for a condition on tokens, and one of
/// `tmp/media/` for every address at another listener.
pub(super) fn config(minio: SocketAddr, issuers: &str, condition: &str) -> String {
    let scope = "[[mapping.scope]]\nbucket = \"tmp\"\nprefix = \"media/\"\nallow = [\"read\"]\n";
    format!(
        "[admin]\naddress = \"127.0.0.1:0\"\n[upstream]\nendpoints = [\"http://{minio}\"]\n[issuer]\n\
         access_key = {{ env = \"ISSUER_KEY\" }}\nsecret_key = {{ env = \"ISSUER_SECRET\" }}\n{issuers}\n\
         [[listener]]\nname = \"main\"\naddress = \"127.0.0.1:0\"\n\
         [[mapping]]\nname = \"token\"\nclient = {{ jwt = {condition} }}\n{scope}\
         [[listener]]\nname = \"open\"\naddress = \"127.0.0.1:0\"\n\
         [[mapping]]\nname = \"open\"\nclient = {{ listener = \"open\", network = \"127.0.0.0/8\" }}\n{scope}"
    )
}

/// A MinIO with the keys of its issuer of sessions.
pub(super) fn minio() -> (Minio, Keys) {
    let (minio, keys) = Minio::start_seeded();
    (minio, keys)
}

pub(super) fn get(proxy: &Proxy, token: &str) -> Response {
    let bearer = format!("Bearer {token}");
    request(proxy.address("main"), "GET", OBJECT, &[("authorization", &bearer)], b"").unwrap()
}

/// Waits until a token has this outcome.
fn becomes(proxy: &Proxy, token: &str, expected: &str) {
    let reached = wait_for(|| (outcome(&get(proxy, token)) == expected).then_some(()));
    assert!(reached.is_some(), "{} instead of {expected}\n{}", outcome(&get(proxy, token)), proxy.stderr());
}

fn metric(proxy: &Proxy, series: &str) -> String {
    let text = http::get(proxy.address("admin"), "/metrics").unwrap().text();
    text.lines()
        .find_map(|line| line.strip_prefix(series))
        .map(|value| value.trim().to_owned())
        .unwrap_or_default()
}

const WRONG: &str = "401 AccessDenied bad-credentials";
const UNAVAILABLE: &str = "503 ServiceUnavailable credentials-unavailable";

#[test]
fn tokens_of_an_issuer_with_discovery_are_accepted_and_wrong_ones_never_fall_through() {
    let (minio, keys) = minio();
    let (idp, key, stranger) = (Idp::start(), Key::new("one"), Key::new("one"));
    let issuer = format!("http://{}", idp.address);
    let document = json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/keys") }).to_string();
    idp.serve(&[("/.well-known/openid-configuration", document), ("/keys", set(&[&key]))]);
    let section = format!("[[jwt]]\nname = \"corp\"\nissuer = \"{issuer}\"\naudience = [\"scopegate\"]\n");
    let condition = "{ issuer = \"corp\", claims = [{ path = [\"groups\"], has = \"data\" }] }";
    // A weaker mapping at the same listener would admit everyone.
    let weaker = "[[mapping]]\nname = \"weak\"\nclient = { listener = \"main\" }\n[[mapping.scope]]\nbucket = \"tmp\"\n\
                  prefix = \"media/\"\nallow = [\"read\"]\n";
    let proxy = start(&(config(minio.address, &section, condition) + weaker), &keys);

    let member = json!({ "groups": ["ops", "data"] });
    let good = key.token(&claims(&issuer, &member));
    let read = get(&proxy, &good);
    assert_eq!((read.status(), read.text().as_str()), (200, "hello, media\n"), "{}", proxy.stderr());
    for (what, token) in [
        ("another audience", key.token(&claims(&issuer, &json!({ "aud": "minio", "groups": ["data"] })))),
        ("another issuer", key.token(&claims("https://id.test", &member))),
        ("expired", key.token(&claims(&issuer, &json!({ "exp": seconds(-90) })))),
        ("not valid yet", key.token(&claims(&issuer, &json!({ "nbf": seconds(90) })))),
        ("another key", stranger.token(&claims(&issuer, &member))),
        ("not a token", "abc".to_owned()),
        ("no signature", good.rsplit_once('.').unwrap().0.to_owned() + "."),
    ] {
        let refused = get(&proxy, &token);
        assert_eq!(outcome(&refused), WRONG, "{what}");
        let challenge = refused.header("www-authenticate").unwrap();
        assert_eq!(challenge, "Bearer realm=\"scopegate\", error=\"invalid_token\"", "{what}");
        assert!(
            !refused.text().contains("aud") && !refused.text().contains("corp"),
            "{what}: {}",
            refused.text()
        );
    }
    assert!(
        proxy.stderr().contains("aud is \\\"minio\\\", and \\\"scopegate\\\" is wanted"),
        "{}",
        proxy.stderr()
    );
    assert_eq!(metric(&proxy, "scopegate_authentications_total{scheme=\"bearer\",result=\"audience\"}"), "1");
    // A valid token of somebody else is a known client, which the weaker mapping admits.
    assert_eq!(get(&proxy, &key.token(&claims(&issuer, &json!({})))).status(), 200);
    assert_eq!(metric(&proxy, "scopegate_jwt_keys_usable{issuer=\"corp\"}"), "1");
}

#[test]
fn keys_over_tls_need_the_configured_authority_and_get_the_bearer_token() {
    let (minio, keys) = minio();
    let runtime = Runtime::new().unwrap();
    let (idp, key) = (Idp::start(), Key::new("one"));
    idp.serve(&[("/openid/v1/jwks", set(&[&key]))]);
    let (secure, ca) = terminate_tls(&runtime, idp.address);
    let (_, other_ca) = terminate_tls(&runtime, idp.address);
    let folder = TempDir::new().unwrap();
    let bearer = folder.path().join("token");
    fs::write(&bearer, "pod-token\n").unwrap();
    let issuer = "https://kubernetes.default.svc.cluster.local";
    let section = |ca: &Path| {
        format!(
            "[[jwt]]\nname = \"cluster\"\nkubernetes = true\naudience = [\"scopegate\"]\njwks = {{ url = \
             \"https://localhost:{}/openid/v1/jwks\", ca = [{ca:?}], bearer_file = {bearer:?} }}\n",
            secure.port()
        )
    };
    let condition = "{ issuer = \"cluster\", service_account = [\"data/reader\"] }";
    // The claims of a projected token, as Kubernetes makes it.
    let pod = |subject: &str, more: Value| {
        let mut all = json!({
            "sub": subject,
            "kubernetes.io": {
                "namespace": "data", "node": { "name": "n1", "uid": "1" }, "pod": { "name": "reader-0", "uid": "2" },
                "serviceaccount": { "name": "reader", "uid": "3" },
            },
        });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key.token(&claims(issuer, &all))
    };
    let proxy = start(&config(minio.address, &section(ca.path()), condition), &keys);
    let read = get(&proxy, &pod("system:serviceaccount:data:reader", json!({})));
    assert_eq!(read.status(), 200, "{}", proxy.stderr());
    let requests = idp.requests.lock().unwrap().join("\n");
    assert!(requests.contains("authorization: Bearer pod-token"), "{requests}");
    assert!(!proxy.stderr().contains("pod-token"));
    for subject in [
        "system:serviceaccount:data:reader2",
        "system:serviceaccount:data2:reader",
        "system:serviceaccount:data:reader:x",
        "system:serviceaccount:data/reader",
        "x:system:serviceaccount:data:reader",
        "data/reader",
    ] {
        assert_eq!(
            outcome(&get(&proxy, &pod(subject, json!({})))),
            "403 AccessDenied no-mapping",
            "{subject}"
        );
    }
    // Legacy tokens from secrets have neither an expiration nor an audience.
    let mut legacy = claims(issuer, &json!({ "sub": "system:serviceaccount:data:reader" }));
    for name in ["exp", "aud", "iat", "nbf"] {
        legacy.as_object_mut().unwrap().remove(name);
    }
    assert_eq!(outcome(&get(&proxy, &key.token(&legacy))), WRONG);
    let replayed =
        pod("system:serviceaccount:data:reader", json!({ "aud": ["https://kubernetes.default.svc"] }));
    assert_eq!(outcome(&get(&proxy, &replayed)), WRONG);

    let proxy = start(&config(minio.address, &section(other_ca.path()), condition), &keys);
    let token = pod("system:serviceaccount:data:reader", json!({}));
    becomes(&proxy, &token, UNAVAILABLE);
    assert!(wait_for(|| proxy.stderr().contains("invalid peer certificate").then_some(())).is_some());
}

#[test]
fn an_issuer_that_cannot_be_reached_stops_its_own_tokens_alone() {
    let (minio, keys) = minio();
    let (idp, key) = (Idp::start(), Key::new("one"));
    let issuer = format!("http://{}", idp.address);
    let section = format!(
        "[[jwt]]\nname = \"corp\"\nissuer = \"{issuer}\"\naudience = \"scopegate\"\njwks = {{ url = \"{issuer}/keys\" }}\n"
    );
    // The issuer closes every connection, and the proxy starts all the same.
    let proxy = start(&config(minio.address, &section, "{ issuer = \"corp\" }"), &keys);
    let token = key.token(&claims(&issuer, &json!({})));
    let refused = get(&proxy, &token);
    assert_eq!(outcome(&refused), UNAVAILABLE);
    assert!(refused.header("retry-after").is_some() && refused.header("www-authenticate").is_none());
    assert_eq!(http::get(proxy.address("open"), OBJECT).unwrap().status(), 200);
    let ready = http::get(proxy.address("admin"), "/readyz").unwrap();
    assert_eq!(ready.status(), 200, "other clients are served");
    assert!(
        ready.text().contains("issuer \"corp\": it has no keys yet, so its tokens are answered with 503")
    );
    assert_eq!(metric(&proxy, "scopegate_jwt_keys_usable{issuer=\"corp\"}"), "0");

    // It returns, and is asked again without a request.
    idp.serve(&[("/keys", set(&[&key]))]);
    becomes(&proxy, &token, "200");
    assert_eq!(http::get(proxy.address("admin"), "/readyz").unwrap().text(), "ok\n");

    // It fails again: known keys serve, and for others nobody knows.
    idp.serve(&[]);
    let before = idp.fetches();
    let unknown = Key::new("two").token(&claims(&issuer, &json!({})));
    for _ in 0..50 {
        assert_eq!(outcome(&get(&proxy, &unknown)), WRONG, "the keys were read within 30 seconds");
        assert_eq!(get(&proxy, &token).status(), 200);
    }
    assert_eq!(idp.fetches(), before);
}

#[test]
fn a_file_of_keys_is_followed_and_a_reload_keeps_or_ends_what_was_verified() {
    let (minio, keys) = minio();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("jwks.json");
    let (old, new, issuer) = (Key::new("old"), Key::new("new"), "https://id.test/");
    fs::write(&file, set(&[&old])).unwrap();
    let section = |audience: &str| {
        format!(
            "[[jwt]]\nname = \"corp\"\nissuer = \"{issuer}\"\naudience = \"{audience}\"\njwks = {{ file = {file:?} }}\n"
        )
    };
    let condition = "{ issuer = \"corp\" }";
    let proxy = start(&config(minio.address, &section("scopegate"), condition), &keys);
    let (with_old, with_new) =
        (old.token(&claims(issuer, &json!({}))), new.token(&claims(issuer, &json!({}))));
    assert_eq!(get(&proxy, &with_old).status(), 200, "{}", proxy.stderr());
    assert_eq!(outcome(&get(&proxy, &with_new)), WRONG);

    // Rotation: both keys, then the new one alone. Kubernetes replaces files by renaming.
    let replace = |text: &str| {
        let next = folder.path().join("next");
        fs::write(&next, text).unwrap();
        fs::rename(&next, &file).unwrap();
    };
    replace(&set(&[&old, &new]));
    becomes(&proxy, &with_new, "200");
    assert_eq!(get(&proxy, &with_old).status(), 200);
    replace(&set(&[&new]));
    becomes(&proxy, &with_old, WRONG);
    assert_eq!(get(&proxy, &with_new).status(), 200);
    replace("broken");
    assert!(wait_for(|| proxy.stderr().contains("keys of an issuer cannot be read").then_some(())).is_some());
    assert_eq!(get(&proxy, &with_new).status(), 200);
    replace(&set(&[&new]));

    proxy.reload(&config(minio.address, &section("other"), condition));
    becomes(&proxy, &with_new, WRONG);
    let (_, log) = proxy.terminate();
    assert!(log.contains("aud is"), "{log}");
}

#[test]
fn long_tokens_are_accepted_and_longer_ones_are_named_so() {
    let (minio, keys) = minio();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("jwks.json");
    let (key, issuer) = (Key::new("one"), "https://id.test/");
    fs::write(&file, set(&[&key])).unwrap();
    let section = format!(
        "[[jwt]]\nname = \"corp\"\nissuer = \"{issuer}\"\naudience = \"scopegate\"\njwks = {{ file = {file:?} }}\n"
    );
    let proxy = start(&config(minio.address, &section, "{ issuer = \"corp\" }"), &keys);
    let groups = |count: usize| json!({ "groups": vec!["a-group-with-a-long-name"; count] });
    let large = key.token(&claims(issuer, &groups(400)));
    assert!((12_000..16_384).contains(&large.len()), "{}", large.len());
    assert_eq!(get(&proxy, &large).status(), 200, "{}", proxy.stderr());
    let huge = key.token(&claims(issuer, &groups(600)));
    assert_eq!(outcome(&get(&proxy, &huge)), "431 RequestHeaderSectionTooLarge header-too-large");
}
