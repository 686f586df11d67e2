//! The document of a multi-object delete, read strictly: elements and texts, of a known shape and bounded size.

use crate::refusal::{Refusal, Rule};
use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::Event;

/// S3's most keys in one document.
pub const MAX_KEYS: usize = 1000;
/// A key has at most 1024 bytes; no text that is read is much longer.
const MAX_TEXT: usize = 4096;

/// What a client asks to be deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deletion {
    /// Whether only errors are wanted in the result.
    pub quiet: bool,
    /// The objects, in the order in which they are named.
    pub objects: Vec<Named>,
}

/// An object that is to be deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Its key, as the client sees it.
    pub key: String,
    /// The one version that is meant.
    pub version_id: Option<String>,
    /// Whether it is to be deleted under a condition only.
    pub conditional: bool,
}

/// The elements, by what they are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    Delete,
    Quiet,
    Object,
    Key,
    VersionId,
    Condition,
}

impl Element {
    fn find(within: Option<Self>, name: &str) -> Option<Self> {
        match (within, name) {
            (None, "Delete") => Some(Self::Delete),
            (Some(Self::Delete), "Quiet") => Some(Self::Quiet),
            (Some(Self::Delete), "Object") => Some(Self::Object),
            (Some(Self::Object), "Key") => Some(Self::Key),
            (Some(Self::Object), "VersionId") => Some(Self::VersionId),
            (Some(Self::Object), "ETag" | "LastModifiedTime" | "Size") => Some(Self::Condition),
            _ => None,
        }
    }

    fn holds_text(self) -> bool {
        !matches!(self, Self::Delete | Self::Object)
    }
}

fn malformed(why: &str) -> Refusal {
    Refusal::new(Rule::MalformedDocument, format!("the Delete document cannot be read: {why}"))
}

impl Deletion {
    /// Reads a document.
    ///
    /// # Errors
    /// When it is no Delete document with 1 to 1000 keys.
    pub fn parse(document: &[u8]) -> Result<Self, Refusal> {
        let text = str::from_utf8(document).map_err(|_| malformed("it is not UTF-8"))?;
        let mut reader = Reader::from_str(text);
        let mut reading = Reading::default();
        loop {
            let event = reader.read_event().map_err(|_| malformed("it is not XML"))?;
            match event {
                Event::Start(start) => reading.start(start.local_name().as_ref())?,
                Event::Empty(start) => {
                    reading.start(start.local_name().as_ref())?;
                    reading.end()?;
                }
                Event::End(_) => reading.end()?,
                Event::Text(text) => reading.text(&text)?,
                Event::CData(text) => reading.text(&text)?,
                // Only the entities that XML itself has: a document type, which could make others, is refused.
                Event::GeneralRef(name) => {
                    let name: &str = &name;
                    let entity = format!("&{name};");
                    let character = unescape(&entity).map_err(|_| malformed("it has an unknown entity"))?;
                    reading.text(&character)?;
                }
                Event::Comment(_) | Event::Decl(_) => {}
                Event::PI(_) | Event::DocType(_) => {
                    return Err(malformed("it has an instruction or a document type"));
                }
                Event::Eof => return reading.finish(),
            }
        }
    }
}

/// How far a document has been read.
#[derive(Default)]
struct Reading {
    open: Vec<Element>,
    text: String,
    over: bool,
    key: Option<String>,
    named: Named,
    deletion: Deletion,
}

impl Reading {
    fn start(&mut self, name: &str) -> Result<(), Refusal> {
        let element = Element::find(self.open.last().copied(), name)
            .filter(|_| !self.over)
            .ok_or_else(|| malformed("it has an element that does not belong there"))?;
        if element == Element::Object {
            (self.key, self.named) = (None, Named::default());
        }
        self.text.clear();
        self.open.push(element);
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), Refusal> {
        if self.open.last().is_some_and(|element| element.holds_text()) {
            self.text.push_str(text);
            return if self.text.len() > MAX_TEXT { Err(malformed("a text is too long")) } else { Ok(()) };
        }
        if text.trim_ascii().is_empty() { Ok(()) } else { Err(malformed("it has a text between elements")) }
    }

    fn end(&mut self) -> Result<(), Refusal> {
        let text = std::mem::take(&mut self.text);
        match self.open.pop() {
            Some(Element::Quiet) => self.deletion.quiet = quiet(&text)?,
            Some(Element::Key) if self.key.is_none() => self.key = Some(text),
            Some(Element::VersionId) if self.named.version_id.is_none() => {
                self.named.version_id = (!text.is_empty()).then_some(text);
            }
            Some(Element::Condition) => self.named.conditional = true,
            Some(Element::Object) => self.object()?,
            Some(Element::Delete) => self.over = true,
            Some(Element::Key | Element::VersionId) | None => {
                return Err(malformed("an element is there twice"));
            }
        }
        Ok(())
    }

    fn object(&mut self) -> Result<(), Refusal> {
        let key = self.key.take().filter(|key| !key.is_empty());
        let key = key.ok_or_else(|| malformed("an object has no key"))?;
        let named = Named { key, ..std::mem::take(&mut self.named) };
        if self.deletion.objects.len() >= MAX_KEYS {
            return Err(malformed("it has more than 1000 keys"));
        }
        self.deletion.objects.push(named);
        Ok(())
    }

    fn finish(self) -> Result<Deletion, Refusal> {
        if !self.over {
            return Err(malformed("it breaks off"));
        }
        if self.deletion.objects.is_empty() {
            return Err(malformed("it names no key"));
        }
        Ok(self.deletion)
    }
}

fn quiet(text: &str) -> Result<bool, Refusal> {
    match text.trim_ascii() {
        "true" | "1" => Ok(true),
        "false" | "0" | "" => Ok(false),
        _ => Err(malformed("Quiet is neither true nor false")),
    }
}
