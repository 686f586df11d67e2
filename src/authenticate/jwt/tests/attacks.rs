//! Every known attack on the format of tokens, and what other implementations accepted.

use super::super::algorithm::Algorithm;
use super::super::testing::{Signer, claims, encoded, rsa_der};
use super::{Corp, header, with};
use aws_lc_rs::signature::KeyPair;
use proptest::prelude::*;
use serde_json::{Value, json};

const ES: Algorithm = Algorithm::Es256;

/// An issuer with a key on P-256.
fn corp() -> (Corp, Signer) {
    let signer = Signer::p256();
    (Corp::start(&[signer.jwk("a")]), signer)
}

#[tokio::test]
async fn a_token_without_a_signature_is_refused() {
    let (corp, signer) = corp();
    let claims = corp.claims();
    for name in ["none", "None", "NONE", "nOnE", "", "null"] {
        for signature in ["", "AAAA"] {
            let header = header(name, "a").to_string();
            let token = format!(
                "{}.{}.{signature}",
                encoded(header.as_bytes()),
                encoded(claims.to_string().as_bytes())
            );
            assert_eq!(corp.outcome(&token).await, "algorithm", "{name}");
        }
    }
    let valid = signer.token(ES, &header("ES256", "a"), &claims);
    assert_eq!(corp.outcome(&valid).await, "ok");
    let (message, _) = valid.rsplit_once('.').unwrap();
    assert_eq!(corp.outcome(&format!("{message}.")).await, "bad-signature");
    assert_eq!(corp.outcome(message).await, "malformed");
}

#[tokio::test]
async fn a_public_key_is_no_secret() {
    let Signer::Rsa(pair) = Signer::rsa() else { panic!("an RSA key") };
    let corp = Corp::start(&[Signer::rsa().jwk("rsa")]);
    let public = pair.public_key().as_ref().to_vec();
    let jwk = Signer::rsa().jwk("rsa").to_string().into_bytes();
    let pem = format!("-----BEGIN RSA PUBLIC KEY-----\n{}\n-----END RSA PUBLIC KEY-----\n", encoded(&public));
    for secret in [public, jwk, pem.into_bytes(), Vec::new()] {
        for (algorithm, name) in
            [(Algorithm::Hs256, "HS256"), (Algorithm::Hs384, "HS384"), (Algorithm::Hs512, "HS512")]
        {
            let forged =
                Signer::Secret(secret.clone()).token(algorithm, &header(name, "rsa"), &corp.claims());
            assert_eq!(corp.outcome(&forged).await, "algorithm");
            let relabelled =
                Signer::Secret(secret.clone()).token(algorithm, &header("RS256", "rsa"), &corp.claims());
            assert_eq!(corp.outcome(&relabelled).await, "bad-signature");
        }
    }
}

#[tokio::test]
async fn keys_that_the_token_names_are_never_used() {
    let (corp, _) = corp();
    let attacker = Signer::p256();
    for (name, value) in [
        ("jwk", attacker.jwk("a")),
        ("jku", json!("http://127.0.0.1:1/keys")),
        ("x5u", json!("http://127.0.0.1:1/cert")),
        ("x5c", json!(["MIIB"])),
    ] {
        let header = with(header("ES256", "a"), name, value);
        assert_eq!(
            corp.outcome(&attacker.token(ES, &header, &corp.claims())).await,
            "bad-signature",
            "{name}"
        );
    }
    for kid in ["../../../dev/null", "a' OR '1'='1", "/etc/passwd", "a\0", "A", " a", "a ", "", "|id"] {
        let forged = attacker.token(ES, &header("ES256", kid), &corp.claims());
        assert_eq!(corp.outcome(&forged).await, "unknown-kid", "{kid:?}");
    }
    let long = attacker.token(ES, &header("ES256", &"a".repeat(257)), &corp.claims());
    assert_eq!(corp.outcome(&long).await, "malformed");
}

#[tokio::test]
async fn headers_that_demand_something_are_refused() {
    let (corp, signer) = corp();
    for (name, value, cause) in [
        ("crit", json!(["exp"]), "extension"),
        ("crit", json!([]), "extension"),
        ("crit", Value::Null, "extension"),
        ("b64", json!(false), "extension"),
        ("b64", json!(true), "extension"),
        ("alg", json!(["ES256"]), "malformed"),
        ("alg", json!(256), "malformed"),
        ("alg", Value::Null, "malformed"),
        ("kid", json!(1), "malformed"),
        ("kid", Value::Null, "malformed"),
        ("typ", json!({}), "malformed"),
    ] {
        let header = with(header("ES256", "a"), name, value);
        assert_eq!(corp.outcome(&signer.token(ES, &header, &corp.claims())).await, cause, "{header}");
    }
    let no_algorithm = with(header("ES256", "a"), "alg", None);
    assert_eq!(corp.outcome(&signer.token(ES, &no_algorithm, &corp.claims())).await, "malformed");
}

#[tokio::test]
async fn members_that_appear_twice_are_refused() {
    let (corp, signer) = corp();
    let (good_header, good) = (header("ES256", "a").to_string(), corp.claims().to_string());
    let double = |text: &str, member: &str| format!("{},{member}}}", text.strip_suffix('}').unwrap());
    for (header, claims) in [
        (double(&good_header, r#""alg":"ES256""#), good.clone()),
        (double(&good_header, r#""\u0061lg":"none""#), good.clone()),
        (double(&good_header, r#""x":{"y":1,"y":2}"#), good.clone()),
        (good_header.clone(), double(&good, r#""sub":"admin""#)),
        (good_header.clone(), double(&good, r#""s\u0075b":"admin""#)),
        (good_header.clone(), double(&good, r#""realm":{"roles":["a"],"roles":["b"]}"#)),
    ] {
        let token = signer.token_of(ES, header.as_bytes(), claims.as_bytes());
        assert_eq!(corp.outcome(&token).await, "malformed", "{header} {claims}");
    }
    let deep = double(&good, &format!("\"x\":{}{}", "[".repeat(16), "]".repeat(16)));
    assert_eq!(
        corp.outcome(&signer.token_of(ES, good_header.as_bytes(), deep.as_bytes())).await,
        "malformed"
    );
}

#[tokio::test]
async fn other_spellings_of_a_token_are_refused() {
    let (corp, signer) = corp();
    let token = signer.token(ES, &header("ES256", "a"), &corp.claims());
    let parts: Vec<&str> = token.split('.').collect();
    let [head, claims, signature] = parts[..] else { panic!("three parts") };
    let five = format!("{token}.AAAA.AAAA");
    assert_eq!(corp.outcome(&five).await, "encrypted");
    for spelled in [
        String::new(),
        "..".to_owned(),
        "....".to_owned().repeat(100),
        format!("{head}.{claims}"),
        format!("{token}.AAAA"),
        format!("{token}="),
        format!("{head}=.{claims}.{signature}"),
        format!("{token} "),
        format!(" {token}"),
        format!("{head}.{claims}\n.{signature}"),
        format!("{head}. {claims}.{signature}"),
        format!("{head}.{claims}.{signature}\0"),
        format!("{head}.{claims}.{signature}é"),
        format!("{head}.{claims}.{}+", &signature[..signature.len() - 1]),
        format!("{head}.{claims}.{}/", &signature[..signature.len() - 1]),
        format!("{head}.{}.{signature}", encoded(b"[]")),
        format!("{head}.{}.{signature}", encoded(b"\"x\"")),
        format!("{head}..{signature}"),
        format!(".{claims}.{signature}"),
    ] {
        assert_eq!(corp.outcome(&spelled).await, "malformed", "{spelled:?}");
    }
    let huge = signer.token(ES, &header("ES256", "a"), &with(corp.claims(), "x", json!("y".repeat(12_300))));
    assert_eq!(corp.outcome(&huge).await, "too-large");
    let large = signer.token(ES, &header("ES256", "a"), &with(corp.claims(), "x", json!("y".repeat(11_000))));
    assert_eq!(corp.outcome(&large).await, "ok");
}

#[tokio::test]
async fn signatures_in_other_forms_are_refused() {
    let (corp, signer) = corp();
    let token = signer.token(ES, &header("ES256", "a"), &corp.claims());
    let (message, _) = token.rsplit_once('.').unwrap();
    let fixed = signer.sign(ES, message.as_bytes());
    let number = |half: &[u8]| {
        let padded = [&[0], half].concat();
        [&[2, u8::try_from(padded.len()).unwrap()], &*padded].concat()
    };
    let (r, s) = fixed.split_at(32);
    let body = [number(r), number(s)].concat();
    let der = [&[0x30, u8::try_from(body.len()).unwrap()], &*body].concat();
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let order: Vec<u8> =
        (0..32).map(|at| u8::from_str_radix(&order[2 * at..2 * at + 2], 16).unwrap()).collect();
    for signature in [
        vec![0; 64],
        vec![0; 63],
        [&order[..], &order].concat(),
        [&[0; 32][..], s].concat(),
        [r, &[0; 32]].concat(),
        [r, &order].concat(),
        [s, r].concat(),
        der,
        [&fixed[..], &[0]].concat(),
        [&[0], &fixed[..]].concat(),
        fixed[..63].to_vec(),
        Vec::new(),
    ] {
        let outcome = corp.outcome(&format!("{message}.{}", encoded(&signature))).await;
        assert_eq!(outcome, "bad-signature", "{signature:?}");
    }
    assert_eq!(corp.outcome(&format!("{message}.{}", encoded(&fixed))).await, "ok");
}

#[tokio::test]
async fn weak_rsa_keys_verify_nothing() {
    // AWS-LC makes no pair of it, so the token is not signed by it. The key is refused before that matters.
    let der = rsa_der(1024);
    let modulus_at = der.windows(4).position(|four| four == [0x02, 0x81, 0x81, 0x00]).unwrap() + 4;
    let weak =
        json!({ "kty": "RSA", "kid": "weak", "n": encoded(&der[modulus_at..modulus_at + 128]), "e": "AQAB" });
    let corp = Corp::start(&[weak, Signer::p256().jwk("a")]);
    let token = Signer::rsa().token(Algorithm::Rs256, &header("RS256", "weak"), &corp.claims());
    let failure = corp.verify(&token).await.unwrap_err();
    assert_eq!(failure.cause.name(), "unknown-kid");
    assert!(failure.detail.contains("an RSA key of 1024 bits"), "{}", failure.detail);
}

#[tokio::test]
async fn tokens_of_other_issuers_and_for_other_services_are_refused() {
    let (corp, signer) = corp();
    for (name, value, cause, told) in [
        (
            "iss",
            json!("https://id.test"),
            "unknown-issuer",
            "iss is \"https://id.test\", and the issuers are: \"https://id.test/\"",
        ),
        ("iss", json!("https://ID.test/"), "unknown-issuer", "https://ID.test/"),
        ("iss", json!(["https://id.test/"]), "bad-claim", "iss is not a string"),
        ("iss", Value::Null, "bad-claim", "iss is not a string"),
        ("aud", json!("else"), "audience", "aud is \"else\", and [\"scopegate\", \"other\"] is wanted"),
        ("aud", json!(["a", "b"]), "audience", "aud is [\"a\", \"b\"], and"),
        ("aud", json!([]), "audience", "aud is []"),
        ("aud", json!("Scopegate"), "audience", "Scopegate"),
        ("aud", json!("scopegate "), "audience", "scopegate "),
        ("aud", json!(["scopegate", 1]), "bad-claim", "aud contains"),
        ("aud", json!(["scopegate", ["x"]]), "bad-claim", "aud contains"),
        ("aud", json!({ "scopegate": true }), "bad-claim", "aud is neither"),
        ("aud", Value::Null, "bad-claim", "aud is neither"),
        ("aud", json!(true), "bad-claim", "aud is neither"),
        ("sub", json!(1), "bad-claim", "sub is not a string"),
        ("sub", Value::Null, "bad-claim", "sub is not a string"),
        ("jti", json!([]), "bad-claim", "jti is not a string"),
    ] {
        let token = signer.token(ES, &header("ES256", "a"), &with(corp.claims(), name, value.clone()));
        let failure = corp.verify(&token).await.unwrap_err();
        assert_eq!(failure.cause.name(), cause, "{name} = {value}");
        assert!(failure.detail.contains(told), "{}", failure.detail);
    }
    for (name, cause) in [("iss", "bad-claim"), ("aud", "audience"), ("exp", "bad-claim")] {
        let token = signer.token(ES, &header("ES256", "a"), &with(corp.claims(), name, None));
        assert_eq!(corp.outcome(&token).await, cause, "without {name}");
    }
    for aud in [json!("other"), json!(["x", "scopegate"])] {
        let token = signer.token(ES, &header("ES256", "a"), &with(corp.claims(), "aud", aud));
        assert_eq!(corp.outcome(&token).await, "ok");
    }
    for name in ["sub", "jti", "nbf", "iat"] {
        let token = signer.token(ES, &header("ES256", "a"), &with(corp.claims(), name, None));
        assert_eq!(corp.outcome(&token).await, "ok", "without {name}");
    }
}

/// Returns a runtime, an issuer and a valid token of every kind of key.
fn valid_tokens() -> (tokio::runtime::Runtime, Corp, Vec<String>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let signers = [
        (Signer::rsa(), Algorithm::Rs256),
        (Signer::rsa(), Algorithm::Ps256),
        (Signer::p256(), Algorithm::Es256),
        (Signer::p384(), Algorithm::Es384),
        (Signer::ed25519(), Algorithm::EdDsa),
    ];
    let kid = |(_, algorithm): &(Signer, Algorithm)| algorithm.name();
    let keys: Vec<Value> =
        signers.iter().map(|one| with(one.0.jwk(kid(one)), "alg", json!(kid(one)))).collect();
    let entered = runtime.enter();
    let corp = Corp::start(&keys);
    let token =
        |one: &(Signer, Algorithm)| one.0.token(one.1, &header(kid(one), kid(one)), &claims(corp.now));
    let tokens = signers.iter().map(token).collect();
    drop(entered);
    (runtime, corp, tokens)
}

#[test]
fn no_token_with_a_changed_byte_verifies() {
    let (runtime, corp, tokens) = valid_tokens();
    for token in &tokens {
        assert_eq!(runtime.block_on(corp.outcome(token)), "ok");
    }
    // One fetch for an unknown kid may be under way; the rest of the test must not wait for others.
    let mut runner =
        proptest::test_runner::TestRunner::new(ProptestConfig { cases: 2000, ..ProptestConfig::default() });
    let strategy = (0..tokens.len(), any::<prop::sample::Index>(), 0x20_u8..0x7f);
    let checked = runner.run(&strategy, |(which, at, byte)| {
        let mut bytes = tokens[which].clone().into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        let mutated = String::from_utf8(bytes).unwrap();
        prop_assert_ne!(runtime.block_on(corp.outcome(&mutated)), "ok");
        Ok(())
    });
    checked.unwrap();
}
