//! The request document of a multi-object delete.

use crate::outgoing::document::Elements;
use crate::refusal::Refusal;
use crate::s3::limits::MAX_PAGE;

const ROOT: &str = "Delete";
/// Longest text, in bytes. A key has at most 1024.
const MAX_TEXT: usize = 4096;

/// The request of a client to delete objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deletion {
    /// Whether the result reports errors only.
    pub quiet: bool,
    /// The objects, in document order.
    pub objects: Vec<Named>,
}

/// An object to delete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Its key, as the client sees it.
    pub key: String,
    /// Its version, if one is named.
    pub version_id: Option<String>,
    /// Whether the document puts a condition on it.
    pub conditional: bool,
}

impl Deletion {
    /// Parses a document.
    ///
    /// # Errors
    /// When it is not a Delete document with 1 to 1000 keys.
    pub fn parse(document: &[u8]) -> Result<Self, Refusal> {
        let mut xml = Elements::open(ROOT, document)?;
        let (mut quiet, mut objects) = (None, Vec::new());
        while let Some(name) = xml.child()? {
            match &*name {
                "Quiet" if quiet.is_none() => quiet = Some(read_quiet(&mut xml)?),
                "Object" if objects.len() == MAX_PAGE => {
                    return Err(xml.malformed("it has more than 1000 keys"));
                }
                "Object" => objects.push(read_object(&mut xml)?),
                _ => return Err(xml.misplaced(&name)),
            }
        }
        if objects.is_empty() {
            return Err(xml.malformed("it names no key"));
        }
        xml.finish()?;
        Ok(Self { quiet: quiet.unwrap_or_default(), objects })
    }
}

fn read_object(xml: &mut Elements<'_>) -> Result<Named, Refusal> {
    let (mut key, mut version_id, mut conditional) = (None, None, false);
    while let Some(name) = xml.child()? {
        match &*name {
            "Key" if key.is_none() => key = Some(xml.text(MAX_TEXT)?),
            "VersionId" if version_id.is_none() => version_id = Some(xml.text(MAX_TEXT)?),
            "ETag" | "LastModifiedTime" | "Size" => {
                xml.text(MAX_TEXT)?;
                conditional = true;
            }
            _ => return Err(xml.misplaced(&name)),
        }
    }
    let key = key.filter(|key| !key.is_empty()).ok_or_else(|| xml.malformed("an object has no key"))?;
    Ok(Named { key, version_id: version_id.filter(|id| !id.is_empty()), conditional })
}

fn read_quiet(xml: &mut Elements<'_>) -> Result<bool, Refusal> {
    match xml.text(MAX_TEXT)?.trim_ascii() {
        "true" | "1" => Ok(true),
        "false" | "0" | "" => Ok(false),
        _ => Err(xml.malformed("Quiet is neither true nor false")),
    }
}
