//! What a session needs for old versions.

use aws_smithy_types::base64;
use sha2::{Digest, Sha256};

use crate::support::{keys::Keys, minio::Minio, sigv4::direct, sts::scoped};

use super::{allowing, listing::listing_with, outcome};

const OK: &str = "200";
const DENIED: &str = "403 AccessDenied";

/// Returns the version ids of a key, newest first.
fn versions(minio: &Minio, key: &str) -> Vec<String> {
    let answer = direct(minio, &minio.root, "GET", &format!("/tmp?prefix={key}&versions="), &[], b"");
    let text = answer.text();
    let ids = text.split("<VersionId>").skip(1).filter_map(|rest| rest.split_once("</VersionId>"));
    ids.map(|(id, _)| id.to_owned()).collect()
}

/// Starts a server with three versions of `media/versioned`. Returns it with its issuer and the path of the oldest
/// version.
fn three_versions() -> (Minio, Keys, String) {
    let (minio, issuer) = Minio::start_seeded();
    minio.mc(&["version", "enable", "local/tmp"]);
    for content in ["one", "two", "three"] {
        minio.put("tmp/media/versioned", content.as_bytes());
    }
    let ids = versions(&minio, "media/versioned");
    let oldest = ids.last().expect("versions");
    let path = format!("/tmp/media/versioned?versionId={oldest}");
    (minio, issuer, path)
}

#[test]
fn reading_an_old_version_needs_no_right_of_its_own() {
    let (minio, issuer, old) = three_versions();
    let ask = |method: &str, target: &str, actions: &[&str]| {
        let keys = scoped(&minio, &issuer, &allowing(actions, &["tmp/media/*"]));
        outcome(&direct(&minio, &keys, method, target, &[("x-amz-object-attributes", "ETag")], b""))
    };
    for method in ["GET", "HEAD"] {
        assert_eq!(ask(method, &old, &["s3:GetObject"]), OK);
        assert_eq!(ask(method, &old, &["s3:GetObjectVersion"]), OK);
        assert_eq!(ask(method, "/tmp/media/versioned", &["s3:GetObjectVersion"]), OK);
    }

    let tagging = format!("{old}&tagging=");
    assert_eq!(ask("GET", &tagging, &["s3:GetObjectTagging"]), OK);
    assert_eq!(ask("GET", &tagging, &["s3:GetObjectVersionTagging"]), DENIED);
    assert_eq!(ask("DELETE", &tagging, &["s3:DeleteObjectTagging"]), "204");
    assert_eq!(ask("DELETE", &tagging, &["s3:DeleteObjectVersionTagging"]), DENIED);

    // Attributes are the exception.
    let attributes = format!("{old}&attributes=");
    assert_eq!(ask("GET", &attributes, &["s3:GetObject", "s3:GetObjectAttributes"]), DENIED);
    assert_eq!(ask("GET", &attributes, &["s3:GetObject", "s3:GetObjectVersionAttributes"]), DENIED);
    assert_eq!(ask("GET", &attributes, &["s3:GetObjectVersion", "s3:GetObjectVersionAttributes"]), OK);
}

#[test]
fn deleting_an_old_version_needs_two_rights() {
    let (minio, issuer, old) = three_versions();
    let (_, id) = old.split_once('=').expect("a version id");
    let body =
        format!("<Delete><Object><Key>media/versioned</Key><VersionId>{id}</VersionId></Object></Delete>");
    let sum = base64::encode(Sha256::digest(&body));
    let keys = |actions: &[&str]| scoped(&minio, &issuer, &allowing(actions, &["tmp/media/*"]));
    let delete = |actions: &[&str]| outcome(&direct(&minio, &keys(actions), "DELETE", &old, &[], b""));
    let delete_many = |actions: &[&str]| {
        let sum = [("x-amz-checksum-sha256", sum.as_str())];
        outcome(&direct(&minio, &keys(actions), "POST", "/tmp?delete=", &sum, body.as_bytes()))
    };

    for not_enough in ["s3:DeleteObject", "s3:DeleteObjectVersion"] {
        assert_eq!(delete(&[not_enough]), DENIED);
        assert_eq!(delete_many(&[not_enough]), "200 AccessDenied");
    }
    assert_eq!(versions(&minio, "media/versioned").len(), 3);
    assert_eq!(delete(&["s3:DeleteObject", "s3:DeleteObjectVersion"]), "204");
    assert_eq!(versions(&minio, "media/versioned").len(), 2);
}

#[test]
fn listing_versions_needs_either_right_to_list() {
    let (minio, issuer, _) = three_versions();
    for (action, plain) in [("s3:ListBucket", OK), ("s3:ListBucketVersions", DENIED)] {
        let keys = scoped(&minio, &issuer, &listing_with(action, &["media/*"]));
        let list = |target: &str| outcome(&direct(&minio, &keys, "GET", target, &[], b""));
        assert_eq!(list("/tmp?prefix=media%2F"), plain, "{action}");
        assert_eq!(list("/tmp?prefix=media%2F&versions="), OK, "{action}");
        assert_eq!(list("/tmp?prefix=other%2F&versions="), DENIED, "{action}");
        assert_eq!(list("/tmp?versions="), DENIED, "{action}");
    }
}
