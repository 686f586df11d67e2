//! Writes a list as HTML for programs that follow links, in nginx's index format, which many programs can read.
//!
//! It contains every name in the folder, because such programs do not look for further pages.
//! <https://nginx.org/en/docs/http/ngx_http_autoindex_module.html>

use super::name::href;
use super::page::{Entry, Object};
use crate::net::terminal::plain;
use crate::s3::xml::escape;
use jiff::Timestamp;
use std::fmt::Write;

/// The settings of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Index {
    /// The prefix that the keys in the folder share, as its client sees it.
    pub below: String,
    /// Whether to link to the parent folder.
    pub has_parent: bool,
    /// The query that links to folders keep: `?format=html`, or nothing.
    pub kept: &'static str,
}

/// The column at which the time begins.
const NAME_WIDTH: usize = 50;

impl Index {
    /// Returns the text before the first row. `shown` is the folder's path.
    pub(crate) fn head(&self, shown: &str) -> String {
        let title = escape(&plain(shown));
        let mut head = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"robots\" content=\"noindex\">\n<title>Index of {title}</title>\n</head>\n\
             <body>\n<h1>Index of {title}</h1>\n<hr>\n<pre>"
        );
        if self.has_parent {
            let _ = writeln!(head, "<a href=\"../{}\">../</a>", self.kept);
        }
        head
    }

    /// Appends a row.
    pub(crate) fn row(&self, Entry { name, object }: &Entry, out: &mut String) {
        let kept = if object.is_none() { self.kept } else { "" };
        Self::link(href(&self.below, name).map(|href| href + kept), name, out);
        let time =
            object.as_ref().and_then(|object| object.modified).map_or_else(|| "-".to_owned(), nginx_time);
        let size = object.as_ref().map_or_else(|| "-".to_owned(), |Object { size, .. }| size.to_string());
        // Writing to a String cannot fail.
        let _ = writeln!(out, " {time:<17} {size:>19}");
    }

    /// Appends a row of a folder, with a name and a link only.
    pub(crate) fn folder(&self, name: &str, href: &str, out: &mut String) {
        Self::link(Some(format!("{href}{}", self.kept)), name, out);
        let _ = writeln!(out, " {:<17} {:>19}", "-", "-");
    }

    /// Appends a link to a name. Control and direction characters in the name are made visible.
    fn link(href: Option<String>, name: &str, out: &mut String) {
        let shown = plain(name);
        let text = escape(&shown);
        let _ = match href {
            // The encoded reference contains no character that is special in HTML.
            Some(href) => write!(out, "<a href=\"{href}\">{text}</a>"),
            None => write!(out, "{text}"),
        };
        out.extend(std::iter::repeat_n(' ', NAME_WIDTH.saturating_sub(shown.chars().count())));
    }

    /// Returns the text after the last row. A list without it is incomplete.
    pub(crate) const fn tail() -> &'static str {
        "</pre>\n<hr>\n</body>\n</html>\n"
    }
}

/// Formats a time as nginx does, in UTC: `02-Jan-2026 03:04`.
fn nginx_time(time: Timestamp) -> String {
    time.strftime("%d-%b-%Y %H:%M").to_string()
}
