//! Writes docs/s3-operations.md from the table of operations.

use super::grammar::{Dialect, Form, Grammar};
use super::headers::MEANINGFUL;
use super::{DECLINED, Headers, Shape, Spec, TABLE, Versions};
use crate::authorize::rights::Right;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

const HEAD: &str = "# S3 operations

This page is generated from the table in `src/authorize/operations/table.rs`, which the router, the allow-lists and the
policy compiler use. A test keeps it up to date (`UPDATE_DOCS=1 cargo test --lib operations_page` writes it).

Scopegate forwards only what a row allows.

- **Unknown query parameters** are refused. On GET and HEAD of an object they are left out instead, unless they are
  subresources of S3, because web pages request their files with all kinds of parameters (`style.css?v=80d5e7a1`).
- **Headers** that no row lists are left out. So are those of the client's own signature, and `x-amz-acl`, because the objects
  of a scope belong to the store's user.
- **Headers that change the meaning of a request**, and that MinIO would act on or ignore, are refused: `x-minio-*`, and those
  that begin with one of
";

const HEAD_END: &str = "
Requests for an old version (`versionId`), and lists of versions, also need the right `versions`.

| operation | request | needs | query | headers | policy actions |
|---|---|---|---|---|---|
";

const NOTES: &str = "
- **ListBuckets** is answered by Scopegate itself, from the scopes with `list`: it lists their buckets, and each mount of one
  segment under its own name. S3 requires a creation date, which Scopegate does not know. It is always
  1970-01-01T00:00:00.000Z.
- **DeleteObjects** takes at most 1000 keys in at most 2 MiB, only at the bucket. Each key is judged as a DeleteObject.
  Refused keys are errors in the result, and the others go to the store in a new document. If no key is left, nothing is
  sent. `Content-MD5`, `x-amz-checksum-*` and `x-amz-content-sha256` are verified. A condition on a key (`ETag`,
  `LastModifiedTime`, `Size`) is refused, because MinIO would delete the key anyway.
- **ListMultipartUploads** shows only the uploads of the client's scopes, even if the request has a shorter prefix or none.
  [Lists of multipart uploads](uploads.md#lists-of-multipart-uploads) explains how, and what MinIO cannot list.
- **CopyObject** and **UploadPartCopy** need `read` on the source, and `versions` if it has a `versionId`.
- **Conditions** are honoured or refused, and never dropped. Reads of objects and of their attributes accept all four, as
  RFC 9110 defines them: one match in a list of entity tags is enough, `If-Match` compares strongly and `If-None-Match` weakly,
  a time next to a tag is ignored, and a failed precondition (412) comes before 304. MinIO accepts one tag. If there are
  several, or conditions of both kinds, Scopegate looks at the object first and sends one equivalent condition. PutObject,
  CreateMultipartUpload and CompleteMultipartUpload accept `If-Match` and `If-None-Match` with `*` or one tag.
- **Conditions that MinIO ignores** get `501 NotImplemented`, as S3 answers conditions that it does not support: conditions on
  deletes, tags and parts; `If-Match` and `If-None-Match` on the target of a copy; `If-Modified-Since` and
  `If-Unmodified-Since` on writes; and `If-Match` and `If-Unmodified-Since` on anything but an object.
- **Range** is one range of bytes. For several ranges, another unit or an invalid range, the response is the whole object, as
  in S3.
- **Content-Range** on a write, as `curl -C -` sends it, is refused: MinIO would replace the object with the part.

## Known and not offered

Reads get `501 NotImplemented`, as MinIO answers for features that it lacks. Clients take it to mean that the store does not
have the feature, and s3cmd does not copy if `?acl` gets any other response. Operations that would change something get
`403 AccessDenied`. The same applies to subresources of S3 that are not in this table. Scopegate never says that a bucket does
not exist, has no policy or belongs to the client, because it does not know.

| operation | request | answer |
|---|---|---|
";

const END: &str = "
A request that is in neither table gets `405 MethodNotAllowed`, and `Allow` names the methods that the client may use at this
path. A query parameter that the operation does not have gets `400 InvalidArgument`.

Scopegate answers `OPTIONS` itself: with `Allow`, or, for the preflight of a web page, as [CORS](cors.md) describes. `HEAD /`
works like `GET /` without a body.

GET, HEAD and DELETE may have a meaningless body of at most 64 KiB. A copy must not have one (`400 InvalidRequest`).

Clients do not retry any of these refusals. They retry after 500, 502, 503, 504 and 429, which Scopegate sends only while
something is temporarily unavailable.
";

const VALUES: &str = "
## Values

MinIO interprets values that S3 treats as opaque: a list position is a path, an upload id is a folder. No policy checks them.
So Scopegate decodes each value once, as leniently as the store does, checks it against its grammar, and writes it again. A
value outside its grammar is refused with the code in the last column. *Left out* means that the request is sent without the
value, as RFC 9110 prescribes for conditions and ranges that cannot be parsed.

A **key** is UTF-8 of 1 to 1024 bytes, in segments of 1 to 255 bytes separated by slashes. It may end in a slash. It contains no
control characters (U+0000 to U+001F, U+007F to U+009F), no U+FFFE or U+FFFF, no segment `.` or `..` (also with blanks around it,
or between backslashes), no segment `xl.meta`, no segment that ends in `__XLDIR__`, and no `[minio_cache`. Anything else is
refused with `InvalidURI`. The **beginning of a key** may be empty and may end anywhere. In a continuation token, a key may
contain control characters: a program with its own credentials may have stored one, and the list continues after it.

MinIO keeps neither versions nor object lock for keys that end in a slash. Without the right `versions`, a client can write only
an empty object to such a key, or a copy of another such key.

A list position is sent without MinIO's note on it (`[minio_cache:v2,…]`), which names a path that MinIO writes to and removes.
MinIO continues after the key without it. A continuation token belongs to the prefix of its list.

`[upstream] store = \"s3\"` in the configuration is for other stores. Their version ids, upload ids and tokens are opaque, and
have the wider form in the third column.

| value | sent to the store, as a regular expression or in words | with `store = \"s3\"` | otherwise |
|---|---|---|---|
";

const RIGHTS: &str = "
## By right

An operation of several rights needs them all. `versions` extends the others: it is needed for a `versionId` in the query, and for
lists of versions.

| right | operations |
|---|---|
";

/// Returns the page.
pub(crate) fn page() -> String {
    let mut text = format!("{HEAD}{}.\n{HEAD_END}", list(MEANINGFUL.into_iter()));
    for row in &TABLE {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            row.operation.name(),
            request(row),
            needs(row),
            parameters(row),
            list(row.headers.fields().iter().map(|field| field.name)),
            actions(row),
        );
    }
    text.push_str(&notes());
    text.push_str(&rights());
    text.push_str(&values());
    text
}

/// Returns the table of rights with their operations.
fn rights() -> String {
    Right::ALL.into_iter().fold(RIGHTS.to_owned(), |text, right| {
        let of_right = |row: &&Spec| match right {
            Right::Versions => row.versions != Versions::No,
            _ => row.needs().has(right),
        };
        let names: Vec<&str> = TABLE.iter().filter(of_right).map(|row| row.operation.name()).collect();
        text + &format!("| `{}` | {} |\n", right.name(), names.join(", "))
    })
}

/// Returns the table of values by name, with their grammars.
fn values() -> String {
    let queries = TABLE.iter().flat_map(|row| row.query).map(|parameter| (parameter.grammar, parameter.name));
    let headers = Headers::ALL.into_iter().flat_map(Headers::fields).map(|field| (field.grammar, field.name));
    let mut names: BTreeMap<Grammar, BTreeSet<&str>> = BTreeMap::new();
    for (grammar, name) in queries.chain(headers) {
        names.entry(grammar).or_default().insert(name);
    }
    let mut text = VALUES.to_owned();
    for (grammar, names) in names {
        let own = shown(grammar, grammar.form(Dialect::Minio));
        let other = shown(grammar, grammar.form(Dialect::S3));
        let other = if other == own { "the same" } else { &other };
        let (names, of) = (list(names.into_iter()), qualifier(grammar));
        let _ = writeln!(text, "| {names}{of} | {own} | {other} | {} |", otherwise(grammar));
    }
    text
}

/// Returns which operations a grammar applies to, where the same name has another grammar elsewhere.
const fn qualifier(grammar: Grammar) -> &'static str {
    match grammar {
        Grammar::BucketPrefix => " of ListBuckets",
        Grammar::IfMatch | Grammar::IfNoneMatch => " of a read",
        Grammar::ObjectChecksum(_) => " of CompleteMultipartUpload",
        _ => "",
    }
}

fn shown(grammar: Grammar, form: Form) -> String {
    match form {
        _ if grammar == Grammar::IfRange => "`If-Match` or `If-Unmodified-Since` with this value".to_owned(),
        Form::Key if grammar == Grammar::Prefix => "the beginning of a key".to_owned(),
        Form::Key => "a key".to_owned(),
        Form::EncodedKey => "the base64 of a key".to_owned(),
        // A `|` would end the table cell.
        Form::Pattern(pattern) => format!("`` {} ``", pattern.replace('|', "\\|")),
    }
}

/// Returns what happens to a value outside the grammar. Tries a value that no grammar accepts.
fn otherwise(grammar: Grammar) -> String {
    match grammar.read("a\u{1}b", Dialect::Minio) {
        Err(bad) => format!("{} {}", bad.rule.status().as_u16(), bad.rule.code()),
        Ok(_) if grammar == Grammar::IfRange => "left out, with the range".to_owned(),
        Ok(_) => "left out".to_owned(),
    }
}

fn notes() -> String {
    let mut text = NOTES.to_owned();
    for row in &DECLINED {
        let _ = writeln!(
            text,
            "| {} | `{} {}{}` | {} {} |",
            row.name,
            row.method.method(),
            path(row.shape),
            question(row.selects),
            row.rule().status().as_u16(),
            row.rule().code(),
        );
    }
    text.push_str(END);
    text
}

fn request(row: &Spec) -> String {
    let copies = if row.copies() { " with `x-amz-copy-source`" } else { "" };
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
    let rights: Vec<String> = row.needs().iter().map(|right| format!("`{}`", right.name())).collect();
    format!("{}{versions}", rights.join(" and "))
}

fn actions(row: &Spec) -> String {
    match row.each {
        Some(each) => format!("as {} of each key", each.operation.name()),
        None if row.version_actions.is_empty() => list(row.actions.iter().copied()),
        None if row.actions.is_empty() => list(row.version_actions.iter().copied()),
        None => format!(
            "{}; with `versions` {}",
            list(row.actions.iter().copied()),
            list(row.version_actions.iter().copied())
        ),
    }
}

/// Returns the parameters other than those that select the operation.
fn parameters(row: &Spec) -> String {
    list(row.query.iter().map(|parameter| parameter.name).filter(|name| !row.selects.contains(name)))
}

fn list<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let quoted: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if quoted.is_empty() { "–".to_owned() } else { quoted.join(", ") }
}

impl Headers {
    /// Returns whether a row uses the class.
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
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/s3-operations.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, page()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == page(),
            "docs/s3-operations.md is not what the table gives: run with UPDATE_DOCS=1"
        );
    }

    #[test]
    fn every_class_of_headers_is_used() {
        for class in Headers::ALL {
            assert!(class.is_used(), "{class:?}");
        }
    }
}
