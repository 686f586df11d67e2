//! Operations of S3 that Scopegate knows and does not offer.
//!
//! They concern whole buckets, accounts or locks, which no scope covers. None is forwarded. They are listed so that a
//! client gets the error that S3 would return.

use super::{Shape, selected};
use crate::refusal::Rule;
use crate::s3::target::Query;
use crate::s3::verb::Verb;

/// A row of the table of declined operations.
#[derive(Debug, PartialEq, Eq)]
pub struct Declined {
    /// Its name in the S3 API reference.
    pub name: &'static str,
    /// Its method.
    pub method: Verb,
    /// The kind of resource that its path names.
    pub shape: Shape,
    /// Query names that select it.
    pub selects: &'static [&'static str],
}

const fn row(name: &'static str, method: Verb, shape: Shape, selects: &'static [&'static str]) -> Declined {
    Declined { name, method, shape, selects }
}

/// The table. If several rows match, the one with the most selectors wins.
pub(crate) static DECLINED: [Declined; 51] = [
    row("AssumeRole", Verb::Post, Shape::Service, &[]),
    row("CreateBucket", Verb::Put, Shape::Bucket, &[]),
    row("DeleteBucket", Verb::Delete, Shape::Bucket, &[]),
    row("PostObject", Verb::Post, Shape::Bucket, &[]),
    row("GetBucketAcl", Verb::Get, Shape::Bucket, &["acl"]),
    row("PutBucketAcl", Verb::Put, Shape::Bucket, &["acl"]),
    row("GetBucketPolicy", Verb::Get, Shape::Bucket, &["policy"]),
    row("GetBucketPolicyStatus", Verb::Get, Shape::Bucket, &["policyStatus"]),
    row("PutBucketPolicy", Verb::Put, Shape::Bucket, &["policy"]),
    row("DeleteBucketPolicy", Verb::Delete, Shape::Bucket, &["policy"]),
    row("GetBucketCors", Verb::Get, Shape::Bucket, &["cors"]),
    row("PutBucketCors", Verb::Put, Shape::Bucket, &["cors"]),
    row("DeleteBucketCors", Verb::Delete, Shape::Bucket, &["cors"]),
    row("GetBucketLifecycleConfiguration", Verb::Get, Shape::Bucket, &["lifecycle"]),
    row("PutBucketLifecycleConfiguration", Verb::Put, Shape::Bucket, &["lifecycle"]),
    row("DeleteBucketLifecycle", Verb::Delete, Shape::Bucket, &["lifecycle"]),
    row("GetBucketVersioning", Verb::Get, Shape::Bucket, &["versioning"]),
    row("PutBucketVersioning", Verb::Put, Shape::Bucket, &["versioning"]),
    row("GetBucketEncryption", Verb::Get, Shape::Bucket, &["encryption"]),
    row("PutBucketEncryption", Verb::Put, Shape::Bucket, &["encryption"]),
    row("DeleteBucketEncryption", Verb::Delete, Shape::Bucket, &["encryption"]),
    row("GetObjectLockConfiguration", Verb::Get, Shape::Bucket, &["object-lock"]),
    row("PutObjectLockConfiguration", Verb::Put, Shape::Bucket, &["object-lock"]),
    row("GetBucketReplication", Verb::Get, Shape::Bucket, &["replication"]),
    row("PutBucketReplication", Verb::Put, Shape::Bucket, &["replication"]),
    row("DeleteBucketReplication", Verb::Delete, Shape::Bucket, &["replication"]),
    row("GetBucketTagging", Verb::Get, Shape::Bucket, &["tagging"]),
    row("PutBucketTagging", Verb::Put, Shape::Bucket, &["tagging"]),
    row("DeleteBucketTagging", Verb::Delete, Shape::Bucket, &["tagging"]),
    row("GetBucketNotificationConfiguration", Verb::Get, Shape::Bucket, &["notification"]),
    row("PutBucketNotificationConfiguration", Verb::Put, Shape::Bucket, &["notification"]),
    row("ListenBucketNotification", Verb::Get, Shape::Bucket, &["events"]),
    row("GetBucketWebsite", Verb::Get, Shape::Bucket, &["website"]),
    row("GetBucketLogging", Verb::Get, Shape::Bucket, &["logging"]),
    row("GetBucketRequestPayment", Verb::Get, Shape::Bucket, &["requestPayment"]),
    row("GetBucketAccelerateConfiguration", Verb::Get, Shape::Bucket, &["accelerate"]),
    row("GetBucketOwnershipControls", Verb::Get, Shape::Bucket, &["ownershipControls"]),
    row("GetPublicAccessBlock", Verb::Get, Shape::Bucket, &["publicAccessBlock"]),
    row("GetObjectAcl", Verb::Get, Shape::Object, &["acl"]),
    row("PutObjectAcl", Verb::Put, Shape::Object, &["acl"]),
    row("GetObjectRetention", Verb::Get, Shape::Object, &["retention"]),
    row("PutObjectRetention", Verb::Put, Shape::Object, &["retention"]),
    row("GetObjectLegalHold", Verb::Get, Shape::Object, &["legal-hold"]),
    row("PutObjectLegalHold", Verb::Put, Shape::Object, &["legal-hold"]),
    row("GetObjectTorrent", Verb::Get, Shape::Object, &["torrent"]),
    row("SelectObjectContent", Verb::Post, Shape::Object, &["select"]),
    row("RestoreObject", Verb::Post, Shape::Object, &["restore"]),
    row("RenameObject", Verb::Put, Shape::Object, &["renameObject"]),
    row("UpdateObjectEncryption", Verb::Put, Shape::Object, &["encryption"]),
    row("GetObjectLambda", Verb::Get, Shape::Object, &["lambdaArn"]),
    row("DeleteObjects below a bucket", Verb::Post, Shape::Object, &["delete"]),
];

/// Returns the rule that refuses an operation that no right grants.
///
/// A read gets `501 NotImplemented`, as from MinIO for features that it lacks. Clients then carry on without the
/// feature, whereas `AccessDenied` makes them give up: s3cmd asks for `?acl` before each copy. A change gets `403
/// AccessDenied`, which no client retries.
pub(crate) const fn refusing_rule(verb: Verb) -> Rule {
    match verb {
        Verb::Get | Verb::Head => Rule::UnknownOperation,
        Verb::Put | Verb::Post | Verb::Delete => Rule::NotOffered,
    }
}

impl Declined {
    /// Returns the rule that refuses it.
    pub const fn rule(&self) -> Rule {
        refusing_rule(self.method)
    }

    /// Returns the row that matches a request.
    pub(super) fn find(verb: Verb, shape: Shape, query: &Query<'_>) -> Option<&'static Self> {
        DECLINED
            .iter()
            .filter(|row| row.method == verb && row.shape == shape)
            .filter(|row| row.selects.iter().all(|select| selected(select, query)))
            .max_by_key(|row| row.selects.len())
    }
}
