//! The rows of the table of operations.

use super::grammar::Grammar;
use super::{Headers, Parameter, SessionKind, Shape, Spec, Versions};
use crate::authorize::rights::Right;
use crate::s3::operation::Operation;
use crate::s3::verb::Verb;

const fn parameter(name: &'static str, grammar: Grammar) -> Parameter {
    Parameter { name, grammar }
}

const PREFIX: Parameter = parameter("prefix", Grammar::Prefix);
const DELIMITER: Parameter = parameter("delimiter", Grammar::Delimiter);
const MAX_KEYS: Parameter = parameter("max-keys", Grammar::MaxKeys);
const ENCODING_TYPE: Parameter = parameter("encoding-type", Grammar::EncodingType);
const VERSION_ID: Parameter = parameter("versionId", Grammar::VersionId);
const UPLOAD_ID: Parameter = parameter("uploadId", Grammar::UploadId);
const PART_NUMBER: Parameter = parameter("partNumber", Grammar::PartNumber);

const READ_QUERY: [Parameter; 8] = [
    parameter("response-cache-control", Grammar::Override),
    parameter("response-content-disposition", Grammar::Override),
    parameter("response-content-encoding", Grammar::Override),
    parameter("response-content-language", Grammar::Override),
    parameter("response-content-type", Grammar::Override),
    parameter("response-expires", Grammar::Override),
    VERSION_ID,
    PART_NUMBER,
];

/// Checks whether a read of an object has a use for a query parameter. S3 ignores every other one.
pub(crate) fn is_read_parameter(name: &str) -> bool {
    READ_QUERY.iter().any(|parameter| parameter.name == name)
}

/// `GET /bucket/key`, which is also what a copy does to its source.
const GET_OBJECT: Spec = Spec {
    query: &READ_QUERY,
    headers: Headers::Read,
    session: SessionKind::Get,
    version_session: Some(SessionKind::Versions),
    versions: Versions::ById,
    actions: &["s3:GetObject"],
    version_actions: &["s3:GetObjectVersion"],
    ..row(Operation::GetObject, Verb::Get, Shape::Object, Right::Read)
};

/// `DELETE /bucket/key`, which is also what a multi-object delete does to each of its keys.
const DELETE_OBJECT: Spec = Spec {
    query: &[VERSION_ID],
    headers: Headers::Delete,
    session: SessionKind::Delete,
    versions: Versions::ById,
    actions: &["s3:DeleteObject"],
    version_actions: &["s3:DeleteObjectVersion"],
    ..row(Operation::DeleteObject, Verb::Delete, Shape::Object, Right::Delete)
};

const fn row(operation: Operation, method: Verb, shape: Shape, right: Right) -> Spec {
    Spec {
        operation,
        method,
        shape,
        selects: &[],
        source: None,
        query: &[],
        headers: Headers::Plain,
        body: false,
        right,
        also: None,
        session: SessionKind::Other,
        version_session: None,
        versions: Versions::No,
        each: None,
        actions: &[],
        version_actions: &[],
    }
}

/// The table. If several rows match a request, the one with the most selectors wins.
pub static TABLE: [Spec; 23] = [
    Spec {
        query: &[
            parameter("prefix", Grammar::BucketPrefix),
            parameter("max-buckets", Grammar::MaxBuckets),
            parameter("continuation-token", Grammar::BucketPrefix),
        ],
        session: SessionKind::Bucket,
        ..row(Operation::ListBuckets, Verb::Get, Shape::Service, Right::List)
    },
    Spec {
        session: SessionKind::Bucket,
        actions: &["s3:HeadBucket"],
        ..row(Operation::HeadBucket, Verb::Head, Shape::Bucket, Right::List)
    },
    Spec {
        selects: &["location"],
        session: SessionKind::Bucket,
        actions: &["s3:GetBucketLocation"],
        ..row(Operation::GetBucketLocation, Verb::Get, Shape::Bucket, Right::List)
    },
    Spec {
        query: &[PREFIX, DELIMITER, parameter("marker", Grammar::Position), MAX_KEYS, ENCODING_TYPE],
        headers: Headers::List,
        session: SessionKind::List,
        actions: &["s3:ListBucket"],
        ..row(Operation::ListObjects, Verb::Get, Shape::Bucket, Right::List)
    },
    Spec {
        selects: &["list-type=2"],
        query: &[
            PREFIX,
            DELIMITER,
            parameter("continuation-token", Grammar::ContinuationToken),
            parameter("start-after", Grammar::Position),
            MAX_KEYS,
            ENCODING_TYPE,
            parameter("fetch-owner", Grammar::Boolean),
        ],
        headers: Headers::List,
        session: SessionKind::List,
        actions: &["s3:ListBucket"],
        ..row(Operation::ListObjectsV2, Verb::Get, Shape::Bucket, Right::List)
    },
    Spec {
        selects: &["versions"],
        query: &[
            PREFIX,
            DELIMITER,
            parameter("key-marker", Grammar::Position),
            parameter("version-id-marker", Grammar::VersionPosition),
            MAX_KEYS,
            ENCODING_TYPE,
        ],
        headers: Headers::List,
        session: SessionKind::Versions,
        versions: Versions::Always,
        version_actions: &["s3:ListBucketVersions"],
        ..row(Operation::ListObjectVersions, Verb::Get, Shape::Bucket, Right::List)
    },
    Spec {
        selects: &["uploads"],
        query: &[
            PREFIX,
            DELIMITER,
            parameter("key-marker", Grammar::Position),
            parameter("upload-id-marker", Grammar::UploadPosition),
            parameter("max-uploads", Grammar::MaxKeys),
            ENCODING_TYPE,
        ],
        also: Some(Right::List),
        session: SessionKind::Uploads,
        actions: &["s3:ListBucketMultipartUploads"],
        ..row(Operation::ListMultipartUploads, Verb::Get, Shape::Bucket, Right::Write)
    },
    GET_OBJECT,
    Spec {
        query: &READ_QUERY,
        headers: Headers::Read,
        session: SessionKind::Get,
        version_session: Some(SessionKind::Versions),
        versions: Versions::ById,
        actions: &["s3:GetObject"],
        version_actions: &["s3:GetObjectVersion"],
        ..row(Operation::HeadObject, Verb::Head, Shape::Object, Right::Read)
    },
    Spec {
        selects: &["attributes"],
        query: &[VERSION_ID],
        headers: Headers::Attributes,
        versions: Versions::ById,
        actions: &["s3:GetObject", "s3:GetObjectAttributes"],
        version_actions: &["s3:GetObjectVersion", "s3:GetObjectVersionAttributes"],
        ..row(Operation::GetObjectAttributes, Verb::Get, Shape::Object, Right::Read)
    },
    Spec {
        selects: &["tagging"],
        query: &[VERSION_ID],
        versions: Versions::ById,
        actions: &["s3:GetObjectTagging"],
        version_actions: &["s3:GetObjectVersionTagging"],
        ..row(Operation::GetObjectTagging, Verb::Get, Shape::Object, Right::Read)
    },
    Spec {
        selects: &["tagging"],
        query: &[VERSION_ID],
        headers: Headers::Body,
        body: true,
        versions: Versions::ById,
        actions: &["s3:PutObjectTagging"],
        version_actions: &["s3:PutObjectVersionTagging"],
        ..row(Operation::PutObjectTagging, Verb::Put, Shape::Object, Right::Write)
    },
    Spec {
        selects: &["tagging"],
        query: &[VERSION_ID],
        headers: Headers::Delete,
        versions: Versions::ById,
        actions: &["s3:DeleteObjectTagging"],
        version_actions: &["s3:DeleteObjectVersionTagging"],
        ..row(Operation::DeleteObjectTagging, Verb::Delete, Shape::Object, Right::Write)
    },
    Spec {
        headers: Headers::Write,
        body: true,
        session: SessionKind::Put,
        actions: &["s3:PutObject"],
        ..row(Operation::PutObject, Verb::Put, Shape::Object, Right::Write)
    },
    Spec {
        source: Some(&GET_OBJECT),
        headers: Headers::Copy,
        session: SessionKind::Copy,
        actions: &["s3:PutObject"],
        ..row(Operation::CopyObject, Verb::Put, Shape::Object, Right::Write)
    },
    Spec {
        selects: &["uploads"],
        headers: Headers::Create,
        session: SessionKind::Put,
        actions: &["s3:PutObject"],
        ..row(Operation::CreateMultipartUpload, Verb::Post, Shape::Object, Right::Write)
    },
    Spec {
        selects: &["partNumber", "uploadId"],
        query: &[PART_NUMBER, UPLOAD_ID],
        headers: Headers::Body,
        body: true,
        session: SessionKind::Put,
        actions: &["s3:PutObject"],
        ..row(Operation::UploadPart, Verb::Put, Shape::Object, Right::Write)
    },
    Spec {
        selects: &["partNumber", "uploadId"],
        query: &[PART_NUMBER, UPLOAD_ID],
        source: Some(&GET_OBJECT),
        headers: Headers::CopyPart,
        session: SessionKind::Copy,
        actions: &["s3:PutObject"],
        ..row(Operation::UploadPartCopy, Verb::Put, Shape::Object, Right::Write)
    },
    Spec {
        selects: &["uploadId"],
        query: &[
            UPLOAD_ID,
            parameter("max-parts", Grammar::MaxParts),
            parameter("part-number-marker", Grammar::PartPosition),
            ENCODING_TYPE,
        ],
        actions: &["s3:ListMultipartUploadParts"],
        ..row(Operation::ListParts, Verb::Get, Shape::Object, Right::Write)
    },
    Spec {
        selects: &["uploadId"],
        query: &[UPLOAD_ID],
        headers: Headers::Complete,
        body: true,
        session: SessionKind::Put,
        actions: &["s3:PutObject"],
        ..row(Operation::CompleteMultipartUpload, Verb::Post, Shape::Object, Right::Write)
    },
    Spec {
        selects: &["uploadId"],
        query: &[UPLOAD_ID],
        headers: Headers::Delete,
        actions: &["s3:AbortMultipartUpload"],
        ..row(Operation::AbortMultipartUpload, Verb::Delete, Shape::Object, Right::Write)
    },
    DELETE_OBJECT,
    Spec {
        selects: &["delete"],
        headers: Headers::Delete,
        body: true,
        session: SessionKind::Delete,
        each: Some(&DELETE_OBJECT),
        ..row(Operation::DeleteObjects, Verb::Post, Shape::Bucket, Right::Delete)
    },
];
