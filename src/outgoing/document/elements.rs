//! A strict reader of XML documents that accepts only elements and texts.
//!
//! Comments, instructions, document types, attributes other than namespaces and texts between elements are refused.

use crate::refusal::{Refusal, Rule};
use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event};
use std::fmt;

/// A document, read element by element.
#[derive(Debug)]
pub(crate) struct Elements<'d> {
    root: &'static str,
    reader: Reader<&'d [u8]>,
}

/// The next item.
enum Next {
    Start(String),
    End,
    Text(String),
    Eof,
}

impl<'d> Elements<'d> {
    /// Opens a document and enters its root element.
    ///
    /// # Errors
    /// When it is not UTF-8 or has another root.
    pub(crate) fn open(root: &'static str, document: &'d [u8]) -> Result<Self, Refusal> {
        let text = str::from_utf8(document).map_err(|_| malformed(root, "it is not UTF-8"))?;
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        let mut elements = Self { root, reader };
        match elements.child()? {
            Some(name) if name == root => Ok(elements),
            Some(name) => {
                Err(elements.malformed(format_args!("its root element is {:?}, not {root:?}", Shown(&name))))
            }
            None => Err(elements.malformed("it is empty")),
        }
    }

    /// Enters the next child of the open element and returns its name. At the end of the open element, closes it and
    /// returns `None`.
    ///
    /// # Errors
    /// When there is text instead.
    pub(crate) fn child(&mut self) -> Result<Option<String>, Refusal> {
        loop {
            match self.next()? {
                Next::Start(name) => return Ok(Some(name)),
                Next::End => return Ok(None),
                Next::Eof => return Err(self.malformed("it is incomplete")),
                Next::Text(text) if text.trim_ascii().is_empty() => {}
                Next::Text(_) => return Err(self.malformed("it has text between elements")),
            }
        }
    }

    /// Reads the text of the element that was entered last, and closes it.
    ///
    /// # Errors
    /// When it holds an element, or more than `most` bytes.
    pub(crate) fn text(&mut self, most: usize) -> Result<String, Refusal> {
        let mut whole = String::new();
        loop {
            match self.next()? {
                Next::Text(text) if whole.len() + text.len() <= most => whole.push_str(&text),
                Next::Text(_) => return Err(self.malformed("a text is too long")),
                Next::End => return Ok(whole),
                Next::Start(name) => {
                    let why = format!("the element {:?} is misplaced", Shown(&name));
                    return Err(self.malformed(why));
                }
                Next::Eof => return Err(self.malformed("it is incomplete")),
            }
        }
    }

    /// Ends the document after its root element.
    ///
    /// # Errors
    /// When anything but white space follows.
    pub(crate) fn finish(mut self) -> Result<(), Refusal> {
        loop {
            match self.next()? {
                Next::Eof => return Ok(()),
                Next::Text(text) if text.trim_ascii().is_empty() => {}
                _ => return Err(self.malformed("it has content after its root element")),
            }
        }
    }

    /// Returns the refusal of an element in the wrong place.
    pub(crate) fn misplaced(&self, name: &str) -> Refusal {
        self.malformed(format_args!("the element {:?} is misplaced or repeated", Shown(name)))
    }

    /// Returns the refusal of the document.
    pub(crate) fn malformed(&self, why: impl fmt::Display) -> Refusal {
        malformed(self.root, why)
    }

    fn next(&mut self) -> Result<Next, Refusal> {
        loop {
            let event = self.reader.read_event().map_err(|_| malformed(self.root, "it is not XML"))?;
            return Ok(match event {
                Event::Start(start) => Next::Start(name(self.root, &start)?),
                Event::End(_) => Next::End,
                Event::Text(text) => Next::Text((*text).to_owned()),
                Event::CData(text) => Next::Text((*text).to_owned()),
                Event::GeneralRef(entity) => Next::Text(character(self.root, &entity)?),
                Event::Eof => Next::Eof,
                Event::Decl(_) => continue,
                Event::Comment(_) | Event::PI(_) | Event::DocType(_) | Event::Empty(_) => {
                    return Err(self.malformed("it has a comment, an instruction or a document type"));
                }
            });
        }
    }
}

fn name(root: &'static str, start: &BytesStart<'_>) -> Result<String, Refusal> {
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|_| malformed(root, "it is not XML"))?;
        let key = attribute.key.as_ref();
        if key != "xmlns" && !key.starts_with("xmlns:") {
            return Err(malformed(root, format_args!("the attribute {:?} is not known", Shown(key))));
        }
    }
    Ok(start.name().as_ref().to_owned())
}

/// Resolves an entity. Only XML's predefined entities and character references are allowed: others come from a
/// document type.
fn character(root: &'static str, entity: &str) -> Result<String, Refusal> {
    let entity = format!("&{entity};");
    let character = unescape(&entity).map_err(|_| malformed(root, "it has an unknown entity"))?;
    Ok(character.into_owned())
}

fn malformed(root: &str, why: impl fmt::Display) -> Refusal {
    Refusal::new(Rule::MalformedDocument, format!("the {root} document cannot be read: {why}"))
}

/// A text from the client, of which messages quote the beginning.
pub(super) struct Shown<'t>(pub(super) &'t str);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 64;
        let end = self.0.char_indices().nth(MOST).map_or(self.0.len(), |(at, _)| at);
        self.0.get(..end).unwrap_or_default().fmt(f)?;
        if end < self.0.len() { f.write_str("…") } else { Ok(()) }
    }
}
