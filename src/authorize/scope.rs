//! Scopes: a bucket, a key prefix, and the rights on the keys below it.

use crate::authorize::mount::{Mount, View};
use crate::authorize::rights::Rights;
use crate::s3::names::{BucketName, ErrorPage, IndexName, Prefix};
use std::sync::Arc;

/// The keys of `bucket` below `prefix`, and the rights on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The bucket.
    pub bucket: BucketName,
    /// The prefix of every key in the scope.
    pub prefix: Prefix,
    /// The rights on these keys.
    pub allow: Rights,
    /// The largest body of one upload, in bytes, if it is less than S3's own limit.
    pub max_object_size: Option<u64>,
    /// The names that clients see instead of bucket and prefix, if the scope is mounted.
    pub view: Option<Arc<View>>,
    /// The object that browsers see instead of a folder's list.
    pub index: Option<IndexName>,
    /// The page that browsers see with status 404.
    pub error_page: Option<ErrorPage>,
    /// Whether browsers may run its objects, as a static site needs. Otherwise they are shown in a sandbox.
    pub site: bool,
}

impl Scope {
    /// Returns a scope without a view, a size limit or pages.
    pub fn new(bucket: BucketName, prefix: Prefix, allow: Rights) -> Self {
        Self {
            bucket,
            prefix,
            allow,
            max_object_size: None,
            view: None,
            index: None,
            error_page: None,
            site: false,
        }
    }

    /// Returns the scope as its clients see it below `mount`.
    #[must_use]
    pub fn mounted(mut self, mount: Mount) -> Self {
        self.view = Some(Arc::new(View::new(mount, self.bucket.clone(), self.prefix.clone())));
        self
    }

    /// Returns the key of the error page, relative to the prefix: the configured one, or `404.html` if there is an
    /// index.
    pub fn error_page(&self) -> Option<&str> {
        let usual = || self.index.as_ref().map(|_| ErrorPage::USUAL);
        self.error_page.as_ref().map(ErrorPage::as_str).or_else(usual)
    }

    /// Returns whether a request through this mount, or through none, can address the scope.
    pub fn is_seen_as(&self, view: Option<&Arc<View>>) -> bool {
        match (&self.view, view) {
            (Some(own), Some(view)) => Arc::ptr_eq(own, view),
            (None, None) => true,
            _ => false,
        }
    }
}
