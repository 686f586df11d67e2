//! The times of tokens, with their leeway.

use super::super::algorithm::Algorithm;
use super::super::settings::Audience;
use super::super::testing::{Signer, seconds};
use super::{Corp, header, with};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

const ES: Algorithm = Algorithm::Es256;

#[tokio::test]
async fn a_token_is_valid_in_its_time_with_the_leeway() {
    let signer = Signer::p256();
    let corp = Corp::start(&[signer.jwk("a")]);
    // Whole seconds, so that the edges are exact.
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds(corp.now, 0)).unwrap());
    let corp = Corp { now, ..corp };
    for (name, value, outcome) in [
        ("exp", json!(seconds(now, 0)), "ok"),
        ("exp", json!(seconds(now, -59)), "ok"),
        ("exp", json!(seconds(now, -60)), "expired"),
        ("exp", json!(seconds(now, -61)), "expired"),
        ("exp", json!(0), "expired"),
        ("exp", json!(253_402_300_799_u64), "ok"),
        ("exp", json!(seconds(now, 300) * 1000), "bad-claim"),
        ("exp", json!(-1), "bad-claim"),
        ("exp", json!(1e300), "bad-claim"),
        ("exp", json!(u64::MAX), "bad-claim"),
        ("exp", json!(seconds(now, 300).to_string()), "bad-claim"),
        ("exp", json!(true), "bad-claim"),
        ("exp", json!([seconds(now, 300)]), "bad-claim"),
        ("exp", Value::Null, "bad-claim"),
        ("nbf", json!(seconds(now, 60)), "ok"),
        ("nbf", json!(seconds(now, 61)), "not-yet-valid"),
        ("nbf", json!("soon"), "bad-claim"),
        ("nbf", Value::Null, "bad-claim"),
        ("nbf", json!(false), "bad-claim"),
        ("iat", json!(seconds(now, 60)), "ok"),
        ("iat", json!(seconds(now, 61)), "not-yet-valid"),
        ("iat", json!({}), "bad-claim"),
        ("iat", Value::Null, "bad-claim"),
    ] {
        let token = signer.token(ES, &header("ES256", "a"), &with(corp.claims(), name, value.clone()));
        assert_eq!(corp.outcome(&token).await, outcome, "{name} = {value}");
    }
    let fraction = f64::from(u32::try_from(seconds(now, -60)).unwrap()) + 0.5;
    let token = signer.token(ES, &header("ES256", "a"), &with(corp.claims(), "exp", json!(fraction)));
    assert_eq!(corp.outcome(&token).await, "ok");
    let expired =
        signer.token(ES, &header("ES256", "a"), &with(corp.claims(), "exp", json!(seconds(now, -90))));
    let detail = corp.verify(&expired).await.unwrap_err().detail;
    assert_eq!(detail, format!("exp is {}, 90 s before now", seconds(now, -90)));
}

#[tokio::test]
async fn what_a_token_verified_ends_with_the_token_or_with_its_keys() {
    let signer = Signer::p256();
    let corp = Corp::with(&[signer.jwk("a")], |settings| settings.max_stale = Duration::from_secs(100));
    let until = |offset: i64| {
        let claims = with(corp.claims(), "exp", json!(seconds(corp.now, offset)));
        signer.token(ES, &header("ES256", "a"), &claims)
    };
    let short = corp.verify(&until(50)).await.unwrap();
    assert_eq!(seconds(short.expires, 0), seconds(corp.now, 50));
    let long = corp.verify(&until(5000)).await.unwrap();
    assert!((99..=101).contains(&(seconds(long.expires, 0) - seconds(corp.now, 0))));
}

#[tokio::test]
async fn lifetimes_are_limited_if_the_configuration_says_so() {
    let signer = Signer::p256();
    let corp =
        Corp::with(&[signer.jwk("a")], |settings| settings.max_lifetime = Some(Duration::from_mins(5)));
    for (issued, expires, outcome) in [
        (Some(-100), 200, "ok"),
        (Some(-100), 201, "lifetime"),
        (None, 200, "bad-claim"),
        (Some(0), 86_400, "lifetime"),
    ] {
        let claims = with(corp.claims(), "exp", json!(seconds(corp.now, expires)));
        let claims = with(claims, "iat", issued.map(|issued| json!(seconds(corp.now, issued))));
        let token = signer.token(ES, &header("ES256", "a"), &claims);
        assert_eq!(corp.outcome(&token).await, outcome, "{issued:?} {expires}");
    }
}

#[tokio::test]
async fn tokens_without_an_audience_must_be_asked_for_and_then_have_none() {
    let signer = Signer::p256();
    let corp = Corp::with(&[signer.jwk("a")], |settings| settings.audience = Audience::None);
    for (aud, outcome) in [
        (None, "ok"),
        (Some(json!("scopegate")), "audience"),
        (Some(json!([])), "audience"),
        (Some(json!("none")), "audience"),
        (Some(Value::Null), "bad-claim"),
    ] {
        let token = signer.token(ES, &header("ES256", "a"), &with(corp.claims(), "aud", aud.clone()));
        assert_eq!(corp.outcome(&token).await, outcome, "{aud:?}");
    }
}
