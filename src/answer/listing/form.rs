//! The forms of a list of names, and which of them a request asks for.

use crate::answer::representation::Representation;
use http1::Request;

/// A form of a list of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A page for a browser: up to 1000 names, and a link to the next page.
    Page,
    /// All names as HTML for programs that follow links, in nginx's index format.
    Index,
    /// All names as JSON.
    Json,
    /// All names as text.
    Text,
}

impl Form {
    /// Returns the form that a request asks for. `named` is the form that its query names. Returns `None` for XML.
    pub(crate) fn of(request: &Request, named: Option<Representation>) -> Option<Self> {
        let accepted = Representation::of_list(request.fields());
        match named.map(|form| (form, accepted)) {
            // Browsers send HTML in `Accept`. A client that names HTML only in the query is a program.
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

    /// Returns the representation of a response in this form.
    pub(crate) fn representation(self) -> Representation {
        match self {
            Self::Page | Self::Index => Representation::Html,
            Self::Json => Representation::Json,
            Self::Text => Representation::Text,
        }
    }

    /// Returns whether the form is HTML, whose links are relative to a path that ends with a slash.
    pub(crate) fn has_links(self) -> bool {
        matches!(self, Self::Page | Self::Index)
    }
}
