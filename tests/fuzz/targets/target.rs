//! Path, query and copy source: either a refusal, or a request whose decoded bucket and key are in scope and are those
//! that were decided on.

use super::decode::{is_canonical, pairs, place, unescape};
use super::mappings::{covers, scoped};
use super::request::Lines;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex_lite::Regex;
use scopegate::internals::{Dialect, Form, Grant, Operation, Right, Spec};

pub(crate) const WORDS: &[&[u8]] = &[
    b"GET ",
    b"HEAD ",
    b"PUT ",
    b"POST ",
    b"DELETE ",
    b"OPTIONS ",
    b"/tmp/",
    b"/tmp-2/",
    b"media/",
    b"media/old/",
    b"inbox/",
    b"other/",
    b"/",
    b"//",
    b"%2f",
    b"%2F",
    b"%5c",
    b"\\",
    b"..",
    b"../",
    b"%2e%2e",
    b"%252e",
    b".",
    b"%00",
    b"%ff",
    b"%c0%ae",
    b"%e2%80%ae",
    b"%",
    b"+",
    b"%2B",
    b"%20",
    b";",
    b"?",
    b"&",
    b"=",
    b"#",
    b"*",
    b"%2A",
    b"\xc3\xbc",
    b"?prefix=media/",
    b"prefix=",
    b"list-type=2",
    b"delimiter=/",
    b"versions",
    b"versionId=",
    b"tagging",
    b"uploads",
    b"uploadId=1",
    b"partNumber=1",
    b"attributes",
    b"location",
    b"start-after=",
    b"X-Amz-Signature=0",
    b"&x-id=GetObject",
    b"response-content-type=a",
    b"response-expires=%01",
    b"prefix=media/&marker=",
    b"key-marker=",
    b"version-id-marker=",
    b"continuation-token=",
    b"max-keys=",
    b"encoding-type=url",
    b"media/a",
    b"[minio_cache:v2,return:]",
    b"[minio_cache:v2,id:../x,return:]",
    b"bWVkaWEvYQ==",
    b"bWVkaWEvYVttaW5pb19jYWNoZTp2MixyZXR1cm46XQ==",
    b"null",
    b"00000000-0000-0000-0000-000000000000",
    b"xl.meta",
    b"__XLDIR__",
    b"%01",
    b"eC4",
    b"-1",
    b"\nx-amz-copy-source: ",
    b"/tmp/media/",
];

pub(crate) fn check(input: &[u8]) -> String {
    let Some(Lines { method, path, query, fields }) = Lines::read(input) else {
        return "not lines".to_owned();
    };
    let mapping = scoped();
    let grant = match mapping.grant(&method, path, query, &fields) {
        Ok(grant) => grant,
        Err(refusal) => return format!("{method} {:?}", refusal.rule),
    };
    let operation = grant.operation();
    let decided = grant
        .resource()
        .bucket()
        .map(|bucket| (bucket.to_owned(), grant.resource().key().unwrap_or_default().to_owned()));
    let copied = check_copy(&grant);
    let spec = grant.spec();
    let right = spec.right;
    let (sent_path, sent_query) = grant.into_canonical();

    assert!(is_canonical(&sent_path, b"/") && !sent_path.contains("%2F"), "{sent_path}");
    assert!(is_canonical(&sent_query, b"=&"), "{sent_query}");
    let sent = pairs(&sent_query).expect("the query can be decoded");
    let Some((bucket, key)) = decided else {
        assert_eq!((operation.name(), &*sent_path), ("ListBuckets", "/"));
        return "ListBuckets".to_owned();
    };
    assert_eq!(
        place(&sent_path),
        Some((bucket.clone(), key.clone())),
        "{sent_path} is not the object that was decided on"
    );
    check_key(&key);
    check_query(spec, &sent, query.unwrap_or_default());
    check_scope(operation, right, &bucket, &key, &sent);
    format!("{} {} {copied} {}", operation.name(), key.is_empty(), sent.len().min(3))
}

/// Checks that no store can mistake a key for a path to another one or for one of its own files.
fn check_key(key: &str) {
    assert!(!key.starts_with('/') && key.len() <= 1024, "{key:?}");
    check_segments(key);
}

fn check_segments(key: &str) {
    assert!(!key.contains("//") && !key.contains(char::is_control), "{key:?}");
    assert!(!key.contains(['\u{fffe}', '\u{ffff}']) && !key.contains("[minio_cache"), "{key:?}");
    assert!(!key.split(['/', '\\']).any(|segment| segment == ".." || segment == "."), "{key:?}");
    for segment in key.split('/') {
        assert!(segment.len() <= 255 && segment != "xl.meta" && !segment.ends_with("__XLDIR__"), "{key:?}");
    }
}

/// Checks that each parameter comes from the client, occurs once and has a value of the documented form.
fn check_query(spec: &Spec, sent: &[(String, String)], query: &str) {
    let kept: Vec<&str> = query.split('&').filter(|part| !is_signature(part)).collect();
    let written = pairs(&kept.join("&")).expect("a granted query can be decoded");
    assert!(
        sent.windows(2).all(|pair| pair[0].0 < pair[1].0),
        "names are not sorted or not unique: {sent:?}"
    );
    for (name, value) in sent {
        assert!(written.iter().any(|(have, _)| have == name), "{name} is not in the client's query");
        let parameter = spec.query.iter().find(|parameter| parameter.name == name);
        match parameter.map(|parameter| parameter.grammar.form(Dialect::Minio)) {
            Some(Form::Key) => check_segments(value),
            Some(Form::EncodedKey) => {
                let decoded = STANDARD.decode(value).expect("canonical base64");
                let key = str::from_utf8(&decoded).expect("UTF-8");
                // A list may continue after keys that no path may contain.
                let may_be_there = |c: char| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}');
                check_segments(&key.replace(may_be_there, "?"));
            }
            Some(Form::Pattern(pattern)) => {
                assert!(Regex::new(pattern).unwrap().is_match(value), "{name}: {value:?} is not {pattern}");
            }
            None => assert!(value.is_empty() || name == "list-type", "{name}: {value:?}"),
        }
    }
}

fn is_signature(part: &str) -> bool {
    let name = part.split('=').next().unwrap_or_default().replace('+', " ");
    let name = unescape(&name).unwrap_or_default().to_ascii_lowercase();
    name.starts_with("x-amz-") || ["x-id", "awsaccesskeyid", "signature", "expires"].contains(&&*name)
}

fn check_scope(operation: Operation, right: Right, bucket: &str, key: &str, sent: &[(String, String)]) {
    let value = |name: &str| sent.iter().find(|(have, _)| have == name).map(|(_, value)| &**value);
    let old = value("versionId").is_some() || operation == Operation::ListObjectVersions;
    let needs: &[Right] = if old { &[right, Right::Versions] } else { &[right] };
    if operation.lists() {
        let prefix = value("prefix").unwrap_or_default();
        assert!(covers(bucket, prefix, needs), "{operation:?} of {bucket}/{prefix}");
    } else if key.is_empty() {
        assert!(bucket == "tmp" || bucket == "tmp-2", "{operation:?} of {bucket}");
    } else {
        assert!(covers(bucket, key, needs), "{operation:?} of {bucket}/{key}");
    }
}

/// Checks that the source of a copy is readable for the client.
fn check_copy(grant: &Grant<'_>) -> bool {
    let Some(source) = grant.copy_source() else { return false };
    let (path, query) = source.split_once('?').map_or((&*source, ""), |(path, query)| (path, query));
    assert!(is_canonical(path, b"/") && is_canonical(query, b"="), "{source}");
    let (bucket, key) = place(path).unwrap();
    check_key(&key);
    let versions = pairs(query).unwrap();
    let needs: &[Right] = if versions.is_empty() { &[Right::Read] } else { &[Right::Read, Right::Versions] };
    assert!(versions.iter().all(|(name, _)| name == "versionId") && covers(&bucket, &key, needs), "{source}");
    true
}
