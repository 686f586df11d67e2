//! Multi-object delete: many keys in one document, each judged like a DELETE of that key.
//!
//! Refused keys never reach the store; the result reports them as errors. Allowed keys go to the store in new
//! documents of a few keys each. MinIO locks all keys of a document at once, even while it waits for one of them.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html>

mod document;
mod result;

use crate::authorize::mapping::{Grant, Mapping};
use crate::refusal::{Refusal, Rule};
use crate::s3::xml::{Document, Inexpressible};
use bytes::Bytes;

pub use document::Deletion;
pub(crate) use document::Named;
pub(crate) use result::{Merged, code_and_message, push_error, result};

/// Maximum number of keys per document for the store. A key that someone reads slowly delays its whole group; the
/// table in `docs/uploads.md` shows what smaller groups cost.
pub(crate) const GROUP: usize = 25;

/// The outcome of judging a deletion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    /// The allowed keys, in the client's order.
    pub groups: Vec<Group>,
    /// The refused keys, as elements of the result.
    pub refused: Document,
}

/// Keys that one request to the store deletes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// The document for the store.
    pub document: Bytes,
    /// The keys in the client's spelling.
    pub named: Vec<Named>,
}

/// Judges every key.
pub(crate) fn judge(deletion: Deletion, mapping: &Mapping, grant: &Grant<'_>) -> Judged {
    let mut refused = Document::fragment();
    let mut allowed: Vec<(Named, Document)> = Vec::new();
    for named in deletion.objects {
        match judge_one(&named, mapping, grant) {
            Ok(object) => allowed.push((named, object)),
            Err(refusal) => push_error(&mut refused, &named, refusal.rule.code(), &refusal.message),
        }
    }
    let mut groups = Vec::new();
    let mut allowed = allowed.into_iter().peekable();
    while allowed.peek().is_some() {
        let (named, objects): (Vec<Named>, Vec<Document>) = allowed.by_ref().take(GROUP).unzip();
        groups.push(Group { document: request(deletion.quiet, &objects).into(), named });
    }
    Judged { groups, refused }
}

fn judge_one(named: &Named, mapping: &Mapping, grant: &Grant<'_>) -> Result<Document, Refusal> {
    let (key, version_id) = mapping.grant_delete(grant, &named.key, named.version_id.as_deref())?;
    if named.conditional {
        let why = "a condition on a key is not honoured by the store when it deletes";
        return Err(Refusal::new(Rule::Condition, why));
    }
    object(&key, version_id.as_deref()).map_err(|Inexpressible| {
        let why = "the key holds a character that XML cannot express: delete it alone";
        Refusal::new(Rule::MalformedDocument, why)
    })
}

fn object(key: &str, version_id: Option<&str>) -> Result<Document, Inexpressible> {
    let mut object = Document::fragment();
    object.open("Object");
    object.exact_element("Key", key)?;
    if let Some(version_id) = version_id {
        object.exact_element("VersionId", version_id)?;
    }
    object.close("Object");
    Ok(object)
}

fn request(quiet: bool, objects: &[Document]) -> String {
    let mut xml = Document::request("Delete");
    xml.element("Quiet", if quiet { "true" } else { "false" });
    for object in objects {
        xml.append(object);
    }
    xml.finish("Delete")
}

#[cfg(test)]
mod tests;
