//! Multi-object delete: many keys in one document, each judged as a DELETE of it.
//!
//! What is refused never reaches the store and stands in the result as an error; what is allowed is written into a
//! document of our own. <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html>

mod document;

use crate::body::{BoxError, Upload, read_whole};
use crate::checksum::{Algorithm, Checksum, Hasher};
use crate::http1::Fields;
use crate::mapping::{Grant, Mapping};
use crate::payload::{Payload, X_AMZ_CONTENT_SHA256, broken_body, checksum_mismatch};
use crate::refusal::{Refusal, Rule};
use crate::s3_error::xml_text;
use bytes::Bytes;
use http_body::Body;
use std::fmt::Write;
use std::rc::Rc;
use std::time::Duration;

pub use document::{Deletion, MAX_KEYS, Named};

/// The largest document: 1000 keys of 1024 bytes, as S3 has it, and as much again for what stands around them.
pub const MAX_BODY: usize = 2 * 1024 * 1024;

const NAMESPACE: &str = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";

/// Reads a request's document, and holds it against every checksum that the client gives.
///
/// # Errors
/// When it is too large, breaks off, or is not what a checksum says.
pub async fn read<B>(
    upload: &Rc<Upload<B>>,
    payload: &Payload,
    fields: &Fields,
    patience: Duration,
) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    let too_large = || Refusal::new(Rule::TooLarge, "a multi-object delete is at most 2 MiB");
    if usize::try_from(payload.length()).map_or(true, |length| length > MAX_BODY) {
        return Err(too_large());
    }
    if matches!(payload, Payload::Unknown(..)) {
        upload.set_length(u64::MAX);
    }
    let read = read_whole(upload.attempt(), MAX_BODY, patience).await;
    let document = read
        .map_err(|error| if upload.sent() > MAX_BODY as u64 { too_large() } else { broken_body(&error) })?;
    verify(fields, &document)?;
    Ok(document)
}

fn verify(fields: &Fields, document: &[u8]) -> Result<(), Refusal> {
    for algorithm in Algorithm::ALL {
        for value in fields.all(algorithm.header()) {
            let bad = |_| {
                let why = format!("{} is not a checksum of its kind", algorithm.header());
                Refusal::new(Rule::BadHeader, why)
            };
            compare(&Checksum::parse(algorithm, value).map_err(bad)?, document)?;
        }
    }
    // Words such as UNSIGNED-PAYLOAD say nothing.
    let hash = fields.get(X_AMZ_CONTENT_SHA256.as_str());
    match hash.and_then(|hash| Checksum::parse_sha256_hex(hash).ok()) {
        Some(given) => compare(&given, document),
        None => Ok(()),
    }
}

fn compare(given: &Checksum, document: &[u8]) -> Result<(), Refusal> {
    let mut hasher = Hasher::new(given.algorithm());
    hasher.update(document);
    hasher.verify(given).map_err(checksum_mismatch)
}

/// What becomes of a deletion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The document for the store; none when no key is allowed.
    pub document: Option<Bytes>,
    /// The refused keys, as elements of the result.
    pub refused: String,
}

/// Judges every key.
pub fn judge(deletion: &Deletion, mapping: &Mapping, grant: &Grant<'_>) -> Judged {
    let mut document = format!("<Delete {NAMESPACE}><Quiet>{}</Quiet>", deletion.quiet);
    let mut refused = String::new();
    let mut allowed = 0;
    for named in &deletion.objects {
        match judge_one(named, mapping, grant) {
            Ok(object) => {
                document.push_str(&object);
                allowed += 1;
            }
            Err(refusal) => refused.push_str(&error(named, &refusal)),
        }
    }
    document.push_str("</Delete>");
    Judged { document: (allowed > 0).then(|| document.into()), refused }
}

fn judge_one(named: &Named, mapping: &Mapping, grant: &Grant<'_>) -> Result<String, Refusal> {
    let (key, version_id) = mapping.grant_delete(grant, &named.key, named.version_id.as_deref())?;
    if named.conditional {
        let why = "a condition on a key is not honoured by the store when it deletes";
        return Err(Refusal::new(Rule::UnknownHeader, why));
    }
    let mut object = "<Object>".to_owned();
    push_element(&mut object, "Key", &key)?;
    if let Some(version_id) = version_id {
        push_element(&mut object, "VersionId", &version_id)?;
    }
    object.push_str("</Object>");
    Ok(object)
}

/// Writes an element so that the store reads these very characters.
fn push_element(object: &mut String, name: &str, text: &str) -> Result<(), Refusal> {
    let _ = write!(object, "<{name}>");
    for c in text.chars() {
        match c {
            '&' => object.push_str("&amp;"),
            '<' => object.push_str("&lt;"),
            '>' => object.push_str("&gt;"),
            '\t' | '\n' | '\r' => _ = write!(object, "&#{};", u32::from(c)),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {
                return Err(Refusal::new(
                    Rule::MalformedDocument,
                    "the key holds a character that XML cannot: delete it alone",
                ));
            }
            c => object.push(c),
        }
    }
    let _ = write!(object, "</{name}>");
    Ok(())
}

fn error(named: &Named, refusal: &Refusal) -> String {
    let version = named
        .version_id
        .as_ref()
        .map(|id| format!("<VersionId>{}</VersionId>", xml_text(id)))
        .unwrap_or_default();
    format!(
        "<Error><Key>{}</Key>{version}<Code>{}</Code><Message>{}</Message></Error>",
        xml_text(&named.key),
        refusal.rule.code(),
        xml_text(&refusal.message),
    )
}

impl Judged {
    /// The whole result, when the store is not asked.
    pub fn result(&self) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DeleteResult {NAMESPACE}>{}</DeleteResult>",
            self.refused
        )
    }
}

#[cfg(test)]
mod tests;
