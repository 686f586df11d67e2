//! Scopes: a bucket, a key prefix and the rights on the keys below it.

use crate::mount::{Mount, View};
use crate::names::{BucketName, ErrorPage, IndexName, Prefix};
use crate::rights::Rights;
use std::sync::Arc;

/// One corner of a store: the keys of `bucket` below `prefix`, with what may be done there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The bucket.
    pub bucket: BucketName,
    /// The beginning of every key in the scope.
    pub prefix: Prefix,
    /// What may be done there.
    pub allow: Rights,
    /// The largest body of one upload, in bytes, where there is a bound besides S3's own.
    pub max_object_size: Option<u64>,
    /// What its clients see instead of bucket and prefix, where it is mounted.
    pub view: Option<Arc<View>>,
    /// The object that is a folder's page, if people are to get one in place of a list.
    pub index: Option<IndexName>,
    /// The page that browsers get with status 404 where there is no object.
    pub error_page: Option<ErrorPage>,
    /// Whether browsers may run its objects, as those of a site. Else they are shown in a sandbox.
    pub site: bool,
}

impl Scope {
    /// A scope without further bounds.
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

    /// The same, seen by its clients below `mount`.
    #[must_use]
    pub fn mounted(mut self, mount: Mount) -> Self {
        self.view = Some(Arc::new(View::new(mount, self.bucket.clone(), self.prefix.clone())));
        self
    }

    /// The key of its error page, counted from its prefix: the one that is configured, or where there is an index, `404.html`.
    pub fn error_page(&self) -> Option<&str> {
        let usual = || self.index.as_ref().map(|_| ErrorPage::USUAL);
        self.error_page.as_ref().map(ErrorPage::as_str).or_else(usual)
    }

    /// Whether a request that came through this mount, or through none, may mean the scope.
    pub fn is_seen_as(&self, view: Option<&Arc<View>>) -> bool {
        match (&self.view, view) {
            (Some(own), Some(view)) => Arc::ptr_eq(own, view),
            (None, None) => true,
            _ => false,
        }
    }
}
