//! The document of `PutObjectTagging`.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Tag.html>

use super::elements::{Elements, Shown};
use crate::refusal::{Refusal, Rule};
use crate::s3::xml::Document;

const ROOT: &str = "Tagging";
/// S3's limits on the tags of an object.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html>
const MAX_TAGS: usize = 10;
const MAX_KEY: usize = 128;
const MAX_VALUE: usize = 256;
/// A character has at most four bytes of UTF-8.
const MAX_TEXT: usize = 4 * MAX_VALUE;

/// An object's tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tagging {
    tags: Vec<(String, String)>,
}

impl Tagging {
    /// Parses a document.
    ///
    /// # Errors
    /// When it is malformed, or S3 does not allow a tag.
    pub fn parse(document: &[u8]) -> Result<Self, Refusal> {
        let mut xml = Elements::open(ROOT, document)?;
        let mut tags = None;
        while let Some(name) = xml.child()? {
            if name != "TagSet" || tags.is_some() {
                return Err(xml.misplaced(&name));
            }
            tags = Some(tag_set(&mut xml)?);
        }
        let tags = tags.ok_or_else(|| xml.malformed("it has no TagSet"))?;
        xml.finish()?;
        Ok(Self { tags })
    }

    /// Writes the document for the store.
    pub fn document(&self) -> String {
        let mut xml = Document::request(ROOT);
        xml.open("TagSet");
        for (key, value) in &self.tags {
            xml.open("Tag");
            // The characters of tags can all be written in XML.
            let _ = (xml.exact_element("Key", key), xml.exact_element("Value", value));
            xml.close("Tag");
        }
        xml.close("TagSet");
        xml.finish(ROOT)
    }
}

fn tag_set(xml: &mut Elements<'_>) -> Result<Vec<(String, String)>, Refusal> {
    let mut tags: Vec<(String, String)> = Vec::new();
    while let Some(name) = xml.child()? {
        if name != "Tag" {
            return Err(xml.misplaced(&name));
        }
        let (key, value) = tag(xml)?;
        if tags.len() == MAX_TAGS {
            return Err(invalid(format!("an object has at most {MAX_TAGS} tags")));
        }
        if tags.iter().any(|(other, _)| *other == key) {
            return Err(invalid(format!("the tag key {key:?} is repeated: use each key once")));
        }
        tags.push((key, value));
    }
    Ok(tags)
}

fn tag(xml: &mut Elements<'_>) -> Result<(String, String), Refusal> {
    let (mut key, mut value) = (None, None);
    while let Some(name) = xml.child()? {
        match &*name {
            "Key" if key.is_none() => key = Some(xml.text(MAX_TEXT)?),
            "Value" if value.is_none() => value = Some(xml.text(MAX_TEXT)?),
            _ => return Err(xml.misplaced(&name)),
        }
    }
    let (Some(key), Some(value)) = (key, value) else {
        return Err(xml.malformed("a Tag has no Key or no Value"));
    };
    check("key", &key, 1, MAX_KEY)?;
    check("value", &value, 0, MAX_VALUE)?;
    Ok((key, value))
}

/// Checks a key or value: letters, numbers, spaces and a few signs.
fn check(what: &str, text: &str, least: usize, most: usize) -> Result<(), Refusal> {
    let length = text.chars().count();
    if !(least..=most).contains(&length) {
        let why =
            format!("the tag {what} {:?} has {length} characters, expected {least} to {most}", Shown(text));
        return Err(invalid(why));
    }
    let allowed =
        |c: char| c.is_alphanumeric() || matches!(c, ' ' | '+' | '-' | '=' | '.' | '_' | ':' | '/' | '@');
    match text.chars().find(|c| !allowed(*c)) {
        None => Ok(()),
        Some(c) => {
            let why = format!(
                "the tag {what} {:?} has the character {c:?}: letters, numbers, spaces and + - = . _ : / @ are allowed",
                Shown(text)
            );
            Err(invalid(why))
        }
    }
}

fn invalid(why: String) -> Refusal {
    Refusal::new(Rule::InvalidTag, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(tags: &[(&str, &str)]) -> String {
        let tag = |(key, value): &(&str, &str)| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>");
        format!("<Tagging><TagSet>{}</TagSet></Tagging>", tags.iter().map(tag).collect::<String>())
    }

    fn refused(document: &str) -> Option<Rule> {
        Tagging::parse(document.as_bytes()).err().map(|refusal| refusal.rule)
    }

    #[test]
    fn tags_are_written_in_canonical_form() {
        let read = Tagging::parse(
            "<?xml version=\"1.0\"?>\n<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\n <TagSet>\n  <Tag>\
             <Value>é 1+-=._:/@</Value><Key>Größe</Key></Tag><Tag><Key>b</Key><Value/></Tag></TagSet>\n</Tagging>\n"
                .as_bytes(),
        );
        assert_eq!(
            read.unwrap().document(),
            "<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><TagSet><Tag><Key>Größe</Key>\
             <Value>é 1+-=._:/@</Value></Tag><Tag><Key>b</Key><Value></Value></Tag></TagSet></Tagging>"
        );
        assert!(Tagging::parse(whole(&[]).as_bytes()).is_ok(), "an empty set deletes the tags");
        let (key, value) = ("é".repeat(128), "é".repeat(256));
        assert!(Tagging::parse(whole(&[(&key, &value)]).as_bytes()).is_ok());
    }

    #[test]
    fn rejects_invalid_tags() {
        let keys: Vec<String> = (0..11).map(|number| number.to_string()).collect();
        let eleven: Vec<(&str, &str)> = keys.iter().map(|key| (&**key, "v")).collect();
        assert!(Tagging::parse(whole(&eleven[..10]).as_bytes()).is_ok());
        for (document, rule) in [
            ("<a/>".to_owned(), Rule::MalformedDocument),
            ("<Tagging/>".to_owned(), Rule::MalformedDocument),
            ("<Tagging><TagSet/><TagSet/></Tagging>".to_owned(), Rule::MalformedDocument),
            ("<Tagging><TagSet><Tag/></TagSet></Tagging>".to_owned(), Rule::MalformedDocument),
            (
                "<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>".to_owned(),
                Rule::MalformedDocument,
            ),
            ("<Tagging><TagSet><Key>a</Key></TagSet></Tagging>".to_owned(), Rule::MalformedDocument),
            (whole(&[("a", "b</Value><Value>c")]), Rule::MalformedDocument),
            (whole(&eleven), Rule::InvalidTag),
            (whole(&[("a", "b"), ("a", "c")]), Rule::InvalidTag),
            (whole(&[("", "b")]), Rule::InvalidTag),
            (whole(&[(&"k".repeat(129), "b")]), Rule::InvalidTag),
            (whole(&[("a", &"v".repeat(257))]), Rule::InvalidTag),
            (whole(&[("a", &"v".repeat(5000))]), Rule::MalformedDocument),
            (whole(&[("a&amp;b", "c")]), Rule::InvalidTag),
            (whole(&[("a", "b&#10;")]), Rule::InvalidTag),
            (whole(&[("a", "b&#1;")]), Rule::InvalidTag),
            (whole(&[("a", "b?")]), Rule::InvalidTag),
        ] {
            assert_eq!(refused(&document), Some(rule), "{document}");
        }
    }

    proptest! {
        #[test]
        fn written_documents_read_as_the_same(tags in prop::collection::btree_map("[a-zé0-9 +.=_:/@-]{1,128}", "\\PC{0,20}", 0..10)) {
            let mut xml = Document::request(ROOT);
            xml.open("TagSet");
            for (key, value) in &tags {
                xml.open("Tag");
                let _ = (xml.exact_element("Key", key), xml.exact_element("Value", value));
                xml.close("Tag");
            }
            xml.close("TagSet");
            let xml = xml.finish(ROOT);
            if let Ok(read) = Tagging::parse(xml.as_bytes()) {
                prop_assert_eq!(Tagging::parse(read.document().as_bytes()), Ok(read));
            }
        }
    }
}
