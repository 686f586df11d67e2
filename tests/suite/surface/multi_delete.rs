//! Requests to delete many keys, some of which do not belong to the client.

use super::{checksum, elements};
use crate::support::http::Connection;
use crate::support::minio::Minio;
use crate::support::sigv4::direct;
use crate::support::world::{Corner, World, corner, outcome};
use scopegate::internals::Algorithm;
use std::fmt::Write;

const ALL: &[(&str, &str, &str)] = &[("tmp", "inbox/", "read,list,write,delete")];
const MIXED: &[(&str, &str, &str)] = &[
    ("tmp", "inbox/", "read,list,write,delete"),
    ("tmp", "keep/", "read"),
    ("tmp", "old/", "read,list,write,delete,versions"),
];

fn document(quiet: bool, objects: &[&str]) -> Vec<u8> {
    let mut text = format!("<Delete><Quiet>{quiet}</Quiet>");
    for object in objects {
        let _ = write!(text, "<Object>{object}</Object>");
    }
    text.push_str("</Delete>");
    text.into_bytes()
}

fn exists(minio: &Minio, key: &str) -> bool {
    direct(minio, &minio.root, "HEAD", &format!("/tmp/{key}"), &[], b"").status() == 200
}

#[test]
fn every_key_is_judged_and_allowed_keys_are_deleted() {
    let world = World::start(&[Corner { name: "all", scopes: MIXED, more: "" }]);
    for key in ["inbox/a", "inbox/b&c", "keep/a", "other/a", "media/a"] {
        world.minio.put(&format!("tmp/{key}"), b"x");
    }
    let objects = [
        "<Key>inbox/a</Key>",
        "<Key>inbox/b&amp;c</Key>",
        "<Key>inbox/none</Key>",
        "<Key>keep/a</Key>",
        "<Key>other/a</Key>",
        "<Key>other/none</Key>",
        "<Key>inbox/../media/a</Key>",
        "<Key>inbox/a</Key><VersionId>null</VersionId>",
    ];
    for target in ["/tmp?delete", "/tmp/?delete="] {
        let answer = world.ask("all", "POST", target, &[], &document(false, &objects));
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let mut deleted = elements(&answer, "Deleted");
        deleted.sort();
        let expected = ["<Key>inbox/a</Key>", "<Key>inbox/b&amp;c</Key>", "<Key>inbox/none</Key>"];
        assert_eq!(deleted, expected, "{}", answer.text());
        let refused: Vec<(String, String)> = elements(&answer, "Error")
            .iter()
            .map(|error| {
                let part = |name: &str| {
                    let (_, rest) = error.split_once(&format!("<{name}>")).unwrap();
                    rest.split('<').next().unwrap().to_owned()
                };
                (part("Key"), part("Code"))
            })
            .collect();
        let denied = |key: &str| (key.to_owned(), "AccessDenied".to_owned());
        assert_eq!(
            refused,
            [
                denied("keep/a"),
                denied("other/a"),
                denied("other/none"),
                ("inbox/../media/a".to_owned(), "InvalidURI".to_owned()),
                denied("inbox/a"),
            ]
        );
        // The refusals do not reveal whether a key exists.
        let of = |key: &str| {
            let error = elements(&answer, "Error").into_iter().find(|error| error.contains(key)).unwrap();
            error.replace(key, "")
        };
        assert_eq!(of("other/a"), of("other/none"));
    }
    for (key, there) in
        [("inbox/a", false), ("inbox/b&c", false), ("keep/a", true), ("other/a", true), ("media/a", true)]
    {
        assert_eq!(exists(&world.minio, key), there, "{key}");
    }
    let quiet = world.ask("all", "POST", "/tmp?delete", &[], &document(true, &objects));
    assert_eq!((elements(&quiet, "Deleted").len(), elements(&quiet, "Error").len()), (0, 5));
}

#[test]
fn old_versions_are_deleted_only_if_granted() {
    let world = World::start(&[corner("all", MIXED)]);
    world.minio.mc(&["version", "enable", "local/tmp"]);
    for content in ["one", "two"] {
        world.minio.put("tmp/old/a", content.as_bytes());
        world.minio.put("tmp/inbox/a", content.as_bytes());
    }
    let versions = |prefix: &str| {
        let listed = direct(
            &world.minio,
            &world.minio.root,
            "GET",
            &format!("/tmp?prefix={prefix}%2F&versions="),
            &[],
            b"",
        );
        elements(&listed, "VersionId")
    };
    let object = |key: &str, version: &str| format!("<Key>{key}</Key><VersionId>{version}</VersionId>");
    let (old, inbox) = (versions("old").pop().unwrap(), versions("inbox").pop().unwrap());
    let body = document(false, &[&object("old/a", &old), &object("inbox/a", &inbox)]);
    let answer = world.ask("all", "POST", "/tmp?delete", &[], &body);
    assert_eq!(
        (elements(&answer, "Deleted").len(), elements(&answer, "Error").len()),
        (1, 1),
        "{}",
        answer.text()
    );
    assert_eq!((versions("old").len(), versions("inbox").len()), (1, 2));
    // Without a version id, a delete marker is written, and the result says so.
    let marked = world.ask("all", "POST", "/tmp?delete", &[], &document(false, &["<Key>inbox/a</Key>"]));
    assert_eq!(marked.element("DeleteMarker").as_deref(), Some("true"), "{}", marked.text());
}

#[test]
fn accepts_a_thousand_keys_and_no_more() {
    let world = World::start(&[corner("all", ALL)]);
    let mut connection = Connection::open(world.proxy.address("all")).unwrap();
    let keys: Vec<String> = (0..1001).map(|number| format!("<Key>inbox/{number}</Key>")).collect();
    for number in 0..1000 {
        let put = connection.request("PUT", &format!("/tmp/inbox/{number}"), &[], b"x").unwrap();
        assert_eq!(put.status(), 200);
    }
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let too_many = connection.request("POST", "/tmp?delete", &[], &document(true, &keys)).unwrap();
    assert_eq!(outcome(&too_many), "400 MalformedXML malformed-document");
    let mut connection = Connection::open(world.proxy.address("all")).unwrap();
    let all = connection.request("POST", "/tmp?delete", &[], &document(false, &keys[..1000])).unwrap();
    assert_eq!((elements(&all, "Deleted").len(), elements(&all, "Error").len()), (1000, 0));
    let left = connection.request("GET", "/tmp?prefix=inbox/", &[], b"").unwrap();
    assert_eq!(elements(&left, "Key"), [""; 0]);
}

#[test]
fn a_body_with_a_wrong_checksum_deletes_nothing() {
    let world = World::start(&[corner("all", ALL)]);
    world.minio.put("tmp/inbox/a", b"x");
    let body = document(false, &["<Key>inbox/a</Key>"]);
    for algorithm in Algorithm::ALL {
        let wrong = checksum(algorithm, b"another body").base64();
        let answer = world.ask("all", "POST", "/tmp?delete", &[(algorithm.header(), &wrong)], &body);
        let code = if algorithm == Algorithm::Md5 { "BadDigest" } else { "XAmzContentChecksumMismatch" };
        assert_eq!((answer.status(), answer.code().as_deref()), (400, Some(code)));
    }
    for (headers, target, expected) in [
        (&[("x-minio-force-delete", "true")][..], "/tmp?delete", "403 AccessDenied forbidden-header"),
        (&[("If-Match", "x")], "/tmp?delete", "501 NotImplemented condition"),
        (&[], "/tmp/inbox/?delete", "403 AccessDenied not-offered"),
        (&[], "/tmp/inbox/a?delete", "403 AccessDenied not-offered"),
        (&[], "/tmp?delete&versionId=null", "400 InvalidArgument unknown-query"),
        (&[], "/other?delete", "403 AccessDenied outside-scope"),
    ] {
        assert_eq!(outcome(&world.ask("all", "POST", target, headers, &body)), expected, "{target}");
    }
    assert!(exists(&world.minio, "inbox/a"));
    let right: Vec<(&str, String)> =
        Algorithm::ALL.map(|algorithm| (algorithm.header(), checksum(algorithm, &body).base64())).into();
    let right: Vec<(&str, &str)> = right.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(outcome(&world.ask("all", "POST", "/tmp?delete", &right, &body)), "200");
    assert!(!exists(&world.minio, "inbox/a"));
}

/// A session that dies between two requests of a multi-object delete is replaced.
#[test]
fn a_dead_session_is_replaced() {
    let world = World::start(&[corner("all", ALL)]);
    world.minio.put("tmp/inbox/a", b"x");
    assert_eq!(world.get("all", "/tmp/inbox/a").status(), 200);
    world.minio.revoke_sessions("stsadmin");
    let answer = world.ask("all", "POST", "/tmp?delete", &[], &document(false, &["<Key>inbox/a</Key>"]));
    assert_eq!(elements(&answer, "Deleted").len(), 1, "{}", answer.text());
    assert!(!exists(&world.minio, "inbox/a"));
}
