//! A scope's `max_object_size` limits copies like uploads.

use super::exists;
use crate::support::minio::Minio;
use crate::support::world::{self, World, config, corner, outcome};

const SCOPES: &[(&str, &str, &str)] =
    &[("tmp", "inbox/", "read,write,versions"), ("tmp", "media/", "read,versions")];
const TOO_LARGE: &str = "400 EntityTooLarge too-large";

/// Limits writes below `inbox/` to 1 KiB, but not reads below `media/`.
fn bounded() -> World {
    let (minio, issuer) = Minio::start_seeded();
    let bounded = "prefix = \"inbox/\"\nmax_object_size = \"1KiB\"\n";
    let config = config(minio.address, minio.address, &[corner("all", SCOPES)], "")
        .replace("prefix = \"inbox/\"\n", bounded);
    let proxy = world::start(&config, &issuer);
    let world = World { minio, issuer, proxy };
    world.minio.put("tmp/media/fits", &[b'x'; 1024]);
    world.minio.put("tmp/media/large", &[b'x'; 1025]);
    world
}

#[test]
fn a_copy_is_at_most_as_large_as_an_upload() {
    let world = bounded();
    let copy = |source: &str, headers: &[(&str, &str)]| {
        let all = [&[("x-amz-copy-source", source)][..], headers].concat();
        outcome(&world.ask("all", "PUT", "/tmp/inbox/a", &all, b""))
    };
    assert_eq!(copy("/tmp/media/large", &[]), TOO_LARGE);
    assert_eq!(copy("/tmp/media/large", &[("x-amz-metadata-directive", "REPLACE")]), TOO_LARGE);
    assert_eq!(copy("/tmp/media/large", &[("x-amz-copy-source-range", "bytes=0-9")]), TOO_LARGE);
    assert!(!exists(&world, "inbox/a"));
    assert_eq!(copy("/tmp/media/fits", &[]), "200");
    assert_eq!(world.get("all", "/tmp/inbox/a").body.len(), 1024);
    // The client's own conditions on the source still apply.
    let etag = world.get("all", "/tmp/media/fits").header("etag").unwrap().to_owned();
    assert_eq!(copy("/tmp/media/fits", &[("x-amz-copy-source-if-match", &etag)]), "200");
    assert_eq!(copy("/tmp/media/fits", &[("x-amz-copy-source-if-match", etag.trim_matches('"'))]), "200");
    let unmet = "412 PreconditionFailed";
    assert_eq!(copy("/tmp/media/fits", &[("x-amz-copy-source-if-match", "\"x\"")]), unmet);
    assert_eq!(copy("/tmp/media/fits", &[("x-amz-copy-source-if-none-match", &etag)]), unmet);
    assert_eq!(copy("/tmp/media/none", &[]), "404 NoSuchKey");
    assert_eq!(copy("/tmp/other/secret.txt", &[]), "403 AccessDenied copy-source");
}

#[test]
fn copies_of_old_versions_count_with_their_own_size() {
    let world = bounded();
    world.minio.mc(&["version", "enable", "local/tmp"]);
    world.minio.put("tmp/media/a", &[b'x'; 1025]);
    let large = world.get("all", "/tmp/media/a").header("x-amz-version-id").unwrap().to_owned();
    world.minio.put("tmp/media/a", b"small");
    for (version, expected) in [("", "200"), (&*format!("?versionId={large}"), TOO_LARGE)] {
        let source = format!("/tmp/media/a{version}");
        let copied = world.ask("all", "PUT", "/tmp/inbox/a", &[("x-amz-copy-source", &source)], b"");
        assert_eq!(outcome(&copied), expected, "{version}");
    }
}

#[test]
fn a_copied_part_is_at_most_as_large_as_an_uploaded_one() {
    let world = bounded();
    let created = world.ask("all", "POST", "/tmp/inbox/a?uploads", &[], b"");
    let target = format!("/tmp/inbox/a?partNumber=1&uploadId={}", created.element("UploadId").unwrap());
    let bad = "400 InvalidArgument bad-argument";
    for (source, range, expected) in [
        ("/tmp/media/large", None, TOO_LARGE),
        ("/tmp/media/fits", None, "200"),
        ("/tmp/media/large", Some("bytes=0-1024"), TOO_LARGE),
        ("/tmp/media/large", Some("bytes=1-1024"), "200"),
        ("/tmp/media/large", Some("bytes=0-5368709120"), bad),
        ("/tmp/media/large", Some("bytes=9-8"), bad),
        ("/tmp/media/large", Some("bytes=-9"), bad),
        ("/tmp/media/large", Some("bytes=9-"), bad),
    ] {
        let headers: Vec<(&str, &str)> = [("x-amz-copy-source", source)]
            .into_iter()
            .chain(range.map(|range| ("x-amz-copy-source-range", range)))
            .collect();
        let copied = world.ask("all", "PUT", &target, &headers, b"");
        assert_eq!(outcome(&copied), expected, "{headers:?}: {}", copied.text());
    }
}
