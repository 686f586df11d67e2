//! Operations of S3 that Scopegate knows and does not offer, so that clients which ask are told what S3 would tell
//! them. None is forwarded: they speak about whole buckets, accounts or guards that a scope is no part of.

use super::{Shape, Verb, selected};
use crate::refusal::Rule;
use crate::target::Query;

/// A row: an operation that is not offered.
#[derive(Debug, PartialEq, Eq)]
pub struct Declined {
    /// Its name in S3's API reference.
    pub name: &'static str,
    /// Its method.
    pub method: Verb,
    /// What its path names.
    pub shape: Shape,
    /// Query names that select it.
    pub selects: &'static [&'static str],
    /// What it is answered with. Reading a setting is answered `NotImplemented`, which clients take for a store
    /// without that feature (an `AccessDenied` to `?acl` makes s3cmd give up); changing one is not allowed.
    pub rule: Rule,
}

const NO: Rule = Rule::NotOffered;
const UNKNOWN: Rule = Rule::UnknownOperation;

const fn row(
    name: &'static str,
    method: Verb,
    shape: Shape,
    selects: &'static [&'static str],
    rule: Rule,
) -> Declined {
    Declined { name, method, shape, selects, rule }
}

/// The rows; of several that fit, the one with the most selectors is meant.
pub static DECLINED: [Declined; 55] = [
    row("AssumeRole", Verb::Post, Shape::Service, &[], NO),
    row("HeadService", Verb::Head, Shape::Service, &[], Rule::MethodNotAllowed),
    row("PutService", Verb::Put, Shape::Service, &[], Rule::MethodNotAllowed),
    row("DeleteService", Verb::Delete, Shape::Service, &[], Rule::MethodNotAllowed),
    row("CreateBucket", Verb::Put, Shape::Bucket, &[], NO),
    row("DeleteBucket", Verb::Delete, Shape::Bucket, &[], NO),
    row("PostObject", Verb::Post, Shape::Bucket, &[], UNKNOWN),
    row("ListMultipartUploads", Verb::Get, Shape::Bucket, &["uploads"], UNKNOWN),
    row("GetBucketAcl", Verb::Get, Shape::Bucket, &["acl"], UNKNOWN),
    row("PutBucketAcl", Verb::Put, Shape::Bucket, &["acl"], UNKNOWN),
    row("GetBucketPolicy", Verb::Get, Shape::Bucket, &["policy"], UNKNOWN),
    row("GetBucketPolicyStatus", Verb::Get, Shape::Bucket, &["policyStatus"], UNKNOWN),
    row("PutBucketPolicy", Verb::Put, Shape::Bucket, &["policy"], NO),
    row("DeleteBucketPolicy", Verb::Delete, Shape::Bucket, &["policy"], NO),
    row("GetBucketCors", Verb::Get, Shape::Bucket, &["cors"], UNKNOWN),
    row("PutBucketCors", Verb::Put, Shape::Bucket, &["cors"], NO),
    row("DeleteBucketCors", Verb::Delete, Shape::Bucket, &["cors"], NO),
    row("GetBucketLifecycleConfiguration", Verb::Get, Shape::Bucket, &["lifecycle"], UNKNOWN),
    row("PutBucketLifecycleConfiguration", Verb::Put, Shape::Bucket, &["lifecycle"], NO),
    row("DeleteBucketLifecycle", Verb::Delete, Shape::Bucket, &["lifecycle"], NO),
    row("GetBucketVersioning", Verb::Get, Shape::Bucket, &["versioning"], UNKNOWN),
    row("PutBucketVersioning", Verb::Put, Shape::Bucket, &["versioning"], NO),
    row("GetBucketEncryption", Verb::Get, Shape::Bucket, &["encryption"], UNKNOWN),
    row("PutBucketEncryption", Verb::Put, Shape::Bucket, &["encryption"], NO),
    row("DeleteBucketEncryption", Verb::Delete, Shape::Bucket, &["encryption"], NO),
    row("GetObjectLockConfiguration", Verb::Get, Shape::Bucket, &["object-lock"], UNKNOWN),
    row("PutObjectLockConfiguration", Verb::Put, Shape::Bucket, &["object-lock"], NO),
    row("GetBucketReplication", Verb::Get, Shape::Bucket, &["replication"], UNKNOWN),
    row("PutBucketReplication", Verb::Put, Shape::Bucket, &["replication"], NO),
    row("DeleteBucketReplication", Verb::Delete, Shape::Bucket, &["replication"], NO),
    row("GetBucketTagging", Verb::Get, Shape::Bucket, &["tagging"], UNKNOWN),
    row("PutBucketTagging", Verb::Put, Shape::Bucket, &["tagging"], NO),
    row("DeleteBucketTagging", Verb::Delete, Shape::Bucket, &["tagging"], NO),
    row("GetBucketNotificationConfiguration", Verb::Get, Shape::Bucket, &["notification"], UNKNOWN),
    row("PutBucketNotificationConfiguration", Verb::Put, Shape::Bucket, &["notification"], NO),
    row("ListenBucketNotification", Verb::Get, Shape::Bucket, &["events"], UNKNOWN),
    row("GetBucketWebsite", Verb::Get, Shape::Bucket, &["website"], UNKNOWN),
    row("GetBucketLogging", Verb::Get, Shape::Bucket, &["logging"], UNKNOWN),
    row("GetBucketRequestPayment", Verb::Get, Shape::Bucket, &["requestPayment"], UNKNOWN),
    row("GetBucketAccelerateConfiguration", Verb::Get, Shape::Bucket, &["accelerate"], UNKNOWN),
    row("GetBucketOwnershipControls", Verb::Get, Shape::Bucket, &["ownershipControls"], UNKNOWN),
    row("GetPublicAccessBlock", Verb::Get, Shape::Bucket, &["publicAccessBlock"], UNKNOWN),
    row("GetObjectAcl", Verb::Get, Shape::Object, &["acl"], UNKNOWN),
    row("PutObjectAcl", Verb::Put, Shape::Object, &["acl"], UNKNOWN),
    row("GetObjectRetention", Verb::Get, Shape::Object, &["retention"], UNKNOWN),
    row("PutObjectRetention", Verb::Put, Shape::Object, &["retention"], NO),
    row("GetObjectLegalHold", Verb::Get, Shape::Object, &["legal-hold"], UNKNOWN),
    row("PutObjectLegalHold", Verb::Put, Shape::Object, &["legal-hold"], NO),
    row("GetObjectTorrent", Verb::Get, Shape::Object, &["torrent"], UNKNOWN),
    row("SelectObjectContent", Verb::Post, Shape::Object, &["select"], UNKNOWN),
    row("RestoreObject", Verb::Post, Shape::Object, &["restore"], UNKNOWN),
    row("RenameObject", Verb::Put, Shape::Object, &["renameObject"], UNKNOWN),
    row("UpdateObjectEncryption", Verb::Put, Shape::Object, &["encryption"], UNKNOWN),
    row("GetObjectLambda", Verb::Get, Shape::Object, &["lambdaArn"], UNKNOWN),
    row("DeleteObjects below a bucket", Verb::Post, Shape::Object, &["delete"], UNKNOWN),
];

impl Declined {
    /// The row that a request means, if it means one.
    pub(super) fn find(verb: Verb, shape: Shape, query: &Query<'_>) -> Option<&'static Self> {
        DECLINED
            .iter()
            .filter(|row| row.method == verb && row.shape == shape)
            .filter(|row| row.selects.iter().all(|select| selected(select, query)))
            .max_by_key(|row| row.selects.len())
    }
}
