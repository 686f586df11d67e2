//! The table as a page of the documentation: docs/operations.md is what [`page`] writes.

use super::{DECLINED, Headers, Shape, Spec, TABLE, Versions};
use crate::refusal::Rule;
use std::fmt::Write;

const HEAD: &str = "# Operations

Made from the table in `src/operation/table.rs`, which the router, the allow-lists and the policy compiler use; a test
keeps this page equal to it (`UPDATE_DOCS=1 cargo test --lib operations_page` writes it anew).

What no row allows is refused and never forwarded: an unknown query parameter, an unknown `x-amz-*` header, any
`x-minio-*` header. Other headers that no row lists, and those that belong to a client's own signature, are left out.
`x-amz-acl` is left out as well: a scope's objects belong to the store's user.

The right `versions` is needed besides where a request names an old version (`versionId`), and always to list versions.

| operation | request | needs | query | headers | policy actions |
|---|---|---|---|---|---|
";

const NOTES: &str = "
- **ListBuckets** is answered by Scopegate itself, from the scopes with `list`: their buckets, and each mount of one
  segment under its own name. S3 wants a creation date, which Scopegate does not know: it is always
  1970-01-01T00:00:00.000Z.
- **DeleteObjects** takes at most 1000 keys in at most 2 MiB, at the bucket alone. Each key is judged as a DeleteObject
  of it; what is refused stands in the result as an error, and the rest is sent to the store in a document written anew.
  With no key left nothing is sent. A `Content-MD5`, `x-amz-checksum-*` or `x-amz-content-sha256` is verified. A
  condition on a key (`ETag`, `LastModifiedTime`, `Size`) is refused, since MinIO would delete all the same.
- **CopyObject** and **UploadPartCopy** need `read` on the source, and `versions` if it has a `versionId`.
- **Copies and deletes with conditions**: `x-amz-copy-source-if-*` pass; `If-Match`, `If-None-Match` and
  `If-Unmodified-Since` on a delete are answered NotImplemented, since MinIO ignores them there.

## Known and not offered

Questions about a bucket's settings are answered `501 NotImplemented`, which clients take for a store without that
feature; requests that would change one are answered `403 AccessDenied`. A bucket is never said to be absent, empty of
policies or owned by the client, since Scopegate does not know.

| operation | request | answer |
|---|---|---|
";

const END: &str = "
Whatever is in neither table is answered `501 NotImplemented`, another method at `/` `405 MethodNotAllowed`, and a
preflight (`OPTIONS`) `403 AccessDenied`.
";

/// The page.
pub fn page() -> String {
    let mut text = HEAD.to_owned();
    for row in &TABLE {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            row.operation.name(),
            request(row),
            needs(row),
            list(row.query),
            list(row.headers.names()),
            actions(row),
        );
    }
    text.push_str(&notes());
    text
}

fn notes() -> String {
    let mut text = NOTES.to_owned();
    for row in DECLINED.iter().filter(|row| row.rule != Rule::MethodNotAllowed) {
        let _ = writeln!(
            text,
            "| {} | `{} {}{}` | {} {} |",
            row.name,
            row.method.method(),
            path(row.shape),
            question(row.selects),
            row.rule.status().as_u16(),
            row.rule.code(),
        );
    }
    text.push_str(END);
    text
}

fn request(row: &Spec) -> String {
    let copies = if row.copies { " with `x-amz-copy-source`" } else { "" };
    format!("`{} {}{}`{copies}", row.method.method(), path(row.shape), question(row.selects))
}

fn path(shape: Shape) -> &'static str {
    match shape {
        Shape::Service => "/",
        Shape::Bucket => "/bucket",
        Shape::Object => "/bucket/key",
    }
}

fn question(selects: &[&str]) -> String {
    if selects.is_empty() { String::new() } else { format!("?{}", selects.join("&")) }
}

fn needs(row: &Spec) -> String {
    let versions = match row.versions {
        Versions::No => "",
        Versions::ById => " (`versions` for a `versionId`)",
        Versions::Always => " and `versions`",
    };
    format!("`{}`{versions}", row.right.name())
}

fn actions(row: &Spec) -> String {
    match row.each {
        Some(each) => format!("as {} of each key", each.name()),
        None if row.version_actions.is_empty() => list(row.actions),
        None if row.actions.is_empty() => list(row.version_actions),
        None => format!("{}; with `versions` {}", list(row.actions), list(row.version_actions)),
    }
}

fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    if quoted.is_empty() { "–".to_owned() } else { quoted.join(", ") }
}

impl Headers {
    /// Whether a row uses the class.
    #[cfg(test)]
    fn is_used(self) -> bool {
        TABLE.iter().any(|row| row.headers == self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operations_page_says_what_the_table_does() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, page()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == page(), "docs/operations.md is not what the table gives: run with UPDATE_DOCS=1");
    }

    #[test]
    fn every_class_of_headers_is_used() {
        for class in Headers::ALL {
            assert!(class.is_used(), "{class:?}");
        }
    }
}
