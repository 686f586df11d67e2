//! `ListMultipartUploads`: the store's list, filtered to the scopes, sorted and written again.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html>
//!
//! MinIO honours a prefix only if it is a whole key. Without a prefix, each node lists all uploads of the bucket that
//! it remembers, whatever page is requested. So the whole list is read, and only the entries of the page are kept.

mod read;
mod write;

pub(crate) use read::{Reader, Upload};

use crate::authorize::mapping::{Grant, Mapping};
use crate::authorize::mount::View;
use crate::authorize::operations::grammar::{Dialect, began_at};
use crate::s3::limits::MAX_PAGE;
use crate::s3::names::{Prefix, check_key};
use crate::s3::target::encode_query;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The limit that makes MinIO return all uploads of a key at once.
const ALL_OF_MINIO: u32 = 1_000_000;
const PAGE_OF_S3: u32 = 1000;
/// The memory of an entry besides its name and id, in bytes.
const ENTRY: usize = 128;

/// The uploads of a bucket that a client may see, and the page that it requests.
#[derive(Debug)]
pub struct Listing {
    bucket: String,
    view: Option<Arc<View>>,
    dialect: Dialect,
    /// The prefixes of the keys that may be shown.
    scopes: Vec<Prefix>,
    prefix: String,
    delimiter: Option<String>,
    key_marker: String,
    id_marker: Option<String>,
    most: usize,
    is_url: bool,
}

/// An entry of a page. Entries sort in S3's order: by name, then by the upload's start.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// A key or a common prefix.
    name: String,
    /// When the upload began, in nanoseconds since 1970, and its id. `None` for a common prefix.
    upload: Option<(i128, String)>,
}

/// The key and the id of the upload after which a list continues.
pub(crate) type Marker = (String, String);

/// A list request to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The prefix of the keys. Empty for all uploads that a MinIO node remembers.
    prefix: String,
    /// Where the list continues.
    after: Marker,
    /// The maximum number of uploads.
    most: u32,
}

impl Listing {
    /// Returns the list that a granted request asks for.
    pub fn new(mapping: &Mapping, grant: &Grant<'_>) -> Self {
        let query = grant.query();
        let text = |name: &str| query.get(name).unwrap_or_default().to_owned();
        let most = query.get("max-uploads").and_then(|most| most.parse().ok()).unwrap_or(MAX_PAGE);
        let key_marker = text("key-marker");
        // S3 ignores the id if there is no key.
        let id_marker = Some(text("upload-id-marker")).filter(|id| !id.is_empty() && !key_marker.is_empty());
        Self {
            bucket: grant.resource().bucket().unwrap_or_default().to_owned(),
            view: grant.view().cloned(),
            dialect: grant.dialect(),
            scopes: mapping.prefixes_of_uploads(grant),
            prefix: text("prefix"),
            delimiter: query.get("delimiter").map(str::to_owned),
            key_marker,
            id_marker,
            most: most.min(MAX_PAGE),
            is_url: query.get("encoding-type") == Some("url"),
        }
    }

    /// Returns the bucket, as the store knows it.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Returns the kind of store.
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Returns the requests to the store: to MinIO one for each node, to other stores one after the other until the
    /// page is full.
    pub fn questions(&self) -> Vec<Question> {
        match self.dialect {
            Dialect::Minio => self.questions_to_minio(),
            Dialect::S3 => self.questions_by_scope(),
        }
    }

    /// Asks for the uploads that a node remembers, and for those of a whole key on its drives. A restart erases a
    /// node's memory but not the drives.
    fn questions_to_minio(&self) -> Vec<Question> {
        let about = |prefix: &str| Question {
            prefix: prefix.to_owned(),
            after: (String::new(), String::new()),
            most: ALL_OF_MINIO,
        };
        let mut questions = vec![about("")];
        if self.scopes.iter().any(|scope| scope.covers(&self.prefix)) && check_key(&self.prefix).is_ok() {
            questions.push(about(&self.prefix));
        }
        questions
    }

    /// Asks once for each scope, in key order.
    fn questions_by_scope(&self) -> Vec<Question> {
        let longer = |scope: &Prefix| {
            if scope.covers(&self.prefix) { self.prefix.clone() } else { scope.as_str().to_owned() }
        };
        let prefixes: BTreeSet<String> = self.scopes.iter().map(longer).collect();
        let mut questions: Vec<Question> = Vec::new();
        for prefix in prefixes.into_iter().filter(|prefix| prefix.starts_with(&self.prefix)) {
            // A scope below the last one is listed with it.
            if questions.last().is_some_and(|last| prefix.starts_with(&last.prefix)) {
                continue;
            }
            let after = if self.key_marker > prefix {
                (self.key_marker.clone(), self.id_marker.clone().unwrap_or_default())
            } else {
                (String::new(), String::new())
            };
            questions.push(Question { prefix, after, most: PAGE_OF_S3 });
        }
        questions
    }

    /// Returns the entry for an upload, if the client may see it and the page continues before it.
    pub fn entry(&self, upload: &Upload) -> Option<Entry> {
        let Upload { key, id, initiated } = upload;
        let is_shown = self.scopes.iter().any(|scope| scope.covers(key)) && key.starts_with(&self.prefix);
        // A name that is not a valid key cannot appear in any request, including the one for the next page.
        if !is_shown || check_key(key).is_err() {
            return None;
        }
        // The id contains the start time to the nanosecond, equal on every node. An id in another form names no
        // upload that Scopegate would pass on.
        let time = match self.dialect {
            Dialect::Minio => began_at(id)?,
            Dialect::S3 => *initiated,
        };
        if !self.is_behind_marker(key, time, id) {
            return None;
        }
        match self.grouped(key) {
            Some(group) if group == self.key_marker => None,
            Some(group) => Some(Entry { name: group.to_owned(), upload: None }),
            None => Some(Entry { name: key.clone(), upload: Some((time, id.clone())) }),
        }
    }

    fn is_behind_marker(&self, key: &str, time: i128, id: &str) -> bool {
        if key != self.key_marker {
            return key > self.key_marker.as_str();
        }
        match (&self.id_marker, self.dialect) {
            (None, _) => false,
            (Some(marker), Dialect::Minio) => (began_at(marker), marker.as_str()) < (Some(time), id),
            // Other stores continue after the id themselves.
            (Some(marker), Dialect::S3) => marker != id,
        }
    }

    /// Returns the part of the key up to and including the first delimiter after the prefix.
    fn grouped<'k>(&self, key: &'k str) -> Option<&'k str> {
        let delimiter = self.delimiter.as_deref()?;
        let rest = key.get(self.prefix.len()..)?;
        key.get(..self.prefix.len() + rest.find(delimiter)? + delimiter.len())
    }
}

impl Question {
    /// Returns the query in canonical spelling. It requests encoded names, because XML cannot express every key.
    pub fn query(&self) -> String {
        let (key, id) = &self.after;
        let most = self.most.to_string();
        let named =
            [("key-marker", key), ("max-uploads", &most), ("prefix", &self.prefix), ("upload-id-marker", id)];
        let mut query = "encoding-type=url".to_owned();
        for (name, value) in named.into_iter().filter(|(_, value)| !value.is_empty()) {
            query.extend(["&", name, "=", &encode_query(value)]);
        }
        query.push_str("&uploads=");
        query
    }

    /// Returns the same request, continuing where the store's page ended.
    #[must_use]
    pub fn from(&self, after: Marker) -> Self {
        Self { prefix: self.prefix.clone(), after, most: self.most }
    }
}

/// The entries of a page: the first ones in S3's order, and one more if the list goes on.
#[derive(Debug)]
pub struct Selection {
    most: usize,
    entries: BTreeSet<Entry>,
    bytes: usize,
}

impl Selection {
    /// Returns an empty page.
    pub const fn new(listing: &Listing) -> Self {
        Self { most: listing.most, entries: BTreeSet::new(), bytes: 0 }
    }

    /// Adds an entry unless the page is full of earlier ones. Returns whether it was added.
    pub fn offer(&mut self, entry: Entry) -> bool {
        if self.most == 0 {
            return false;
        }
        let is_full = self.entries.len() > self.most;
        if is_full && self.entries.last().is_some_and(|last| *last < entry) {
            return false;
        }
        let bytes = entry.bytes();
        if self.entries.insert(entry) {
            self.bytes += bytes;
        }
        if self.entries.len() > self.most + 1
            && let Some(last) = self.entries.pop_last()
        {
            self.bytes -= last.bytes();
        }
        true
    }

    /// Returns the memory that the entries take, in bytes.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns whether the list continues after this page.
    pub fn is_truncated(&self) -> bool {
        self.entries.len() > self.most
    }
}

impl Entry {
    fn bytes(&self) -> usize {
        self.name.len() + self.upload.as_ref().map_or(0, |(_, id)| id.len()) + ENTRY
    }
}

#[cfg(test)]
mod tests;
