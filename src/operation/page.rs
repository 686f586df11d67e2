//! The table as a page of the documentation: docs/s3-operations.md is what [`page`] writes.

use super::grammar::{Dialect, Form, Grammar};
use super::headers::MEANINGFUL;
use super::{DECLINED, Headers, Shape, Spec, TABLE, Versions};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

const HEAD: &str = "# S3 operations

Made from the table in `src/operation/table.rs`, which the router, the allow-lists and the policy compiler use; a test
keeps this page equal to it (`UPDATE_DOCS=1 cargo test --lib operations_page` writes it).

What no row allows is never forwarded. An unknown query parameter is refused, but for GET and HEAD of an object: there it
is left out, unless it is a subresource of S3's, since pages and their parts are asked for with parameters of all kinds
(`style.css?v=80d5e7a1`). A header that no row lists is left out, as are those of a client's own signature and `x-amz-acl`: a
scope's objects belong to the store's user. Refused are headers that say what a request means and that MinIO would act on or
not honour: `x-minio-*`, and those that begin with one of
";

const HEAD_END: &str = "
The right `versions` is needed besides where a request names an old version (`versionId`), and always to list versions.

| operation | request | needs | query | headers | policy actions |
|---|---|---|---|---|---|
";

const NOTES: &str = "
- **ListBuckets** is answered by Scopegate itself, from the scopes with `list`: their buckets, and each mount of one
  segment under its own name. S3 wants a creation date, which Scopegate does not know: it is always
  1970-01-01T00:00:00.000Z.
- **DeleteObjects** takes at most 1000 keys in at most 2 MiB, at the bucket alone. Each key is judged as a DeleteObject
  of it; what is refused is an error in the result, and the rest is sent to the store in a new document.
  With no key left nothing is sent. A `Content-MD5`, `x-amz-checksum-*` or `x-amz-content-sha256` is verified. A
  condition on a key (`ETag`, `LastModifiedTime`, `Size`) is refused, since MinIO would delete all the same.
- **ListMultipartUploads** needs both rights: it shows names, and with an upload's id the upload can be ended. It shows the
  uploads of the client's scopes alone, also where no prefix or a shorter one is asked for. No policy can restrict such a list to a prefix, so
  it has a session of its own, which can do nothing else, and Scopegate filters what the store lists. See
  [uploads.md](uploads.md#lists-of-multipart-uploads) for what MinIO cannot tell.
- **CopyObject** and **UploadPartCopy** need `read` on the source, and `versions` if it has a `versionId`.
- **Conditions** are honoured or refused, and never dropped. Reads of objects and of their attributes take all four, as RFC
  9110 has them: any one of a list of entity tags is enough, `If-Match` compares strongly and `If-None-Match` weakly, a time beside a
  tag does not count, and a precondition that fails comes before an object that is known. MinIO takes one tag. Where there are
  several, or conditions of both kinds, Scopegate looks at the object first and sends the one condition that comes to the
  same. PutObject, CreateMultipartUpload and CompleteMultipartUpload take `If-Match` and `If-None-Match` with `*` or one tag.
- **Conditions that MinIO ignores** are answered `501 NotImplemented`, as S3 answers those it does not know: on deletes, tags and parts, `If-Match` and `If-None-Match`
  of the target of a copy, `If-Modified-Since` and `If-Unmodified-Since` on writes, and `If-Match` and
  `If-Unmodified-Since` on what is no object.
- **Range** is one range of bytes. Several ranges, another unit and what is no range are answered with the whole object, as
  S3 does.
- **Content-Range** on a write, as `curl -C -` sends it, is refused: MinIO would replace the object by the part.

## Known and not offered

A GET or HEAD is answered `501 NotImplemented`, as MinIO answers what it does not have: clients take it for a store without
that feature, and s3cmd does not copy where `?acl` is answered otherwise. What would change something is answered
`403 AccessDenied`. The same holds for subresources of S3 that are not in this table. A bucket is never said to be absent,
empty of policies or owned by the client, since Scopegate does not know.

| operation | request | answer |
|---|---|---|
";

const END: &str = "
A request that is in neither table is answered `405 MethodNotAllowed`, and `Allow` names the methods that the client may use
at this path. A query parameter that the operation does not have is answered `400 InvalidArgument`.

`OPTIONS` is answered by Scopegate: with `Allow`, or for the preflight of a web page as [cors.md](cors.md) says. `HEAD /` is
answered as `GET /` is, without a body.

GET, HEAD and DELETE may have a body of at most 64 KiB, which means nothing. A copy has none: `400 InvalidRequest`.

No refusal above is one that clients send again. Clients send again what is answered 500, 502, 503, 504 or 429, which
Scopegate answers while something is missing that may be there a moment later.
";

const VALUES: &str = "
## Values

MinIO reads structure into values that S3 calls opaque: a list position is a path, an upload id is a folder. No policy looks
at any of them. So each value is decoded once, as leniently as the store decodes it, held against its grammar and written
again. What is outside its grammar is refused with the code in the last column; *left out* says that the store is sent the
request without the value, as RFC 9110 has it for conditions and ranges that cannot be understood.

A **key** is UTF-8 of 1 to 1024 bytes, in segments of 1 to 255 bytes between slashes. It may end in a slash. It holds no
control character (U+0000 to U+001F, U+007F to U+009F), no U+FFFE or U+FFFF, no segment `.` or `..` (with blanks around it, or
between backslashes), no segment `xl.meta`, none that ends in `__XLDIR__`, and no `[minio_cache`. What is no key is refused
with `InvalidURI`. The **beginning of a key** may be empty and may end anywhere. In a continuation token a key may hold control
characters: a program with credentials of its own may have stored one, and the list goes on behind it.

Where a key ends in a slash MinIO keeps neither versions nor object lock. Without the right `versions` only an empty object
can be written there, or a copy of another such key.

A list's position is sent without MinIO's note on it (`[minio_cache:v2,…]`), which names a path that MinIO writes to and
removes: MinIO goes on behind the key alone. A continuation token belongs to the prefix of its list.

`[upstream] store = \"s3\"` in the configuration is for other stores. Their version ids, upload ids and tokens are opaque,
and have the wider form of the third column.

| value | the store is sent, as a regular expression or in words | with `store = \"s3\"` | else |
|---|---|---|---|
";

/// The page.
pub fn page() -> String {
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
    text.push_str(&values());
    text
}

/// Every value of the table, by its name, with its grammar.
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
        let (names, of) = (list(names.into_iter()), of_what(grammar));
        let _ = writeln!(text, "| {names}{of} | {own} | {other} | {} |", otherwise(grammar));
    }
    text
}

/// Of which operations the values are, where the same name has another grammar elsewhere.
const fn of_what(grammar: Grammar) -> &'static str {
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
        // A `|` would end the cell.
        Form::Pattern(pattern) => format!("`` {} ``", pattern.replace('|', "\\|")),
    }
}

/// What becomes of a value outside the grammar, shown with one that no grammar has.
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

/// The parameters besides those that select the operation, which stand in the request.
fn parameters(row: &Spec) -> String {
    list(row.query.iter().map(|parameter| parameter.name).filter(|name| !row.selects.contains(name)))
}

fn list<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let quoted: Vec<String> = names.map(|name| format!("`{name}`")).collect();
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
