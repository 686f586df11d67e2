//! The S3 operations that Scopegate offers: one table that the router, the allow-lists and the policy compiler share.
//!
//! A request that no row describes is never forwarded. The store ignores subresources that it does not know (`GET
//! key?policy` returns the object), so a query name that no row lists is refused.

mod declined;
pub(crate) mod grammar;
pub(crate) mod headers;
mod kind;
#[cfg(test)]
mod page;
mod table;
pub(crate) mod values;

use self::grammar::Grammar;
use crate::authorize::rights::{Right, Rights};
use crate::s3::operation::Operation;
use crate::s3::target::{Query, Resource};
use crate::s3::verb::Verb;
use http::Method;
use std::sync::LazyLock;

pub(crate) use declined::{DECLINED, Declined, refusing_rule};
pub use kind::{SessionKind, SessionPlan};
pub use table::TABLE;
pub(crate) use table::is_read_parameter;

/// What an operation's path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Nothing: `/`.
    Service,
    /// A bucket.
    Bucket,
    /// An object.
    Object,
}

/// A class of request headers that may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Headers {
    /// Only the headers that every request may have.
    Plain,
    /// Optional attributes of a list.
    List,
    /// Ranges and conditions of a read.
    Read,
    /// The attributes that `GetObjectAttributes` returns.
    Attributes,
    /// Content headers, user metadata, checksums and conditions of an object being written.
    Write,
    /// The same for an object whose content follows in parts.
    Create,
    /// The same, with a copy's source, its conditions and directives.
    Copy,
    /// Range and conditions of a copied part.
    CopyPart,
    /// Checksums of a body.
    Body,
    /// Headers that complete a multipart upload.
    Complete,
    /// No headers. A condition is refused.
    Delete,
}

/// A row of the table.
#[derive(Debug)]
pub struct Spec {
    /// The operation.
    pub operation: Operation,
    /// Its method.
    pub method: Verb,
    /// The kind of resource that its path names.
    pub shape: Shape,
    /// Query names that select it, all of which must be present. `name=value` also fixes the value.
    pub selects: &'static [&'static str],
    /// The row that its source is judged by, if a request with `x-amz-copy-source` selects it.
    pub source: Option<&'static Spec>,
    /// Query parameters that it accepts.
    pub query: &'static [Parameter],
    /// Headers that it accepts.
    pub headers: Headers,
    /// Whether it has a request body.
    pub body: bool,
    /// The right that it requires.
    pub right: Right,
    /// A second right that it requires.
    pub also: Option<Right>,
    /// The kind of session that signs it, unless its mapping has one session.
    pub session: SessionKind,
    /// The kind that signs it if the request names a version, if that is another one.
    pub version_session: Option<SessionKind>,
    /// When it reaches old versions.
    pub versions: Versions,
    /// The row that each key in its document is judged by, which also has the policy actions.
    pub each: Option<&'static Spec>,
    /// The policy actions that the store checks, on the object or, for a bucket's path, on the bucket.
    pub actions: &'static [&'static str],
    /// Further policy actions of a request that names an old version.
    pub version_actions: &'static [&'static str],
}

/// A query parameter of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// The grammar of its value.
    pub grammar: Grammar,
}

/// When an operation reaches old versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versions {
    /// Never.
    No,
    /// If the query has a `versionId`.
    ById,
    /// Always.
    Always,
}

/// Subresources and parameters of S3 that neither the table nor the declined operations name.
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

/// Returns whether a query parameter selects an operation of S3 or MinIO. Without it the request would mean something
/// else.
pub(crate) fn is_subresource(name: &str) -> bool {
    let selects = TABLE.iter().flat_map(|row| row.selects).chain(DECLINED.iter().flat_map(|row| row.selects));
    let own =
        selects.filter_map(|select| select.split('=').next()).any(|select| select.eq_ignore_ascii_case(name));
    let is_prefixed =
        |prefix: &str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    own || is_prefixed("x-amz-")
        || is_prefixed("x-minio-")
        || OTHER_SUBRESOURCES.iter().any(|other| other.eq_ignore_ascii_case(name))
}

/// Returns whether a query parameter selects an operation that no right grants.
pub(crate) fn is_declined(name: &str) -> bool {
    let selects = DECLINED.iter().flat_map(|row| row.selects).chain(&OTHER_SUBRESOURCES);
    selects.into_iter().any(|select| select.eq_ignore_ascii_case(name))
}

/// Returns whether S3 or MinIO uses a query parameter of this name.
pub(crate) fn is_of_s3(name: &str) -> bool {
    let listed = TABLE.iter().flat_map(|row| row.query).any(|parameter| parameter.name == name);
    listed || is_subresource(name)
}

/// Why a request has no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// No row has this method and kind of path.
    Operation,
    /// It is an operation that Scopegate does not offer.
    Declined(&'static Declined),
    /// The nearest row does not accept a query parameter of this name.
    Query(String),
}

/// Returns the rows of one method and kind of path: a few rows instead of the whole table, which is several
/// kilobytes.
fn rows(verb: Verb, shape: Shape, copies: bool) -> impl Iterator<Item = &'static Spec> {
    static ROWS: LazyLock<[Vec<&'static Spec>; VERBS * SHAPES * 2]> = LazyLock::new(|| {
        let rows_of =
            |at| TABLE.iter().filter(|row| kind(row.method, row.shape, row.copies()) == at).collect();
        std::array::from_fn(rows_of)
    });
    ROWS.get(kind(verb, shape, copies)).into_iter().flatten().copied()
}

const OPERATIONS: usize = TABLE.len() + Operation::OWN.len();
const VERBS: usize = Verb::Delete as usize + 1;
const SHAPES: usize = Shape::Object as usize + 1;

const fn kind(verb: Verb, shape: Shape, copies: bool) -> usize {
    (verb as usize * SHAPES + shape as usize) * 2 + copies as usize
}

impl Spec {
    /// Returns the row that describes a request.
    ///
    /// # Errors
    /// When no row describes it. Such a request is not forwarded.
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
            // Health checks send HEAD requests to `/`.
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

    /// Returns the row of an operation. Scopegate's own operations have no row.
    pub fn of(operation: Operation) -> Option<&'static Self> {
        static ROWS: LazyLock<[Option<&'static Spec>; OPERATIONS]> =
            LazyLock::new(|| std::array::from_fn(|at| TABLE.iter().find(|row| row.operation as usize == at)));
        ROWS.get(operation as usize).copied().flatten()
    }

    /// Returns the row of the operation with this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TABLE.iter().find(|row| row.operation.name() == name)
    }

    /// Returns whether a request with `x-amz-copy-source` selects it.
    pub const fn copies(&self) -> bool {
        self.source.is_some()
    }

    fn knows(&self, name: &str) -> bool {
        self.query.iter().any(|parameter| parameter.name == name)
            || self.selects.iter().any(|select| select.split('=').next() == Some(name))
    }

    /// Returns the rights that every request for this operation requires.
    pub const fn needs(&self) -> Rights {
        let rights = Rights::NONE.with(self.right);
        match self.also {
            Some(right) => rights.with(right),
            None => rights,
        }
    }

    /// Returns the rights that a request with this query requires.
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
    /// Returns the rights of each form of its requests: those that name a version also require the right to versions.
    pub(crate) fn forms(&self) -> impl Iterator<Item = Rights> {
        let (plain, by_version) = (self.needs(), self.needs().with(Right::Versions));
        let (plain, by_version) = match self.versions {
            Versions::No => (Some(plain), None),
            Versions::ById => (Some(plain), Some(by_version)),
            Versions::Always => (None, Some(by_version)),
        };
        plain.into_iter().chain(by_version)
    }

    /// Returns the kind of session that signs a request with these rights.
    pub fn session_with(&self, needs: Rights) -> SessionKind {
        let of_version = self.version_session.filter(|_| needs.has(Right::Versions));
        of_version.unwrap_or(self.session)
    }

    /// Returns the policy actions that the store checks for a request with these rights.
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
            assert!(std::ptr::eq(Spec::of(row.operation).unwrap(), row), "{row:?}");
            // The keys of a document may name versions, and one session signs it.
            let is_signed_alike = |each: &Spec| each.session == row.session && each.version_session.is_none();
            assert!(row.each.is_none_or(is_signed_alike), "{row:?}");
            assert_ne!(row.session, SessionKind::All, "{row:?}");
        }
    }

    #[test]
    fn own_operations_have_no_row() {
        assert!(Operation::OWN.into_iter().all(|operation| Spec::of(operation).is_none()));
    }

    #[test]
    fn every_declined_operation_is_named() {
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

    /// No row accepts a query that selects a declined operation.
    #[test]
    fn no_row_accepts_a_declined_query() {
        for declined in DECLINED.iter().filter(|row| !row.selects.is_empty()) {
            for row in TABLE.iter().filter(|row| row.method == declined.method && row.shape == declined.shape)
            {
                assert!(declined.selects.iter().any(|name| !row.knows(name)), "{declined:?} {row:?}");
            }
        }
    }
}
