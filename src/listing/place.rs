//! A folder: where it is in the store, and where its clients see it.

use super::above::Above;
use crate::mapping::Mapping;
use crate::mount::View;
use crate::names::check_segments;
use crate::rights::Right;
use crate::s3_limits::MAX_KEY_BYTES;
use crate::scope::Scope;
use crate::target::{Resource, decode_path, encode_path, encode_query};
use crate::terminal::visible;
use http::Method;
use http1::Fields;
use std::borrow::Cow;
use std::sync::Arc;

/// Most rows of a page for a browser, and most keys of a request to the store; S3 gives no more at once.
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
    /// Whether the client names the bucket in `Host`, and not in the path.
    is_host: bool,
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

/// The most folders above another that a page names after the first. A path of 1 KiB has 500, and a link to each of
/// them that is relative takes 400 KB.
const NEAREST: usize = 8;

/// A part of the way down to a folder, which is the last part itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Crumb {
    /// A folder.
    Folder {
        /// Its name; empty for `/`.
        name: String,
        /// A relative reference to it, if its client may see it and is not there already.
        up: Option<String>,
    },
    /// Folders that are left out.
    Omitted(usize),
}

impl Crumb {
    /// The folder's name.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Folder { name, .. } => Some(name),
            Self::Omitted(_) => None,
        }
    }

    /// Writes out the control characters in the name.
    pub fn make_visible(&mut self) {
        if let Self::Folder { name, .. } = self {
            *name = visible(name).into_owned();
        }
    }
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
        Self::of_decoded(mapping, decode_path(path).ok()?)
    }

    /// The folder that a path names which [`decode_path`] has decoded.
    fn of_decoded(mapping: &Mapping, decoded: Cow<'_, str>) -> Option<Self> {
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
        (below.len() <= MAX_KEY_BYTES).then_some(Self { root, below, view, is_host: false })
    }

    /// The same folder for a client that names the bucket in `Host`.
    #[must_use]
    pub fn of_host(self) -> Self {
        Self { is_host: true, ..self }
    }

    /// The beginning of the names in it, as its client knows them.
    pub fn below(&self) -> &str {
        &self.below
    }

    /// The path that its client has for it, decoded.
    pub fn shown(&self) -> String {
        format!("{}{}", if self.is_host { "/" } else { &self.root }, self.below)
    }

    /// Its path with the bucket in it, decoded.
    pub fn path(&self) -> String {
        format!("{}{}", self.root, self.below)
    }

    /// Whether its path stands for a bucket.
    pub fn is_top(&self) -> bool {
        self.below.is_empty()
    }

    /// The path and query of the request for the names from `position` on.
    pub fn request(&self, position: &Position) -> (String, String) {
        self.request_of(PAGE_KEYS, position)
    }

    /// The path and query of the request that tells whether it has a name.
    pub fn request_of_one(&self) -> (String, String) {
        self.request_of(1, &Position::Start)
    }

    fn request_of(&self, keys: usize, position: &Position) -> (String, String) {
        let mut query = format!(
            "list-type=2&delimiter=%2F&encoding-type=url&max-keys={keys}&prefix={}",
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
        encode_path(&format!("{}{name}", self.path()))
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

    /// Whether its clients may store objects in it.
    pub fn is_writable(&self, mapping: &Mapping) -> bool {
        mapping.scopes.iter().any(|scope| scope.allow.has(Right::Write) && self.is_in(scope))
    }

    /// Whether it is a scope's folder, or lies below that.
    fn is_in(&self, scope: &Scope) -> bool {
        scope.is_seen_as(self.view.as_ref())
            && (self.view.is_some()
                || (scope.bucket.as_str() == self.bucket() && scope.prefix.covers(&self.below)))
    }

    /// The folders above, as their clients have them: `/`, `/tmp/`, `/tmp/media/`, and it itself at the end.
    pub fn trail(&self, mapping: &Mapping) -> Vec<Crumb> {
        trail(&self.path(), usize::from(self.is_host), mapping)
    }

    /// Whether there is a folder above that its clients may see.
    pub fn has_parent(&self, mapping: &Mapping) -> bool {
        let path = self.path();
        let is_lowest = self.is_host && self.below.is_empty();
        !is_lowest && above(&path).is_some_and(|above| is_visible(mapping, above))
    }
}

/// Whether a mapping's clients get something at a folder, given its decoded path: its names, the page that is its index, or the way to a scope.
pub fn is_visible(mapping: &Mapping, path: &str) -> bool {
    let is_place =
        Place::of_decoded(mapping, path.strip_prefix('/').unwrap_or_default().into()).is_some_and(|place| {
            place.is_listed(mapping) || (place.is_whole(mapping) && place.index(mapping).is_some())
        });
    is_place || Above::of(mapping, path).is_some()
}

/// What [`is_visible`] says of a folder, given its path as a client writes it.
pub fn is_visible_encoded(mapping: &Mapping, path: &str) -> bool {
    let is_plain = !path.contains("%2F") && !path.contains("%2f");
    is_plain && decode_path(path).is_ok_and(|path| is_visible(mapping, &format!("/{path}")))
}

/// The path of the error page of the site in which a path lies: of the scope with the longest prefix around it.
pub fn error_page(mapping: &Mapping, path: &str) -> Option<String> {
    let place = Place::of(mapping, path)?;
    let is_around = |scope: &&Scope| place.is_in(scope);
    let scope = mapping.scopes.iter().filter(is_around).max_by_key(|scope| scope.prefix.as_str().len())?;
    let name = scope.error_page()?;
    let root = match &scope.view {
        Some(_) => place.root.clone(),
        None => format!("{}{}", place.root, scope.prefix),
    };
    Some(encode_path(&(root + name)))
}

/// Returns the way down to a folder, given its decoded path: the first folder and the nearest ones, however deep it lies.
/// `hidden` folders at the beginning are in no path of its clients.
///
/// A folder that the mapping's clients may not see is named and has no link: the path names it anyway.
pub fn trail(path: &str, hidden: usize, mapping: &Mapping) -> Vec<Crumb> {
    let ends: Vec<usize> = path.match_indices('/').map(|(at, _)| at + 1).skip(hidden).collect();
    let omitted = ends.len().saturating_sub(NEAREST + 2);
    let mut crumbs = Vec::new();
    for (index, end) in ends.iter().enumerate() {
        let folder = path.get(..*end).unwrap_or_default();
        let name = folder.trim_end_matches('/').rsplit('/').next().filter(|_| index > 0).unwrap_or_default();
        let steps = ends.len() - 1 - index;
        match index {
            1 if omitted > 0 => crumbs.push(Crumb::Omitted(omitted)),
            _ if (1..=omitted).contains(&index) => {}
            _ => {
                let up = (steps > 0 && is_visible(mapping, folder)).then(|| "../".repeat(steps));
                crumbs.push(Crumb::Folder { name: name.to_owned(), up });
            }
        }
    }
    crumbs
}

/// The path of the folder above: `/a/` of `/a/b/`.
fn above(folder: &str) -> Option<&str> {
    let inner = folder.strip_suffix('/')?;
    folder.get(..=inner.rfind('/')?)
}
