//! A folder as a page for a browser.
//!
//! A page has the names of one page of the store's and a link to the next: a browser that streamed a million rows
//! would neither be readable nor usable on a phone, and a link can be kept, sent and gone back from.

use super::name::{grouped, href, human_size};
use super::page::{Entry, Object, Page};
use super::place::{Crumb, Place, Position};
use crate::mapping::Mapping;
use crate::representation::html::visible;
use crate::target::encode_query;
use askama::Template;

#[derive(Template)]
#[template(path = "listing.html")]
struct ListingPage {
    title: String,
    crumbs: Vec<Crumb>,
    has_parent: bool,
    is_first: bool,
    rows: Vec<Row>,
    /// What every link within the folder keeps of the query.
    kept: &'static str,
    next: Option<String>,
    summary: String,
}

struct Row {
    name: String,
    href: Option<String>,
    is_folder: bool,
    size: String,
    bytes: String,
    time: String,
    shown_time: String,
}

/// Writes a page of `place`. `kept` says whether the form was asked for in the query, and is to stay.
pub fn write(place: &Place, mapping: &Mapping, position: &Position, page: &Page, kept: bool) -> String {
    let kept = if kept { "?format=html" } else { "" };
    let last = page.entries.last().filter(|_| page.token.is_some());
    let next = last.map(|entry| {
        let joint = if kept.is_empty() { '?' } else { '&' };
        format!("./{kept}{joint}after={}", encode_query(&entry.name))
    });
    // Folders first, as people look for them.
    let (folders, files): (Vec<&Entry>, Vec<&Entry>) =
        page.entries.iter().partition(|entry| entry.object.is_none());
    let is_first = *position == Position::Start;
    let mut crumbs = place.crumbs(mapping);
    for crumb in &mut crumbs {
        if let Crumb::Folder { name, .. } = crumb {
            *name = visible(name).into_owned();
        }
    }
    let listing = ListingPage {
        title: visible(&place.shown()).into_owned(),
        crumbs,
        has_parent: place.parent().is_some_and(|parent| parent.is_listed(mapping)),
        is_first,
        summary: summary(&folders, &files, !is_first || next.is_some()),
        rows: folders.into_iter().chain(files).map(|entry| Row::of(place, entry)).collect(),
        kept,
        next,
    };
    listing.render().unwrap_or_default()
}

impl Row {
    fn of(place: &Place, entry: &Entry) -> Self {
        let href = href(place.below(), &entry.name);
        let name = visible(&entry.name).into_owned();
        let blank = Self {
            name,
            href,
            is_folder: entry.object.is_none(),
            size: String::new(),
            bytes: String::new(),
            time: String::new(),
            shown_time: String::new(),
        };
        let Some(Object { size, modified, .. }) = &entry.object else { return blank };
        let bytes = if *size == 1 { "1 byte".to_owned() } else { format!("{} bytes", grouped(*size)) };
        let row = Self { size: human_size(*size), bytes, ..blank };
        match modified {
            Some(time) => Self { time: time.to_string(), shown_time: shown_time(time), ..row },
            None => row,
        }
    }
}

/// `2026-01-01 00:00 UTC`: to the minute, and without a place that the reader may not be in.
fn shown_time(time: &jiff::Timestamp) -> String {
    let text = time.to_string();
    match (text.get(..10), text.get(11..16)) {
        (Some(date), Some(minute)) => format!("{date} {minute} UTC"),
        _ => text,
    }
}

fn summary(folders: &[&Entry], files: &[&Entry], partial: bool) -> String {
    let counted = |count: usize, one: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{} {one}s", grouped(count as u64)),
    };
    let mut parts = Vec::new();
    if !folders.is_empty() {
        parts.push(counted(folders.len(), "folder"));
    }
    if !files.is_empty() {
        let total = files.iter().filter_map(|entry| entry.object.as_ref()).map(|object| object.size);
        parts.push(counted(files.len(), "file"));
        parts.push(human_size(total.fold(0, u64::saturating_add)));
    }
    parts.join(", ") + if partial { " on this page" } else { "" }
}
