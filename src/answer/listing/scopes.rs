//! Writes a list of the scopes below a folder, in every form.

use super::above::{Above, Below};
use super::form::Form;
use super::index::Index;
use super::place::{Crumb, is_visible, trail};
use crate::authorize::mapping::Mapping;
use crate::authorize::rights::Right;
use crate::net::terminal::plain;
use crate::net::terminal::visible;
use crate::s3::target::encode_path;
use askama::Template;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write;

/// How a client sees a folder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Viewer<'a> {
    /// The client's mapping.
    pub mapping: &'a Mapping,
    /// Whether the client names the bucket in `Host` instead of the path.
    pub is_host: bool,
    /// Whether the query names the form.
    pub is_format_named: bool,
}

#[derive(Template)]
#[template(path = "scopes.html")]
struct ScopesPage {
    title: String,
    heading: String,
    crumbs: Vec<Crumb>,
    rows: Vec<Row>,
    kept: &'static str,
}

/// A scope's path in two parts: the folder above it, if there is one, and the rest.
struct Row {
    folder: Option<(String, String)>,
    name: String,
    href: Option<String>,
    rights: String,
}

#[derive(Serialize)]
struct JsonFolder<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    rights: Vec<&'static str>,
}

impl<'a> JsonFolder<'a> {
    fn of(Below { name, rights, .. }: &'a Below) -> Self {
        Self { name, kind: "folder", rights: rights.iter().map(Right::name).collect() }
    }
}

#[derive(Serialize)]
struct JsonList<'a> {
    path: &'a str,
    entries: Vec<JsonFolder<'a>>,
    complete: bool,
}

/// Writes the list of scopes below a folder.
pub(crate) fn write(above: &Above, form: Form, viewer: Viewer<'_>) -> String {
    let kept = if viewer.is_format_named { "?format=html" } else { "" };
    match form {
        Form::Page => page(above, viewer, kept),
        Form::Index => index(above, viewer, kept),
        Form::Json => json(above, viewer),
        Form::Text => text(above),
    }
}

/// Returns the folder's path as the client sees it.
fn shown(above: &Above, is_host: bool) -> &str {
    let below_bucket = above.path.get(1..).and_then(|path| path.find('/')).map_or(0, |at| at + 1);
    if is_host { above.path.get(below_bucket..).unwrap_or("/") } else { &above.path }
}

fn page(above: &Above, viewer: Viewer<'_>, kept: &'static str) -> String {
    let shown = visible(shown(above, viewer.is_host)).into_owned();
    let mut crumbs = trail(&above.path, usize::from(viewer.is_host), viewer.mapping);
    crumbs.iter_mut().for_each(Crumb::make_visible);
    let here = crumbs.pop();
    let heading =
        here.as_ref().and_then(Crumb::name).filter(|name| !name.is_empty()).unwrap_or("All folders");
    let rows = above.scopes.iter().map(Row::of).collect();
    let page = ScopesPage { heading: heading.to_owned(), title: shown, crumbs, rows, kept };
    page.render().unwrap_or_default()
}

impl Row {
    fn of(Below { name, rights, is_open }: &Below) -> Self {
        let (first, rest) = name.split_at(name.find('/').map_or(0, |at| at + 1));
        let folder = (!rest.is_empty()).then(|| (visible(first).into_owned(), encode_path(first)));
        let own = if rest.is_empty() { first } else { rest };
        Self {
            folder,
            name: visible(own).into_owned(),
            href: is_open.then(|| encode_path(name)),
            rights: rights.iter().map(Right::name).collect::<Vec<_>>().join(", "),
        }
    }
}

/// Lists the folders directly in this one, because programs follow links one level at a time.
fn index(above: &Above, viewer: Viewer<'_>, kept: &'static str) -> String {
    let shown = shown(above, viewer.is_host);
    let parent = above.path.strip_suffix('/').and_then(|path| above.path.get(..=path.rfind('/')?));
    let has_parent = shown != "/" && parent.is_some_and(|parent| is_visible(viewer.mapping, parent));
    let index = Index { below: String::new(), has_parent, kept };
    // Folders that the client cannot open get no link, because programs report the refusal as a failure.
    let open = above.scopes.iter().filter(|below| below.is_open);
    let folders: BTreeSet<&str> = open.filter_map(|below| below.name.split_inclusive('/').next()).collect();
    let mut text = index.head(shown);
    for folder in folders {
        index.folder(folder, &encode_path(folder), &mut text);
    }
    text + Index::tail()
}

fn json(above: &Above, viewer: Viewer<'_>) -> String {
    let entries = above.scopes.iter().map(JsonFolder::of).collect();
    let list = JsonList { path: shown(above, viewer.is_host), entries, complete: true };
    serde_json::to_string(&list).unwrap_or_default() + "\n"
}

fn text(above: &Above) -> String {
    let mut text = String::new();
    for below in &above.scopes {
        // Aligned with the columns of a list of names.
        let _ = writeln!(text, "{:>35}  {}", below.rights.to_string(), plain(&below.name));
    }
    text
}
