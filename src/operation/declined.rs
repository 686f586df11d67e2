//! Operations of S3 that Scopegate knows and does not offer, so that clients which ask are told what S3 would tell
//! them. None is forwarded: they speak about whole buckets, accounts or guards that a scope is no part of.

use super::{Shape, selected};
use crate::refusal::Rule;
use crate::target::Query;
use crate::verb::Verb;

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
}

const fn row(name: &'static str, method: Verb, shape: Shape, selects: &'static [&'static str]) -> Declined {
    Declined { name, method, shape, selects }
}

/// The rows; of several that fit, the one with the most selectors is meant.
pub static DECLINED: [Declined; 51] = [
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

/// How requests are answered that no right grants. A question is answered `501 NotImplemented`, as MinIO answers what it
/// does not have: clients take it for a store without the feature, where an `AccessDenied` makes them give up (s3cmd asks
/// for `?acl` before each copy). Whatever would change something is answered `403 AccessDenied`, which nothing retries.
pub const fn answer(verb: Verb) -> Rule {
    match verb {
        Verb::Get | Verb::Head => Rule::UnknownOperation,
        Verb::Put | Verb::Post | Verb::Delete => Rule::NotOffered,
    }
}

impl Declined {
    /// How it is answered.
    pub const fn rule(&self) -> Rule {
        answer(self.method)
    }

    /// The row that a request means, if it means one.
    pub(super) fn find(verb: Verb, shape: Shape, query: &Query<'_>) -> Option<&'static Self> {
        DECLINED
            .iter()
            .filter(|row| row.method == verb && row.shape == shape)
            .filter(|row| row.selects.iter().all(|select| selected(select, query)))
            .max_by_key(|row| row.selects.len())
    }
}
