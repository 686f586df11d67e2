//! The rows of the table.

use super::{Headers, Operation, Shape, Spec, Verb, Versions};
use crate::scope::Right;

const OVERRIDES: [&str; 6] = [
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
];
const READ_QUERY: [&str; 8] = [
    OVERRIDES[0],
    OVERRIDES[1],
    OVERRIDES[2],
    OVERRIDES[3],
    OVERRIDES[4],
    OVERRIDES[5],
    "versionId",
    "partNumber",
];

const fn row(operation: Operation, method: Verb, shape: Shape, right: Right) -> Spec {
    Spec {
        operation,
        method,
        shape,
        selects: &[],
        copies: false,
        query: &[],
        headers: Headers::Plain,
        body: false,
        right,
        versions: Versions::No,
        each: None,
        actions: &[],
        version_actions: &[],
    }
}

/// The table. Of several rows that fit a request, the one with the most selectors is meant.
pub static TABLE: [Spec; 22] = [
    Spec {
        query: &["prefix", "max-buckets", "continuation-token"],
        ..row(Operation::ListBuckets, Verb::Get, Shape::Service, Right::List)
    },
    Spec {
        actions: &["s3:HeadBucket"],
        ..row(Operation::HeadBucket, Verb::Head, Shape::Bucket, Right::List)
    },
    Spec {
        selects: &["location"],
        actions: &["s3:GetBucketLocation"],
        ..row(Operation::GetBucketLocation, Verb::Get, Shape::Bucket, Right::List)
    },
    Spec {
        query: &["prefix", "delimiter", "marker", "max-keys", "encoding-type"],
        headers: Headers::List,
        actions: &["s3:ListBucket"],
        ..row(Operation::ListObjects, Verb::Get, Shape::Bucket, Right::List)
    },
    Spec {
        selects: &["list-type=2"],
        query: &[
            "prefix",
            "delimiter",
            "continuation-token",
            "start-after",
            "max-keys",
            "encoding-type",
            "fetch-owner",
        ],
        headers: Headers::List,
        actions: &["s3:ListBucket"],
        ..row(Operation::ListObjectsV2, Verb::Get, Shape::Bucket, Right::List)
    },
    Spec {
        selects: &["versions"],
        query: &["prefix", "delimiter", "key-marker", "version-id-marker", "max-keys", "encoding-type"],
        headers: Headers::List,
        versions: Versions::Always,
        version_actions: &["s3:ListBucketVersions"],
        ..row(Operation::ListObjectVersions, Verb::Get, Shape::Bucket, Right::List)
    },
    Spec {
        query: &READ_QUERY,
        headers: Headers::Read,
        versions: Versions::ById,
        actions: &["s3:GetObject"],
        version_actions: &["s3:GetObjectVersion"],
        ..row(Operation::GetObject, Verb::Get, Shape::Object, Right::Read)
    },
    Spec {
        query: &READ_QUERY,
        headers: Headers::Read,
        versions: Versions::ById,
        actions: &["s3:GetObject"],
        version_actions: &["s3:GetObjectVersion"],
        ..row(Operation::HeadObject, Verb::Head, Shape::Object, Right::Read)
    },
    Spec {
        selects: &["attributes"],
        query: &["versionId"],
        headers: Headers::Attributes,
        versions: Versions::ById,
        actions: &["s3:GetObjectAttributes"],
        version_actions: &["s3:GetObjectVersionAttributes"],
        ..row(Operation::GetObjectAttributes, Verb::Get, Shape::Object, Right::Read)
    },
    Spec {
        selects: &["tagging"],
        query: &["versionId"],
        versions: Versions::ById,
        actions: &["s3:GetObjectTagging"],
        version_actions: &["s3:GetObjectVersionTagging"],
        ..row(Operation::GetObjectTagging, Verb::Get, Shape::Object, Right::Read)
    },
    Spec {
        selects: &["tagging"],
        query: &["versionId"],
        headers: Headers::Body,
        body: true,
        versions: Versions::ById,
        actions: &["s3:PutObjectTagging"],
        version_actions: &["s3:PutObjectVersionTagging"],
        ..row(Operation::PutObjectTagging, Verb::Put, Shape::Object, Right::Write)
    },
    Spec {
        selects: &["tagging"],
        query: &["versionId"],
        versions: Versions::ById,
        actions: &["s3:DeleteObjectTagging"],
        version_actions: &["s3:DeleteObjectVersionTagging"],
        ..row(Operation::DeleteObjectTagging, Verb::Delete, Shape::Object, Right::Write)
    },
    Spec {
        headers: Headers::Write,
        body: true,
        actions: &["s3:PutObject"],
        ..row(Operation::PutObject, Verb::Put, Shape::Object, Right::Write)
    },
    Spec {
        copies: true,
        headers: Headers::Copy,
        actions: &["s3:PutObject"],
        ..row(Operation::CopyObject, Verb::Put, Shape::Object, Right::Write)
    },
    Spec {
        selects: &["uploads"],
        headers: Headers::Write,
        actions: &["s3:PutObject"],
        ..row(Operation::CreateMultipartUpload, Verb::Post, Shape::Object, Right::Write)
    },
    Spec {
        selects: &["partNumber", "uploadId"],
        headers: Headers::Body,
        body: true,
        actions: &["s3:PutObject"],
        ..row(Operation::UploadPart, Verb::Put, Shape::Object, Right::Write)
    },
    Spec {
        selects: &["partNumber", "uploadId"],
        copies: true,
        headers: Headers::CopyPart,
        actions: &["s3:PutObject"],
        ..row(Operation::UploadPartCopy, Verb::Put, Shape::Object, Right::Write)
    },
    Spec {
        selects: &["uploadId"],
        query: &["max-parts", "part-number-marker", "encoding-type"],
        actions: &["s3:ListMultipartUploadParts"],
        ..row(Operation::ListParts, Verb::Get, Shape::Object, Right::Write)
    },
    Spec {
        selects: &["uploadId"],
        headers: Headers::Complete,
        body: true,
        actions: &["s3:PutObject"],
        ..row(Operation::CompleteMultipartUpload, Verb::Post, Shape::Object, Right::Write)
    },
    Spec {
        selects: &["uploadId"],
        actions: &["s3:AbortMultipartUpload"],
        ..row(Operation::AbortMultipartUpload, Verb::Delete, Shape::Object, Right::Write)
    },
    Spec {
        query: &["versionId"],
        headers: Headers::Delete,
        versions: Versions::ById,
        actions: &["s3:DeleteObject"],
        version_actions: &["s3:DeleteObjectVersion"],
        ..row(Operation::DeleteObject, Verb::Delete, Shape::Object, Right::Delete)
    },
    Spec {
        selects: &["delete"],
        headers: Headers::Delete,
        body: true,
        each: Some(Operation::DeleteObject),
        ..row(Operation::DeleteObjects, Verb::Post, Shape::Bucket, Right::Delete)
    },
];
