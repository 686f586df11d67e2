//! Parses a page of `ListObjectsV2`.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>

use super::name::href;
use super::place::{Place, Position};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use quick_xml::de::from_str;
use serde::Deserialize;
use std::fmt;

/// Maximum size of a page in bytes: 1000 keys of 1024 bytes each, percent-encoded, with their attributes.
pub(crate) const MAX_PAGE_BYTES: usize = 8 * 1024 * 1024;

/// A part of a folder's names, sorted.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// The names.
    pub entries: Vec<Entry>,
    /// The store's token for the next page, if there is one.
    pub token: Option<String>,
    /// Whether the folder's own path is a key.
    pub has_marker: bool,
}

/// A name in a folder.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The name; a folder's ends with `/`.
    pub name: String,
    /// The attributes of an object; `None` for a folder.
    pub object: Option<Object>,
}

/// An object's attributes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Object {
    /// The size in bytes.
    pub size: u64,
    /// The time of the last write, to the second.
    pub modified: Option<Timestamp>,
    /// The entity tag, without quotation marks.
    pub etag: String,
}

/// The store's response is not a list of the requested folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidList;

impl fmt::Display for InvalidList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the store did not answer with a list")
    }
}

impl std::error::Error for InvalidList {}

#[derive(Deserialize)]
#[serde(rename = "ListBucketResult", rename_all = "PascalCase")]
struct Document {
    is_truncated: bool,
    next_continuation_token: Option<String>,
    #[serde(default)]
    contents: Vec<Contents>,
    #[serde(default)]
    common_prefixes: Vec<CommonPrefix>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Contents {
    key: String,
    last_modified: Option<String>,
    #[serde(rename = "ETag")]
    etag: Option<String>,
    size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CommonPrefix {
    prefix: String,
}

impl Page {
    /// Parses the store's response to a request for the names below `prefix`, from `position` on.
    ///
    /// # Errors
    /// When it is not a list, or contains keys outside `prefix`.
    pub(crate) fn parse(xml: &[u8], prefix: &str, position: &Position) -> Result<Self, InvalidList> {
        let document: Document =
            from_str(std::str::from_utf8(xml).map_err(|_| InvalidList)?).map_err(|_| InvalidList)?;
        let mut page = Self::default();
        for contents in document.contents {
            let name = name(&contents.key, prefix)?;
            if name.is_empty() {
                page.has_marker = true;
            } else {
                page.entries.push(Entry { name, object: Some(contents.object()) });
            }
        }
        for folder in document.common_prefixes {
            page.entries.push(Entry { name: name(&folder.prefix, prefix)?, object: None });
        }
        page.entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        // Some stores repeat the folder that contains the position.
        if let Position::After(last) = position {
            page.entries.retain(|entry| entry.name > *last);
        }
        page.token = match (document.is_truncated, document.next_continuation_token) {
            (false, _) => None,
            (true, Some(token)) if *position != Position::Token(token.clone()) => Some(token),
            (true, _) => return Err(InvalidList),
        };
        Ok(page)
    }

    /// Appends the page that follows.
    pub(crate) fn append(&mut self, further: Self) {
        self.entries.extend(further.entries);
        self.token = further.token;
    }

    /// Returns the name after which the folder continues: the last one that a path can express, because a list begins
    /// after such a name. Later names appear on both pages.
    pub(crate) fn last_name(&self, place: &Place) -> Option<String> {
        let may_be_named = |entry: &&Entry| href(place.below(), &entry.name).is_some();
        let last = self.entries.iter().rfind(may_be_named).or(self.entries.last())?;
        Some(last.name.clone())
    }
}

impl Contents {
    fn object(self) -> Object {
        let modified = self.last_modified.and_then(|text| text.parse::<Timestamp>().ok());
        let whole = |time: Timestamp| Timestamp::from_second(time.as_second()).ok();
        let etag = self.etag.unwrap_or_default();
        Object {
            size: self.size,
            modified: modified.and_then(whole),
            etag: etag.trim_matches('"').to_owned(),
        }
    }
}

/// Decodes a key and strips the prefix. Keys are requested percent-encoded, because XML cannot express every key.
fn name(encoded: &str, prefix: &str) -> Result<String, InvalidList> {
    let spaced = encoded.replace('+', " ");
    let key = percent_decode_str(&spaced).decode_utf8().map_err(|_| InvalidList)?;
    key.strip_prefix(prefix).map(str::to_owned).ok_or(InvalidList)
}
