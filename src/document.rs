//! Request documents: small XML bodies that Scopegate reads whole, parses strictly and writes again.
//!
//! The store never reads a byte of XML that a client wrote. What MinIO makes of such bytes costs seconds of its time
//! and gigabytes of its memory (`docs/uploads.md`).

mod complete;
mod elements;
mod tagging;

use crate::body::{BoxError, Unread, Upload, read_within};
use crate::checksum::{Algorithm, Checksum, Hasher};
use crate::http1::Fields;
use crate::operation::Operation;
use crate::payload::{Payload, X_AMZ_CONTENT_SHA256, checksum_mismatch};
use crate::refusal::{Refusal, Rule};
use bytes::Bytes;
use http_body::Body;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

pub use complete::{Completion, MAX_PARTS, Part};
pub use elements::Elements;
pub use tagging::Tagging;

/// The namespace of S3's documents, as an attribute.
pub const NAMESPACE: &str = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";

/// An operation whose body is a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `DeleteObjects`
    Delete,
    /// `CompleteMultipartUpload`
    Complete,
    /// `PutObjectTagging`
    Tagging,
}

impl Kind {
    /// Returns the kind of document that an operation takes.
    pub const fn of(operation: Operation) -> Option<Self> {
        match operation {
            Operation::DeleteObjects => Some(Self::Delete),
            Operation::CompleteMultipartUpload => Some(Self::Complete),
            Operation::PutObjectTagging => Some(Self::Tagging),
            _ => None,
        }
    }

    /// Returns the size of the largest document, in bytes.
    pub const fn most(self) -> usize {
        match self {
            // 1000 keys of 1024 bytes and as much again for the markup; 10,000 parts with a SHA-256 each, as SDKs write
            // them, have 1.8 MiB.
            Self::Delete | Self::Complete => 2 << 20,
            // 10 tags of 128 + 256 characters of 4 bytes, twice.
            Self::Tagging => 64 << 10,
        }
    }

    /// Whether the checksum headers are about the document. Those of a completion are about the object.
    const fn is_what_checksums_are_of(self) -> bool {
        !matches!(self, Self::Complete)
    }

    fn too_large(self) -> Refusal {
        let (name, most) = match self {
            Self::Delete => ("Delete", "2 MiB"),
            Self::Complete => ("CompleteMultipartUpload", "2 MiB"),
            Self::Tagging => ("Tagging", "64 KiB"),
        };
        Refusal::new(Rule::TooLarge, format!("a {name} document is at most {most}"))
    }
}

/// What is made of a document takes as much memory: what is read of it, the document for the store and its result.
const COPIES: usize = 4;

/// Checks the announced length of a document.
///
/// # Errors
/// When it is too large.
pub fn check_length(kind: Kind, payload: &Payload) -> Result<(), Refusal> {
    match usize::try_from(payload.length()) {
        Ok(length) if length <= kind.most() => Ok(()),
        _ => Err(kind.too_large()),
    }
}

/// Reads a request's document whole and verifies every checksum that the client gives of it. This is the one place
/// where documents are held in memory.
///
/// # Errors
/// When it is too large, breaks off, takes longer than `patience`, or differs from a checksum, and when there is no memory for
/// it, which `hold` takes.
pub async fn read<B>(
    kind: Kind,
    upload: &Rc<Upload<B>>,
    payload: &Payload,
    fields: &Fields,
    patience: Duration,
    mut hold: impl FnMut(usize) -> Result<(), Refusal>,
) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    let most = kind.most();
    if matches!(payload, Payload::Held(_)) {
        upload.set_length(u64::MAX);
    }
    let read = read_within(upload.attempt(), most, patience, &mut hold).await;
    let document = read.map_err(|unread| match unread {
        Unread::Refused(refusal) => refusal,
        Unread::Broken(_) if upload.sent() > most as u64 => kind.too_large(),
        Unread::Broken(error) => upload.refuse(&error),
    })?;
    verify(kind, fields, &document)?;
    hold(document.len().saturating_mul(COPIES))?;
    Ok(document)
}

fn verify(kind: Kind, fields: &Fields, document: &[u8]) -> Result<(), Refusal> {
    let of_it = |algorithm: &Algorithm| kind.is_what_checksums_are_of() || *algorithm == Algorithm::Md5;
    for algorithm in Algorithm::ALL.into_iter().filter(of_it) {
        for value in fields.all(algorithm.header()) {
            let bad = |_| {
                let why = format!("{} is not a checksum of its kind in base64", algorithm.header());
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

/// Writes an element whose text the store reads as these very characters.
///
/// # Errors
/// When the text holds a character that XML cannot express.
pub fn push_element(xml: &mut String, name: &str, text: &str) -> Result<(), NoXml> {
    let _ = write!(xml, "<{name}>");
    for c in text.chars() {
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '\t' | '\n' | '\r' => _ = write!(xml, "&#{};", u32::from(c)),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => return Err(NoXml),
            c => xml.push(c),
        }
    }
    let _ = write!(xml, "</{name}>");
    Ok(())
}

/// A text with a character that XML 1.0 cannot express.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoXml;

#[cfg(test)]
mod tests;
