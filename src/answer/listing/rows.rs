//! Formats streamed lists: JSON, text, and HTML for programs.

use super::index::Index;
use super::page::{Entry, Object};
use crate::net::terminal::plain;
use serde::Serialize;
use std::fmt::Write;

/// The format of a streamed list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    /// `{"path": …, "entries": [ … ], "complete": true}`, with one entry per line.
    Json,
    /// `2026-01-01T00:00:00Z         1234  name`, with one name per line.
    Text,
    /// `<a href="name">name</a>     01-Jan-2026 00:00        1234`, with one name per line.
    Index(Index),
}

/// An entry in JSON.
#[derive(Serialize)]
struct JsonEntry<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    modified: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<&'a str>,
}

impl Rows {
    /// Returns the text before the first row.
    pub(crate) fn head(&self, shown: &str) -> String {
        match self {
            Self::Json => {
                let path = serde_json::to_string(shown).unwrap_or_default();
                format!("{{\"path\":{path},\"entries\":[")
            }
            Self::Text => String::new(),
            Self::Index(index) => index.head(shown),
        }
    }

    /// Appends a row. `first` says whether it is the first of the list.
    pub(crate) fn row(&self, entry: &Entry, first: bool, out: &mut String) {
        match self {
            Self::Json => {
                out.push_str(if first { "\n" } else { ",\n" });
                out.push_str(&serde_json::to_string(&JsonEntry::of(entry)).unwrap_or_default());
            }
            Self::Text => text_row(entry, out),
            Self::Index(index) => index.row(entry, out),
        }
    }

    /// Returns the text after the last row. JSON and HTML without it are incomplete.
    pub(crate) const fn tail(&self) -> &'static str {
        match self {
            Self::Json => "\n],\"complete\":true}\n",
            Self::Text => "",
            Self::Index(_) => Index::tail(),
        }
    }
}

impl<'a> JsonEntry<'a> {
    fn of(Entry { name, object }: &'a Entry) -> Self {
        let modified = |object: &Object| object.modified.map(|time| time.to_string());
        Self {
            name,
            kind: if object.is_some() { "file" } else { "folder" },
            size: object.as_ref().map(|object| object.size),
            modified: object.as_ref().and_then(modified),
            etag: object.as_ref().map(|object| &*object.etag).filter(|etag| !etag.is_empty()),
        }
    }
}

fn text_row(Entry { name, object }: &Entry, out: &mut String) {
    let name = plain(name);
    // Writing to a String cannot fail.
    let _ = match object {
        None => writeln!(out, "{:>20}  {:>13}  {name}", "-", "-"),
        Some(Object { size, modified: Some(time), .. }) => writeln!(out, "{time}  {size:>13}  {name}"),
        Some(Object { size, .. }) => writeln!(out, "{:>20}  {size:>13}  {name}", "-"),
    };
}
