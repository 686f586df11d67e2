//! The S3 operations Scopegate knows: one table that the router, the allow-lists and the policy compiler share.
//!
//! What is not in the table is never forwarded. The store would fall through on subresources it does not know
//! (`GET key?policy` answers the object), so a query name that no row lists is refused.

mod declined;
pub mod grammar;
pub mod headers;
mod kind;
mod page;
mod table;
pub mod values;
mod verb;

use self::grammar::Grammar;
use crate::scope::{Right, Rights};
use crate::target::{Query, Resource};
use http::Method;
use std::sync::LazyLock;

pub use declined::{DECLINED, Declined, answer};
pub use kind::SessionKind;
pub use page::page;
pub use table::{TABLE, is_read_parameter};
pub use verb::{Verb, Verbs};

/// The name of an operation, as S3's API reference has it.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// `GET /`
    ListBuckets,
    /// `HEAD /bucket`
    HeadBucket,
    /// `GET /bucket?location`
    GetBucketLocation,
    /// `GET /bucket`
    ListObjects,
    /// `GET /bucket?list-type=2`
    ListObjectsV2,
    /// `GET /bucket?versions`
    ListObjectVersions,
    /// `GET /bucket?uploads`
    ListMultipartUploads,
    /// `GET /bucket/key`
    GetObject,
    /// `HEAD /bucket/key`
    HeadObject,
    /// `GET /bucket/key?attributes`
    GetObjectAttributes,
    /// `GET /bucket/key?tagging`
    GetObjectTagging,
    /// `PUT /bucket/key?tagging`
    PutObjectTagging,
    /// `DELETE /bucket/key?tagging`
    DeleteObjectTagging,
    /// `PUT /bucket/key`
    PutObject,
    /// `PUT /bucket/key` with `x-amz-copy-source`
    CopyObject,
    /// `POST /bucket/key?uploads`
    CreateMultipartUpload,
    /// `PUT /bucket/key?partNumber&uploadId`
    UploadPart,
    /// `PUT /bucket/key?partNumber&uploadId` with `x-amz-copy-source`
    UploadPartCopy,
    /// `GET /bucket/key?uploadId`
    ListParts,
    /// `POST /bucket/key?uploadId`
    CompleteMultipartUpload,
    /// `DELETE /bucket/key?uploadId`
    AbortMultipartUpload,
    /// `DELETE /bucket/key`
    DeleteObject,
    /// `POST /bucket?delete`
    DeleteObjects,
    /// `OPTIONS` of a page of another origin, which asks whether its request would be answered.
    Preflight,
    /// `OPTIONS` of a program, which asks what can be done at a path.
    Options,
}

/// What the path of an operation names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Nothing: `/`.
    Service,
    /// A bucket.
    Bucket,
    /// An object.
    Object,
}

/// Which of a request's headers pass, by what they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Headers {
    /// None beside those every request has.
    Plain,
    /// What a list shows besides.
    List,
    /// Ranges and conditions of a read.
    Read,
    /// What `GetObjectAttributes` asks for.
    Attributes,
    /// Content headers, user metadata, checksums and conditions of an object that is written.
    Write,
    /// The same of an object whose content comes later, in parts.
    Create,
    /// The same, with a copy's source, its conditions and directives.
    Copy,
    /// A copied part's range and conditions.
    CopyPart,
    /// A body's checksums.
    Body,
    /// What completes a multipart upload.
    Complete,
    /// None, and a condition is refused.
    Delete,
}

/// A row of the table.
#[derive(Debug)]
pub struct Spec {
    /// The operation.
    pub operation: Operation,
    /// Its method.
    pub method: Verb,
    /// What its path names.
    pub shape: Shape,
    /// Query names (with `=value` where the value is fixed) that select it: all are present.
    pub selects: &'static [&'static str],
    /// Whether `x-amz-copy-source` selects it.
    pub copies: bool,
    /// Query parameters that may be there, or that select it by their presence and have a value.
    pub query: &'static [Parameter],
    /// Headers that may be there.
    pub headers: Headers,
    /// Whether a request body belongs to it.
    pub body: bool,
    /// The right it needs.
    pub right: Right,
    /// A further right it needs.
    pub also: Option<Right>,
    /// The session that signs it.
    pub session: SessionKind,
    /// Whether it reaches old versions, always or with a `versionId`.
    pub versions: Versions,
    /// The row that each key in its document is judged by, which also has the policy actions.
    pub each: Option<&'static Spec>,
    /// The policy actions it needs of the store, on the object or, for a bucket's shape, on the bucket.
    pub actions: &'static [&'static str],
    /// The further actions when it names an old version.
    pub version_actions: &'static [&'static str],
}

/// A query parameter of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What its value may be.
    pub grammar: Grammar,
}

/// How an operation meets old versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versions {
    /// Never.
    No,
    /// When the query has a `versionId`.
    ById,
    /// Always.
    Always,
}

/// Subresources and parameters of S3's that no row and no declined operation names.
const OTHER_SUBRESOURCES: [&str; 11] = [
    "analytics",
    "append",
    "intelligent-tiering",
    "inventory",
    "metadataConfiguration",
    "metadataInventoryTable",
    "metadataJournalTable",
    "metadataTable",
    "metrics",
    "select-type",
    "session",
];

/// Whether a query parameter selects what is asked of an object, in S3 or in MinIO, so that a request without it would mean
/// something else.
pub fn is_subresource(name: &str) -> bool {
    let selects = TABLE.iter().flat_map(|row| row.selects).chain(DECLINED.iter().flat_map(|row| row.selects));
    let own =
        selects.filter_map(|select| select.split('=').next()).any(|select| select.eq_ignore_ascii_case(name));
    let is_prefixed =
        |prefix: &str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    own || is_prefixed("x-amz-")
        || is_prefixed("x-minio-")
        || OTHER_SUBRESOURCES.iter().any(|other| other.eq_ignore_ascii_case(name))
}

/// Whether a query parameter selects something of S3's that no right grants.
pub fn is_declined(name: &str) -> bool {
    let selects = DECLINED.iter().flat_map(|row| row.selects).chain(&OTHER_SUBRESOURCES);
    selects.into_iter().any(|select| select.eq_ignore_ascii_case(name))
}

/// Whether S3 or MinIO has a use for a query parameter of any request.
pub fn is_of_s3(name: &str) -> bool {
    let listed = TABLE.iter().flat_map(|row| row.query).any(|parameter| parameter.name == name);
    listed || is_subresource(name)
}

/// Why no operation could be found for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// No row has this method and shape.
    Operation,
    /// An operation that is not offered.
    Declined(&'static Declined),
    /// A row is near, but the query has a name that it does not know.
    Query(String),
}

/// The rows of one kind: few of the table's, which as a whole is some kilobytes.
fn rows(verb: Verb, shape: Shape, copies: bool) -> impl Iterator<Item = &'static Spec> {
    static ROWS: LazyLock<[Vec<&'static Spec>; VERBS * SHAPES * 2]> = LazyLock::new(|| {
        let rows_of = |at| TABLE.iter().filter(|row| kind(row.method, row.shape, row.copies) == at).collect();
        std::array::from_fn(rows_of)
    });
    ROWS.get(kind(verb, shape, copies)).into_iter().flatten().copied()
}

const VERBS: usize = Verb::Delete as usize + 1;
const SHAPES: usize = Shape::Object as usize + 1;

const fn kind(verb: Verb, shape: Shape, copies: bool) -> usize {
    (verb as usize * SHAPES + shape as usize) * 2 + copies as usize
}

impl Spec {
    /// The row that a request means.
    ///
    /// # Errors
    /// When there is none; such a request is not forwarded.
    pub fn find(
        method: &Method,
        resource: &Resource<'_>,
        query: &Query<'_>,
        copies: bool,
    ) -> Result<&'static Self, Unknown> {
        let shape = match resource {
            Resource::Service => Shape::Service,
            Resource::Bucket(_) => Shape::Bucket,
            Resource::Object(..) => Shape::Object,
        };
        let verb = match Verb::of(method).ok_or(Unknown::Operation)? {
            // A prober asks so whether anybody answers.
            Verb::Head if shape == Shape::Service => Verb::Get,
            verb => verb,
        };
        let declined = || Declined::find(verb, shape, query);
        let spec = rows(verb, shape, copies)
            .filter(|row| row.selects.iter().all(|select| selected(select, query)))
            .max_by_key(|row| row.selects.len())
            .ok_or_else(|| declined().map_or(Unknown::Operation, Unknown::Declined))?;
        let Some(name) = query.names().find(|name| !spec.knows(name)) else { return Ok(spec) };
        match declined() {
            Some(row) if row.selects.contains(&name) => Err(Unknown::Declined(row)),
            _ => Err(Unknown::Query(name.to_owned())),
        }
    }

    fn knows(&self, name: &str) -> bool {
        self.query.iter().any(|parameter| parameter.name == name)
            || self.selects.iter().any(|select| select.split('=').next() == Some(name))
    }

    /// The rights that every request for this operation needs.
    pub const fn needs(&self) -> Rights {
        let rights = Rights::NONE.with(self.right);
        match self.also {
            Some(right) => rights.with(right),
            None => rights,
        }
    }

    /// The rights that a request for this operation needs.
    pub fn rights(&self, query: &Query<'_>) -> Rights {
        let rights = self.needs();
        let versions = match self.versions {
            Versions::No => false,
            Versions::ById => query.has("versionId"),
            Versions::Always => true,
        };
        if versions { rights.with(Right::Versions) } else { rights }
    }
}

impl Spec {
    /// Returns the policy actions that a request with these rights needs of the store.
    pub fn actions_with(&self, needs: Rights) -> impl Iterator<Item = &'static str> {
        let more = if needs.has(Right::Versions) { self.version_actions } else { &[] };
        self.actions.iter().chain(more).copied()
    }
}

fn selected(select: &str, query: &Query<'_>) -> bool {
    if query.is_empty() {
        return false;
    }
    match select.split_once('=') {
        Some((name, value)) => query.get(name) == Some(value),
        None => query.has(select),
    }
}

impl Operation {
    /// Those that S3 does not have and the table no row for: Scopegate answers them itself.
    pub const OWN: [Self; 2] = [Self::Preflight, Self::Options];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ListBuckets => "ListBuckets",
            Self::HeadBucket => "HeadBucket",
            Self::GetBucketLocation => "GetBucketLocation",
            Self::ListObjects => "ListObjects",
            Self::ListObjectsV2 => "ListObjectsV2",
            Self::ListObjectVersions => "ListObjectVersions",
            Self::ListMultipartUploads => "ListMultipartUploads",
            Self::GetObject => "GetObject",
            Self::HeadObject => "HeadObject",
            Self::GetObjectAttributes => "GetObjectAttributes",
            Self::GetObjectTagging => "GetObjectTagging",
            Self::PutObjectTagging => "PutObjectTagging",
            Self::DeleteObjectTagging => "DeleteObjectTagging",
            Self::PutObject => "PutObject",
            Self::CopyObject => "CopyObject",
            Self::CreateMultipartUpload => "CreateMultipartUpload",
            Self::UploadPart => "UploadPart",
            Self::UploadPartCopy => "UploadPartCopy",
            Self::ListParts => "ListParts",
            Self::CompleteMultipartUpload => "CompleteMultipartUpload",
            Self::AbortMultipartUpload => "AbortMultipartUpload",
            Self::DeleteObject => "DeleteObject",
            Self::DeleteObjects => "DeleteObjects",
            Self::Preflight => "Preflight",
            Self::Options => "Options",
        }
    }

    /// Whether it lists keys, so that the query's `prefix` is what is authorised.
    pub const fn lists(self) -> bool {
        matches!(self, Self::ListObjects | Self::ListObjectsV2 | Self::ListObjectVersions)
    }

    /// Whether Scopegate filters what the store lists, so that the query's `prefix` may be shorter than that of a scope.
    pub const fn is_filtered(self) -> bool {
        matches!(self, Self::ListMultipartUploads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::Rule;

    fn find(method: &Method, target: &str, copies: bool) -> Result<Operation, Unknown> {
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let query = Query::parse(query).unwrap();
        Spec::find(method, &Resource::parse(path).unwrap(), &query, copies).map(|spec| spec.operation)
    }

    #[test]
    fn known_requests() {
        use Operation as O;
        let cases = [
            (Method::GET, "/tmp", O::ListObjects),
            (Method::GET, "/tmp/?prefix=a", O::ListObjects),
            (Method::GET, "/tmp?list-type=2&prefix=a&delimiter=/", O::ListObjectsV2),
            (Method::GET, "/tmp?versions&prefix=a", O::ListObjectVersions),
            (Method::GET, "/tmp?location", O::GetBucketLocation),
            (Method::GET, "/tmp/?uploads&prefix=a&max-uploads=5", O::ListMultipartUploads),
            (Method::HEAD, "/tmp", O::HeadBucket),
            (Method::GET, "/tmp/a", O::GetObject),
            (Method::GET, "/tmp/a?partNumber=1", O::GetObject),
            (Method::GET, "/tmp/a?versionId=1&response-content-type=x", O::GetObject),
            (Method::HEAD, "/tmp/a", O::HeadObject),
            (Method::GET, "/tmp/a?tagging", O::GetObjectTagging),
            (Method::GET, "/tmp/a?uploadId=1", O::ListParts),
            (Method::PUT, "/tmp/a", O::PutObject),
            (Method::PUT, "/tmp/a?partNumber=1&uploadId=2", O::UploadPart),
            (Method::POST, "/tmp/a?uploads", O::CreateMultipartUpload),
            (Method::POST, "/tmp/a?uploadId=1", O::CompleteMultipartUpload),
            (Method::DELETE, "/tmp/a", O::DeleteObject),
            (Method::DELETE, "/tmp/a?uploadId=1", O::AbortMultipartUpload),
            (Method::DELETE, "/tmp/a?tagging", O::DeleteObjectTagging),
            (Method::GET, "/", O::ListBuckets),
            (Method::HEAD, "/", O::ListBuckets),
            (Method::GET, "/?x-id=ListBuckets&max-buckets=5", O::ListBuckets),
            (Method::POST, "/tmp?delete", O::DeleteObjects),
            (Method::POST, "/tmp/?delete=", O::DeleteObjects),
            (Method::GET, "/tmp/?location", O::GetBucketLocation),
        ];
        for (method, target, operation) in cases {
            assert_eq!(find(&method, target, false), Ok(operation), "{method} {target}");
        }
        assert_eq!(find(&Method::PUT, "/tmp/a", true), Ok(O::CopyObject));
        assert_eq!(find(&Method::PUT, "/tmp/a?partNumber=1&uploadId=2", true), Ok(O::UploadPartCopy));
    }

    #[test]
    fn unknown_requests() {
        let cases = [
            (Method::POST, "/"),
            (Method::PUT, "/"),
            (Method::POST, "/tmp"),
            (Method::POST, "/tmp?delete&uploads"),
            (Method::GET, "/tmp?delete"),
            (Method::POST, "/tmp/a?delete"),
            (Method::POST, "/tmp/a"),
            (Method::POST, "/tmp/a?select&select-type=2"),
            (Method::OPTIONS, "/tmp/a"),
            (Method::TRACE, "/tmp/a"),
            (Method::PUT, "/tmp"),
            (Method::DELETE, "/tmp"),
            (Method::GET, "/tmp?events"),
            (Method::GET, "/tmp?policy"),
            (Method::GET, "/tmp?acl"),
            (Method::GET, "/tmp?list-type=3"),
            (Method::GET, "/tmp?location&versions"),
            (Method::GET, "/tmp/a?policy"),
            (Method::GET, "/tmp/a?acl"),
            (Method::GET, "/tmp/a?lambdaArn=x"),
            (Method::PUT, "/tmp/a?x-amz-meta-foo=bar"),
            (Method::PUT, "/tmp/a?retention"),
            (Method::PUT, "/tmp/a?uploadId=1"),
            (Method::DELETE, "/tmp/a?tagging&uploadId=1"),
        ];
        for (method, target) in cases {
            assert!(find(&method, target, false).is_err(), "{method} {target}");
        }
        assert!(find(&Method::POST, "/tmp/a?uploads", true).is_err(), "a copy's source belongs to PUT");
    }

    #[test]
    fn every_operation_has_one_row() {
        for (index, row) in TABLE.iter().enumerate() {
            assert!(TABLE.iter().skip(index + 1).all(|other| other.operation != row.operation), "{row:?}");
            let own = !row.actions.is_empty() || !row.version_actions.is_empty();
            assert_eq!(own, row.each.is_none() && row.shape != Shape::Service, "{row:?}");
        }
    }

    #[test]
    fn what_is_declined_has_a_name() {
        let declined = |method, target| match find(&method, target, false) {
            Err(Unknown::Declined(row)) => (row.name, row.rule()),
            other => panic!("{method} {target}: {other:?}"),
        };
        let cases = [
            (Method::GET, "/tmp/?acl", "GetBucketAcl", Rule::UnknownOperation),
            (Method::GET, "/tmp/a?acl", "GetObjectAcl", Rule::UnknownOperation),
            (Method::GET, "/tmp/a?acl&versionId=1", "GetObjectAcl", Rule::UnknownOperation),
            (Method::PUT, "/tmp/a?acl", "PutObjectAcl", Rule::NotOffered),
            (Method::PUT, "/tmp", "CreateBucket", Rule::NotOffered),
            (Method::PUT, "/tmp/?policy", "PutBucketPolicy", Rule::NotOffered),
            (Method::DELETE, "/tmp", "DeleteBucket", Rule::NotOffered),
            (Method::POST, "/", "AssumeRole", Rule::NotOffered),
            (Method::POST, "/tmp", "PostObject", Rule::NotOffered),
            (Method::POST, "/tmp/a?delete", "DeleteObjects below a bucket", Rule::NotOffered),
        ];
        for (method, target, name, rule) in cases {
            assert_eq!(declined(method, target), (name, rule), "{target}");
        }
    }

    /// Nothing that is declined can be reached by a row of the table.
    #[test]
    fn no_row_knows_what_another_declines() {
        for declined in DECLINED.iter().filter(|row| !row.selects.is_empty()) {
            for row in TABLE.iter().filter(|row| row.method == declined.method && row.shape == declined.shape)
            {
                assert!(declined.selects.iter().any(|name| !row.knows(name)), "{declined:?} {row:?}");
            }
        }
    }
}
