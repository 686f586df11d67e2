//! A folder: its location in the store, and its path as clients see it.

use super::above::Above;
use crate::authorize::mapping::Mapping;
use crate::authorize::mount::View;
use crate::authorize::rights::Right;
use crate::authorize::scope::Scope;
use crate::net::terminal::visible;
use crate::s3::limits::MAX_KEY_BYTES;
use crate::s3::names::check_segments;
use crate::s3::target::{Resource, decode_path, encode_path, encode_query};
use http::Method;
use http1::Fields;
use std::borrow::Cow;
use std::sync::Arc;

/// Maximum number of rows on a page for a browser, and of keys per request to the store. S3 returns at most this
/// many.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>
pub(crate) const PAGE_KEYS: usize = 1000;

/// A folder: its path as its client sees it, and the prefix of its keys in the store.
///
/// Every request for its names is written in the client's terms and must be granted like the client's own requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The decoded path of the bucket or mount, with a trailing slash.
    root: String,
    /// The rest of the path: the key prefix, as the client sees it.
    below: String,
    /// The mount that contains the folder.
    view: Option<Arc<View>>,
    /// Whether the client names the bucket in `Host` instead of the path.
    is_host: bool,
}

/// The position in a folder where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// The beginning of the folder.
    Start,
    /// After this name.
    After(String),
    /// The position of the store's token.
    Token(String),
}

/// Maximum number of parent folders that a page names besides the first. A path of 1 KiB has 500 of them, and
/// relative links to all would take 400 KB.
const NEAREST: usize = 8;

/// A part of the breadcrumb trail, whose last part is the folder itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Crumb {
    /// A folder.
    Folder {
        /// The name; empty for `/`.
        name: String,
        /// A relative reference, if the client may see the folder and is not already there.
        up: Option<String>,
    },
    /// The number of folders left out.
    Omitted(usize),
}

impl Crumb {
    /// Returns the folder's name.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Folder { name, .. } => Some(name),
            Self::Omitted(_) => None,
        }
    }

    /// Makes control characters in the name visible.
    pub(crate) fn make_visible(&mut self) {
        if let Self::Folder { name, .. } = self {
            *name = visible(name).into_owned();
        }
    }
}

impl Place {
    /// Returns the folder at a path, with or without a trailing slash.
    ///
    /// Returns `None` if the path names no bucket, is invalid, or contains an encoded slash: the relative links on
    /// pages would lead elsewhere.
    pub(crate) fn of(mapping: &Mapping, path: &str) -> Option<Self> {
        if path.contains("%2F") || path.contains("%2f") {
            return None;
        }
        Self::of_decoded(mapping, decode_path(path).ok()?)
    }

    /// Returns the folder at a decoded path (see [`decode_path`]).
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

    /// Returns the same folder for a client that names the bucket in `Host`.
    #[must_use]
    pub(crate) fn of_host(self) -> Self {
        Self { is_host: true, ..self }
    }

    /// Returns the prefix of the names in it, as its client sees it.
    pub(crate) fn below(&self) -> &str {
        &self.below
    }

    /// Returns the decoded path, as its client sees it.
    pub(crate) fn shown(&self) -> String {
        format!("{}{}", if self.is_host { "/" } else { &self.root }, self.below)
    }

    /// Returns the decoded path, with the bucket in it.
    pub(crate) fn path(&self) -> String {
        format!("{}{}", self.root, self.below)
    }

    /// Returns whether the path is that of a whole bucket or mount.
    pub(crate) fn is_top(&self) -> bool {
        self.below.is_empty()
    }

    /// Returns path and query of the request for the names from `position` on.
    pub(crate) fn request(&self, position: &Position) -> (String, String) {
        self.request_of(PAGE_KEYS, position)
    }

    /// Returns path and query of the request that finds out whether the folder contains a name.
    pub(crate) fn request_of_one(&self) -> (String, String) {
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

    /// Returns the path of an object in it.
    pub(crate) fn object(&self, name: &str) -> String {
        encode_path(&format!("{}{name}", self.path()))
    }

    /// Returns the name of its index.
    pub(crate) fn index<'m>(&self, mapping: &'m Mapping) -> Option<&'m str> {
        mapping.index(self.view.as_ref(), self.bucket(), &self.below)
    }

    fn bucket(&self) -> &str {
        self.root.trim_matches('/')
    }

    /// Returns whether it is the root of a bucket or of a scope. Such a folder exists even when it is empty.
    pub(crate) fn is_whole(&self, mapping: &Mapping) -> bool {
        let whole = |scope: &Scope| {
            scope.view.is_none()
                && scope.bucket.as_str() == self.bucket()
                && scope.prefix.as_str() == self.below
        };
        self.is_top() || mapping.scopes.iter().any(whole)
    }

    /// Returns whether the mapping's clients may list it.
    pub(crate) fn is_listed(&self, mapping: &Mapping) -> bool {
        let (path, query) = self.request(&Position::Start);
        mapping.grant(&Method::GET, &path, Some(&query), &Fields::default()).is_ok()
    }

    /// Returns whether the mapping's clients may store objects in it.
    pub(crate) fn is_writable(&self, mapping: &Mapping) -> bool {
        mapping.scopes.iter().any(|scope| scope.allow.has(Right::Write) && self.is_in(scope))
    }

    /// Returns whether it is a scope's folder, or inside one.
    fn is_in(&self, scope: &Scope) -> bool {
        scope.is_seen_as(self.view.as_ref())
            && (self.view.is_some()
                || (scope.bucket.as_str() == self.bucket() && scope.prefix.covers(&self.below)))
    }

    /// Returns the folders above it, as its clients see them, ending with the folder itself: `/`, `/tmp/`,
    /// `/tmp/media/`.
    pub(crate) fn trail(&self, mapping: &Mapping) -> Vec<Crumb> {
        trail(&self.path(), usize::from(self.is_host), mapping)
    }

    /// Returns whether the mapping's clients may see the folder above.
    pub(crate) fn has_parent(&self, mapping: &Mapping) -> bool {
        let path = self.path();
        let is_lowest = self.is_host && self.below.is_empty();
        !is_lowest && above(&path).is_some_and(|above| is_visible(mapping, above))
    }
}

/// Returns whether a mapping's clients can see anything at a folder, given its decoded path: its names, its index
/// page, or the way down to a scope.
pub(crate) fn is_visible(mapping: &Mapping, path: &str) -> bool {
    let is_place =
        Place::of_decoded(mapping, path.strip_prefix('/').unwrap_or_default().into()).is_some_and(|place| {
            place.is_listed(mapping) || (place.is_whole(mapping) && place.index(mapping).is_some())
        });
    is_place || Above::of(mapping, path).is_some()
}

/// Checks [`is_visible`] for a path as a client writes it.
pub(crate) fn is_visible_encoded(mapping: &Mapping, path: &str) -> bool {
    let is_plain = !path.contains("%2F") && !path.contains("%2f");
    is_plain && decode_path(path).is_ok_and(|path| is_visible(mapping, &format!("/{path}")))
}

/// Returns the path of the error page of the site that contains a path. The scope with the longest prefix decides.
pub(crate) fn error_page(mapping: &Mapping, path: &str) -> Option<String> {
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

/// Returns the breadcrumb trail of a folder, given its decoded path: the first folder and the nearest ones. It skips
/// `hidden` folders at the beginning, which are not in the paths of the client.
///
/// Folders that the mapping's clients may not see are named without a link. The path names them anyway.
pub(crate) fn trail(path: &str, hidden: usize, mapping: &Mapping) -> Vec<Crumb> {
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

/// Returns the path of the parent folder: `/a/` for `/a/b/`.
fn above(folder: &str) -> Option<&str> {
    let inner = folder.strip_suffix('/')?;
    folder.get(..=inner.rfind('/')?)
}
