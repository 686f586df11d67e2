//! Writes a folder as an HTML page for browsers.
//!
//! Each page shows one page of the store's list and links to the next. A browser can neither display a million rows
//! nor let a person search them, and a link can be kept, shared and returned to.

use super::name::{grouped, href, human_size};
use super::order::{Column, MAX_SORTED, Order, Selection, Sorted};
use super::page::{Entry, Object, Page};
use super::place::{Crumb, Place, Position};
use crate::answer::representation::html::Powers;
use crate::authorize::mapping::Mapping;
use crate::net::terminal::visible;
use crate::s3::target::encode_path;
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
    headers: Vec<Header>,
    rows: Vec<Row>,
    /// The query that links to folders keep.
    kept: String,
    next: Option<String>,
    summary: String,
    /// The command that uploads a file to the folder, if the client may write there.
    upload: Option<String>,
}

/// The header of a column, which links to the same folder in another order.
struct Header {
    title: &'static str,
    class: &'static str,
    /// The value of `aria-sort` if the list is sorted by this column.
    sorted: Option<&'static str>,
    href: String,
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
    /// The names that the query asks for, and their order.
    pub selection: &'a Selection,
    /// The names on the page.
    pub page: &'a Page,
    /// How the names were sorted, if they are not in the order of the store.
    pub sorted: Option<&'a Sorted>,
    /// Whether the query names the form, so that links must keep it.
    pub is_format_named: bool,
}

impl FolderPage<'_> {
    /// Returns a query that asks for these names in this order, and for the form if the page's own query names it.
    fn query(&self, order: Order, names: Vec<String>) -> String {
        let form = self.is_format_named.then(|| "format=html".to_owned());
        let parts: Vec<String> = form.into_iter().chain(order.query()).chain(names).collect();
        if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
    }

    /// Returns a relative reference to the next page, if there is one.
    pub(crate) fn next(&self) -> Option<String> {
        let Self { place, selection, page, sorted, .. } = self;
        let shown = selection.offset + page.entries.len();
        let after = |last| Selection { position: Position::After(last), offset: 0, ..Selection::ALL };
        let next = match sorted {
            Some(sorted) if shown < sorted.total => Selection { offset: shown, ..(*selection).clone() },
            Some(sorted) => after(sorted.last.clone()?),
            None => after(page.token.as_ref().and(page.last_name(place))?),
        };
        Some(self.query(selection.order, next.query()))
    }

    /// Returns what the page may do in the browser of a client of `mapping`.
    pub(crate) fn powers(&self, mapping: &Mapping) -> Powers {
        if self.place.is_writable(mapping) { Powers::Uploading } else { Powers::Scripted }
    }

    /// Writes the page that responds to `request`, which a client of `mapping` sent to a URL with this scheme.
    pub(crate) fn write(&self, mapping: &Mapping, request: &Request, scheme: &str) -> String {
        let Self { place, selection, page, .. } = *self;
        // Folders come first, as people expect.
        let (folders, files): (Vec<&Entry>, Vec<&Entry>) =
            page.entries.iter().partition(|entry| entry.object.is_none());
        let mut crumbs = place.trail(mapping);
        crumbs.iter_mut().for_each(Crumb::make_visible);
        let here = crumbs.pop();
        let heading = here.as_ref().and_then(Crumb::name).filter(|name| !name.is_empty()).unwrap_or("/");
        let listing = ListingPage {
            title: visible(&place.shown()).into_owned(),
            heading: heading.to_owned(),
            crumbs,
            has_parent: place.has_parent(mapping),
            is_first: selection.is_first(),
            summary: self.summary(&folders, &files),
            headers: Column::ALL.map(|column| Header::of(self, column)).into(),
            rows: folders.into_iter().chain(files).map(|entry| Row::of(self, entry)).collect(),
            kept: self.query(selection.order, Vec::new()),
            next: self.next(),
            upload: place.is_writable(mapping).then(|| upload(place, request, scheme)),
        };
        listing.render().unwrap_or_default()
    }

    fn summary(&self, folders: &[&Entry], files: &[&Entry]) -> String {
        let counts = counts(folders, files);
        let has_next = self.next().is_some();
        let Some(sorted) = self.sorted else {
            return match (has_next, self.selection.is_first()) {
                (false, true) => counts,
                (false, false) => format!("{counts} on this page, the last"),
                (true, _) => format!("{counts} on this page. There are more on the next page."),
            };
        };
        let whole = if sorted.last.is_some() {
            let most = grouped(MAX_SORTED as u64);
            format!(" Sorted are {most} names at a time: the names after these are on later pages.")
        } else {
            String::new()
        };
        if self.page.entries.len() == sorted.total {
            return counts + if whole.is_empty() { "" } else { "." } + &whole;
        }
        let first = self.selection.offset + 1;
        let (first, last) =
            (grouped(first as u64), grouped((self.selection.offset + self.page.entries.len()) as u64));
        format!("{counts} on this page, {first} to {last} of {} names.{whole}", grouped(sorted.total as u64))
    }
}

impl Header {
    fn of(page: &FolderPage<'_>, column: Column) -> Self {
        let (title, class) = match column {
            Column::Name => ("Name", "n"),
            Column::Size => ("Size", "s"),
            Column::Time => ("Modified", "t"),
        };
        let now = page.selection.order;
        let is_sorted = now.by == column;
        let order = if is_sorted { now.reversed() } else { column.usual() };
        let query = page.query(order, Vec::new());
        let href = if query.is_empty() { "./".to_owned() } else { query };
        let direction = if now.is_descending { "descending" } else { "ascending" };
        Self { title, class, sorted: is_sorted.then_some(direction), href }
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
        let kept = || page.query(page.selection.order, Vec::new());
        let kept = if entry.object.is_none() { kept() } else { String::new() };
        let href = href(page.place.below(), &entry.name).map(|href| href + &kept);
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

fn counts(folders: &[&Entry], files: &[&Entry]) -> String {
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
    parts.join(", ")
}
