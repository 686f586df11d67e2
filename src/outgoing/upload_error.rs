//! The error of a client's body that could not be passed on to its end.

use crate::outgoing::payload::checksum_mismatch;
use crate::refusal::{Refusal, Rule};
use crate::s3::aws_chunked::EnvelopeError;
use crate::s3::checksum::Mismatch;
use http1::body::BoxError;
use std::{error, fmt};

/// The reason a client's body could not be passed on to its end.
#[derive(Debug)]
pub enum UploadError {
    /// The aws-chunked envelope is malformed, or a signature in it is wrong.
    Envelope(EnvelopeError),
    /// The body does not have the SHA-256 that is signed.
    Sha256,
    /// The content does not match its trailing checksum.
    Checksum(Mismatch),
    /// The body broke off, or what was held of it cannot be read back.
    Body(BoxError),
}

impl fmt::Display for UploadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Envelope(error) => error.fmt(f),
            Self::Sha256 => f.write_str("the body does not match its x-amz-content-sha256"),
            Self::Checksum(mismatch) => mismatch.fmt(f),
            Self::Body(error) => error.fmt(f),
        }
    }
}

impl error::Error for UploadError {}

impl From<EnvelopeError> for UploadError {
    fn from(error: EnvelopeError) -> Self {
        Self::Envelope(error)
    }
}

impl From<Mismatch> for UploadError {
    fn from(mismatch: Mismatch) -> Self {
        Self::Checksum(mismatch)
    }
}

impl From<UploadError> for Refusal {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Envelope(EnvelopeError::Malformed(why)) => {
                Self::new(Rule::BadEnvelope, format!("the aws-chunked body is malformed: {why}"))
            }
            UploadError::Envelope(error @ EnvelopeError::Signature) => {
                Self::new(Rule::WrongSignature, error.to_string())
            }
            UploadError::Sha256 => Self::new(
                Rule::ContentSha256,
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
            ),
            UploadError::Checksum(mismatch) => checksum_mismatch(mismatch),
            UploadError::Body(error) => Self::new(Rule::BadBody, error.to_string()),
        }
    }
}
