//! Writes S3's XML documents: responses to clients, and request bodies for the store.

use quick_xml::escape;
use std::fmt::Write as _;

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// A text with a character that XML 1.0 cannot express, not even as a reference.
/// <https://www.w3.org/TR/xml/#charsets>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inexpressible;

/// A document, or a fragment of one, that is being written.
///
/// Element names are trusted; texts are escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Document(String);

impl Document {
    /// Begins a response: the XML declaration and a root element in S3's namespace.
    pub(crate) fn response(root: &str) -> Self {
        Self(format!("{DECLARATION}<{root} xmlns=\"{NAMESPACE}\">"))
    }

    /// Begins an error response. S3's error documents have no namespace.
    pub(crate) fn error() -> Self {
        Self(format!("{DECLARATION}<Error>"))
    }

    /// Begins a request body: a root element in S3's namespace, without a declaration.
    pub(crate) fn request(root: &str) -> Self {
        Self(format!("<{root} xmlns=\"{NAMESPACE}\">"))
    }

    /// Begins a fragment that another document will hold.
    pub(crate) const fn fragment() -> Self {
        Self(String::new())
    }

    /// Opens an element.
    pub(crate) fn open(&mut self, name: &str) {
        let _ = write!(self.0, "<{name}>");
    }

    /// Closes the element that was opened last.
    pub(crate) fn close(&mut self, name: &str) {
        let _ = write!(self.0, "</{name}>");
    }

    /// Writes an element with a text. Characters that XML cannot express become U+FFFD.
    pub(crate) fn element(&mut self, name: &str, text: &str) {
        self.open(name);
        self.0.push_str(&escape(text));
        self.close(name);
    }

    /// Writes an element whose text a reader takes for exactly these characters.
    ///
    /// # Errors
    /// When XML cannot express one of them. Nothing is written then.
    pub(crate) fn exact_element(&mut self, name: &str, text: &str) -> Result<(), Inexpressible> {
        if text.chars().any(is_inexpressible) {
            return Err(Inexpressible);
        }
        self.open(name);
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                // A reader would turn these into spaces or line feeds.
                '\t' | '\n' | '\r' => _ = write!(self.0, "&#{};", u32::from(c)),
                c => self.0.push(c),
            }
        }
        self.close(name);
        Ok(())
    }

    /// Appends a fragment.
    pub(crate) fn append(&mut self, fragment: &Self) {
        self.0.push_str(&fragment.0);
    }

    /// Appends elements that the store wrote, as they are.
    pub(crate) fn append_written(&mut self, elements: &str) {
        self.0.push_str(elements);
    }

    /// Closes the root element and returns the document.
    pub(crate) fn finish(mut self, root: &str) -> String {
        self.close(root);
        self.0
    }

    /// Returns a fragment as text.
    pub(crate) fn into_fragment(self) -> String {
        self.0
    }
}

/// Escapes a text for XML 1.0. Control characters, most of which XML cannot express, become U+FFFD.
pub(crate) fn escape(text: &str) -> String {
    let is_replaced = |c: char| c.is_control() || is_inexpressible(c);
    let expressible: String = text.chars().map(|c| if is_replaced(c) { '\u{fffd}' } else { c }).collect();
    escape::escape(expressible).into_owned()
}

const fn is_inexpressible(c: char) -> bool {
    matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn documents_are_written() {
        let mut owner = Document::fragment();
        owner.element("ID", "<me>");
        let mut list = Document::response("List");
        list.open("Owner");
        list.append(&owner);
        list.close("Owner");
        list.append_written("<Own/>");
        assert_eq!(
            list.finish("List"),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<List xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <Owner><ID>&lt;me&gt;</ID></Owner><Own/></List>"
        );
        assert_eq!(
            Document::request("Tagging").finish("Tagging"),
            "<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"></Tagging>"
        );
    }

    #[test]
    fn inexpressible_texts_are_replaced_or_refused() {
        for text in ["a\u{1}", "\u{b}", "\u{fffe}", "\0"] {
            let mut document = Document::fragment();
            assert_eq!(document.exact_element("Key", text), Err(Inexpressible), "{text:?}");
            assert_eq!(document, Document::fragment());
            document.element("Key", text);
            assert!(document.into_fragment().contains('\u{fffd}'), "{text:?}");
        }
        assert_eq!(escape("a\tb\u{85}<&>"), "a\u{fffd}b\u{fffd}&lt;&amp;&gt;");
    }

    proptest! {
        #[test]
        fn exact_texts_read_as_the_same(text in "[\\PC\t\n\r]{0,20}") {
            let mut document = Document::fragment();
            document.exact_element("Key", &text).unwrap();
            let written = document.into_fragment();
            let inner = written.strip_prefix("<Key>").and_then(|rest| rest.strip_suffix("</Key>")).unwrap();
            prop_assert!(!inner.contains(['<', '\t', '\n', '\r']));
            prop_assert_eq!(escape::unescape(inner).unwrap(), text);
        }
    }
}
