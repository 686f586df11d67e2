//! Writes a folder as an HTML page for browsers.
//!
//! Each page shows one page of the store's list and links to the next. A browser can neither display a million rows
//! nor let a person search them, and a link can be kept, shared and returned to.

use super::name::{grouped, href, human_size};
use super::page::{Entry, Object, Page};
use super::place::{Crumb, Place, Position};
use crate::authorize::mapping::Mapping;
use crate::net::terminal::visible;
use crate::s3::target::{encode_path, encode_query};
use askama::Template;
use http::header::HOST;
use http1::{Request, visible as ascii};

#[derive(Template)]
#[template(path = "listing.html")]
struct ListingPage {
    title: String,
    heading: String,
    crumbs: Vec<Crumb>,
    has_parent: bool,
    is_first: bool,
    rows: Vec<Row>,
    /// The query that links within the folder keep.
    kept: &'static str,
    next: Option<String>,
    summary: String,
    /// The command that uploads a file to the folder, if the client may write there.
    upload: Option<String>,
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

/// A page of a folder, ready to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FolderPage<'a> {
    /// The folder.
    pub place: &'a Place,
    /// The position where the page begins.
    pub position: &'a Position,
    /// The names on the page.
    pub page: &'a Page,
    /// Whether the query names the form, so that links must keep it.
    pub is_format_named: bool,
}

impl FolderPage<'_> {
    const fn kept(&self) -> &'static str {
        if self.is_format_named { "?format=html" } else { "" }
    }

    /// Returns a relative reference to the next page, if there is one.
    pub(crate) fn next(&self) -> Option<String> {
        self.page.token.as_ref()?;
        // A list starts after a name that a path can express. The names after the last such name appear on both
        // pages.
        let may_be_named = |entry: &&Entry| href(self.place.below(), &entry.name).is_some();
        let entries = &self.page.entries;
        let last = entries.iter().rfind(may_be_named).or(entries.last())?;
        let begin = if self.is_format_named { "?format=html&" } else { "?" };
        Some(format!("{begin}after={}", encode_query(&last.name)))
    }

    /// Writes the page that responds to `request`, which a client of `mapping` sent to a URL with this scheme.
    pub(crate) fn write(&self, mapping: &Mapping, request: &Request, scheme: &str) -> String {
        let Self { place, position, page, .. } = *self;
        // Folders come first, as people expect.
        let (folders, files): (Vec<&Entry>, Vec<&Entry>) =
            page.entries.iter().partition(|entry| entry.object.is_none());
        let (is_first, next) = (*position == Position::Start, self.next());
        let mut crumbs = place.trail(mapping);
        crumbs.iter_mut().for_each(Crumb::make_visible);
        let here = crumbs.pop();
        let heading = here.as_ref().and_then(Crumb::name).filter(|name| !name.is_empty()).unwrap_or("/");
        let listing = ListingPage {
            title: visible(&place.shown()).into_owned(),
            heading: heading.to_owned(),
            crumbs,
            has_parent: place.has_parent(mapping),
            is_first,
            summary: summary(&folders, &files, next.is_some(), is_first),
            rows: folders.into_iter().chain(files).map(|entry| Row::of(self, entry)).collect(),
            kept: self.kept(),
            next,
            upload: place.is_writable(mapping).then(|| upload(place, request, scheme)),
        };
        listing.render().unwrap_or_default()
    }
}

/// Returns a shell command that uploads a file to the folder. The encoded path contains no character that is special
/// within quotes; a host with such a character is replaced by `HOST`.
fn upload(place: &Place, request: &Request, scheme: &str) -> String {
    let is_plain = |host: &&str| host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b));
    let host = request.fields().get(HOST.as_str()).and_then(ascii).filter(is_plain).unwrap_or("HOST");
    format!("curl -T FILE '{scheme}://{host}{}'", encode_path(&place.shown()))
}

impl Row {
    fn of(page: &FolderPage<'_>, entry: &Entry) -> Self {
        let kept = if entry.object.is_none() { page.kept() } else { "" };
        let href = href(page.place.below(), &entry.name).map(|href| href + kept);
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

/// Returns a time to the minute, as `2026-01-01 00:00 UTC`. The server does not know the reader's time zone.
fn shown_time(time: &jiff::Timestamp) -> String {
    let text = time.to_string();
    match (text.get(..10), text.get(11..16)) {
        (Some(date), Some(minute)) => format!("{date} {minute} UTC"),
        _ => text,
    }
}

fn summary(folders: &[&Entry], files: &[&Entry], has_next: bool, is_first: bool) -> String {
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
    let counts = parts.join(", ");
    match (has_next, is_first) {
        (false, true) => counts,
        (false, false) => format!("{counts} on this page, the last"),
        (true, _) => format!("{counts} on this page. There are more on the next page."),
    }
}
