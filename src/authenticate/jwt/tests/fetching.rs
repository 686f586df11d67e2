//! Keys from files and from issuers on the network.

use super::super::algorithm::Algorithm;
use super::super::issuers::Issuers;
use super::super::settings::{Access, JwtSettings, KeyOrigin};
use super::super::testing::{Signer, claims, settings};
use super::super::url::KeyUrl;
use super::{Corp, header};
use crate::authenticate::failure::Failure;
use crate::net::connect::TlsSettings;
use crate::net::wall_clock::WallClock;
use crate::refusal::Rule;
use serde_json::{Value, json};
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const ES: Algorithm = Algorithm::Es256;

/// A response of the issuer, or none.
type Answer = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// An issuer on a loopback address.
struct Server {
    base: String,
    requests: Arc<Mutex<Vec<String>>>,
    answer: Arc<Mutex<Answer>>,
}

impl Server {
    async fn start(answer: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let answer: Arc<Mutex<Answer>> = Arc::new(Mutex::new(Arc::new(answer)));
        let server = Self { base, requests: Arc::clone(&requests), answer: Arc::clone(&answer) };
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (requests, answer) = (Arc::clone(&requests), Arc::clone(&answer.lock().unwrap()));
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let Ok(byte) = stream.read_u8().await else { return };
                        head.push(byte);
                    }
                    let head = String::from_utf8(head).unwrap();
                    requests.lock().unwrap().push(head.clone());
                    match answer(&head) {
                        Some(answer) => drop(stream.write_all(answer.as_bytes()).await),
                        None => std::future::pending().await,
                    }
                });
            }
        });
        server
    }

    fn set(&self, answer: impl Fn(&str) -> Option<String> + Send + Sync + 'static) {
        *self.answer.lock().unwrap() = Arc::new(answer);
    }

    fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    fn origin(&self, path: &str) -> KeyOrigin {
        KeyOrigin::Url(KeyUrl::parse(&format!("{}{path}", self.base)).unwrap(), Access::default())
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the answers of a server may be none")]
fn ok(body: &str) -> Option<String> {
    Some(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
}

fn serving(keys: &[Value]) -> impl Fn(&str) -> Option<String> + Send + Sync + 'static {
    let body = json!({ "keys": keys }).to_string();
    move |_| ok(&body)
}

fn start(settings: &[JwtSettings]) -> Issuers {
    Issuers::start(settings, None, WallClock::SYSTEM)
}

fn token(signer: &Signer, kid: &str) -> String {
    signer.token(ES, &header("ES256", kid), &claims(SystemTime::now()))
}

async fn verify(issuers: &Issuers, token: &str) -> Result<(), Failure> {
    issuers.verify(token, SystemTime::now()).await.map(drop)
}

async fn failure(issuers: &Issuers, token: &str) -> Failure {
    verify(issuers, token).await.unwrap_err()
}

/// Waits until the last attempt to read the keys has failed, and returns its error.
async fn error(issuers: &Issuers) -> String {
    loop {
        let status = issuers.statuses(SystemTime::now()).next().unwrap();
        if let Some(error) = status.error {
            return error.to_string();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_first_keys_are_waited_for_and_their_absence_is_no_fault_of_the_client() {
    let signer = Signer::p256();
    let silent = Server::start(|_| None).await;
    let issuers = start(&[settings(silent.origin("/"))]);
    let began = std::time::Instant::now();
    let failed = failure(&issuers, &token(&signer, "a")).await;
    assert!(began.elapsed() < Duration::from_secs(4));
    assert_eq!((failed.rule, failed.cause.name()), (Rule::CredentialsUnavailable, "keys-unavailable"));
    assert!(failed.detail.contains("there are no keys yet") && failed.retry_after.is_some());

    let keys = json!({ "keys": [signer.jwk("a")] }).to_string();
    let slow = Server::start(move |_| {
        std::thread::sleep(Duration::from_millis(200));
        ok(&keys)
    });
    let issuers = start(&[settings(slow.await.origin("/"))]);
    assert!(verify(&issuers, &token(&signer, "a")).await.is_ok(), "the first keys are worth waiting for");
}

#[tokio::test]
async fn a_flood_of_unknown_keys_causes_one_fetch_and_says_nothing_about_known_ones() {
    let signer = Signer::p256();
    let server = Server::start(serving(&[signer.jwk("a")])).await;
    let issuers = Arc::new(start(&[settings(server.origin("/"))]));
    assert!(verify(&issuers, &token(&signer, "a")).await.is_ok());
    let floods = (0..200).map(|number| {
        let (issuers, token) = (Arc::clone(&issuers), token(&signer, &format!("k{number}")));
        tokio::spawn(async move { failure(&issuers, &token).await })
    });
    for flood in floods.collect::<Vec<_>>() {
        let failed = flood.await.unwrap();
        assert_eq!((failed.cause.name(), failed.rule), ("unknown-kid", Rule::BadCredentials));
    }
    assert_eq!(server.count(), 1, "the keys were read less than 30 seconds ago");
    assert!(verify(&issuers, &token(&signer, "a")).await.is_ok());
}

#[tokio::test]
async fn keys_serve_until_they_are_too_old() {
    let signer = Signer::p256();
    let server = Server::start(serving(&[signer.jwk("a")])).await;
    let issuers = start(&[settings(server.origin("/"))]);
    let token_at = |time| signer.token(ES, &header("ES256", "a"), &claims(time));
    let now = SystemTime::now();
    assert!(issuers.verify(&token_at(now), now).await.is_ok());
    let day = Duration::from_hours(24);
    let (before, after) = (now + day - Duration::from_secs(30), now + day + Duration::from_secs(30));
    assert!(issuers.verify(&token_at(before), before).await.is_ok());
    let failed = issuers.verify(&token_at(after), after).await.unwrap_err();
    assert_eq!((failed.rule, failed.cause.name()), (Rule::CredentialsUnavailable, "keys-unavailable"));
    assert!(failed.detail.contains("more than max_stale"), "{}", failed.detail);
    let usable: Vec<bool> =
        [before, after].into_iter().map(|time| issuers.statuses(time).next().unwrap().is_usable).collect();
    assert_eq!(usable, [true, false]);
}

#[tokio::test]
async fn a_file_is_read_again_and_a_wrong_one_changes_nothing() {
    let (old, new) = (Signer::p256(), Signer::p256());
    let corp = Corp::start(&[old.jwk("old")]);
    let verified = corp.verify(&token(&old, "old")).await.unwrap();
    corp.file.as_file().set_len(0).unwrap();
    std::fs::write(corp.file.path(), "not a set").unwrap();
    let told = error(&corp.issuers).await;
    assert!(told.contains("expected"), "{told}");
    assert_eq!(corp.outcome(&token(&old, "old")).await, "ok");
    let failed = failure(&corp.issuers, &token(&new, "new")).await;
    assert_eq!(failed.rule, Rule::CredentialsUnavailable, "nobody knows whether the key is the issuer's");
    let mut file = std::fs::File::create(corp.file.path()).unwrap();
    write!(file, "{}", json!({ "keys": [new.jwk("new")] })).unwrap();
    while corp.outcome(&token(&new, "new")).await != "ok" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(corp.outcome(&token(&old, "old")).await, "unknown-kid");
    assert!(verified.source.has_ended(), "what the old key verified ends with it");
}

#[tokio::test]
async fn a_file_that_everyone_can_change_is_not_trusted() {
    use std::os::unix::fs::PermissionsExt;
    let corp = Corp::start(&[]);
    std::fs::set_permissions(corp.file.path(), std::fs::Permissions::from_mode(0o666)).unwrap();
    let told = error(&corp.issuers).await;
    assert!(told.contains("mode 0666"), "{told}");
}

#[tokio::test]
async fn discovery_trusts_the_issuer_alone() {
    let signer = Signer::p256();
    let server = Server::start(|_| None).await;
    let base = server.base.clone();
    let keys = json!({ "keys": [signer.jwk("a")] }).to_string();
    let serve = move |issuer: &str, base: &str, keys: &str| {
        let document = json!({ "issuer": issuer, "jwks_uri": format!("{base}/keys") }).to_string();
        let keys = keys.to_owned();
        move |head: &str| {
            ok(if head.starts_with("GET /.well-known/openid-configuration ") { &document } else { &keys })
        }
    };
    let of = |issuer: &str| JwtSettings {
        issuer: issuer.into(),
        ..settings(KeyOrigin::Discovery(KeyUrl::of_discovery(&base).unwrap(), Access::default()))
    };
    server.set(serve(&base, &base, &keys));
    let issuers = start(&[of(&base)]);
    let mut claims = claims(SystemTime::now());
    claims["iss"] = json!(base);
    assert!(verify(&issuers, &signer.token(ES, &header("ES256", "a"), &claims)).await.is_ok());

    server.set(serve("https://evil.test/", &base, &keys));
    let told = error(&start(&[of(&base)])).await;
    assert!(told.contains("the issuer of the discovery document is \"https://evil.test/\""), "{told}");
}

#[tokio::test]
async fn answers_that_are_no_keys_are_described() {
    let redirect =
        |to: &str| Some(format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n"));
    let huge = format!("{{\"keys\":[],\"x\":\"{}\"}}", "y".repeat(256 * 1024));
    let answers: [(Answer, &str); 7] = [
        (
            Arc::new(|_| Some("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n".into())),
            "answers with status 401",
        ),
        (Arc::new(|_| ok("<html>")), "expected value"),
        (Arc::new(move |_| ok(&huge)), "length limit"),
        (Arc::new(move |_| redirect("https://evil.test/keys")), "redirects to another host"),
        (Arc::new(move |_| redirect("/again")), "redirects more than 3 times"),
        (Arc::new(|_| Some("SSH-2.0-x\r\n\r\n".into())), "does not answer in HTTP"),
        (Arc::new(|_| Some(String::new())), "does not answer in HTTP"),
    ];
    for (answer, why) in answers {
        let server = Server::start(move |head| answer(head)).await;
        let told = error(&start(&[settings(server.origin("/keys"))])).await;
        assert!(told.contains(why) && told.contains(&server.base), "{told}");
    }
}

#[tokio::test]
async fn a_redirect_at_the_same_origin_is_followed_with_the_bearer_token() {
    let signer = Signer::p256();
    let keys = json!({ "keys": [signer.jwk("a")] }).to_string();
    let server = Server::start(move |head| {
        if head.starts_with("GET /keys?x=1 ") {
            return Some(
                "HTTP/1.1 307 Temporary Redirect\r\nlocation: /moved\r\ncontent-length: 0\r\n\r\n".into(),
            );
        }
        ok(&keys)
    })
    .await;
    let mut bearer = tempfile::NamedTempFile::new().unwrap();
    bearer.write_all(b"pod-token\n").unwrap();
    let access = Access { tls: TlsSettings::default(), bearer_file: Some(bearer.path().to_owned()) };
    let url = KeyUrl::parse(&format!("{}/keys?x=1", server.base)).unwrap();
    let issuers = start(&[settings(KeyOrigin::Url(url, access))]);
    assert!(verify(&issuers, &token(&signer, "a")).await.is_ok());
    let requests = server.requests.lock().unwrap().clone();
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|head| head.contains("authorization: Bearer pod-token\r\n")), "{requests:?}");
    assert!(requests[1].starts_with("GET /moved HTTP/1.1\r\n"));
}

#[tokio::test]
async fn issuers_are_taken_over_and_other_settings_end_what_was_verified() {
    let signer = Signer::p256();
    let server = Server::start(serving(&[signer.jwk("a")])).await;
    let before = settings(server.origin("/"));
    let first = start(std::slice::from_ref(&before));
    let verified = first.verify(&token(&signer, "a"), SystemTime::now()).await.unwrap();
    let second = Issuers::start(std::slice::from_ref(&before), Some(&first), WallClock::SYSTEM);
    first.give_way_to(&second);
    drop(first);
    assert!(verify(&second, &token(&signer, "a")).await.is_ok() && !verified.source.has_ended());
    assert_eq!(server.count(), 1, "an unchanged issuer is not asked again");

    server.set(|_| None);
    let changed = JwtSettings { leeway: Duration::ZERO, ..before.clone() };
    let third = Issuers::start(&[changed], Some(&second), WallClock::SYSTEM);
    assert!(!verified.source.has_ended(), "the reload may still fail");
    second.give_way_to(&third);
    assert!(verified.source.has_ended(), "the token was accepted by other settings");
    assert!(verify(&third, &token(&signer, "a")).await.is_ok(), "the keys are those of before");
    let fourth = Issuers::start(&[], Some(&third), WallClock::SYSTEM);
    assert!(fourth.is_empty());
    let moved = JwtSettings { keys: server.origin("/other"), ..before };
    let fifth = Issuers::start(&[moved], Some(&third), WallClock::SYSTEM);
    assert_eq!(failure(&fifth, &token(&signer, "a")).await.cause.name(), "keys-unavailable");
}

#[tokio::test]
async fn the_issuer_of_a_token_decides_about_its_keys() {
    let (one, two) = (Signer::p256(), Signer::p256());
    let first = Server::start(serving(&[one.jwk("a")])).await;
    let second = Server::start(serving(&[two.jwk("a")])).await;
    let other = JwtSettings {
        name: "other".into(),
        issuer: "https://other.test/".into(),
        ..settings(second.origin("/"))
    };
    let issuers = start(&[settings(first.origin("/")), other]);
    let mut foreign = claims(SystemTime::now());
    foreign["iss"] = json!("https://other.test/");
    let sign = |signer: &Signer, claims: &Value| signer.token(ES, &header("ES256", "a"), claims);
    let now = SystemTime::now();
    let name = |verified: super::Verified| verified.identity.issuer.to_string();
    assert_eq!(issuers.verify(&sign(&one, &claims(now)), now).await.map(name).unwrap(), "corp");
    assert_eq!(issuers.verify(&sign(&two, &foreign), now).await.map(name).unwrap(), "other");
    for forged in [sign(&two, &claims(now)), sign(&one, &foreign)] {
        assert_eq!(failure(&issuers, &forged).await.cause.name(), "bad-signature");
    }
}

/// A request of the configuration before may still wait for a key when the next configuration takes effect.
#[tokio::test]
async fn keys_that_are_read_after_a_reload_vouch_for_nothing() {
    let (old, new) = (Signer::p256(), Signer::p256());
    let server = Server::start(serving(&[old.jwk("old")])).await;
    let before = start(&[settings(server.origin("/"))]);
    assert!(verify(&before, &token(&old, "old")).await.is_ok());
    let next = Issuers::start(&[], Some(&before), WallClock::SYSTEM);
    before.give_way_to(&next);
    server.set(serving(&[new.jwk("new")]));
    pass(Duration::from_secs(31)).await;
    let verified = before.verify(&token(&new, "new"), SystemTime::now()).await.unwrap();
    assert!(verified.source.has_ended(), "the next configuration does not know the issuer");
}

/// Lets time pass for tokio, and not for the sockets.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn an_unknown_key_is_looked_for_once_in_30_seconds() {
    let (old, new) = (Signer::p256(), Signer::p256());
    let server = Server::start(serving(&[old.jwk("old")])).await;
    let issuers = Arc::new(start(&[settings(server.origin("/"))]));
    assert!(verify(&issuers, &token(&old, "old")).await.is_ok());
    let flood = async |signer: &Signer, kid: &'static str| {
        let all = (0..50).map(|_| {
            let (issuers, token) = (Arc::clone(&issuers), token(signer, kid));
            tokio::spawn(async move { verify(&issuers, &token).await.is_ok() })
        });
        let mut verified = 0;
        for one in all.collect::<Vec<_>>() {
            verified += usize::from(one.await.unwrap());
        }
        verified
    };
    // The issuer rotates its key.
    server.set(serving(&[old.jwk("old"), new.jwk("new")]));
    assert_eq!((flood(&new, "new").await, server.count()), (0, 1), "30 seconds have not passed");
    pass(Duration::from_secs(31)).await;
    assert_eq!((flood(&new, "new").await, server.count()), (50, 2));
    assert_eq!((flood(&new, "other").await, server.count()), (0, 2));
    pass(Duration::from_secs(31)).await;
    assert_eq!((flood(&new, "other").await, server.count()), (0, 3));
}

#[tokio::test]
async fn known_keys_serve_while_the_network_fails() {
    let (old, new) = (Signer::p256(), Signer::p256());
    let server = Server::start(serving(&[old.jwk("old")])).await;
    let issuers = start(&[settings(server.origin("/"))]);
    assert!(verify(&issuers, &token(&old, "old")).await.is_ok());
    server.set(|_| Some(String::new()));
    pass(Duration::from_secs(31)).await;
    let failed = failure(&issuers, &token(&new, "new")).await;
    assert_eq!(failed.rule, Rule::CredentialsUnavailable, "{}", failed.detail);
    assert!(failed.detail.contains("kid is \"new\""), "{}", failed.detail);
    assert!(verify(&issuers, &token(&old, "old")).await.is_ok());
    let status = issuers.statuses(SystemTime::now()).next().unwrap();
    assert!(status.is_usable && status.error.is_some() && status.ok == 1 && status.failed >= 1);
    // The fetch is tried again by itself.
    server.set(serving(&[new.jwk("new")]));
    while verify(&issuers, &token(&new, "new")).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(failure(&issuers, &token(&old, "old")).await.cause.name(), "unknown-kid");
}
