//! The forms of a list of names.

use crate::representation::Representation;
use http1::Request;

/// The form of a list of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A page for a browser: some names, and a link to the next page.
    Page,
    /// All names as HTML for programs that follow links, as nginx writes an index.
    Index,
    /// All names as JSON.
    Json,
    /// All names as text.
    Text,
}

impl Form {
    /// The form that a request asks for, where `named` is what its query names. None where it wants XML.
    pub fn of(request: &Request, named: Option<Representation>) -> Option<Self> {
        let accepted = Representation::of_list(request.fields());
        match named.map(|form| (form, accepted)) {
            // A client that asks for HTML in the query and not in `Accept` is no browser.
            Some((Representation::Html, Some((Representation::Html, false)))) => Some(Self::Page),
            Some((Representation::Html, _)) => Some(Self::Index),
            Some((form, _)) => Self::from_parts(form, false),
            None => accepted.and_then(|(form, is_for_programs)| Self::from_parts(form, is_for_programs)),
        }
    }

    fn from_parts(form: Representation, is_for_programs: bool) -> Option<Self> {
        match form {
            Representation::S3 => None,
            Representation::Html if is_for_programs => Some(Self::Index),
            Representation::Html => Some(Self::Page),
            Representation::Json => Some(Self::Json),
            Representation::Text => Some(Self::Text),
        }
    }

    /// What an answer of this form is.
    pub fn representation(self) -> Representation {
        match self {
            Self::Page | Self::Index => Representation::Html,
            Self::Json => Representation::Json,
            Self::Text => Representation::Text,
        }
    }

    /// Whether it is HTML, whose links are relative to a path with a slash at its end.
    pub fn has_links(self) -> bool {
        matches!(self, Self::Page | Self::Index)
    }
}
