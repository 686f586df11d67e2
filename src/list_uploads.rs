//! `ListMultipartUploads`, answered from what the store lists: filtered to the scopes, put in order and written again.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html>
//!
//! MinIO honours a prefix only if it is a whole key. Asked without one, each node lists the uploads of the whole bucket
//! that it remembers, whatever page is wanted. So all of that is read, and no more is kept than the page holds.

mod read;
mod write;

pub use read::{NoList, Reader, Upload};

use crate::mapping::{Grant, Mapping};
use crate::mount::View;
use crate::operation::grammar::{Dialect, began_at};
use crate::scope::{Prefix, check_key};
use crate::target::encode_query;
use std::collections::BTreeSet;
use std::sync::Arc;

/// S3's most uploads of a page.
const MAX_UPLOADS: usize = 1000;
/// MinIO gives all uploads of a key at once, if this number is asked for.
const ALL_OF_MINIO: u32 = 1_000_000;
const PAGE_OF_S3: u32 = 1000;
/// What an entry of a page takes besides its name and its id, in bytes.
const ENTRY: usize = 128;

/// What a client may see of a bucket's uploads, and which page of it is wanted.
#[derive(Debug)]
pub struct Listing {
    bucket: String,
    view: Option<Arc<View>>,
    dialect: Dialect,
    /// The beginnings of the keys that may be shown.
    scopes: Vec<Prefix>,
    prefix: String,
    delimiter: Option<String>,
    key_marker: String,
    id_marker: Option<String>,
    most: usize,
    is_url: bool,
}

/// An entry of a page, in S3's order: by name, then by the time when the upload began.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// A key, or what several keys begin with.
    name: String,
    /// When the upload of the key began, in nanoseconds since 1970, and its id. None for several keys.
    upload: Option<(i128, String)>,
}

/// The key and the id of an upload that a list goes on behind.
pub type Marker = (String, String);

/// A question to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The beginning of the keys. Empty for all that a node of MinIO's remembers.
    prefix: String,
    /// Where the store is to go on.
    after: Marker,
    /// How many uploads are asked for.
    most: u32,
}

impl Listing {
    /// What a granted request wants to see.
    pub fn new(mapping: &Mapping, grant: &Grant<'_>) -> Self {
        let query = grant.query();
        let text = |name: &str| query.get(name).unwrap_or_default().to_owned();
        let most = query.get("max-uploads").and_then(|most| most.parse().ok()).unwrap_or(MAX_UPLOADS);
        let key_marker = text("key-marker");
        // S3 ignores the id without a key.
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
            most: most.min(MAX_UPLOADS),
            is_url: query.get("encoding-type") == Some("url"),
        }
    }

    /// Returns the bucket, as the store knows it.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The kind of store that is asked.
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The questions to the store: at MinIO to each node, elsewhere one after the other until the page is full.
    pub fn questions(&self) -> Vec<Question> {
        match self.dialect {
            Dialect::Minio => self.questions_to_minio(),
            Dialect::S3 => self.questions_by_scope(),
        }
    }

    /// What a node remembers, and what the drives know of a whole key. A node forgets all uploads when it is restarted; the
    /// drives do not.
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

    /// A question for each scope, in the order of their keys.
    fn questions_by_scope(&self) -> Vec<Question> {
        let longer = |scope: &Prefix| {
            if scope.covers(&self.prefix) { self.prefix.clone() } else { scope.as_str().to_owned() }
        };
        let prefixes: BTreeSet<String> = self.scopes.iter().map(longer).collect();
        let mut questions: Vec<Question> = Vec::new();
        for prefix in prefixes.into_iter().filter(|prefix| prefix.starts_with(&self.prefix)) {
            // What lies in another scope is listed with it.
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

    /// The entry that an upload makes on the page, if its client may see it and the page has not passed it.
    pub fn entry(&self, upload: &Upload) -> Option<Entry> {
        let Upload { key, id, initiated } = upload;
        let is_shown = self.scopes.iter().any(|scope| scope.covers(key)) && key.starts_with(&self.prefix);
        // What is no key can be in no request, that for the next page included.
        if !is_shown || check_key(key).is_err() {
            return None;
        }
        // The id says the time to the nanosecond, and alike on every node. What is no id of MinIO's names no upload that
        // Scopegate would pass on.
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
            // It is the store that goes on behind the id.
            (Some(marker), Dialect::S3) => marker != id,
        }
    }

    /// What the key begins with, up to and with the first delimiter behind the prefix.
    fn grouped<'k>(&self, key: &'k str) -> Option<&'k str> {
        let delimiter = self.delimiter.as_deref()?;
        let rest = key.get(self.prefix.len()..)?;
        key.get(..self.prefix.len() + rest.find(delimiter)? + delimiter.len())
    }
}

impl Question {
    /// The query, in its canonical spelling. Names come encoded: XML cannot hold every key.
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

    /// The same question from where the store's page ended.
    #[must_use]
    pub fn from(&self, after: Marker) -> Self {
        Self { prefix: self.prefix.clone(), after, most: self.most }
    }
}

/// The entries of a page, as they are found: the first of them in S3's order, and one more if there is one.
#[derive(Debug)]
pub struct Selection {
    most: usize,
    entries: BTreeSet<Entry>,
    bytes: usize,
}

impl Selection {
    /// An empty page.
    pub const fn new(listing: &Listing) -> Self {
        Self { most: listing.most, entries: BTreeSet::new(), bytes: 0 }
    }

    /// Takes an entry, unless the page is full of others that come before it. Returns whether it took it.
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

    /// The memory that the entries take.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there is an entry behind the page.
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
