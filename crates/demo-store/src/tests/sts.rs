use std::time::Duration;

use aws_sdk_sts::Client;
use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::{BehaviorVersion, Config, Region};
use aws_sdk_sts::error::ProvideErrorMetadata;

use super::client::{Call, Key};
use super::{Demo, POLICY, Store};

/// Sends one `AssumeRole` through the SDK. Returns the session, or the code and message of the refusal.
pub(super) async fn mint(
    store: &Store,
    by: Key,
    policy: Option<&str>,
    seconds: i32,
) -> Result<Key, (String, String)> {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static(super::super::store::REGION))
        .endpoint_url(store.endpoint())
        .credentials_provider(by.credentials())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled())
        .build();
    let answer = Client::from_conf(config)
        .assume_role()
        .role_arn("arn:aws:iam::000000000000:role/demo")
        .role_session_name("demo")
        .duration_seconds(seconds)
        .set_policy(policy.map(str::to_owned))
        .send()
        .await
        .map_err(|error| {
            let said = |text: Option<&str>| text.unwrap_or_default().to_owned();
            (said(error.code()), said(error.message()))
        })?;
    let session = answer.credentials().unwrap();
    let ends = std::time::SystemTime::try_from(*session.expiration()).unwrap();
    let lifetime = ends.duration_since(std::time::SystemTime::now()).unwrap();
    let asked = Duration::from_secs(u64::try_from(seconds).unwrap());
    assert!(lifetime <= asked && lifetime + Duration::from_mins(1) > asked, "{lifetime:?}");
    Ok(Key::new(session.access_key_id(), session.secret_access_key(), Some(session.session_token())))
}

#[tokio::test]
async fn the_issuer_mints_a_new_session_each_time() {
    let demo = Demo::start().await;
    let (one, other) = (demo.session().await, demo.session().await);
    assert_ne!(one.access, other.access);
    assert_ne!(one.token, other.token);
    assert!(mint(&demo.store, demo.issuer(), None, 43_200).await.is_ok());
}

#[tokio::test]
async fn temporary_credentials_mint_nothing() {
    let demo = Demo::start().await;
    let session = demo.session().await;
    let refused = |code: &str| Err((code.to_owned(), "Access Denied.".to_owned()));
    let minted = mint(&demo.store, session.clone(), Some(POLICY), 900).await.map(|_| ());
    assert_eq!(minted, refused("AccessDenied"));
    let minted = mint(&demo.store, session.with_token(None), Some(POLICY), 900).await.map(|_| ());
    assert_eq!(minted, refused("AccessDenied"));
    let disguised = demo.issuer().with_token(session.token.as_deref());
    let minted = mint(&demo.store, disguised, Some(POLICY), 900).await.map(|_| ());
    assert_eq!(minted, refused("AccessDenied"));
}

#[tokio::test]
async fn the_sdk_reads_the_code_of_a_refused_mint() {
    let demo = Demo::start().await;
    let long = format!("{POLICY}{}", " ".repeat(2048));
    for (policy, seconds, code, message) in [
        (POLICY, 899, "InvalidParameterValue", "DurationSeconds must be from 900 to 43200"),
        (POLICY, 43_201, "InvalidParameterValue", "DurationSeconds must be from 900 to 43200"),
        (&long, 900, "InvalidParameterValue", "Session policy should not exceed 2048 characters"),
        ("{", 900, "MalformedPolicyDocument", "not a policy document this store knows"),
    ] {
        let refused = mint(&demo.store, demo.issuer(), Some(policy), seconds).await.map(|_| ());
        assert_eq!(refused, Err((code.to_owned(), message.to_owned())));
    }
}

#[tokio::test]
async fn only_a_request_signed_for_sts_is_a_mint() {
    let demo = Demo::start().await;
    let at = demo.store.address();
    let call = || {
        Call::new("POST", "/")
            .header("content-type", "application/x-www-form-urlencoded")
            .body("Action=AssumeRole&Version=2011-06-15")
    };
    assert_eq!(call().signed(at, &demo.issuer()).service("sts").send(at).await.refusal().0, 403);
    assert_eq!(call().send(at).await.refusal(), (403, "AccessDenied".to_owned()));
    assert_eq!(call().service("sts").signed(at, &demo.issuer()).send(at).await.status, 200);
    let long = call().body("x".repeat(64 * 1024 + 1)).service("sts").signed(at, &demo.issuer());
    assert_eq!(long.send(at).await.refusal(), (400, "InvalidParameterValue".to_owned()));
}
