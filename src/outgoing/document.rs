//! Request documents: small XML bodies that Scopegate reads whole, parses strictly and writes again.
//!
//! The store never parses XML that a client wrote. Hostile XML costs MinIO seconds of CPU time and gigabytes of
//! memory (`docs/uploads.md`).

mod complete;
mod elements;
mod tagging;

use crate::outgoing::payload::{Payload, X_AMZ_CONTENT_SHA256, checksum_mismatch};
use crate::outgoing::upload::Upload;
use crate::refusal::{Refusal, Rule};
use crate::s3::checksum::{Algorithm, Checksum, Hasher};
use crate::s3::operation::Operation;
use bytes::Bytes;
use http_body::Body;
use http1::Fields;
use http1::body::{BoxError, ReadError, Unread, read_within};
use std::rc::Rc;
use std::time::Duration;

pub use complete::Completion;
pub(crate) use complete::Part;
pub(crate) use elements::Elements;
pub use tagging::Tagging;

/// A kind of request document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `DeleteObjects`
    Delete,
    /// `CompleteMultipartUpload`
    Complete,
    /// `PutObjectTagging`
    Tagging,
}

impl Kind {
    /// Returns the kind of document that an operation requires.
    pub(crate) const fn of(operation: Operation) -> Option<Self> {
        match operation {
            Operation::DeleteObjects => Some(Self::Delete),
            Operation::CompleteMultipartUpload => Some(Self::Complete),
            Operation::PutObjectTagging => Some(Self::Tagging),
            _ => None,
        }
    }

    /// Returns the size limit, in bytes.
    pub(crate) const fn most(self) -> usize {
        match self {
            // Twice the 1000 keys of 1024 bytes, for the markup. 10,000 parts with a SHA-256 each, as SDKs write
            // them, take 1.8 MiB.
            Self::Delete | Self::Complete => 2 << 20,
            // Twice the 10 tags of 128 + 256 characters of 4 bytes.
            Self::Tagging => 64 << 10,
        }
    }

    /// Returns whether checksum headers describe the document. Those of a completion describe the object.
    const fn is_described_by_checksums(self) -> bool {
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

/// Memory that a document takes, as a multiple of its size: what is parsed from it, the new document and its result.
const COPIES: usize = 4;

/// Checks the announced length of a document.
///
/// # Errors
/// When it is too large.
pub(crate) fn check_length(kind: Kind, payload: &Payload) -> Result<(), Refusal> {
    match usize::try_from(payload.length()) {
        Ok(length) if length <= kind.most() => Ok(()),
        _ => Err(kind.too_large()),
    }
}

/// Reads a whole document and verifies every checksum that the client gives. This is the only place that holds
/// documents in memory.
///
/// # Errors
/// When it is too large, breaks off, takes longer than `patience`, or does not match a checksum, and when `memory` is
/// exhausted.
pub(crate) async fn read<B>(
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
        Unread::Failed(_) if upload.sent() > most as u64 => kind.too_large(),
        Unread::Failed(ReadError::Body(error)) => error.into(),
        Unread::Failed(error) => Refusal::new(Rule::BadBody, error.to_string()),
    })?;
    verify(kind, fields, &document)?;
    hold(document.len().saturating_mul(COPIES))?;
    Ok(document)
}

fn verify(kind: Kind, fields: &Fields, document: &[u8]) -> Result<(), Refusal> {
    let of_it = |algorithm: &Algorithm| kind.is_described_by_checksums() || *algorithm == Algorithm::Md5;
    for algorithm in Algorithm::ALL.into_iter().filter(of_it) {
        for value in fields.all(algorithm.header()) {
            let bad = |_| {
                let why = format!("{} is not a checksum of its kind in base64", algorithm.header());
                Refusal::new(Rule::BadHeader, why)
            };
            compare(&Checksum::parse(algorithm, value).map_err(bad)?, document)?;
        }
    }
    // Values such as UNSIGNED-PAYLOAD are not hashes.
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

#[cfg(test)]
mod tests;
