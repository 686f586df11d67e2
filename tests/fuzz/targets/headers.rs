//! A client's headers on every operation: only headers of the operation's list are forwarded, none that belongs to
//! Scopegate or to the connection, and each value has the documented form.

use super::decode::is_canonical;
use super::mappings::trusted;
use super::request::fields;
use http::{HeaderName, HeaderValue};
use http1::Fields;
use regex_lite::Regex;
use scopegate::internals::{Dialect, Form, Mapping, Outgoing, Payload, Spec, TABLE};

pub(crate) const WORDS: &[&[u8]] = &[
    b"\n",
    b": ",
    b"x-amz-",
    b"x-amz-meta-",
    b"x-amz-meta-snowball-auto-extract: true\n",
    b"x-amz-meta-minio-snowball-prefix: a\n",
    b"x-minio-",
    b"x-minio-force-delete: true\n",
    b"x-amz-copy-source: /tmp/b\n",
    b"x-amz-copy-source-if-match: \"x\"\n",
    b"x-amz-copy-source-range: bytes=0-1\n",
    b"x-amz-server-side-encryption: AES256\n",
    b"x-amz-date: 20150830T123600Z\n",
    b"x-amz-security-token: t\n",
    b"x-amz-content-sha256: UNSIGNED-PAYLOAD\n",
    b"x-amz-bypass-governance-retention: true\n",
    b"authorization: a\n",
    b"host: evil\n",
    b"content-length: 5\n",
    b"transfer-encoding: chunked\n",
    b"connection: range\n",
    b"te: trailers\n",
    b"expect: 100-continue\n",
    b"upgrade: h2c\n",
    b"cookie: a=b\n",
    b"x-forwarded-for: 1\n",
    b"prefix: other/\n",
    b"range: bytes=0-1\n",
    b"if-match: \"x\"\n",
    b"if-none-match: *\n",
    b"if-range: \"x\"\n",
    b"content-type: a/b\n",
    b"content-md5: x\n",
    b"content-md5: kAFQmDzST7DWlj99KOF/cg==\n",
    b"x-amz-checksum-crc32: NhCmhg==-34359738368\n",
    b"x-amz-tagging-directive: REPLACE\n",
    b"if-none-match: W/\"a\", \"b\"\n",
    b"if-modified-since: Sat, 28 Nov 2026 06:00:00 GMT\n",
    b"range: bytes=-5,7-\n",
    b"expires: 0\n",
    b"content-encoding: gzip\n",
    b"content-encoding: aws-chunked\n",
    b"x-amz-decoded-content-length: 5\n",
    b"x-amz-trailer: x-amz-checksum-crc32\n",
    b"x-amz-checksum-crc32: AAAAAA==\n",
    b"x-amz-checksum-mode: ENABLED\n",
    b"x-amz-tagging: a=b\n",
    b"x-amz-storage-class: STANDARD\n",
    b"x-amz-metadata-directive: REPLACE\n",
    b"x-amz-object-attributes: ETag\n",
    b"x-amz-mp-object-size: 5\n",
    b"x-amz-acl: private\n",
    b"\xc3\xbc",
    b"\xff",
];

/// An upload id in MinIO's format.
const UPLOAD: &str =
    "MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwLjAwMDAwMDAwLTAwMDAtMDAwMC0wMDAwLTAwMDAwMDAwMDAwMHgw";

const CONTENT: &[&str] = &[
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
];
const OBJECT: &[&str] = &["x-amz-meta-*", "x-amz-storage-class", "x-amz-tagging"];
const CONDITION: &[&str] = &["if-match", "if-none-match"];
const TIMES: &[&str] = &["if-modified-since", "if-unmodified-since"];
const BODY: &[&str] = &["content-md5", "content-type", "x-amz-checksum-*", "x-amz-sdk-checksum-algorithm"];
const COPY: &[&str] = &[
    "x-amz-checksum-algorithm",
    "x-amz-copy-source",
    "x-amz-copy-source-if-*",
    "x-amz-copy-source-range",
    "x-amz-metadata-directive",
    "x-amz-tagging-directive",
];

/// Returns the headers that an operation may forward, written independently of the table. A `*` matches any ending.
fn listed(operation: &str) -> Vec<&'static str> {
    let lists: &[&[&str]] = match operation {
        "GetObject" | "HeadObject" => &[CONDITION, TIMES, &["if-range", "range", "x-amz-checksum-mode"]],
        "GetObjectAttributes" => {
            &[CONDITION, TIMES, &["x-amz-object-attributes", "x-amz-max-parts", "x-amz-part-number-marker"]]
        }
        "ListObjects" | "ListObjectsV2" | "ListObjectVersions" => &[&["x-amz-optional-object-attributes"]],
        "PutObject" | "CreateMultipartUpload" => &[CONDITION, CONTENT, OBJECT, BODY],
        "CopyObject" | "UploadPartCopy" => &[CONDITION, CONTENT, OBJECT, BODY, COPY],
        "UploadPart" | "PutObjectTagging" | "DeleteObjects" => &[BODY],
        "CompleteMultipartUpload" => &[CONDITION, BODY, &["x-amz-mp-object-size"]],
        _ => &[],
    };
    lists.concat()
}

/// Headers that Scopegate adds: the length inside its own envelope and the name of the checksum after it.
const OWN: [&str; 2] = ["x-amz-decoded-content-length", "x-amz-trailer"];

pub(crate) fn check(input: &[u8]) -> String {
    let fields = fields(input);
    let mapping = trusted();
    let outcomes: Vec<String> = TABLE.iter().map(|spec| outcome(spec, fields.clone(), &mapping)).collect();
    outcomes.join(" ")
}

fn outcome(spec: &Spec, mut fields: Fields, mapping: &Mapping) -> String {
    if !spec.copies() {
        fields.remove("x-amz-copy-source");
    } else if !fields.has("x-amz-copy-source") {
        fields.insert(HeaderName::from_static("x-amz-copy-source"), HeaderValue::from_static("/tmp/b"));
    }
    let (path, query) = target(spec);
    let sent = mapping.grant(&spec.method.method(), path, Some(&query), &fields).and_then(|grant| {
        assert_eq!(grant.operation(), spec.operation);
        let payload = Payload::classify(spec, &fields)?;
        Outgoing::rebuild(grant, &fields, payload)
    });
    match sent {
        Ok(sent) => check_sent(spec, &sent, &fields).to_string(),
        Err(refusal) => format!("{:?}", refusal.rule),
    }
}

/// Returns a target that selects the operation of a row.
fn target(spec: &Spec) -> (&'static str, String) {
    let path = match &*format!("{:?}", spec.shape) {
        "Object" => "/tmp/a",
        "Bucket" => "/tmp",
        _ => "/",
    };
    let named = |select: &&str| match *select {
        "uploadId" => format!("uploadId={UPLOAD}"),
        "partNumber" => "partNumber=1".to_owned(),
        select => select.to_owned(),
    };
    (path, spec.selects.iter().map(named).collect::<Vec<_>>().join("&"))
}

fn check_sent(spec: &Spec, sent: &Outgoing, fields: &Fields) -> usize {
    let name = spec.operation.name();
    let listed = listed(name);
    for (header, value) in sent.headers() {
        check_name(header, &listed, name);
        if header == "x-amz-copy-source" {
            assert!(is_canonical(value.to_str().unwrap(), b"/?="), "{value:?}");
        } else if !OWN.contains(&header.as_str()) {
            check_value(spec, header, value, fields);
        }
    }
    let names: Vec<&str> = sent.headers().iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.is_sorted() && names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    names.len().min(3)
}

fn check_name(header: &HeaderName, listed: &[&str], operation: &str) {
    let name = header.as_str();
    let forbidden = ["x-minio-", "x-amz-meta-snowball-", "x-amz-meta-minio-"];
    assert!(!forbidden.iter().any(|own| name.starts_with(own)), "{name} is forwarded with {operation}");
    let fits = |pattern: &&str| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => *pattern == name,
    };
    assert!(listed.iter().any(fits) || OWN.contains(&name), "{name} is forwarded with {operation}");
}

/// Checks that a value occurs once in the input and has the documented form.
fn check_value(spec: &Spec, header: &HeaderName, value: &HeaderValue, fields: &Fields) {
    let written: Vec<&[u8]> = fields.all(header.as_str()).collect();
    let is_range = fields.has("if-range") && ["if-match", "if-unmodified-since"].contains(&header.as_str());
    assert!(written.len() == 1 || is_range, "{header}: {written:?}");
    let text = str::from_utf8(value.as_bytes()).expect("UTF-8");
    let listed = spec.headers.field(header.as_str()).expect("the header is listed");
    let Form::Pattern(pattern) = listed.grammar.form(Dialect::Minio) else { panic!("{header} is a key") };
    assert!(Regex::new(pattern).unwrap().is_match(text), "{header}: {text:?} is not {pattern}");
}
