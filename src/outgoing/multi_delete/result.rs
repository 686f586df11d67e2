//! The result of a multi-object delete, merged from the store's results for each group.

use super::{Group, Named};
use crate::s3::error::element;
use crate::s3::xml::Document;
use quick_xml::Reader;
use quick_xml::events::Event;

const ROOT: &str = "DeleteResult";

/// Appends the error of one key to the elements of a result.
pub(crate) fn push_error(result: &mut Document, named: &Named, code: &str, message: &str) {
    result.open("Error");
    result.element("Key", &named.key);
    if let Some(id) = &named.version_id {
        result.element("VersionId", id);
    }
    result.element("Code", code);
    result.element("Message", message);
    result.close("Error");
}

/// Returns a whole result with these elements.
pub(crate) fn result(elements: &Document) -> String {
    let mut xml = Document::response(ROOT);
    xml.append(elements);
    xml.finish(ROOT)
}

/// The store's merged results, with the store's names for the keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Merged {
    elements: Document,
    /// Errors for keys that were not sent or whose outcome is unknown, with the client's names.
    failed: Document,
}

/// A response that is not the result of a multi-object delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoResult;

impl Merged {
    /// Adds the store's result for a group.
    ///
    /// # Errors
    /// When the response is not such a result.
    pub(crate) fn add(&mut self, response: &str) -> Result<(), NoResult> {
        self.elements.append_written(inside(response).ok_or(NoResult)?);
        Ok(())
    }

    /// Reports a whole group as failed, with the store's code and message if there are any.
    pub(crate) fn fail(&mut self, group: &Group, code: &str, message: &str) {
        for named in &group.named {
            push_error(&mut self.failed, named, code, message);
        }
    }

    /// Returns the result with the store's names, and the further elements with the client's names.
    pub(crate) fn finish(self) -> (String, Document) {
        (result(&self.elements), self.failed)
    }
}

/// Returns the code and message of a store's error document.
pub(crate) fn code_and_message(response: &str) -> (String, String) {
    let text = |name: &str| element(response, name);
    (
        text("Code").unwrap_or_else(|| "InternalError".to_owned()),
        text("Message").unwrap_or_else(|| "the store did not say why".to_owned()),
    )
}

/// Returns the content of a well-formed result's root element.
fn inside(response: &str) -> Option<&str> {
    let mut reader = Reader::from_str(response);
    let (mut depth, mut start, mut found) = (0_usize, 0, None);
    loop {
        let before = position(&reader)?;
        match reader.read_event().ok()? {
            Event::Start(tag) => {
                if depth == 0 {
                    if found.is_some() || tag.local_name().as_ref() != ROOT {
                        return None;
                    }
                    start = position(&reader)?;
                }
                depth += 1;
            }
            Event::Empty(tag) if depth == 0 => {
                if found.is_some() || tag.local_name().as_ref() != ROOT {
                    return None;
                }
                found = Some("");
            }
            Event::End(_) => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    found = response.get(start..before);
                }
            }
            Event::Text(text) if depth == 0 && !text.trim_ascii().is_empty() => return None,
            Event::Eof if depth == 0 => return found,
            Event::Eof | Event::DocType(_) => return None,
            _ => {}
        }
    }
}

fn position(reader: &Reader<&[u8]>) -> Option<usize> {
    usize::try_from(reader.buffer_position()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_merged_in_order() {
        let mut merged = Merged::default();
        for response in [
            "<?xml version=\"1.0\"?>\n<DeleteResult xmlns=\"x\"><Deleted><Key>a</Key></Deleted></DeleteResult>\n",
            "<DeleteResult/>",
            "<DeleteResult></DeleteResult>",
            "<DeleteResult><Error><Key>b</Key></Error><Deleted/></DeleteResult>",
        ] {
            assert_eq!(merged.add(response), Ok(()), "{response}");
        }
        let named = ["c", "<d>"].map(|key| Named { key: key.to_owned(), ..Named::default() });
        let group = Group { document: bytes::Bytes::new(), named: named.to_vec() };
        merged.fail(&group, "SlowDown", "later");
        let (whole, failed) = merged.finish();
        assert_eq!(
            whole,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DeleteResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <Deleted><Key>a</Key></Deleted><Error><Key>b</Key></Error><Deleted/></DeleteResult>"
        );
        assert_eq!(
            failed.into_fragment(),
            "<Error><Key>c</Key><Code>SlowDown</Code><Message>later</Message></Error>\
             <Error><Key>&lt;d&gt;</Key><Code>SlowDown</Code><Message>later</Message></Error>"
        );
    }

    #[test]
    fn other_responses_are_not_merged() {
        for response in [
            "",
            "text",
            "<DeleteResult>",
            "<DeleteResult><a></DeleteResult>",
            "</DeleteResult>",
            "<Error><Code>AccessDenied</Code></Error>",
            "<DeleteResult/><DeleteResult/>",
            "<DeleteResult></DeleteResult>text",
            "<!DOCTYPE a><DeleteResult/>",
        ] {
            assert_eq!(Merged::default().add(response), Err(NoResult), "{response}");
        }
    }
}
