//! Formats errors: as XML like S3's, as HTML, as JSON and as text.

use super::Representation;
use crate::net::terminal::plain;
use crate::net::terminal::visible;
use crate::refusal::Refusal;
use crate::s3::xml::Document;
use askama::Template;
use bytes::Bytes;
use http::StatusCode;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use std::borrow::Cow;
use std::fmt::Write;

/// An error of the store, or of one of Scopegate's rules.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct ErrorDocument<'a> {
    /// The response's status.
    #[serde(serialize_with = "as_number")]
    pub status: StatusCode,
    /// S3's code.
    pub code: &'a str,
    /// A description of the error.
    pub message: &'a str,
    /// Advice for the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<&'a str>,
    /// The rule that refused the request; `None` for errors of the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<&'a str>,
    /// The client's mapping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mapping: Option<&'a str>,
    /// The path, as the client wrote it.
    pub path: &'a str,
    /// The request's id.
    pub request_id: &'a str,
    /// A relative reference to the nearest folder that the client may see, for pages.
    #[serde(skip)]
    pub back: Option<&'a str>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    title: String,
    code: &'a str,
    message: String,
    help: Option<&'a str>,
    rule: Option<&'a str>,
    mapping: Option<&'a str>,
    path: &'a str,
    request_id: &'a str,
    back: Option<&'a str>,
    folder: String,
}

impl<'a> ErrorDocument<'a> {
    /// Returns the document of a refusal.
    pub(crate) fn of(
        refusal: &'a Refusal,
        mapping: Option<&'a str>,
        path: &'a str,
        request_id: &'a str,
    ) -> Self {
        Self {
            status: refusal.status(),
            code: refusal.rule.code(),
            message: &refusal.message,
            help: refusal.rule.advice(),
            rule: Some(refusal.rule.name()),
            mapping,
            path,
            request_id,
            back: None,
        }
    }

    /// Sets the link back.
    #[must_use]
    pub(crate) fn with_way_back(self, back: Option<&'a str>) -> Self {
        Self { back, ..self }
    }

    /// Returns the body in a form.
    pub(crate) fn body(&self, form: Representation) -> Bytes {
        match form {
            Representation::S3 => self.xml(),
            Representation::Html => self.page(),
            Representation::Json => serde_json::to_string(self).unwrap_or_default() + "\n",
            Representation::Text => self.text(),
        }
        .into()
    }

    /// Writes the error as S3 does, with elements for rule and mapping, which S3 clients ignore.
    fn xml(&self) -> String {
        let mut message = self.message.to_owned();
        if let Some(help) = self.help {
            let _ = write!(message, ". {help}");
        }
        let mut xml = Document::error();
        for (name, text) in [
            ("Code", Some(self.code)),
            ("Message", Some(&*message)),
            ("Resource", Some(self.path)),
            ("RequestId", Some(self.request_id)),
            ("Rule", self.rule),
            ("Mapping", self.mapping),
        ] {
            if let Some(text) = text {
                xml.element(name, text);
            }
        }
        xml.finish("Error") + "\n"
    }

    fn page(&self) -> String {
        let page = ErrorPage {
            title: self.title(),
            code: self.code,
            message: sentence(&visible(self.message)),
            help: self.help,
            rule: self.rule,
            mapping: self.mapping,
            path: self.path,
            request_id: self.request_id,
            back: self.back,
            folder: self.back.map(|back| visible(&folder(self.path, back)).into_owned()).unwrap_or_default(),
        };
        page.render().unwrap_or_default()
    }

    fn title(&self) -> String {
        format!("{} {}", self.status.as_u16(), self.status.canonical_reason().unwrap_or_default())
    }

    fn text(&self) -> String {
        let mut text = format!("{}: {}\n", self.title(), sentence(&plain(self.message)));
        if let Some(help) = self.help {
            let _ = writeln!(text, "{help}");
        }
        for (name, value) in [
            ("code", Some(self.code)),
            ("rule", self.rule),
            ("mapping", self.mapping),
            ("path", Some(self.path)),
            ("request", Some(self.request_id)),
        ] {
            if let Some(value) = value {
                let _ = writeln!(text, "{name}: {}", plain(value));
            }
        }
        text
    }
}

/// Resolves `back`, which is `./` or a sequence of `../`, against a path, and decodes the result for people.
fn folder<'p>(path: &'p str, back: &str) -> Cow<'p, str> {
    let steps = back.matches("../").count();
    let end = path.rmatch_indices('/').nth(steps).map_or(path.len(), |(at, _)| at + 1);
    percent_decode_str(path.get(..end).unwrap_or(path)).decode_utf8_lossy()
}

/// Turns a message into a sentence. Messages are written to follow a colon, without a capital letter and a full stop.
fn sentence(message: &str) -> String {
    let mut chars = message.trim_end_matches('.').chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::representation::html;
    use crate::refusal::Rule;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    fn document(form: Representation, message: &str, path: &str) -> String {
        let refusal = Refusal::new(Rule::OutsideScope, message).with_help("add [[mapping.scope]]");
        let body = ErrorDocument::of(&refusal, Some("media"), path, "1\"").body(form);
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[test]
    fn every_form_names_the_rule_and_hides_advice_for_operators() {
        for form in [Representation::S3, Representation::Html, Representation::Json, Representation::Text] {
            let body = document(form, "mapping media does not cover this key", "/tmp/a");
            for part in [
                "AccessDenied",
                "outside-scope",
                "media does not cover this key",
                "Ask the operator of this service",
                "/tmp/a",
            ] {
                assert!(body.contains(part), "{form:?}: no {part} in {body}");
            }
            assert!(!body.contains("[["), "{form:?}: configuration is the operator's: {body}");
        }
        let text = document(Representation::Text, "no", "/");
        assert!(text.starts_with("403 Forbidden: No.\n"), "{text}");
        let json: serde_json::Value =
            serde_json::from_str(&document(Representation::Json, "no", "/")).unwrap();
        assert_eq!((json["status"].as_u64(), json["rule"].as_str()), (Some(403), Some("outside-scope")));
    }

    #[test]
    fn the_way_back_names_its_folder() {
        let refusal = Refusal::new(Rule::NoSuchFolder, "no");
        for (path, back, name) in [
            ("/tmp/media/a", "./", "/tmp/media/"),
            ("/tmp/media/a/", "../", "/tmp/media/"),
            ("/tmp/other/x", "../../", "/"),
            ("/tmp/b%C3%BCcher%20%3Cb%3E%1b/x", "./", "/tmp/bücher &#60;b&#62;␛/"),
        ] {
            let document = ErrorDocument::of(&refusal, None, path, "1").with_way_back(Some(back));
            let page = String::from_utf8(document.body(Representation::Html).to_vec()).unwrap();
            let link = format!("<a href=\"{back}\">Go to <bdi>{name}</bdi></a>");
            assert!(page.contains(&link), "no {link} in {page}");
        }
    }

    #[test]
    fn hostile_text_stays_text() {
        let xml = document(Representation::S3, "no <b> & \u{1}", "/tmp/<script>");
        assert!(
            xml.contains("<Code>AccessDenied</Code>") && xml.contains("no &lt;b&gt; &amp; \u{fffd}"),
            "{xml}"
        );
        assert!(xml.contains("<Resource>/tmp/&lt;script&gt;</Resource>"), "{xml}");
        let text = document(Representation::Text, "no\u{1b}[2J", "/");
        assert!(text.contains("No␛[2J."), "{text}");
    }

    #[test]
    fn the_policy_allows_the_style_of_pages() {
        let page = document(Representation::Html, "no", "/");
        let style = page.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
        let hash = STANDARD.encode(Sha256::digest(style));
        let policy = html::content_security_policy(html::Powers::Shown);
        assert!(policy.to_str().unwrap().contains(&hash), "{policy:?}");
        assert_eq!(page.matches("<style").count(), 1);
    }

    proptest! {
        #[test]
        fn nothing_becomes_markup(text in "\\PC{0,40}|[<>&\"'a-z/=! -]{0,40}") {
            let count = |page: &str, c: char| page.matches(c).count();
            let plain = document(Representation::Html, "x", "x");
            let page = document(Representation::Html, &text, &text);
            for c in ['<', '>', '"'] {
                prop_assert_eq!(count(&page, c), count(&plain, c), "{}", page);
            }
            let xml = document(Representation::S3, &text, &text);
            prop_assert_eq!(count(&xml, '<'), count(&document(Representation::S3, "x", "x"), '<'));
        }
    }
}
