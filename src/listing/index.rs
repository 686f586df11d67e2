//! A list as HTML for programs that follow links, in the form of nginx's index, which many programs know.
//!
//! It has every name in the folder, however many: such a program takes what it is given for all that there is.
//! <https://nginx.org/en/docs/http/ngx_http_autoindex_module.html>

use super::name::href;
use super::page::{Entry, Object};
use crate::terminal::plain;
use crate::xml::escape;
use jiff::Timestamp;
use std::fmt::Write;

/// What an index has besides its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// The beginning of the keys in the folder, as its client knows them.
    pub below: String,
    /// Whether there is a folder above to link to.
    pub has_parent: bool,
    /// What links to folders keep of the query: `?format=html`, or nothing.
    pub kept: &'static str,
}

/// The column of the time, after the name.
const NAME_WIDTH: usize = 50;

impl Index {
    /// What stands before the first row; `shown` is the folder's path.
    pub fn head(&self, shown: &str) -> String {
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
    pub fn row(&self, Entry { name, object }: &Entry, out: &mut String) {
        let kept = if object.is_none() { self.kept } else { "" };
        Self::link(href(&self.below, name).map(|href| href + kept), name, out);
        let time =
            object.as_ref().and_then(|object| object.modified).map_or_else(|| "-".to_owned(), nginx_time);
        let size = object.as_ref().map_or_else(|| "-".to_owned(), |Object { size, .. }| size.to_string());
        // Writing to a String cannot fail.
        let _ = writeln!(out, " {time:<17} {size:>19}");
    }

    /// Appends a row of a folder of which no more is known.
    pub fn folder(&self, name: &str, href: &str, out: &mut String) {
        Self::link(Some(format!("{href}{}", self.kept)), name, out);
        let _ = writeln!(out, " {:<17} {:>19}", "-", "-");
    }

    /// Appends a link to a name, with what would end its line or turn it around written out.
    fn link(href: Option<String>, name: &str, out: &mut String) {
        let shown = plain(name);
        let text = escape(&shown);
        let _ = match href {
            // What is encoded has no character with a meaning in HTML.
            Some(href) => write!(out, "<a href=\"{href}\">{text}</a>"),
            None => write!(out, "{text}"),
        };
        out.extend(std::iter::repeat_n(' ', NAME_WIDTH.saturating_sub(shown.chars().count())));
    }

    /// What follows the last row. A list without it has been cut off.
    pub const fn tail() -> &'static str {
        "</pre>\n<hr>\n</body>\n</html>\n"
    }
}

/// `02-Jan-2026 03:04`, in UTC.
fn nginx_time(time: Timestamp) -> String {
    time.strftime("%d-%b-%Y %H:%M").to_string()
}
