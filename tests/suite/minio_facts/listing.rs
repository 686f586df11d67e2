//! What a session may list, and how the condition on `s3:prefix` can be bypassed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use crate::support::{
    keys::Keys,
    minio::Minio,
    process::wait_for,
    sigv4::direct,
    sts::{assume_role, scoped},
};

use super::{allowing, outcome};

/// Returns a statement that allows listing `tmp` with a prefix like one of these.
fn listing(like: &[&str]) -> String {
    listing_with("s3:ListBucket", like)
}

/// Like [`listing`], with another action.
pub(super) fn listing_with(action: &str, like: &[&str]) -> String {
    json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": [action], "Resource": ["arn:aws:s3:::tmp"],
        "Condition": { "StringLike": { "s3:prefix": like } },
    }] })
    .to_string()
}

fn list(minio: &Minio, keys: &Keys, query: &str, headers: &[(&str, &str)]) -> (String, Vec<String>) {
    let answer = direct(minio, keys, "GET", &format!("/tmp?list-type=2&{query}"), headers, b"");
    let text = answer.text();
    let listed = text.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
    (outcome(&answer), listed.map(|(key, _)| key.to_owned()).collect())
}

/// A list position names where MinIO keeps the list. Neither IAM nor a session policy checks it.
#[test]
fn a_list_position_writes_to_any_bucket() {
    let (minio, issuer) = Minio::start_seeded();
    minio.mc(&["mb", "local/victim"]);
    let keys = scoped(&minio, &issuer, &listing(&["media/*"]));
    let position = STANDARD.encode("media/a[minio_cache:v2,return:,id:../../../../victim/planted]");
    let token = utf8_percent_encode(&position, NON_ALPHANUMERIC);
    let asked = list(&minio, &keys, &format!("prefix=media%2F&continuation-token={token}"), &[]);
    assert_eq!(asked.0, "200");
    let planted = || direct(&minio, &issuer, "HEAD", "/victim/planted/block-0.s2", &[], b"").status();
    assert_eq!(
        wait_for(|| (planted() == 200).then_some(())),
        Some(()),
        "nothing was written to the other bucket"
    );
}

#[test]
fn the_condition_on_the_prefix_and_its_two_bypasses() {
    let (minio, issuer) = Minio::start_seeded();
    minio.put("tmp/closed/secret.txt", b"closed");
    let denied = ("403 AccessDenied".to_owned(), Vec::new());
    let found = |key: &str| ("200".to_owned(), vec![key.to_owned()]);

    let keys = scoped(&minio, &issuer, &listing(&["media/*"]));
    assert_eq!(list(&minio, &keys, "prefix=media%2F", &[]), found("media/hello.txt"));
    assert_eq!(list(&minio, &keys, "prefix=media", &[]), denied, "P/* does not match P");
    assert_eq!(list(&minio, &keys, "prefix=closed%2F", &[]), denied);
    assert_eq!(list(&minio, &keys, "prefix=", &[]), denied);
    assert_eq!(list(&minio, &keys, "max-keys=5", &[]), denied, "a missing prefix is denied");

    // Two bypasses: a header named `prefix`, and a second value. aws-sigv4 sorts the values of a name, while MinIO
    // keeps their order; with `closed/` and `media/` both orders are the same.
    assert_eq!(list(&minio, &keys, "prefix=closed%2F", &[("prefix", "media/")]), found("closed/secret.txt"));
    assert_eq!(list(&minio, &keys, "prefix=closed%2F&prefix=media%2F", &[]), found("closed/secret.txt"));

    // The second pattern allows `prefix=media`, which also lists `media-else`.
    minio.put("tmp/media-else", b"no key of media/");
    let keys = scoped(&minio, &issuer, &listing(&["media", "media/*"]));
    let (status, listed) = list(&minio, &keys, "prefix=media", &[]);
    assert_eq!((status.as_str(), listed.len()), ("200", 2), "{listed:?}");
}

#[test]
fn other_operations_of_a_bucket() {
    let (minio, issuer) = Minio::start_seeded();
    let head = |keys: &Keys| outcome(&direct(&minio, keys, "HEAD", "/tmp", &[], b""));
    let get = |keys: &Keys, target: &str| direct(&minio, keys, "GET", target, &[], b"");

    let lister = scoped(&minio, &issuer, &listing(&["media/*"]));
    assert_eq!(head(&lister), "403 AccessDenied", "a conditioned ListBucket is not enough");
    assert_eq!(head(&scoped(&minio, &issuer, &allowing(&["s3:HeadBucket"], &["tmp"]))), "200");
    assert_eq!(head(&scoped(&minio, &issuer, &allowing(&["s3:ListBucket"], &["tmp"]))), "200");

    assert_eq!(outcome(&get(&lister, "/tmp?location")), "403 AccessDenied");
    let locator = scoped(&minio, &issuer, &allowing(&["s3:GetBucketLocation"], &["tmp"]));
    assert_eq!(outcome(&get(&locator, "/tmp?location")), "200");

    // ListBuckets shows the buckets that the session may list or locate.
    let reader = scoped(&minio, &issuer, &allowing(&["s3:GetObject"], &["tmp/media/*"]));
    assert_eq!(outcome(&get(&reader, "/")), "403 AccessDenied");
    assert_eq!(get(&locator, "/").element("Name").as_deref(), Some("tmp"));

    // Any session can read its parent's name and policy.
    let info = get(&reader, "/minio/admin/v3/accountinfo");
    assert_eq!(info.status(), 200);
    assert!(info.text().contains("stsadmin"), "{}", info.text());

    // Every action of a statement must support its condition key.
    let uploads = listing_with("s3:ListBucketMultipartUploads", &["media/*"]);
    let refused = assume_role(&minio, &issuer, Some(&uploads)).err().map(|answer| outcome(&answer));
    assert_eq!(refused.as_deref(), Some("400 InvalidParameterValue"));
}
