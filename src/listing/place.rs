//! A folder: where it is in the store, and where its clients see it.

use crate::http1::Fields;
use crate::mapping::Mapping;
use crate::mount::View;
use crate::scope::{MAX_KEY_BYTES, Scope, check_segments};
use crate::target::{Resource, decode_path, encode_path, encode_query};
use http::Method;
use std::sync::Arc;

/// Most rows of an HTML page, and most keys of a request to the store; S3 gives no more at once.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>
pub const PAGE_KEYS: usize = 1000;

/// A folder: its path as its client has it, and the beginning that the store's keys in it have.
///
/// Every request that is made for it is spelled as its client would, and granted as its client's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The path that stands for a bucket, decoded, with a slash at its end.
    root: String,
    /// What follows in the path: the key's beginning, for the client.
    below: String,
    /// The mount that it lies below.
    view: Option<Arc<View>>,
}

/// Where in a folder a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// At its beginning.
    Start,
    /// Behind this name.
    After(String),
    /// Where the store's token says.
    Token(String),
}

/// The most folders above a [`Place`] that a page names after the first. A path of 1 KiB has 500, and a link to each of
/// them that is relative takes 400 KB.
const NEAREST: usize = 8;

/// A part of the way down to a [`Place`], which is the last part itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Crumb {
    /// A folder.
    Folder {
        /// Its name.
        name: String,
        /// A relative reference to it, if its client may list it and is not there already.
        up: Option<String>,
    },
    /// Folders that are left out.
    Omitted(usize),
}

impl Place {
    /// The folder that a path names, with or without the slash at its end.
    ///
    /// None where the path names no bucket or cannot be understood, and where a slash is encoded: relative references,
    /// which pages are made of, would lead elsewhere.
    pub fn of(mapping: &Mapping, path: &str) -> Option<Self> {
        if path.contains("%2F") || path.contains("%2f") {
            return None;
        }
        let decoded = decode_path(path).ok()?;
        let view = mapping.mount_of(&decoded).cloned();
        let (root, mut below) = if let Some(view) = &view {
            (view.mount().as_str().to_owned(), view.below(&decoded).unwrap_or_default().to_owned())
        } else {
            let resource = Resource::of_decoded(decoded).ok()?;
            (format!("/{}/", resource.bucket()?), resource.key().unwrap_or_default().to_owned())
        };
        if !below.is_empty() && !below.ends_with('/') {
            below.push('/');
        }
        check_segments(&below).ok()?;
        (below.len() <= MAX_KEY_BYTES).then_some(Self { root, below, view })
    }

    /// The beginning of the names in it, as its client knows them.
    pub fn below(&self) -> &str {
        &self.below
    }

    /// The path that its client has for it, decoded.
    pub fn shown(&self) -> String {
        format!("{}{}", self.root, self.below)
    }

    /// Whether its path stands for a bucket.
    pub fn is_top(&self) -> bool {
        self.below.is_empty()
    }

    /// The path and query of the request for the names from `position` on.
    pub fn request(&self, position: &Position) -> (String, String) {
        let mut query = format!(
            "list-type=2&delimiter=%2F&encoding-type=url&max-keys={PAGE_KEYS}&prefix={}",
            encode_query(&self.below)
        );
        match position {
            Position::Start => {}
            Position::After(name) => {
                query.extend(["&start-after=", &encode_query(&format!("{}{name}", self.below))]);
            }
            Position::Token(token) => query.extend(["&continuation-token=", &encode_query(token)]),
        }
        (encode_path(&self.root), query)
    }

    /// The path of an object in it.
    pub fn object(&self, name: &str) -> String {
        encode_path(&format!("{}{name}", self.shown()))
    }

    /// The name of its index.
    pub fn index<'m>(&self, mapping: &'m Mapping) -> Option<&'m str> {
        mapping.index(self.view.as_ref(), self.bucket(), &self.below)
    }

    fn bucket(&self) -> &str {
        self.root.trim_matches('/')
    }

    /// Whether it is all of a bucket or of a scope: such a folder is there even when it is empty.
    pub fn is_whole(&self, mapping: &Mapping) -> bool {
        let whole = |scope: &Scope| {
            scope.view.is_none()
                && scope.bucket.as_str() == self.bucket()
                && scope.prefix.as_str() == self.below
        };
        self.is_top() || mapping.scopes.iter().any(whole)
    }

    /// Whether the mapping's clients may list it.
    pub fn is_listed(&self, mapping: &Mapping) -> bool {
        let (path, query) = self.request(&Position::Start);
        mapping.grant(&Method::GET, &path, Some(&query), &Fields::default()).is_ok()
    }

    /// The folder above.
    pub fn parent(&self) -> Option<Self> {
        let below = above(&self.below)?.to_owned();
        Some(Self { root: self.root.clone(), below, view: self.view.clone() })
    }

    /// Returns the way down to it: the first folder and the nearest ones, however deep it lies.
    ///
    /// A folder that the mapping's clients may not list is named and has no link: the path names it anyway.
    pub fn crumbs(&self, mapping: &Mapping) -> Vec<Crumb> {
        let shown = self.shown();
        let names: Vec<&str> = shown.split('/').filter(|name| !name.is_empty()).collect();
        let omitted = names.len().saturating_sub(NEAREST + 2);
        let mut crumbs = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let steps = names.len() - 1 - index;
            match index {
                1 if omitted > 0 => crumbs.push(Crumb::Omitted(omitted)),
                _ if (1..=omitted).contains(&index) => {}
                _ => crumbs.push(Crumb::Folder { name: (*name).to_owned(), up: self.up(steps, mapping) }),
            }
        }
        crumbs
    }

    /// A reference to the folder this many steps above, if there is one that the mapping's clients may list.
    fn up(&self, steps: usize, mapping: &Mapping) -> Option<String> {
        if steps == 0 {
            return None;
        }
        let above = (0..steps).try_fold(self.below.as_str(), |folder, _| above(folder))?;
        let place = Self { root: self.root.clone(), below: above.to_owned(), view: self.view.clone() };
        place.is_listed(mapping).then(|| "../".repeat(steps))
    }
}

/// A folder's path without its last name: `a/` of `a/b/`.
fn above(folder: &str) -> Option<&str> {
    let inner = folder.strip_suffix('/')?;
    inner.rfind('/').map_or(Some(""), |at| folder.get(..=at))
}
