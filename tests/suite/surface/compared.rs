//! The same operations with keys on MinIO and without keys through the proxy: every difference is listed.

use super::checksum;
use crate::support::http::Response;
use crate::support::sigv4::direct;
use crate::support::world::{World, corner};
use scopegate::internals::Algorithm;
use std::collections::BTreeMap;

pub(super) const ALL: &[(&str, &str, &str)] = &[("tmp", "inbox/", "read,list,write,delete,versions")];

/// The accepted differences and their reasons.
const ALLOWED: &[(&str, &str)] = &[
    ("header content-security-policy is added", "browsers do not run objects; programs pass over it"),
    ("header cross-origin-resource-policy is added", "pages of other sites do not show objects"),
    ("header server is not passed on", "it says who the store is"),
    ("header strict-transport-security is not passed on", "it would speak for the proxy's own host"),
    ("header vary is not passed on", "it is about MinIO's CORS, which is not let through"),
    ("header vary: Accept-Encoding | Accept", "errors are pages for browsers, and are never compressed"),
    ("header x-minio-error-code is not passed on", "it is MinIO's own"),
    ("header x-minio-error-desc is not passed on", "it is MinIO's own"),
    ("header x-ratelimit-limit is not passed on", "it counts the connections of the proxy's user"),
    ("header x-ratelimit-remaining is not passed on", "it counts the connections of the proxy's user"),
    ("header x-xss-protection is not passed on", "it is no header of S3's"),
    ("resource: /tmp | /tmp/", "a bucket is asked for by its one canonical path"),
];

/// A request.
pub(super) struct Asked {
    pub(super) what: &'static str,
    pub(super) method: &'static str,
    /// `{k}` is the key prefix, which differs on the two sides.
    pub(super) target: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

fn ask(what: &'static str, method: &'static str, target: &str) -> Asked {
    Asked { what, method, target: target.to_owned(), headers: Vec::new(), body: Vec::new() }
}

impl Asked {
    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_owned();
        self
    }
}

/// Returns a request of each operation, and of many mistakes.
pub(super) fn operations() -> Vec<Asked> {
    let tags = b"<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>";
    let delete = b"<Delete><Object><Key>{k}b</Key></Object><Object><Key>{k}none</Key></Object></Delete>";
    let sum = checksum(Algorithm::Crc64Nvme, b"content").base64();
    vec![
        ask("put", "PUT", "/tmp/{k}a")
            .with("content-type", "text/plain")
            .with("x-amz-meta-a", "b c")
            .with("cache-control", "no-store")
            .with("x-amz-checksum-crc64nvme", &sum)
            .body(b"content"),
        ask("put over", "PUT", "/tmp/{k}a").with("if-none-match", "*").body(b"content"),
        ask("put with a wrong sum", "PUT", "/tmp/{k}a").with("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==").body(b"content"),
        ask("put with no sum", "PUT", "/tmp/{k}a").with("content-md5", "AAAA").body(b"content"),
        ask("get", "GET", "/tmp/{k}a"),
        ask("head", "HEAD", "/tmp/{k}a").with("x-amz-checksum-mode", "ENABLED"),
        ask("range", "GET", "/tmp/{k}a").with("range", "bytes=1-3"),
        ask("range beyond", "GET", "/tmp/{k}a").with("range", "bytes=99-"),
        ask("not modified", "GET", "/tmp/{k}a").with("if-none-match", "\"9a0364b9e99bb480dd25e1f0284c8555\""),
        ask("precondition", "GET", "/tmp/{k}a").with("if-match", "\"x\""),
        ask("override", "GET", "/tmp/{k}a?response-content-type=text%2Fcss"),
        ask("part", "GET", "/tmp/{k}a?partNumber=1"),
        ask("version", "GET", "/tmp/{k}a?versionId=null"),
        ask("no version", "GET", "/tmp/{k}a?versionId=x"),
        ask("none", "GET", "/tmp/{k}none"),
        ask("head none", "HEAD", "/tmp/{k}none"),
        ask("attributes", "GET", "/tmp/{k}a?attributes=").with("x-amz-object-attributes", "ETag,ObjectSize,Checksum"),
        ask("put tags", "PUT", "/tmp/{k}a?tagging=").body(tags),
        ask("get tags", "GET", "/tmp/{k}a?tagging="),
        ask("delete tags", "DELETE", "/tmp/{k}a?tagging="),
        ask("copy", "PUT", "/tmp/{k}b").with("x-amz-copy-source", "/tmp/{k}a"),
        ask("copy if", "PUT", "/tmp/{k}b").with("x-amz-copy-source", "/tmp/{k}a").with("x-amz-copy-source-if-match", "x"),
        ask("copy none", "PUT", "/tmp/{k}b").with("x-amz-copy-source", "/tmp/{k}none"),
        ask("list", "GET", "/tmp?prefix={k}"),
        ask("list page", "GET", "/tmp?max-keys=1&prefix={k}"),
        ask("list beyond", "GET", "/tmp?marker=zzz&prefix={k}"),
        ask("list v2", "GET", "/tmp?list-type=2&prefix={k}"),
        ask("list v2 page", "GET", "/tmp?list-type=2&max-keys=1&prefix={k}"),
        ask("list url", "GET", "/tmp?delimiter=b&encoding-type=url&list-type=2&prefix={k}"),
        ask("list badly", "GET", "/tmp?list-type=2&max-keys=x&prefix={k}"),
        ask("list versions", "GET", "/tmp?prefix={k}&versions="),
        ask("location", "GET", "/tmp?location="),
        ask("head bucket", "HEAD", "/tmp"),
        ask("create upload", "POST", "/tmp/{k}m?uploads="),
        ask("parts of none", "GET", "/tmp/{k}m?uploadId=MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwLjAwMDAwMDAwLTAwMDAtMDAwMC0wMDAwLTAwMDAwMDAwMDAwMHgw"),
        ask("abort none", "DELETE", "/tmp/{k}m?uploadId=MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwLjAwMDAwMDAwLTAwMDAtMDAwMC0wMDAwLTAwMDAwMDAwMDAwMHgw"),
        ask("complete none", "POST", "/tmp/{k}m?uploadId=MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwLjAwMDAwMDAwLTAwMDAtMDAwMC0wMDAwLTAwMDAwMDAwMDAwMHgw")
            .body(b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>0123456789abcdef0123456789abcdef</ETag></Part></CompleteMultipartUpload>"),
        ask("delete many", "POST", "/tmp?delete=").with("content-md5", "").body(delete),
        ask("delete", "DELETE", "/tmp/{k}a"),
        ask("delete none", "DELETE", "/tmp/{k}none"),
    ]
}

/// Returns headers and body, without the values that differ in every response.
pub(super) fn told(answer: &Response, key: &str) -> BTreeMap<String, String> {
    let mut told = BTreeMap::new();
    told.insert("status".to_owned(), answer.status().to_string());
    told.extend(answer.element("Code").map(|code| ("code".to_owned(), code)));
    for (name, value) in &answer.head.headers {
        let name = name.to_ascii_lowercase();
        let value = match &*name {
            "date" | "last-modified" | "x-amz-request-id" | "x-amz-id-2" => "(differs)",
            // Bodies with values that differ.
            "content-length" if answer.text().starts_with("<?xml") => "(differs)",
            _ => value,
        };
        told.insert(format!("header {name}"), value.to_owned());
    }
    let mut body = answer.text();
    for name in ["RequestId", "HostId", "LastModified", "UploadId", "NextContinuationToken"] {
        if let Some(value) = answer.element(name) {
            body = body.replace(&format!("<{name}>{value}</{name}>"), &format!("<{name}/>"));
        }
    }
    if let Some(value) = answer.element("Resource") {
        body = body.replace(&format!("<Resource>{value}</Resource>"), "<Resource/>");
        told.insert("resource".to_owned(), value.replace(key, "KEY"));
    }
    // Lists contain several times.
    let mut parts = body.split("<LastModified>");
    let first = parts.next().unwrap().to_owned();
    let rest = parts.map(|part| part.split_once("</LastModified>").unwrap().1);
    body = std::iter::once(&*first).chain(rest).collect::<Vec<_>>().join("<LastModified/>");
    told.insert("body".to_owned(), body.replace(key, "KEY"));
    told
}

#[test]
fn all_differences_from_minio_are_listed() {
    let world = World::start(&[corner("all", ALL)]);
    let mut differences: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for Asked { what, method, target, headers, body } in operations() {
        let mut sides = [("inbox/x-", true), ("inbox/y-", false)].map(|(key, signed)| {
            let target = target.replace("{k}", key);
            let body = String::from_utf8(body.clone()).unwrap().replace("{k}", key).into_bytes();
            let mut headers: Vec<(&str, String)> =
                headers.iter().map(|(name, value)| (*name, value.replace("{k}", key))).collect();
            // MinIO requires a checksum of the document, the proxy does not.
            if what == "delete many" {
                headers[0].1 = checksum(Algorithm::Md5, &body).base64();
            }
            let headers: Vec<(&str, &str)> =
                headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let answer = if signed {
                direct(&world.minio, &world.minio.root, method, &target, &headers, &body)
            } else {
                world.ask("all", method, &target, &headers, &body)
            };
            told(&answer, key)
        });
        let [minio, proxy] = &mut sides;
        // Scopegate's own refusals have MinIO's status and code, and different messages.
        if proxy.contains_key("header x-scopegate-rule") {
            for side in [&mut *minio, &mut *proxy] {
                side.retain(|name, _| matches!(&**name, "status" | "code"));
            }
        }
        for name in minio.keys().chain(proxy.keys()) {
            let difference = match (minio.get(name), proxy.get(name)) {
                (Some(one), Some(other)) if one == other => continue,
                (Some(one), Some(other)) => format!("{name}: {one} | {other}"),
                (Some(_), None) => format!("{name} is not passed on"),
                (None, _) => format!("{name} is added"),
            };
            let places = differences.entry(difference).or_default();
            if !places.contains(&what) {
                places.push(what);
            }
        }
    }
    let found: Vec<String> = differences.keys().cloned().collect();
    let allowed: Vec<&str> = ALLOWED.iter().map(|(difference, _)| *difference).collect();
    assert_eq!(found, allowed, "{differences:#?}");
}
