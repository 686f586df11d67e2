//! The forms of Scopegate's own responses: S3's XML for S3 clients, and HTML, JSON or plain text on request.

mod accept;
pub(crate) mod error;
pub(crate) mod html;
mod s3_client;

pub(crate) use s3_client::{is_rclone, is_s3_client};

use crate::refusal::{Refusal, Rule};
use crate::s3::target::Query;
use accept::Accept;
use http::header::{self, HeaderMap, HeaderValue};
use http1::Fields;

/// The form of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Representation {
    /// S3's own XML.
    S3,
    /// A page for browsers.
    Html,
    /// JSON.
    Json,
    /// Plain text.
    Text,
}

/// The query parameter that selects a form. It overrides `Accept`.
pub(crate) const FORMAT: &str = "format";

/// `Vary` of a response with several forms: a cache keeps one for each `Accept`.
pub(crate) const BY_ACCEPT: HeaderValue = HeaderValue::from_static("Accept");
/// `Cache-Control` of a response that is only valid for one client and may soon change.
pub(crate) const FOR_ONE_CLIENT: HeaderValue = HeaderValue::from_static("private, no-cache");

impl Representation {
    /// Returns the form that `Accept` names. S3 clients, and clients that accept anything, get S3's XML.
    pub(crate) fn of(fields: &Fields) -> Self {
        if is_s3_client(fields) { Self::S3 } else { Accept::parse(fields).best().unwrap_or(Self::S3) }
    }

    /// Returns the form of a list, and whether its HTML is for a program.
    ///
    /// Without a known name in `Accept` a program gets HTML, as from other web servers. Returns `None` if the client
    /// asks for XML.
    pub(crate) fn of_list(fields: &Fields) -> Option<(Self, bool)> {
        let accept = Accept::parse(fields);
        match accept.best() {
            Some(Self::Html) => Some((Self::Html, accept.has_a_better_type_than_html())),
            Some(form) => Some((form, false)),
            None if accept.wants_xml() => None,
            None => Some((Self::Html, true)),
        }
    }

    /// Returns the form of an error. `?format=` counts as well.
    pub(crate) fn of_error(fields: &Fields, query: Option<&str>) -> Self {
        Self::named(query).ok().flatten().unwrap_or_else(|| Self::of(fields))
    }

    /// Returns the form that the query selects by [`FORMAT`].
    ///
    /// # Errors
    /// When the value is not a form.
    pub(crate) fn named(query: Option<&str>) -> Result<Option<Self>, Refusal> {
        let Some(query) = query.filter(|query| query.contains(FORMAT)) else { return Ok(None) };
        let Ok(query) = Query::parse(Some(query)) else { return Ok(None) };
        match query.get(FORMAT) {
            None => Ok(None),
            Some("html") => Ok(Some(Self::Html)),
            Some("json") => Ok(Some(Self::Json)),
            Some("text") => Ok(Some(Self::Text)),
            Some(other) => {
                let message = format!("{FORMAT} is {other:?}: use html, json or text");
                Err(Refusal::new(Rule::BadTarget, message))
            }
        }
    }

    /// Returns the value of `Content-Type`.
    pub(crate) const fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::S3 => "application/xml",
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/json",
            Self::Text => "text/plain; charset=utf-8",
        })
    }

    /// Adds the headers that describe a body of this form. Headers common to all responses are not among them
    /// ([`crate::identify::browser::confine`]).
    pub(crate) fn describe(self, headers: &mut HeaderMap) {
        headers.insert(header::CONTENT_TYPE, self.content_type());
        headers.insert(header::VARY, BY_ACCEPT);
        if self == Self::S3 {
            return;
        }
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(header::CACHE_CONTROL, FOR_ONE_CLIENT);
        if self == Self::Html {
            headers
                .insert(header::CONTENT_SECURITY_POLICY, html::content_security_policy(html::Powers::Shown));
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
        assert!(!policy.contains("unsafe") && !policy.contains("script-src"), "{policy}");
    }
}
