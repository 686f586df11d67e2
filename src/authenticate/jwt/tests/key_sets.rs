//! Sets of keys: which keys are usable, and which one a token gets.

use super::super::algorithm::Algorithm;
use super::super::key_set::{KeySet, NoKey};
use super::super::testing::{Signer, encoded};
use super::{Corp, header, with};
use serde_json::{Value, json};

fn set(keys: &[Value]) -> KeySet {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn none(kid: Option<&str>, algorithm: Algorithm, set: &KeySet) -> (&'static str, bool) {
    match set.choose(kid, algorithm).unwrap_err() {
        NoKey::Unknown(failure) => (failure.cause.name(), true),
        NoKey::Final(failure) => (failure.cause.name(), false),
    }
}

#[test]
fn keys_that_are_not_usable_are_skipped_with_the_reason_and_the_others_stay() {
    let (rsa, ec, edwards) = (Signer::rsa().jwk("x"), Signer::p256().jwk("x"), Signer::ed25519().jwk("x"));
    let big = |bytes: usize| encoded(&[&vec![0xc1; bytes - 1][..], &[1]].concat());
    for (key, why) in [
        (json!({ "kty": "AKP", "alg": "ML-DSA-44", "pub": "AA", "kid": "x" }), "its alg is \"ML-DSA-44\""),
        (json!({ "kty": "AKP", "kid": "x" }), "its kty is \"AKP\""),
        (json!({ "kid": "x" }), "it has no kty"),
        (json!({ "kty": 1, "kid": "x" }), "its kty is not a string"),
        (Signer::Secret(vec![1; 32]).jwk("x"), "it is a secret"),
        (with(rsa.clone(), "use", json!("enc")), "its use is \"enc\""),
        (with(rsa.clone(), "use", json!(["sig"])), "its use is not a string"),
        (with(rsa.clone(), "key_ops", json!(["sign"])), "its key_ops"),
        (with(rsa.clone(), "key_ops", json!("verify")), "its key_ops"),
        (with(rsa.clone(), "key_ops", json!([])), "its key_ops"),
        (with(rsa.clone(), "d", json!("AQAB")), "private key"),
        (with(rsa.clone(), "alg", json!("RSA-OAEP")), "its alg is \"RSA-OAEP\""),
        (with(rsa.clone(), "alg", json!("ES256")), "needs another kind of key"),
        (with(rsa.clone(), "alg", json!("none")), "its alg is \"none\""),
        (with(rsa.clone(), "alg", Value::Null), "its alg is not a string"),
        (with(rsa.clone(), "n", json!(big(128))), "1024 bits"),
        (with(rsa.clone(), "n", json!(encoded(&[&[0; 128][..], &[0xc1; 128]].concat()))), "1024 bits"),
        (with(rsa.clone(), "n", json!(encoded(&[&[0x7f][..], &[0xc1; 255]].concat()))), "2047 bits"),
        (with(rsa.clone(), "n", json!(big(1025))), "8200 bits"),
        (with(rsa.clone(), "n", json!("")), "0 bits"),
        (with(rsa.clone(), "n", json!(encoded(&[0xc2; 256]))), "impossible modulus"),
        (with(rsa.clone(), "e", json!(encoded(&[1]))), "impossible modulus or exponent"),
        (with(rsa.clone(), "e", json!(encoded(&[4]))), "impossible modulus or exponent"),
        (with(rsa.clone(), "e", json!(encoded(&[3; 9]))), "impossible modulus or exponent"),
        (with(rsa.clone(), "e", json!("AQAB=")), "its e is not base64url"),
        (with(rsa.clone(), "e", None), "it has no e"),
        (with(ec.clone(), "crv", json!("P-521")), "its kty is \"EC\" with the crv \"P-521\""),
        (with(ec.clone(), "crv", json!("secp256k1")), "with the crv"),
        (with(ec.clone(), "crv", None), "its kty is \"EC\""),
        (with(ec.clone(), "x", json!(encoded(&[1; 31]))), "its x has 31 bytes instead of 32"),
        (with(ec.clone(), "y", json!(encoded(&[1; 33]))), "its y has 33 bytes instead of 32"),
        (with(edwards.clone(), "x", json!(encoded(&[1; 57]))), "its x has 57 bytes instead of 32"),
        (with(edwards.clone(), "crv", json!("Ed448")), "with the crv \"Ed448\""),
        (with(rsa.clone(), "kid", json!(1)), "its kid is not a string"),
        (with(rsa.clone(), "kid", json!("k".repeat(257))), "its kid has more than 256 bytes"),
        (json!("x"), "it is not an object"),
    ] {
        let set = set(&[key.clone(), Signer::p256().jwk("good")]);
        let skipped = set.skipped();
        assert_eq!(set.len(), 1, "{key}");
        assert!(skipped.len() == 1 && skipped[0].contains(why), "{key}: {skipped:?}");
        assert!(set.choose(Some("good"), Algorithm::Es256).is_ok());
    }
    for usable in [
        with(rsa.clone(), "use", json!("sig")),
        with(rsa.clone(), "key_ops", json!(["sign", "verify"])),
        with(rsa.clone(), "x5c", json!(["MIIB"])),
        with(rsa.clone(), "unknown", json!({ "a": 1 })),
    ] {
        assert_eq!(set(&[usable]).len(), 1);
    }
}

#[test]
fn documents_that_are_no_sets_are_refused() {
    for (document, why) in [
        ("{}", "no array \"keys\""),
        ("[]", "not an object"),
        (r#"{"keys":{}}"#, "no array \"keys\""),
        (r#"{"keys":[],"keys":[]}"#, "\"keys\" twice"),
        (r#"{"keys":[{"kty":"RSA","kty":"EC"}]}"#, "\"kty\" twice"),
        ("<html>", "expected value"),
    ] {
        let told = KeySet::parse(document.as_bytes()).unwrap_err();
        assert!(told.contains(why), "{told}");
    }
    let many = json!({ "keys": vec![json!({}); 101] }).to_string();
    assert!(KeySet::parse(many.as_bytes()).unwrap_err().contains("101 keys"));
    let huge = format!("{{\"keys\":[],\"x\":\"{}\"}}", "y".repeat(256 * 1024));
    assert!(KeySet::parse(huge.as_bytes()).unwrap_err().contains("262144 bytes"));
    assert_eq!(set(&[]).len(), 0);
}

#[test]
fn a_key_is_chosen_only_if_no_other_could_be_meant() {
    let (rsa, one, two) = (Signer::rsa().jwk("r"), Signer::p256().jwk("a"), Signer::p256().jwk("b"));
    let all = set(&[rsa.clone(), one.clone(), two.clone()]);
    assert_eq!(all.choose(Some("a"), Algorithm::Es256).unwrap().key.kid.as_deref(), Some("a"));
    assert_eq!(none(Some("c"), Algorithm::Es256, &all), ("unknown-kid", true));
    assert_eq!(none(Some("r"), Algorithm::Es256, &all), ("algorithm", false));
    assert_eq!(none(Some("a"), Algorithm::Rs256, &all), ("algorithm", false));
    assert_eq!(none(None, Algorithm::Es256, &all), ("ambiguous-key", false));
    assert_eq!(none(None, Algorithm::Es384, &all), ("unknown-kid", true));
    assert_eq!(all.choose(None, Algorithm::Rs256).unwrap().key.kid.as_deref(), Some("r"));

    let same_kid = set(&[one.clone(), with(two.clone(), "kid", json!("a"))]);
    assert_eq!(none(Some("a"), Algorithm::Es256, &same_kid), ("ambiguous-key", false));
    let other_kind = set(&[one.clone(), with(rsa.clone(), "kid", json!("a"))]);
    assert!(other_kind.choose(Some("a"), Algorithm::Es256).is_ok());
    let restricted = set(&[with(rsa.clone(), "alg", json!("PS256"))]);
    assert!(restricted.choose(Some("r"), Algorithm::Ps256).is_ok());
    assert_eq!(none(Some("r"), Algorithm::Rs256, &restricted), ("algorithm", false));
    assert_eq!(none(None, Algorithm::Rs256, &restricted), ("unknown-kid", true));
    let nameless = set(&[with(one, "kid", None)]);
    assert!(nameless.choose(None, Algorithm::Es256).is_ok());
    assert_eq!(none(Some("a"), Algorithm::Es256, &nameless), ("unknown-kid", true));
}

#[test]
fn a_key_that_leaves_the_set_ends_at_once_and_the_others_stay() {
    let (stays, leaves) = (Signer::p256().jwk("stays"), Signer::rsa().jwk("leaves"));
    let replaced = Signer::ed25519();
    let first = set(&[stays.clone(), leaves, replaced.jwk("same")]);
    let second = set(&[Signer::ed25519().jwk("same"), stays]).succeeding(&first);
    let ended: Vec<bool> = ["stays", "leaves", "same"]
        .into_iter()
        .zip([Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa])
        .map(|(kid, algorithm)| first.choose(Some(kid), algorithm).unwrap().source.has_ended())
        .collect();
    assert_eq!(ended, [false, true, true]);
    for (kid, algorithm) in [("stays", Algorithm::Es256), ("same", Algorithm::EdDsa)] {
        assert!(!second.choose(Some(kid), algorithm).unwrap().source.has_ended(), "{kid}");
    }
    second.end();
    assert!(
        first.choose(Some("stays"), Algorithm::Es256).unwrap().source.has_ended(),
        "it is the same source"
    );
}

#[tokio::test]
async fn an_rsa_modulus_may_have_a_leading_zero_byte() {
    let signer = Signer::rsa();
    let jwk = signer.jwk("r");
    let modulus = {
        use base64::Engine;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap()
    };
    let corp = Corp::start(&[with(jwk, "n", json!(encoded(&[&[0], &modulus[..]].concat())))]);
    let token = signer.token(Algorithm::Rs256, &header("RS256", "r"), &corp.claims());
    assert_eq!(corp.outcome(&token).await, "ok");
}
