//! Tokens of every kind of key, and every known attack on them.

mod attacks;
mod fetching;
mod key_sets;
mod times;

use super::algorithm::Algorithm;
use super::issuers::{Issuers, Verified};
use super::settings::{JwtSettings, KeyOrigin};
use super::testing::{Signer, claims, settings};
use crate::authenticate::failure::Failure;
use crate::net::wall_clock::WallClock;
use crate::sigv4::secret::Secret;
use serde_json::{Value, json};
use std::io::Write;
use std::time::SystemTime;
use tempfile::NamedTempFile;

/// An issuer whose keys are in a file.
struct Corp {
    issuers: Issuers,
    now: SystemTime,
    file: NamedTempFile,
}

impl Corp {
    /// Starts with these keys in the file.
    fn start(keys: &[Value]) -> Self {
        Self::with(keys, |_| {})
    }

    fn with(keys: &[Value], change: impl FnOnce(&mut JwtSettings)) -> Self {
        let mut file = NamedTempFile::new().unwrap();
        write!(file, "{}", json!({ "keys": keys })).unwrap();
        let mut settings = settings(KeyOrigin::File(file.path().to_owned()));
        change(&mut settings);
        let issuers = Issuers::start(&[settings], None, WallClock::SYSTEM);
        Self { issuers, now: SystemTime::now(), file }
    }

    async fn verify(&self, token: &str) -> Result<Verified, Failure> {
        self.issuers.verify(token, self.now).await
    }

    /// Returns `ok`, or the cause of the failure. No failure shows a part of the token.
    async fn outcome(&self, token: &str) -> String {
        match self.verify(token).await {
            Ok(_) => "ok".to_owned(),
            Err(failure) => {
                for part in token.split('.').filter(|part| part.len() > 20) {
                    assert!(!failure.detail.contains(part), "{}", failure.detail);
                }
                failure.cause.name().to_owned()
            }
        }
    }

    fn claims(&self) -> Value {
        claims(self.now)
    }
}

/// Returns the header of a token.
fn header(algorithm: &str, kid: &str) -> Value {
    json!({ "alg": algorithm, "typ": "JWT", "kid": kid })
}

/// Returns `value` with a member set, or without it.
fn with(mut value: Value, name: &str, member: impl Into<Option<Value>>) -> Value {
    let object = value.as_object_mut().unwrap();
    match member.into() {
        Some(member) => object.insert(name.to_owned(), member),
        None => object.remove(name),
    };
    value
}

#[tokio::test]
async fn tokens_of_every_algorithm_verify() {
    let [rsa, p256, p384, edwards] = [Signer::rsa(), Signer::p256(), Signer::p384(), Signer::ed25519()];
    let keys = [rsa.jwk("rsa"), p256.jwk("p256"), p384.jwk("p384"), edwards.jwk("ed")];
    let corp = Corp::start(&keys);
    for algorithm in Algorithm::PUBLIC {
        let (signer, kid) = match algorithm {
            Algorithm::Es256 => (&p256, "p256"),
            Algorithm::Es384 => (&p384, "p384"),
            Algorithm::EdDsa => (&edwards, "ed"),
            _ => (&rsa, "rsa"),
        };
        let token = signer.token(algorithm, &header(algorithm.name(), kid), &corp.claims());
        let verified = corp.verify(&token).await.unwrap();
        assert_eq!((&*verified.identity.issuer, verified.identity.subject()), ("corp", Some("alice")));
        assert_eq!(Value::Object(verified.identity.claims), corp.claims());
        // The same token, claimed to be of another algorithm or key.
        for other in Algorithm::PUBLIC.into_iter().filter(|other| *other != algorithm) {
            for kid in ["rsa", "p256", "p384", "ed"] {
                let token = signer.token(algorithm, &header(other.name(), kid), &corp.claims());
                let outcome = corp.outcome(&token).await;
                assert!(["bad-signature", "algorithm"].contains(&&*outcome), "{outcome}");
            }
        }
    }
}

#[tokio::test]
async fn tokens_of_a_shared_secret_verify() {
    let secret = "0123456789abcdef".repeat(4);
    let origin = KeyOrigin::Secret(Secret::new(secret.clone()));
    let settings = JwtSettings { algorithms: Algorithm::SECRET.to_vec(), ..settings(origin) };
    let issuers = Issuers::start(&[settings], None, WallClock::SYSTEM);
    let now = SystemTime::now();
    let (right, wrong) = (Signer::Secret(secret.into_bytes()), Signer::Secret(vec![7; 64]));
    for algorithm in Algorithm::SECRET {
        let name = algorithm.name();
        for header in [json!({ "alg": name }), header(name, "any")] {
            assert!(issuers.verify(&right.token(algorithm, &header, &claims(now)), now).await.is_ok());
            let forged =
                issuers.verify(&wrong.token(algorithm, &header, &claims(now)), now).await.unwrap_err();
            assert_eq!(forged.cause.name(), "bad-signature");
        }
    }
    let token = Signer::rsa().token(Algorithm::Rs256, &header("RS256", "rsa"), &claims(now));
    assert_eq!(issuers.verify(&token, now).await.unwrap_err().cause.name(), "algorithm");
}

#[tokio::test]
async fn only_claims_that_take_little_memory_are_remembered() {
    let signer = Signer::p256();
    let corp = Corp::start(&[signer.jwk("a")]);
    for (more, is_light) in [
        (json!(vec!["group"; 400]), true),
        (json!(vec!["group"; 500]), false),
        (json!(vec![json!({ "a": 0 }); 20]), true),
        (json!(vec![json!({ "a": 0 }); 30]), false),
        (json!({ "a": vec![json!({}); 30] }), false),
    ] {
        let claims = with(corp.claims(), "more", more.clone());
        let token = signer.token(Algorithm::Es256, &header("ES256", "a"), &claims);
        assert_eq!(corp.verify(&token).await.unwrap().is_light, is_light, "{more}");
    }
}
