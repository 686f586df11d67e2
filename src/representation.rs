//! The forms of Scopegate's own answers: S3's XML for S3 clients, and HTML, JSON or plain text for those who ask for it.

mod accept;
pub mod error;
pub mod html;
mod s3_client;

pub use s3_client::{is_rclone, is_s3_client};

use crate::http1::Fields;
use crate::refusal::{Refusal, Rule};
use crate::target::Query;
use accept::Accept;
use http::header::{self, HeaderMap, HeaderValue};

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Representation {
    /// S3's own XML.
    S3,
    /// A page for a browser.
    Html,
    /// JSON.
    Json,
    /// Plain text.
    Text,
}

/// The query parameter that asks for a form, stronger than `Accept`.
pub const FORMAT: &str = "format";

/// `Vary` of an answer that has more than one form: a cache keeps one for each `Accept`.
pub const BY_ACCEPT: HeaderValue = HeaderValue::from_static("Accept");
/// `Cache-Control` of an answer that holds for one client, and may change a moment later.
pub const FOR_ONE_CLIENT: HeaderValue = HeaderValue::from_static("private, no-cache");

impl Representation {
    /// The form that a request's `Accept` asks for by name. S3 clients, and who takes anything, get S3's.
    pub fn of(fields: &Fields) -> Self {
        if is_s3_client(fields) { Self::S3 } else { Accept::parse(fields).best().unwrap_or(Self::S3) }
    }

    /// The form of a list of names, and whether HTML is to be made for a program.
    ///
    /// Without a name in `Accept` that is known here it is HTML for a program, as other servers answer everybody. None
    /// where XML is asked for by name.
    pub fn of_list(fields: &Fields) -> Option<(Self, bool)> {
        let accept = Accept::parse(fields);
        match accept.best() {
            Some(Self::Html) => Some((Self::Html, accept.has_a_better_type_than_html())),
            Some(form) => Some((form, false)),
            None if accept.wants_xml() => None,
            None => Some((Self::Html, true)),
        }
    }

    /// The same for an answer that says what went wrong, where `?format=` counts as well.
    pub fn of_error(fields: &Fields, query: Option<&str>) -> Self {
        Self::named(query).ok().flatten().unwrap_or_else(|| Self::of(fields))
    }

    /// The form that a query asks for by [`FORMAT`].
    ///
    /// # Errors
    /// When it has another value than there are forms.
    pub fn named(query: Option<&str>) -> Result<Option<Self>, Refusal> {
        let Some(query) = query.filter(|query| query.contains(FORMAT)) else { return Ok(None) };
        let Ok(query) = Query::parse(Some(query)) else { return Ok(None) };
        match query.get(FORMAT) {
            None => Ok(None),
            Some("html") => Ok(Some(Self::Html)),
            Some("json") => Ok(Some(Self::Json)),
            Some("text") => Ok(Some(Self::Text)),
            Some(_) => Err(Refusal::new(Rule::BadTarget, "format is one of html, json and text")),
        }
    }

    /// The value of `Content-Type`.
    pub const fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::S3 => "application/xml",
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/json",
            Self::Text => "text/plain; charset=utf-8",
        })
    }

    /// Adds the headers that say what a body of this form is. What all answers have is not among them
    /// ([`crate::browser::confine`]).
    pub fn describe(self, headers: &mut HeaderMap) {
        headers.insert(header::CONTENT_TYPE, self.content_type());
        headers.insert(header::VARY, BY_ACCEPT);
        if self == Self::S3 {
            return;
        }
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(header::CACHE_CONTROL, FOR_ONE_CLIENT);
        if self == Self::Html {
            headers.insert(header::CONTENT_SECURITY_POLICY, html::content_security_policy());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_named_exactly() {
        for (query, expected) in [
            (None, Ok(None)),
            (Some("a=b"), Ok(None)),
            (Some("format=json"), Ok(Some(Representation::Json))),
            (Some("after=a&%66ormat=text"), Ok(None)),
            (Some("format=%68tml"), Ok(Some(Representation::Html))),
            (Some("format="), Err(Rule::BadTarget)),
            (Some("format=JSON"), Err(Rule::BadTarget)),
            (Some("format=json&format=text"), Ok(None)),
        ] {
            assert_eq!(Representation::named(query).map_err(|refusal| refusal.rule), expected, "{query:?}");
        }
    }

    #[test]
    fn only_pages_have_a_policy_and_only_xml_is_as_s3_sends_it() {
        let described = |form: Representation| {
            let mut headers = HeaderMap::new();
            form.describe(&mut headers);
            headers
        };
        assert_eq!(described(Representation::S3).len(), 2);
        assert_eq!(described(Representation::S3).get("vary"), Some(&BY_ACCEPT));
        assert_eq!(described(Representation::Text).len(), 4);
        let page = described(Representation::Html);
        let policy = page.get("content-security-policy").unwrap().to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'; ") && policy.contains("style-src 'sha256-"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
    }
}
